# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Export of a trained model as ONNX files, which run without torch."""

from __future__ import annotations

import logging
import math
import shutil
from pathlib import Path
from typing import Any

from ..hub.card import render_folder
from ..hub.card_merge import check_card, merge, read_card
from ..hub.fetch import find_model
from ..hub.folder import CARD_FILE, ONNX_FILES, ONNX_FOLDER, RUN_FILE, model_files
from ..hub.push import check_name, check_token, kept_for_later
from ..hub.push import push as push_folder
from ..hub.saved_run import copy_run, run_file
from ..inference.predictor import Predictor
from ..runtime.record import GRAPHS, quantized_name
from ..text.schema import SCHEMA_FILE
from ..utils.errors import HfRnnError, check_choice
from ..utils.output import bars_if_seen, say
from .graphs import import_onnx
from .keras_export import to_keras
from .kinds import Exported, read_graphs, write_graphs
from .measuring import check_loss, measure
from .output_folder import check_output, replaced
from .parity import LIMIT, TEXTS, differences, made_up_rows
from .record import TOKENIZER, add_metadata, new_record, write_record
from .torch_export import write_torch
from .validation import ValidationRows, validation_rows, validation_rows_if_any

logger = logging.getLogger(__name__)

# Settings of int8 graphs where the caller names none.
EMBEDDINGS, MAX_LOSS = "int8", 0.5
FORMATS = ("onnx", "torch", "keras")


