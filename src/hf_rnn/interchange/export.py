# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Export of a trained model as ONNX files, which run without torch."""

from __future__ import annotations

import logging
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..hub.card import render_folder
from ..hub.fetch import find_model
from ..hub.folder import (
    CARD_FILE,
    EXPORT_RECORD,
    MODEL_FILES,
    ONNX_FILES,
    ONNX_FOLDER,
    RUN_FILE,
    model_files,
)
from ..hub.push import check_name, check_token, kept_for_later
from ..hub.push import push as push_folder
from ..hub.saved_run import copy_run, run_file
from ..inference.predictor import Predictor
from ..runtime.record import GRAPHS, quantized_name
from ..text.schema import SCHEMA_FILE
from ..utils.errors import HfRnnError, check_choice
from ..utils.hub_download import matches
from ..utils.output import bars_if_seen, say
from .graphs import import_onnx
from .keras_export import to_keras
from .kinds import Exported, read_graphs, write_graphs
from .measuring import check_loss, measure
from .parity import LIMIT, TEXTS, differences, made_up_rows
from .record import TOKENIZER, add_metadata, files_of, new_record, write_record
from .torch_export import write_torch
from .validation import ValidationRows, validation_rows, validation_rows_if_any

logger = logging.getLogger(__name__)

EMBEDDINGS = ("int8", "pq")
FORMATS = ("onnx", "torch", "keras")


@bars_if_seen()
def export(
    model: str | Path,
    output: str | Path,
    int8: bool = False,
    embeddings: str = "int8",
    max_loss: float = 0.5,
    data: Any = None,
    push: str | None = None,
    format: str = "onnx",
    **where: Any,
) -> Path:
    """Export a model to ONNX: its folder, with graphs and an export record in the subfolder `onnx`.

    Other formats are plain torch modules ([`write_torch`]) and a file of Keras ([`to_keras`]).

    The logits of the graph are compared with those of the model on 200 texts of the validation split, with padding on
    the right, on the left, scattered, and without padding. If a difference is over 1e-4, nothing is exported.

    Args:
        model: Folder or Hub id of a trained model.
        output: New folder, or that of an earlier export, which is replaced.
        int8: True to write a second graph with weights in int8. Its loss is measured on the validation rows.
        embeddings: Form of the embedding in the int8 graph: `int8`, or `pq` for product quantization.
        max_loss: Largest loss of the int8 graph in points of the task's first metric, such as accuracy. For a metric
            of which less is better, such as the perplexity, its largest increase in percent. If it loses more, nothing
            is exported.
        data: Labelled data set for the comparison and the loss, as in `hf_rnn.evaluate`; None for the validation rows
            of the training run. If those cannot be read, the logits are compared on made-up texts.
        push: Name of a repository on the Hub, `user/name`, to push the folder to; None to push nothing.
        format: `onnx`; `torch` for a folder with weights and code of plain torch modules; or `keras` for a `.keras`
            file. The last two take none of the settings above except `model` and `output`.
        where: Options to find a model on the Hub, such as `revision`.

    Returns:
        Path of the folder, or of the `.keras` file.

    Raises:
        HfRnnError: A package of the extra `onnx` is missing, the model does not exist or cannot be exported, the folder
            exists and is no export, the logits differ, the int8 graph loses too much, or a push failed. Except after a
            failed push, no file is written.
    """
    check_choice("format", format, FORMATS)
    if format != "onnx":
        for name, value in (("int8", int8), ("data", data), ("push", push)):
            if value not in (None, False):
                raise HfRnnError(f"{name}={value!r} has no effect on format={format!r}: leave it out.")
        return {"torch": write_torch, "keras": to_keras}[format](model, output, **where)
    check_choice("embeddings", embeddings, EMBEDDINGS)
    if isinstance(max_loss, bool) or not isinstance(max_loss, (int, float)) or not 0 <= max_loss < math.inf:
        raise HfRnnError(f"max_loss={max_loss!r} is a loss in points: write a number from 0 on, such as 0.5.")
    import_onnx()
    output = Path(output)
    _check_output(output)
    if push is not None:
        check_name(push)
        check_token(None)
    source, _ = find_model(str(model), **where)
    predictor = Predictor.from_pretrained(source, device="cpu")
    predictor.model.float()
    with _replaced(output) as folder:
        _copy_model(source, predictor, folder)
        _export(predictor, folder, int8, embeddings, max_loss, data)
        card = render_folder(folder, push or output.absolute().name)
        (folder / CARD_FILE).write_text(card, encoding="utf-8")
    if push is not None:
        with kept_for_later(output, push):
            say(f"pushed     {push_folder(output, push).commit_url}")
    return output


def _copy_model(source: Path, predictor: Predictor, folder: Path) -> None:
    """Copy the files of a model into a new folder."""
    for name, file in model_files(source).items():
        if name not in ONNX_FILES:
            shutil.copyfile(file, folder / name)
    if run := run_file(source):
        copy_run(run, folder / RUN_FILE)
        if (schema := run.with_name(SCHEMA_FILE)).is_file():
            shutil.copyfile(schema, folder / SCHEMA_FILE)
    if not (folder / TOKENIZER).is_file():
        predictor.tokenizer.save_pretrained(folder)
    if not (folder / TOKENIZER).is_file():
        raise HfRnnError(
            f"the tokenizer of {str(source)!r} has no {TOKENIZER}, and other programs read no other form: train the "
            "model with a fast tokenizer."
        )


