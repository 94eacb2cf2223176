# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Fine-tune an encoder of transformers on the labelled rows of a run, so that it can teach (`teacher.finetune`)."""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset, DatasetDict
from filelock import FileLock
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    PreTrainedConfig,
    set_seed,
)
from transformers.utils import CONFIG_NAME

from ..hub.folder import CARD_FILE
from ..models.label_checks import IGNORED
from ..teachers.base import TAGS
from ..teachers.files import fingerprint_of
from ..teachers.transformer import check_fast, length_of
from ..text.labels import MULTI, REGRESSION
from ..text.schema import fingerprint
from ..utils.output import say, unsaid
from .arguments import RNNTrainingArguments
from .checkpoints import ASIDE, newest_whole
from .trainer import RNNTrainer

if TYPE_CHECKING:
    from .run_config import RunConfig

logger = logging.getLogger(__name__)

# Least number of optimizer steps, within the fewest and the most epochs.
STEPS, FEWEST, MOST = 1000, 2, 20
# Number of training rows from which a batch has the second of these numbers of rows.
MANY, BATCHES = 20_000, (32, 64)


def finetuned(
    path: str, encoder: Path, run: RunConfig, task: Any, prepared: DatasetDict, cache: Path
) -> tuple[Path, PreTrainedConfig]:
    """Return the folder and the configuration of an encoder that is fine-tuned on the labelled rows.

    The fine-tuned model is kept in the cache, and an interrupted fine-tuning resumes from its newest checkpoint.

    Args:
        path: Path of the encoder as the user wrote it.
        encoder: Folder of the encoder.
        run: Run of the student.
        task: Task of the run, which has prepared the rows.
        prepared: Prepared splits.
        cache: Folder of fine-tuned teachers.
    """
    teacher, args = run.teacher, run.training
    rows = {split: prepared[split] for split in ("train", "validation")}
    batch = teacher.batch_size or BATCHES[len(rows["train"]) >= MANY]
    steps = math.ceil(len(rows["train"]) / (batch * args.world_size))
    epochs = teacher.epochs or min(MOST, max(FEWEST, math.ceil(STEPS / steps)))
    known = {
        "encoder": fingerprint_of(encoder),
        "rows": fingerprint(DatasetDict(rows), task.label_names),
        "epochs": epochs,
        "batch": batch * args.world_size,
        "rate": teacher.learning_rate,
        "length": teacher.max_length,
        "seed": teacher.seed,
    }
    key = sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]
    folder = cache / f"{Path(path).name}-finetuned-{key}"
    model = folder / "model"
    if not (model / CONFIG_NAME).exists():
        if args.should_log:
            say(
                f"teacher    {path} is fine-tuned on {len(rows['train']):,} rows: {epochs:g} epochs, batches of {batch}"
                f" rows, learning rate {teacher.learning_rate:g}; kept in {folder}"
            )
        folder.mkdir(parents=True, exist_ok=True)
        # Another run may fine-tune the same teacher now.
        with FileLock(folder / "lock") if args.should_save else nullcontext():
            if not (model / CONFIG_NAME).exists():
                _train(encoder, run, task, rows, folder, epochs, batch)
    elif args.should_log:
        logger.info(f"the teacher {path!r} was fine-tuned on these rows before: {model}.")
    args.distributed_state.wait_for_everyone()
    return model, AutoConfig.from_pretrained(model)


