"""Contenders for training: our Trainer, plain PyTorch loops and Keras' `fit`. Each time is that of one epoch."""

import os
import tempfile
import time

import numpy as np
import torch
from models import PlainTorch, Problem, keras_model, ours
from torch import nn

CHECKED = 32  # Number of rows whose probabilities are compared.


def _answer(model, ids, lengths) -> np.ndarray:
    """Return the probabilities of the first rows."""
    T = int(lengths[:CHECKED].max())
    with torch.inference_mode():
        mask = torch.arange(T) < torch.as_tensor(lengths[:CHECKED])[:, None]
        out = model(torch.as_tensor(ids[:CHECKED, :T]).long(), attention_mask=mask.long())
    return getattr(out, "logits", out).softmax(-1).numpy()


def trainer(problem: Problem, **settings):
    """Train with our Trainer, as `hf-rnn train` does, on a GPU if there is one.

    Args:
        problem: Model and rows to train it on.
        **settings: More fields of `RNNTrainingArguments`, such as `bf16`.

    Yields:
        The probabilities of the first rows, then the seconds of each epoch.
    """
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback
    from transformers.utils import logging

    from hf_rnn import DataArguments, RNNTrainer, RNNTrainingArguments, TextClassification, train_tokenizer

    logging.set_verbosity_error()
    ids, lengths, labels = problem.load()
    model = ours(problem)
    yield _answer(model.eval(), ids, lengths)
    rows = Dataset.from_dict(
        {
            "input_ids": [row[:length] for row, length in zip(ids, lengths, strict=True)],
            "length": lengths,
            "labels": labels,
        }
    )
    task = TextClassification(DataArguments())
    task.problem_type, task.label_names = "single_label_classification", ["neg", "pos"]
    tokenizer = train_tokenizer(["a text"], "word", show_progress=False, min_frequency=1)

    class Clock(TrainerCallback):
        def on_train_begin(self, *arguments, **others):
            self.begun = time.perf_counter()

        def on_step_end(self, arguments, state, control, **others):
            if state.global_step == state.max_steps and torch.cuda.is_available():
                torch.cuda.synchronize()
            self.ended = time.perf_counter()

    folder = tempfile.mkdtemp()
    while True:
        arguments = RNNTrainingArguments(
            output_dir=folder,
            num_train_epochs=1,
            per_device_train_batch_size=problem.batch_size,
            eval_strategy="no",
            save_strategy="no",
            logging_strategy="no",
            load_best_model_at_end=False,
            disable_tqdm=True,
            **settings,
        )
        clock = Clock()
        trainer = RNNTrainer(model, arguments, task, tokenizer, train_dataset=rows, callbacks=[clock])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        yield clock.ended - clock.begun


def batches_of_similar_length(problem: Problem) -> list[dict[str, torch.Tensor]]:
    """Return the batches that transformers' `group_by_length` makes of the rows."""
    from transformers.trainer_pt_utils import get_length_grouped_indices

    ids, lengths, labels = problem.load()
    order = get_length_grouped_indices(lengths.tolist(), problem.batch_size, generator=torch.Generator().manual_seed(0))
    result = []
    for start in range(0, len(order), problem.batch_size):
        rows = order[start : start + problem.batch_size]
        T = int(lengths[rows].max())
        mask = torch.arange(T) < torch.as_tensor(lengths[rows])[:, None]
        result.append(
            {
                "input_ids": torch.as_tensor(ids[rows, :T]).long(),
                "attention_mask": mask.long(),
                "labels": torch.as_tensor(labels[rows]),
            }
        )
    return result


def bare_loop(
    problem: Problem,
    packed: bool,
    keep_memory: bool = False,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
):
    """Train with a minimal PyTorch loop over the same batches as our Trainer's, prepared before the time starts.

    Args:
        problem: Model and rows to train it on.
        packed: Use `pack_padded_sequence`, with the lengths on the host.
        keep_memory: Use our setting of the memory allocator.
        device: Device of the model and the batches.
        dtype: Data type of autocast; None for float32.

    Yields:
        The probabilities of the first rows, then the seconds of each epoch.
    """
    from hf_rnn.utils.machine import keep_freed_memory

    if keep_memory:
        keep_freed_memory()
    ids, lengths, _ = problem.load()
    model = PlainTorch(problem, packed)
    yield _answer(model, ids, lengths)
    model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    batches = batches_of_similar_length(problem)
    scaler = torch.amp.GradScaler(device, enabled=dtype == torch.float16)
    while True:
        begun = time.perf_counter()
        for batch in batches:
            batch = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
            with torch.autocast(device, dtype, enabled=dtype is not None):
                logits = model(batch["input_ids"], batch["attention_mask"])
                loss = nn.functional.cross_entropy(logits.float(), batch["labels"])
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
        loss.item()  # Waits until a GPU has finished.
        yield time.perf_counter() - begun


def keras_fit(problem: Problem, masked: bool):
    """Train with Keras' `fit` on rows padded to the maximum length, as is usual in Keras."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    ids, _, labels = problem.load()
    model = keras_model(problem, ids.shape[1], masked)
    yield model.predict(ids[:CHECKED], verbose=0)
    while True:
        begun = time.perf_counter()
        model.fit(ids, labels, batch_size=problem.batch_size, epochs=1, verbose=0)
        yield time.perf_counter() - begun