def _export(predictor: Predictor, folder: Path, int8: bool, embeddings: str, max_loss: float, data: Any) -> None:
    """Write the graphs of a model and their record into a folder."""
    graphs = folder / ONNX_FOLDER
    graphs.mkdir()
    record = new_record(predictor, folder, **write_graphs(predictor.model, graphs))
    names = GRAPHS[record["task"]]
    for name in names:
        add_metadata(graphs / name, record)
    exported = read_graphs(predictor, folder, record)
    rows, reason = _rows(predictor, data)
    record["parity"] = _check_parity(predictor, exported, rows, reason)
    record["quantization"] = None
    if int8:
        if rows is None:
            raise HfRnnError(
                f"the loss of int8 weights is measured on validation rows, and they cannot be read ({reason}) Name "
                "labelled rows, data=PATH, or leave int8 out."
            )
        # It needs the extra `onnx`, as writing the graphs does.
        from .quantization import quantize

        smaller = [graphs / quantized_name(name) for name in names]
        how = [quantize(graphs / name, file, embeddings) for name, file in zip(names, smaller, strict=True)]
        lost = _loss(exported, read_graphs(predictor, folder, record, quantized=True), rows, max_loss)
        by_graph = how[0] if len(how) == 1 else {"graphs": dict(zip(names, how, strict=True))}
        record["quantization"] = {**by_graph, "embeddings": embeddings, **lost}
        for file in smaller:
            add_metadata(file, record)
    record["files"] = files_of(graphs)
    write_record(folder, record)
    for name, about in record["files"].items():
        say(f"{name:<30}{about['bytes'] / 1e6:.2f} MB")


def _rows(predictor: Predictor, data: Any) -> tuple[ValidationRows | None, str]:
    return validation_rows_if_any(predictor) if data is None else (validation_rows(predictor, data), "")


def _check_parity(predictor: Predictor, exported: Exported, rows: ValidationRows | None, reason: str) -> dict[str, Any]:
    """Compare the logits of the model and of its graph, and return the result for the record."""
    config = predictor.model.config
    if rows is None:
        texts, source = made_up_rows(config.vocab_size + config.num_rare_tokens), "made-up texts of random tokens"
        logger.warning(f"parity is checked on {source}, because validation rows cannot be read: {reason}")
    else:
        texts, source = rows.rows[:TEXTS]["input_ids"], rows.source
    limits = {"longest": exported.longest, "batch_tokens": exported.batch_tokens}
    found = differences(
        exported.reference, exported.logits, texts, **{name: value for name, value in limits.items() if value}
    )
    largest = max(found.values())
    if not largest <= LIMIT:
        each = ", ".join(f"{padding} {difference:.1e}" for padding, difference in found.items())
        raise HfRnnError(
            f"the exported graph differs from the model by {largest:.1e} on {len(texts)} {source} (limit {LIMIT:.0e}; "
            f"by padding: {each}): export with another version of torch or onnxruntime, or report it."
        )
    say(f"parity     {largest:.1e}, the largest difference of logits on {len(texts)} {source}")
    return {"texts": len(texts), "source": source, "largest": largest, "by_padding": found, "limit": LIMIT}


def _loss(before: Exported, after: Exported, rows: ValidationRows, max_loss: float) -> dict[str, Any]:
    """Measure the loss by int8 weights, and return it for the record."""
    loss = check_loss(rows.task.measures, measure(before.predictor, rows), measure(after.predictor, rows), max_loss)
    say(f"int8       {loss.text} on {len(rows.rows):,} {rows.source}")
    return {
        "rows": len(rows.rows),
        "source": rows.source,
        "metric": loss.metric,
        "before": loss.before,
        "after": loss.after,
        "lost": loss.lost,
        "max_loss": max_loss,
    }


def _check_output(output: Path) -> None:
    """Raise [`HfRnnError`] unless an export can be written to a folder."""
    if not output.absolute().parent.is_dir():
        raise HfRnnError(f"the folder {str(output.parent)!r} of {str(output)!r} does not exist: make it first.")
    if not output.exists():
        return
    if not (output / ONNX_FOLDER / EXPORT_RECORD).is_file():
        raise HfRnnError(f"{str(output)!r} exists already and is no earlier export: name a new folder, output=FOLDER.")
    ours = (*MODEL_FILES, *ONNX_FILES, CARD_FILE, ONNX_FOLDER)
    names = [str(file.relative_to(output)) for file in output.rglob("*")]
    other = next((name for name in names if not matches(name, ours)), None)
    if other is not None:
        raise HfRnnError(
            f"{str(output)!r} holds an earlier export, which would be replaced, and also {other}: move that file "
            "elsewhere, or name a new folder, output=FOLDER."
        )


@contextmanager
def _replaced(output: Path) -> Iterator[Path]:
    """Yield a new folder beside another one, and put it in the place of that one if the block succeeds."""
    writing, old = (output.with_name(f".{output.name}.{what}") for what in ("exporting", "replaced"))
    if old.exists() and not output.exists():
        # An earlier process ended between the two moves.
        os.replace(old, output)
    for leftover in (writing, old):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        writing.mkdir()
    except OSError as error:
        raise HfRnnError(f"{str(output)!r} cannot be made ({error.strerror}): name another folder.") from error
    try:
        yield writing
        if output.exists():
            os.replace(output, old)
        try:
            os.replace(writing, output)
        except OSError:
            if old.exists():
                os.replace(old, output)
            raise
    finally:
        shutil.rmtree(writing, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


__all__ = ["export"]
