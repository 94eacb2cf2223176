# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Import a model of another program: Keras, fastai (ULMFiT) or plain torch."""

import json
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..auto import model_without_weights
from ..hub.card import render_folder
from ..hub.folder import CARD_FILE, IMPORT_FILE, RUN_FILE
from ..hub.saved_run import write_yaml
from ..models.configuration_rnn import __version__
from ..tasks import TASKS, task_class
from ..utils.errors import HfRnnError, did_you_mean
from ..utils.output import bars_if_seen, say
from .fastai_import import import_fastai, is_fastai
from .imported import Choices, Imported
from .keras_file import CONFIG, HDF5_SIGNATURE, WEIGHTS
from .keras_import import import_keras
from .output_folder import parents_made
from .torch_file import load_tensors
from .torch_import import import_torch

RECORD_FORMAT = 1
_ENDINGS = (".keras", ".h5", ".hdf5", ".pth", ".pt", ".bin", ".ckpt", ".safetensors")


@bars_if_seen(of_datasets=False)
def import_model(
    source: str | Path,
    output: str | Path,
    *,
    vocabulary: str | Path | Sequence[str] | Mapping[str, int] | None = None,
    index_from: int | None = None,
    labels: Sequence[str] | None = None,
    problem_type: str | None = None,
    length: int | None = None,
    padding: str | None = None,
    truncation: str | None = None,
    backward: bool = False,
    config: str | Path | Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
) -> Path:
    """Import a model of another program, and save it with its tokenizer and a model card.

    The answers are those of the source. The decisions are printed, and saved in `import.json` and in the card. A model
    that cannot be imported exactly is an error. No code of the source is run.

    Args:
        source: File of the model. Keras: `.keras` or `.h5`, a text classifier or regressor of Embedding, LSTM, GRU or
            SimpleRNN layers. fastai: `.pth` of an AWD-LSTM language model, encoder or classifier. torch: a state dict
            in a `.pt`, `.pth`, `.bin` or `.safetensors` file, with `config`.
        output: Folder to create, with its missing parent folders.
        vocabulary: File with the vocabulary, or the vocabulary itself: the tokens in the order of their ids, or the
            numbers of words. None if the file of a Keras model has a TextVectorization layer.
        index_from: Number that is added to the numbers of words: 3 for `keras.datasets.imdb.get_word_index()`, 0 for
            the `word_index` of Keras' Tokenizer. None for a list of tokens.
        labels: Names of the labels, in the order of the outputs. None for LABEL_0, LABEL_1, ….
        problem_type: Problem type of a model with several linear outputs: `single_label_classification` or
            `multi_label_classification`. None to infer it from the layers and the loss.
        length: Number of tokens that texts were padded or truncated to in Keras. None if the file says it, or for no
            limit.
        padding: Side of the padding, for a Keras model without `mask_zero`, which reads padding: `"pre"`, `"post"`, or
            `"none"` for texts without padding. None if the model masks padding, or its TextVectorization layer pads.
        truncation: End of longer texts that is cut off, `"pre"` or `"post"`. None for the side of the padding, and for
            `"pre"`, the default of `pad_sequences`, if padding is masked.
        backward: True if a fastai model reads texts from right to left.
        config: Configuration of a plain torch model: a `config.json` with `architectures`, a YAML file, or a dict.
        names: Names of our weights and those in the source, or the beginnings of names, for a plain torch model.

    Returns:
        Path of the folder.

    Raises:
        HfRnnError: The source is damaged, unknown, or cannot be imported exactly; the message says why. Or the output
            exists.

    ```python
    >>> hf_rnn.import_model("imdb.keras", "imdb", vocabulary="imdb_word_index.json", index_from=3, length=200,
    ...                     padding="pre", labels=["neg", "pos"])
    ```
    """
    source, output = Path(source), Path(output)
    if output.exists():
        raise HfRnnError(f"{str(output)!r} exists already: name a new folder, output=FOLDER.")
    choices = Choices(
        vocabulary=vocabulary,
        index_from=index_from,
        labels=None if labels is None else list(labels),
        problem_type=problem_type,
        length=length,
        padding=padding,
        truncation=truncation,
        backward=backward,
        config=config,
        names=dict(names or {}),
    )
    imported = _read(source, choices)
    for topic, told in (("source", f"{source.name}: {imported.origin}"), *imported.decisions):
        say(f"{topic:<11}{told}")
    with parents_made(output):
        _save(imported, source, output)
    return output


def _read(source: Path, choices: Choices) -> Imported:
    """Read a source with the importer of its format."""
    if not source.is_file():
        kind = "is a folder, not a file" if source.is_dir() else "does not exist"
        raise HfRnnError(
            f"{str(source)!r} {kind}: name the file of a model, such as model.keras, model.h5 or model.pth."
            f"{did_you_mean(str(source))}"
        )
    if _is_keras(source):
        return import_keras(source, choices)
    if source.suffix.lower() not in _ENDINGS:
        raise HfRnnError(
            f"{str(source)!r} has the ending {source.suffix!r}, which no model that can be imported has: name a file "
            f"that ends with {', '.join(_ENDINGS[:-1])} or {_ENDINGS[-1]}."
        )
    tensors = load_tensors(source)
    if choices.config is None and is_fastai(tensors):
        return import_fastai(source, tensors, choices)
    return import_torch(source, tensors, choices)


def _is_keras(source: Path) -> bool:
    try:
        with source.open("rb") as file:
            if file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE:
                return True
        if source.suffix in (".keras", ".h5", ".hdf5"):
            return True
        with zipfile.ZipFile(source) as archive:
            return {CONFIG, WEIGHTS} <= set(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _task(architecture: str) -> str:
    return next(name for name in TASKS if task_class(name).model_class.__name__ == architecture)


@torch.no_grad()
def _save(imported: Imported, source: Path, output: Path) -> None:
    """Save a model, its tokenizer and its card, all or nothing."""
    wrong = sorted(name for name, weight in imported.weights.items() if not weight.isfinite().all())
    if wrong:
        raise HfRnnError(f"{str(source)!r} has weights that are no numbers (NaN or infinite): {', '.join(wrong[:5])}.")
    model: Any = model_without_weights(imported.architecture, imported.config)
    model.load_state_dict(imported.weights, strict=False, assign=True)
    model.tie_weights()
    empty = [name for name, tensor in model.state_dict().items() if tensor.is_meta]
    if empty:
        raise HfRnnError(f"{str(source)!r} gives no weights for {', '.join(empty[:5])}.")
    writing = output.with_name(f".{output.name}.saving")
    shutil.rmtree(writing, ignore_errors=True)
    try:
        model.save_pretrained(writing)
        imported.tokenizer.save_pretrained(writing)
        if imported.max_length is not None:
            data = {"path": "", "max_length": imported.max_length, "truncation": imported.truncation}
            run = {"task": _task(imported.architecture), "data": data}
            (writing / RUN_FILE).write_text(write_yaml(run), encoding="utf-8")
        record = {
            "format": RECORD_FORMAT,
            "hf_rnn_version": __version__,
            "source": source.name,
            "origin": imported.origin,
            "decisions": [list(decision) for decision in imported.decisions],
        }
        text = json.dumps(record, indent=2, ensure_ascii=False)
        (writing / IMPORT_FILE).write_text(text + "\n", encoding="utf-8")
        (writing / CARD_FILE).write_text(render_folder(writing, output.absolute().name), encoding="utf-8")
        os.replace(writing, output)
    except BaseException:
        shutil.rmtree(writing, ignore_errors=True)
        raise


__all__ = ["import_model"]