@bars_if_seen()
def export(
    model: str | Path,
    output: str | Path,
    int8: bool = False,
    embeddings: str | None = None,
    max_loss: float | None = None,
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
        output: New folder, whose missing parent folders are made, or that of an earlier export, which is replaced. Text
            that people wrote in its card is kept.
        int8: True to write a second graph with weights in int8. Its loss is measured on the validation rows.
        embeddings: Form of the embedding in the int8 graph: `int8`, or `pq` for product quantization; int8 if None.
        max_loss: Largest loss of the int8 graph in points of the task's first metric, such as accuracy; 0.5 if None.
            For a metric of which less is better, such as the perplexity, its largest increase in percent. If it loses
            more, nothing is exported.
        data: Labelled data set for the comparison and the loss, as in `hf_rnn.evaluate`; None for the validation rows
            of the training run. If those cannot be read, the logits are compared on texts of random token ids.
        push: Name of a repository on the Hub, `user/name`, to push the folder to; None to push nothing.
        format: `onnx`; `torch` for a folder with weights and code of plain torch modules; or `keras` for a `.keras`
            file. The last two take none of the settings above except `model` and `output`.
        where: Options to find a model on the Hub, such as `revision`.

    Returns:
        Path of the folder, or of the `.keras` file.

    Raises:
        HfRnnError: A package of the extra `onnx` is missing, the model does not exist or cannot be exported, the folder
            exists and is no export, an option of int8 graphs was named without `int8`, the logits differ, the int8
            graph loses too much, or a push failed. Except after a failed push, no file is written.
    """
    check_choice("format", format, FORMATS)
    if format != "onnx":
        named = {"int8": int8, "embeddings": embeddings, "max_loss": max_loss, "data": data, "push": push}
        for name, value in named.items():
            if value not in (None, False):
                raise HfRnnError(f"{name}={value!r} has no effect on format={format!r}: leave it out.")
        return {"torch": write_torch, "keras": to_keras}[format](model, output, **where)
    import_onnx()
    quantization = _quantization(int8, embeddings, max_loss)
    output = Path(output)
    check_output(output)
    written = read_card(output / CARD_FILE)
    if written is not None:
        check_card(written)
    if push is not None:
        check_name(push)
        check_token(None)
    source, _ = find_model(str(model), **where)
    predictor = Predictor.from_pretrained(source, device="cpu")
    predictor.model.float()
    gone = [] if int8 else sorted(file.name for file in (output / ONNX_FOLDER).glob(quantized_name("*.onnx")))
    with replaced(output) as folder:
        record = write_folder(source, predictor, folder)
        _check(predictor, folder, record, quantization, data)
        name = push or output.resolve().name
        card = render_folder(folder, name)
        if written is not None:
            card = merge(card, written, title=name.rpartition("/")[2])
        (folder / CARD_FILE).write_text(card, encoding="utf-8")
    if gone:
        say(f"removed    {', '.join(gone)} of the earlier export: write int8=True to write such files again")
    if push is not None:
        with kept_for_later(output, push):
            say(f"pushed     {push_folder(output, push).commit_url}")
    return output


def _quantization(int8: bool, embeddings: str | None, max_loss: float | None) -> dict[str, Any] | None:
    """Return the settings of the int8 graph; None for no such graph."""
    # It needs the extra `onnx`, as writing the graphs does.
    from .quantization import FORMS

    named = {"embeddings": embeddings, "max_loss": max_loss}
    form = EMBEDDINGS if embeddings is None else embeddings
    largest = MAX_LOSS if max_loss is None else max_loss
    check_choice("embeddings", form, FORMS)
    if isinstance(largest, bool) or not isinstance(largest, (int, float)) or not 0 <= largest < math.inf:
        raise HfRnnError(f"max_loss={largest!r} is a loss in points: write a number from 0 on, such as 0.5.")
    if int8:
        return {"embeddings": form, "max_loss": largest}
    for name, value in named.items():
        if value is not None:
            raise HfRnnError(f"{name}={value!r} is an option of int8 graphs: write int8=True too, or leave it out.")
    return None


def write_folder(source: Path, predictor: Predictor, folder: Path) -> dict[str, Any]:
    """Write the files of a model, its graphs in float32 and their export record, without checking the graphs.

    Args:
        source: Folder of the model.
        predictor: The model in float32, on the CPU.
        folder: Existing empty folder to write to.

    Returns:
        The export record.

    Raises:
        HfRnnError: The model cannot be exported.
    """
    _copy_model(source, predictor, folder)
    graphs = folder / ONNX_FOLDER
    graphs.mkdir()
    record = new_record(predictor, folder, **write_graphs(predictor.model, graphs))
    for name in GRAPHS[record["task"]]:
        add_metadata(graphs / name, record)
    write_record(folder, record)
    return record


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


def _check(
    predictor: Predictor, folder: Path, record: dict[str, Any], quantization: dict[str, Any] | None, data: Any
) -> None:
    """Compare the graphs in a folder with the model, write int8 graphs, and complete the record."""
    exported = read_graphs(predictor, folder, record)
    rows, reason = _rows(predictor, data)
    record["parity"] = _check_parity(predictor, exported, rows, reason)
    if quantization:
        if rows is None:
            raise HfRnnError(
                f"the loss of int8 weights is measured on validation rows, and they cannot be read ({reason}): name "
                "labelled rows, data=PATH, or leave int8 out."
            )
        record["quantization"] = _quantize(predictor, exported, folder, record, rows, **quantization)
    write_record(folder, record)
    for name, about in record["files"].items():
        say(f"{name:<30}{about['bytes'] / 1e6:.2f} MB")


def _quantize(
    predictor: Predictor,
    exported: Exported,
    folder: Path,
    record: dict[str, Any],
    rows: ValidationRows,
    embeddings: str,
    max_loss: float,
) -> dict[str, Any]:
    """Write int8 graphs, measure their loss, and return the facts about them for the record."""
    from .quantization import quantize

    graphs, names = folder / ONNX_FOLDER, GRAPHS[record["task"]]
    smaller = [graphs / quantized_name(name) for name in names]
    facts = [quantize(graphs / name, file, embeddings) for name, file in zip(names, smaller, strict=True)]
    loss = _loss(exported, read_graphs(predictor, folder, record, quantized=True), rows, max_loss)
    for file in smaller:
        add_metadata(file, record)
    by_graph = facts[0] if len(facts) == 1 else {"graphs": dict(zip(names, facts, strict=True))}
    return {**by_graph, "embeddings": embeddings, **loss}


def _rows(predictor: Predictor, data: Any) -> tuple[ValidationRows | None, str]:
    if data is not None:
        return validation_rows(predictor, data), ""
    rows, reason = validation_rows_if_any(predictor)
    # The reason stands inside of sentences.
    return rows, reason.rstrip(".")


def _check_parity(predictor: Predictor, exported: Exported, rows: ValidationRows | None, reason: str) -> dict[str, Any]:
    """Compare the logits of the model and of its graph, and return the result for the record."""
    config = predictor.model.config
    if rows is None:
        texts, source = made_up_rows(config.vocab_size + config.num_rare_tokens), "texts of random token ids"
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


__all__ = ["export", "write_folder"]
