# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Mixin for a Trainer with batches of similar length and a budget of tokens, the same in any number of processes."""

from collections.abc import Callable
from functools import partial
from typing import Any

from accelerate.data_loader import SeedableRandomSampler
from torch.utils.data import BatchSampler, DataLoader, RandomSampler
from transformers.trainer_pt_utils import LengthGroupedSampler
from transformers.trainer_utils import seed_worker

from ..text.batching import EpochLengthSampler, ShardedBatches, TokenBatchSampler
from ..utils.errors import HfRnnError
from .callbacks import EpochCallback
from .stopping import start_worker
from .streaming import EncodedStream, StreamedBatches
from .trainer_hooks import TrainerHooks


class BatchedLoading(TrainerHooks):
    """Mixin that makes a Trainer use the batches of [`~hf_rnn.text.batching`], in an order set by `order_seed`.

    The arguments of the Trainer are [`~hf_rnn.training.arguments.RNNTrainingArguments`].
    """

    def ordered(self: Any, sampler: Any) -> Any:
        """Return a sampler that reads the same rows in each step in any number of processes.

        Args:
            sampler: Sampler that transformers made.
        """
        seed = self.args.order_seed
        if isinstance(sampler, LengthGroupedSampler):
            # Access to a data set column is slow, so it is copied. The rows of a step do not depend on the number of
            # processes.
            lengths = list(sampler.lengths)
            sampler = EpochLengthSampler(lengths, sampler.batch_size * self.args.world_size, seed)
        elif isinstance(sampler, RandomSampler):
            sampler = SeedableRandomSampler(sampler.data_source, data_seed=seed)
        if hasattr(sampler, "set_epoch"):
            EpochCallback(sampler).replace_in(self)
        return sampler

    def get_train_dataloader(self: Any) -> DataLoader:
        """Return the DataLoader of the training rows.

        With `train_batch_tokens`, batches have a budget of tokens. With several processes, each row is read once. A
        stream gives endless batches. In all other cases the loader is that of transformers.

        Raises:
            HfRnnError: `train_batch_tokens` is set, and the rows have no `length` column, which `task.encode` makes.
        """
        args, rows = self.args, self.train_dataset
        loading = {
            "collate_fn": self.data_collator,
            "num_workers": args.dataloader_num_workers,
            "pin_memory": args.dataloader_pin_memory,
            "multiprocessing_context": args.dataloader_multiprocessing_context,
            "in_order": args.dataloader_in_order,
            "persistent_workers": args.dataloader_persistent_workers,
            "prefetch_factor": args.dataloader_prefetch_factor,
            "worker_init_fn": partial(
                start_worker,
                then=partial(seed_worker, num_workers=args.dataloader_num_workers, rank=args.process_index),
            ),
        }
        if isinstance(rows, EncodedStream):
            by_length = args.train_sampling_strategy == "group_by_length"
            size, tokens = self._train_batch_size, args.train_batch_tokens
            streamed = StreamedBatches(rows, size, tokens, by_length, args.order_seed)
            return DataLoader(streamed, batch_size=None, **loading)
        alone = args.world_size == 1 or args.train_sampling_strategy == "batch_rebalance"
        if args.train_batch_tokens is None and alone:
            return super().get_train_dataloader()  # type: ignore[misc]
        batches: Any
        if args.train_batch_tokens is None:
            sampler: Any = self._get_train_sampler(rows)
            batches = BatchSampler(sampler, self._train_batch_size, args.dataloader_drop_last)
        elif "length" in rows.column_names:
            batches = TokenBatchSampler(rows["length"], args.train_batch_tokens, args.order_seed)
            EpochCallback(batches).replace_in(self)
        else:
            raise HfRnnError(
                f"train_batch_tokens needs a column 'length', and the rows have {', '.join(rows.column_names)}: pass "
                "train_dataset=task.encode(rows, tokenizer), or leave train_batch_tokens out."
            )
        if args.world_size > 1:
            dealt = args.train_batch_tokens is None
            batches = ShardedBatches(batches, args.process_index, args.world_size, dealt)
        rows = self._remove_unused_columns(rows, description="training")
        return DataLoader(rows, batch_sampler=batches, **loading)

    def loader(self: Any, make: Callable[[], DataLoader], is_training: bool) -> DataLoader:
        """Return a loader that drops no row of an evaluation, and whose worker processes end with the run.

        Args:
            make: Function that makes the loader as transformers does.
            is_training: True for training rows.
        """
        drop_last = self.args.dataloader_drop_last
        self.args.dataloader_drop_last = drop_last and is_training
        try:
            loader = make()
        finally:
            self.args.dataloader_drop_last = drop_last
        plain = getattr(loader, "base_dataloader", loader)
        plain.worker_init_fn = partial(start_worker, then=plain.worker_init_fn)
        return loader


__all__ = ["BatchedLoading"]
