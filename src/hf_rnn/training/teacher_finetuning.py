# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Fine-tune an encoder of transformers on the labelled rows of a run, so that it can teach (`teacher.finetune`)."""

from __future__ import annotations

import json
import logging
import math
import shutil
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from datasets import DatasetDict
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedConfig,
    set_seed,
)
from transformers.utils import CONFIG_NAME

from ..hub.folder import CARD_FILE
from ..teachers.files import fingerprint_of
from ..teachers.transformer import length_of
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
    heads = {name: fields[name] for name in ("problem_type", "id2label", "label2id")}
    with unsaid("transformers.modeling_utils", "newly initialized"):
        model = AutoModelForSequenceClassification.from_pretrained(encoder, ignore_mismatched_sizes=True, **heads)
    most = length_of(model.config, tokenizer, teacher.max_length)
    encoded = {split: _encoded(each, tokenizer, most) for split, each in rows.items()}
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
    trainer.data_collator = _Collator(tokenizer, dtype)
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


def _encoded(rows: Any, tokenizer: Any, most: int) -> Any:
    """Return rows as the tokenizer of the encoder encodes them, with `length` and `labels`."""
    columns = [name for name in ("text", "text_pair") if name in rows.column_names]

    def encode(batch: dict) -> dict:
        found = tokenizer(*(batch[name] for name in columns), truncation=True, max_length=most, verbose=False)
        return {**found, "length": [len(ids) for ids in found["input_ids"]]}

    return rows.map(encode, batched=True, remove_columns=columns, keep_in_memory=True, desc="tokenizing")


class _Collator:
    """Collator that pads what the tokenizer of an encoder returns, and stacks labels of the given type."""

    def __init__(self, tokenizer: Any, dtype: torch.dtype):
        self.pad, self.dtype = DataCollatorWithPadding(tokenizer), dtype

    def __call__(self, rows: list[dict]) -> dict[str, Any]:
        labels = torch.tensor([row["labels"] for row in rows], dtype=self.dtype)
        batch = self.pad([{name: row[name] for name in row if name != "labels"} for row in rows])
        return {**batch, "labels": labels}


__all__ = ["finetuned"]
