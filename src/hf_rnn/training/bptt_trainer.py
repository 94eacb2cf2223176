# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Trainers on streams of text by truncated backpropagation through time (Werbos 1990, Mikolov et al. 2010)."""

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
from ..utils.errors import HfRnnError
from .arguments import RNNTrainingArguments
from .callbacks import EpochCallback
from .streaming import EncodedStream, StreamedText
from .trainer import RNNTrainer, ShareOfAll
from .trainer_hooks import TrainerHooks

# File of the recurrent state in a checkpoint, one for each process.
STATE_FILE = "recurrent_state_{}.safetensors"


class TruncatedBPTT(TrainerHooks):
    """Mixin that makes a Trainer train on [`BPTTWindows`] by truncated backpropagation through time (TBPTT).

    Each window starts from the final state of the window before it, and no gradient passes between windows. Checkpoints
    contain the state. A run that is resumed within an epoch therefore ends with the same weights as an uninterrupted
    run.

    ```python
    >>> class StreamTrainer(TruncatedBPTT, Trainer): ...

    >>> place = {"rank": args.process_index, "world_size": args.world_size}
    >>> ids = tokenizer(texts)["input_ids"]
    >>> streams = TextStreams(ids, batch_size=32, window=70, separator=tokenizer.eos_token_id, **place)
    >>> StreamTrainer(model, args, train_dataset=streams).train()
    ```

    The model takes `past_key_values` and returns it, as [`RNNForCausalLM`] does. The data set sets the batch size;
    `per_device_train_batch_size` does not change it. An evaluation returns `loss` (nats per token), `perplexity` and,
    if the data set knows its number of words, `word_perplexity`.

    Args:
        args: Positional arguments of the Trainer.
        kwargs: Keyword arguments of the Trainer.

    Raises:
        HfRnnError: One process has several GPUs, or `label_smoothing_factor` is set.
    """

    _carried: RNNCache | None = None

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        trainer: Any = self
        if trainer.args.n_gpu > 1:
            raise HfRnnError(
                f"one process cannot carry the states of streams on {trainer.args.n_gpu} GPUs: write accelerate launch "
                f"--multi_gpu --num_processes {trainer.args.n_gpu} scripts/train.py …, or CUDA_VISIBLE_DEVICES=0."
            )
        if trainer.label_smoother is not None:
            raise HfRnnError(
                f"label_smoothing_factor={trainer.args.label_smoothing_factor} would not be used: the model computes "
                "its loss itself, over each window. Leave it out."
            )

    def get_train_dataloader(self: Any) -> DataLoader:
        if not isinstance(self.train_dataset, BPTTWindows | StreamedText):
            raise HfRnnError(
                f"train_dataset is a {type(self.train_dataset).__name__}, and TruncatedBPTT reads streams: pass "
                "TextStreams(ids_of_each_document, batch_size=32, window=70, separator=tokenizer.eos_token_id)."
            )
        if self.train_dataset.world_size != self.args.world_size:
            raise HfRnnError(
                f"the streams of train_dataset are for {self.train_dataset.world_size} processes, and this run has "
                f"{self.args.world_size}: pass TextStreams(…, rank=args.process_index, world_size=args.world_size)."
            )
        if isinstance(self.train_dataset, BPTTWindows):
            EpochCallback(self.train_dataset).replace_in(self)
        return self._windows(self.train_dataset)

    def get_eval_dataloader(self: Any, eval_dataset: Any = None) -> DataLoader:
        """Return the windows of `eval_dataset`, which is rows, or the name of one of several evaluation sets."""
        if isinstance(eval_dataset, str):
            eval_dataset = self.eval_dataset[eval_dataset]
        return self._windows(self._streams_of(self.eval_dataset if eval_dataset is None else eval_dataset))

    def get_test_dataloader(self: Any, test_dataset: Any) -> DataLoader:
        """Return the windows of the rows `test_dataset`."""
        return self.get_eval_dataloader(test_dataset)

    def _windows(self: Any, streams: BPTTWindows | StreamedText) -> DataLoader:
        # Each item is a whole batch. accelerate can resume a batch sampler, here one with batches of one item.
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
        """Return the loss of `model` on `inputs`, from the state of the last window; with outputs if `return_outputs`.

        `num_items_in_batch` is ignored: losses are means over labels.
        """
        if inputs.pop("starts"):
            self._carried = None
        # The streams of the last process end earlier, so the processes have different numbers of labels.
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
        """Read the streams of a data set once, and return the loss and the perplexities over all processes.

        Args:
            dataloader: Loader of the windows; each process reads its own streams.
            description: Not used.
            prediction_loss_only: Not used.
            ignore_keys: Not used.
            metric_key_prefix: Prefix of the names of the metrics.
        """
        with self.compute_loss_context_manager():
            nats, tokens = read_streams(self.model, dataloader)
        sums = torch.tensor([nats, tokens], dtype=torch.float64 if self.args.device.type == "cpu" else torch.float32)
        nats, tokens = self.accelerator.reduce(sums.to(self.args.device)).tolist()
        metrics = perplexities(nats, tokens, dataloader.dataset.words)
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in metrics.items()}
        return EvalLoopOutput(predictions=None, label_ids=None, metrics=metrics, num_samples=int(tokens))  # type: ignore[arg-type]

    def add_to_checkpoint(self: Any, folder: Path) -> None:
        """Write the state after the last window of this process.

        Args:
            folder: Folder of the checkpoint.
        """
        super().add_to_checkpoint(folder)
        if self._carried is not None:
            parts = {f"{i}": part.contiguous() for i, part in enumerate(self._carried.state)}
            save_file(parts, _state_file(folder, self.args.process_index))

    def checkpoint_loaded(self: Any, folder: Path) -> None:
        """Read the state from which this process continues.

        Args:
            folder: Folder of the checkpoint.

        Raises:
            HfRnnError: The checkpoint is from another number of processes or of streams.
        """
        super().checkpoint_loaded(folder)
        saved, processes = len(list(folder.glob(STATE_FILE.format("*")))), self.args.world_size
        if saved not in (0, processes):
            raise HfRnnError(
                f"the checkpoint has the state of {saved} processes, and this run has {processes}: resume with "
                f"accelerate launch --num_processes {saved}."
            )
        file = _state_file(folder, self.args.process_index)
        if file.exists():
            parts = load_file(file, device=str(self.args.device))
            rows, expected = len(parts["0"]), self.train_dataset.batch_size
            if rows != expected:
                raise HfRnnError(
                    f"the checkpoint has the state of {rows} streams, and this run has {expected}: resume with "
                    f"training.per_device_train_batch_size={rows}."
                )
            self._carried = RNNCache(tuple(parts[name] for name in sorted(parts)))