def _train(encoder: Path, run: RunConfig, task: Any, rows: dict, folder: Path, epochs: float, batch: int) -> None:
    """Fine-tune the encoder, and save it in the subfolder `model` of a folder."""
    teacher = run.teacher
    set_seed(teacher.seed)
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    fields = task.config_fields()
    heads = {name: fields[name] for name in ("problem_type", "id2label", "label2id") if name in fields}
    is_tagger = task.problem_type == TAGS
    auto: Any = AutoModelForTokenClassification if is_tagger else AutoModelForSequenceClassification
    with unsaid("transformers.modeling_utils", "newly initialized"):
        model = auto.from_pretrained(encoder, dtype=torch.float32, ignore_mismatched_sizes=True, **heads)
    if is_tagger:
        check_fast(str(encoder), tokenizer)
    most = length_of(model.config, tokenizer, teacher.max_length)
    encode = partial(_tagged, tokenizer, most, fields["label2id"]) if is_tagger else partial(_texts, tokenizer, most)
    encoded = {split: _encoded(each, encode) for split, each in rows.items()}
    args = RNNTrainingArguments(
        output_dir=str(folder),
        num_train_epochs=epochs,
        per_device_train_batch_size=batch,
        learning_rate=teacher.learning_rate,
        lr_scheduler_type="linear",
        weight_decay=0.01,
        seed=teacher.seed,
        use_cpu=run.training.use_cpu,
        disable_tqdm=run.training.disable_tqdm,
    )
    trainer = RNNTrainer(
        model, args, task, tokenizer, train_dataset=encoded["train"], eval_dataset=encoded["validation"]
    )
    dtype = torch.float if task.problem_type in (MULTI, REGRESSION) else torch.long
    trainer.data_collator = DataCollatorForTokenClassification(tokenizer) if is_tagger else _Collator(tokenizer, dtype)
    trainer.stop.how_to_go_on = "the same command"
    begun = newest_whole(folder)
    if begun is not None and run.training.should_log:
        logger.info(f"the fine-tuning resumes from {begun.name}.")
    trainer.train(resume_from_checkpoint=True if begun else None)
    if run.training.should_save:
        part = folder / ".model"
        shutil.rmtree(part, ignore_errors=True)
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(part)
        tokenizer.save_pretrained(part)
        if (encoder / CARD_FILE).exists():  # The card names the license of the encoder.
            shutil.copy(encoder / CARD_FILE, part / CARD_FILE)
        part.rename(folder / "model")
        for rest in (*folder.glob("checkpoint-*"), *folder.glob(ASIDE)):
            shutil.rmtree(rest)


def _encoded(rows: Dataset, encode: Callable[[dict], dict]) -> Dataset:
    """Return rows as a function from batches of rows encodes them, with `length` and `labels`."""

    def with_length(batch: dict) -> dict:
        found = encode(batch)
        return {**found, "length": [len(ids) for ids in found["input_ids"]]}

    unread = [name for name in rows.column_names if name != "labels"]
    return rows.map(with_length, batched=True, remove_columns=unread, keep_in_memory=True, desc="tokenizing")


def _texts(tokenizer: Any, most: int, batch: dict) -> dict:
    columns = [batch[name] for name in ("text", "text_pair") if name in batch]
    return dict(tokenizer(*columns, truncation=True, max_length=most, verbose=False))


def _tagged(tokenizer: Any, most: int, id_of: dict[str, int], batch: dict) -> dict:
    """Return encoded words. The first token of each word has its tag, and the others have -100."""
    found = tokenizer(batch["words"], is_split_into_words=True, truncation=True, max_length=most, verbose=False)
    labels = []
    for row, tags in enumerate(batch["tags"]):
        words = found.word_ids(row)
        is_first = [word is not None and word != before for before, word in zip([None, *words], words, strict=False)]
        labels.append([id_of[tags[word]] if first else IGNORED for word, first in zip(words, is_first, strict=True)])
    return {**found, "labels": labels}


class _Collator:
    """Collator that pads what the tokenizer of an encoder returns, and stacks labels of the given type."""

    def __init__(self, tokenizer: Any, dtype: torch.dtype):
        self.pad, self.dtype = DataCollatorWithPadding(tokenizer), dtype

    def __call__(self, rows: list[dict]) -> dict[str, Any]:
        labels = torch.tensor([row["labels"] for row in rows], dtype=self.dtype)
        batch = self.pad([{name: row[name] for name in row if name != "labels"} for row in rows])
        return {**batch, "labels": labels}


__all__ = ["finetuned"]
