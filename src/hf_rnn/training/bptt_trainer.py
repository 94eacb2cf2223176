# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Training on streams of text by truncated back-propagation through time (Werbos 1990, Mikolov et al. 2010)."""

from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase
from transformers.trainer_utils import EvalLoopOutput

from ..models.recurrent_cache import RNNCache
from ..tasks import Task
from ..text.bptt_windows import IGNORED, BPTTWindows, perplexities, read_streams, streams_to_read
from ..utils.errors import UserError
from .arguments import RNNTrainingArguments
from .callbacks import EpochCallback
from .streaming import EncodedStream, StreamedText
from .trainer import RNNTrainer, ShareOfAll
from .trainer_hooks import TrainerHooks

# Of each process, in a checkpoint.
STATE_FILE = "recurrent_state_{}.safetensors"


class TruncatedBPTT(TrainerHooks):
    """Makes a Trainer of transformers train on [`BPTTWindows`] by truncated back-propagation through time: each window
    starts from the state in which the one before it ended, and no gradient passes between them. The state is part of a
    checkpoint, so that a run that was stopped in the middle of an epoch goes on to the same weights.

    ```python
    >>> class StreamTrainer(TruncatedBPTT, Trainer): ...

    >>> place = {"rank": args.process_index, "world_size": args.world_size}
    >>> ids = tokenizer(texts)["input_ids"]
    >>> streams = TextStreams(ids, batch_size=32, window=70, separator=tokenizer.eos_token_id, **place)
    >>> StreamTrainer(model, args, train_dataset=streams).train()
    ```

    The model takes `past_key_values` and returns it, as [`RNNForCausalLM`] does; `per_device_train_batch_size` is the
    data set's own. Evaluating gives `loss` (nats per token), `perplexity` and, where the data set knows its words,
    `word_perplexity`.
    """

    _carried: RNNCache | None = None

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        trainer: Any = self
        if trainer.args.n_gpu > 1:
            raise UserError(
                f"one process cannot carry the states of streams on {trainer.args.n_gpu} GPUs: write accelerate launch "
                f"--multi_gpu --num_processes {trainer.args.n_gpu} scripts/train.py …, or CUDA_VISIBLE_DEVICES=0."
            )
        if trainer.label_smoother is not None:
            raise UserError(
                f"label_smoothing_factor={trainer.args.label_smoothing_factor} would not be used: the model computes "
                "its loss itself, over each window. Leave it out."
            )

    def get_train_dataloader(self: Any) -> DataLoader:
        if not isinstance(self.train_dataset, BPTTWindows | StreamedText):
            raise UserError(
                f"train_dataset is a {type(self.train_dataset).__name__}, and TruncatedBPTT reads streams: pass "
                "TextStreams(ids_of_each_document, batch_size=32, window=70, separator=tokenizer.eos_token_id)."
            )
        if self.train_dataset.world_size != self.args.world_size:
            raise UserError(
                f"the streams of train_dataset are for {self.train_dataset.world_size} processes, and this run has "
                f"{self.args.world_size}: pass TextStreams(…, rank=args.process_index, world_size=args.world_size)."
            )
        if isinstance(self.train_dataset, BPTTWindows):
            self.add_callback(EpochCallback(self.train_dataset))
        return self._windows(self.train_dataset)

    def get_eval_dataloader(self: Any, eval_dataset: Any = None) -> DataLoader:
        if isinstance(eval_dataset, str):
            eval_dataset = self.eval_dataset[eval_dataset]
        return self._windows(self._streams_of(self.eval_dataset if eval_dataset is None else eval_dataset))

    def get_test_dataloader(self: Any, test_dataset: Any) -> DataLoader:
        return self.get_eval_dataloader(test_dataset)

    def _windows(self: Any, streams: BPTTWindows | StreamedText) -> DataLoader:
        # One item is a whole batch; a sampler of batches of one is what accelerate knows how to go on from.
        pinned = self.args.dataloader_pin_memory and torch.accelerator.is_available()
        return DataLoader(streams, batch_size=1, collate_fn=itemgetter(0), pin_memory=pinned)

    def _streams_of(self, eval_dataset: Any) -> BPTTWindows:
        return eval_dataset

    def compute_loss(
        self: Any,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        if inputs.pop("starts"):
            self._carried = None
        # The streams of the last process end before the others.
        several = model.training and self.args.world_size > 1
        share = ShareOfAll((inputs["shift_labels"] != IGNORED).sum()) if several else None
        outputs = model(**inputs, past_key_values=self._carried, return_dict=True)
        self._carried = outputs.past_key_values.detach()
        loss = outputs.loss if share is None else share.weigh(outputs.loss)
        return (loss, outputs) if return_outputs else loss

    def evaluation_loop(
        self: Any,
        dataloader: Any,
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """Reads the streams of a data set once; each process its own, and the sums are those of all."""
        with self.compute_loss_context_manager():
            nats, tokens = read_streams(self.model, dataloader)
        sums = torch.tensor([nats, tokens], dtype=torch.float64 if self.args.device.type == "cpu" else torch.float32)
        nats, tokens = self.accelerator.reduce(sums.to(self.args.device)).tolist()
        metrics = perplexities(nats, tokens, dataloader.dataset.words)
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in metrics.items()}
        return EvalLoopOutput(predictions=None, label_ids=None, metrics=metrics, num_samples=int(tokens))  # type: ignore[arg-type]

    def add_to_checkpoint(self: Any, folder: Path) -> None:
        """Write the state in which the last window of this process ended."""
        super().add_to_checkpoint(folder)
        if self._carried is not None:
            parts = {f"{i}": part.contiguous() for i, part in enumerate(self._carried.state)}
            save_file(parts, _state_file(folder, self.args.process_index))

    def checkpoint_loaded(self: Any, folder: Path) -> None:
        """Read the state from which this process goes on.

        Raises:
            UserError: it is that of another number of processes or streams.
        """
        super().checkpoint_loaded(folder)
        saved, processes = len(list(folder.glob(STATE_FILE.format("*")))), self.args.world_size
        if saved not in (0, processes):
            raise UserError(
                f"the checkpoint has the state of {saved} processes, and this run has {processes}: go on with "
                f"accelerate launch --num_processes {saved}."
            )
        file = _state_file(folder, self.args.process_index)
        if file.exists():
            parts = load_file(file, device=str(self.args.device))
            rows, expected = len(parts["0"]), self.train_dataset.batch_size
            if rows != expected:
                raise UserError(
                    f"the checkpoint has the state of {rows} streams, and this run has {expected}: go on with "
                    f"--training.per_device_train_batch_size {rows}."
                )
            self._carried = RNNCache(tuple(parts[name] for name in sorted(parts)))


def _state_file(folder: Path, process_index: int) -> Path:
    return folder / STATE_FILE.format(process_index)


class LanguageModelTrainer(TruncatedBPTT, RNNTrainer):
    """[`RNNTrainer`] on the rows of the task `language_modeling`, laid into streams: each epoch has the rows in another
    order, and with `train_sampling_strategy="sequential"` as they stand, which suits rows that are pieces of a text.

    Args:
        train_dataset, eval_dataset: as `task.encode` gives them; the former may be an
            [`~hf_rnn.training.streaming.EncodedStream`].

    Raises:
        UserError: the text is shorter than one window of all streams, `train_batch_tokens` or `auto_find_batch_size` is
            set, one process has several GPUs, or the softmax is to be sampled with a tokenizer that does not number its
            entries by frequency.
    """

    def __init__(
        self,
        model: Any,
        args: RNNTrainingArguments,
        task: Task,
        processing_class: PreTrainedTokenizerBase,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        **kwargs: Any,
    ):
        if args.train_batch_tokens is not None:
            raise UserError(
                f"training.train_batch_tokens={args.train_batch_tokens} is for rows, and a language model reads "
                "streams: write --training.per_device_train_batch_size and --training.window instead."
            )
        if args.auto_find_batch_size:
            raise UserError(
                "training.auto_find_batch_size=True is for rows, and a language model has the same streams all the "
                "time: leave it out, and write a smaller --training.per_device_train_batch_size."
            )
        backend = getattr(processing_class, "backend_tokenizer", None)
        kind = "" if backend is None else type(backend.model).__name__
        if model.config.sampled_softmax and kind in ("BPE", "WordPiece"):
            raise UserError(
                f"model.sampled_softmax={model.config.sampled_softmax} draws entries by rank, and a {kind} tokenizer "
                "does not number them by how frequent they are: write --model.sampled_softmax 0, or --tokenizer.kind "
                "word."
            )
        self.separator = processing_class.eos_token_id
        self.both_ways = model.config.independent_directions
        if isinstance(train_dataset, EncodedStream):
            if self.both_ways:
                raise UserError(
                    "model.independent_directions=True reads each text from its end too, and a stream has none: write "
                    "--model.bidirectional false --model.independent_directions false, or leave data.streaming out."
                )
            size, window = args.per_device_train_batch_size, args.window
            train_dataset = StreamedText(train_dataset, size, window, self.separator, args.order_seed, args.world_size)
        elif train_dataset is not None:
            train_dataset = BPTTWindows(
                train_dataset["input_ids"],
                args.per_device_train_batch_size,
                args.window,
                self.separator,
                shuffle=args.train_sampling_strategy != "sequential",
                vary=True,
                both_ways=self.both_ways,
                seed=args.order_seed,
                rank=args.process_index,
                world_size=args.world_size,
            )
        super().__init__(
            model, args, task, processing_class, train_dataset=train_dataset, eval_dataset=eval_dataset, **kwargs
        )

    def _streams_of(self, eval_dataset: Any) -> BPTTWindows:
        if isinstance(eval_dataset, BPTTWindows):
            return eval_dataset
        args = self.args
        at_once = args.per_device_eval_batch_size * args.window
        place = {"rank": args.process_index, "world_size": args.world_size}
        return streams_to_read(eval_dataset, self.separator, self.both_ways, at_once, **place)

    def _smaller_batches(self) -> str:
        args = self.args
        return (
            f"--training.window {max(1, args.window // 2)} or --training.per_device_train_batch_size "
            f"{max(1, args.per_device_train_batch_size // 2)}, and begin anew"
        )

    def judge(self, rows: Any, split: str) -> tuple[dict[str, float], None]:
        """The metrics of a split."""
        # Not `evaluate`, after which callbacks would look for the metric of the validation split.
        metrics: Any = self.evaluation_loop(self.get_eval_dataloader(rows), split, metric_key_prefix=split).metrics
        return {name: metrics[f"{split}_{name}"] for name in ("loss", "perplexity", "word_perplexity")}, None


__all__ = ["LanguageModelTrainer", "TruncatedBPTT"]