def _state_file(folder: Path, process_index: int) -> Path:
    return folder / STATE_FILE.format(process_index)


class LanguageModelTrainer(TruncatedBPTT, RNNTrainer):
    """[`RNNTrainer`] on the rows of the task `language_modeling`, read as streams.

    Each epoch has the rows in a new order. With `train_sampling_strategy="sequential"` the rows keep their order, which
    suits rows that are consecutive parts of one text.

    Args:
        model: Language model to train.
        args: Training arguments, an [`RNNTrainingArguments`].
        task: Task that provides the metrics.
        processing_class: Tokenizer of the model; its end-of-text token separates documents.
        train_dataset: Training rows as `task.encode` returns them, or an [`~hf_rnn.training.streaming.EncodedStream`].
        eval_dataset: Validation rows as `task.encode` returns them.
        kwargs: Further arguments of [`RNNTrainer`].

    Raises:
        HfRnnError: The text is shorter than one window of all streams, or `window` is too short to vary;
            `train_batch_tokens` or `auto_find_batch_size` is set; one process has several GPUs; the model has
            independent directions and `train_dataset` is a stream; or `sampled_softmax` is set and the tokenizer does
            not number its entries by frequency.
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
            raise HfRnnError(
                f"training.train_batch_tokens={args.train_batch_tokens} is for rows, and a language model reads "
                "streams: set training.per_device_train_batch_size and training.window instead."
            )
        if args.auto_find_batch_size:
            raise HfRnnError(
                "training.auto_find_batch_size=True is for rows, and a language model reads a fixed number of streams: "
                "leave it out, and write a smaller training.per_device_train_batch_size."
            )
        backend = getattr(processing_class, "backend_tokenizer", None)
        kind = "" if backend is None else type(backend.model).__name__
        if model.config.sampled_softmax and kind in ("BPE", "WordPiece"):
            raise HfRnnError(
                f"model.sampled_softmax={model.config.sampled_softmax} draws entries by rank, and a {kind} tokenizer "
                "does not number them by how frequent they are: write model.sampled_softmax=0, or "
                "tokenizer.kind='word'."
            )
        self.separator = processing_class.eos_token_id
        self.both_ways = model.config.independent_directions
        if isinstance(train_dataset, EncodedStream):
            if self.both_ways:
                raise HfRnnError(
                    "model.independent_directions=True reads each text from its end too, and a stream has none: write "
                    "model.bidirectional=False and model.independent_directions=False, or leave data.streaming out."
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
            f"training.window={max(1, args.window // 2)} or training.per_device_train_batch_size="
            f"{max(1, args.per_device_train_batch_size // 2)}, and start a new run"
        )

    def judge(self, rows: Any, split: str) -> tuple[dict[str, float], None]:
        """Return the loss and the perplexities of a split, and None, because there are no logits of whole rows.

        Args:
            rows: Encoded rows of the split.
            split: Name of the split.
        """
        # `evaluate` would call the callbacks, which look for the metric of the validation split.
        metrics: Any = self.evaluation_loop(self.get_eval_dataloader(rows), split, metric_key_prefix=split).metrics
        return {name: metrics[f"{split}_{name}"] for name in ("loss", "perplexity", "word_perplexity")}, None


__all__ = ["LanguageModelTrainer", "TruncatedBPTT"]
