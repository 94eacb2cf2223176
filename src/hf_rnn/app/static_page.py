# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Page that runs a model in the browser: a folder of static files, for any web server or a static Space."""

import json
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ..auto import architecture
from ..hub.card_model import architecture_table
from ..hub.fetch import find_model
from ..hub.folder import EXPORT_RECORD, METRICS_FILE, ONNX_FOLDER
from ..interchange.export import export
from ..models.configuration_rnn import RNNConfig
from ..runtime.record import CLASSIFIER, GRAPH, TAGGER, ExportRecord, check_file, quantized_name, read_record
from ..utils.errors import HfRnnError
from .npm_packages import PACKAGES, archives, unpack

STATIC = Path(__file__).with_name("static")
# File with the title, the description and the examples of a page.
PAGE_FILE = "page.json"
# Examples on a page.
EXAMPLES = 6
# Parts of a tokenizer that the page reads exactly as the tokenizers library does. tests/app/test_static_tokens.py
# compares the ids of each.
NORMALIZERS = ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Replace", "StripAccents", "BertNormalizer")
PRE_TOKENIZERS = (
    *("ByteLevel", "Metaspace", "Split", "BertPreTokenizer", "Whitespace", "WhitespaceSplit", "Punctuation", "Digits"),
)
MODELS = ("BPE", "Unigram", "WordPiece", "WordLevel")
BEHAVIORS = ("Removed", "Isolated")
# Texts whose ids the page compares when it is loaded, because browsers differ in their version of Unicode.
PROBES = (
    "The film was not good, but I'd see it again.",
    "1,234.50 € for 3½ 汉字 カタカナ, 한국어!",
    "Ça va été naïve cafe\u0301 ΟΔΟΣ İstanbul",
    "ภาษาไทย हिन्दी العربية עברית Кириллица",
    "👩\u200d👩\u200d👧 🇩🇪 𝒳 <br /> <b>bold</b>",
    "a\u00a0b\u3000c\u0085d\ufeffe\tf\n\ng",
)


def write_static_page(
    model: str,
    folder: str | Path,
    title: str | None = None,
    assets: str | Path | None = None,
    revision: str | None = None,
) -> Path:
    """Write a page that runs a text classifier or a tagger in the browser.

    Args:
        model: Folder or Hub id of a model. The folder of an export is used as it is, with the int8 graph if it has one.
            Other models are exported first.
        folder: Folder to write to; it must be new or empty.
        title: Title of the page; None for the name of the model.
        assets: Folder with the archives of the npm packages that the page needs; None to let npm fetch them, once.
        revision: Branch, tag or commit of a model on the Hub; main if None. Ignored for a local folder.

    Returns:
        Path of the folder. It needs no network: any web server can serve it.

    Raises:
        HfRnnError: The model does not exist, cannot be exported, or is neither a text classifier nor a tagger; its
            tokenizer has a part that the page cannot read; the libraries cannot be fetched; or the folder is not empty.
    """
    folder = Path(folder)
    check_new(folder)
    source, config = find_model(model, **({} if Path(model).is_dir() else {"revision": revision}))
    with ExitStack() as stack:
        if not (source / ONNX_FOLDER / EXPORT_RECORD).is_file():
            _check_task(config, model)
            exported = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "exported"
            source = export(source, exported)
        record = read_record(source, model)
        graph = _graph_of(source, record, model)
        page = _about(source, config, record, title or Path(model).absolute().name, graph)
        libraries = archives(assets)
        try:
            shutil.copytree(STATIC, folder, dirs_exist_ok=True)
            for package, archive in zip(PACKAGES, libraries, strict=True):
                unpack(package, archive, folder / "vendor" / package.folder)
            graphs = folder / "model" / ONNX_FOLDER
            graphs.mkdir(parents=True)
            shutil.copyfile(graph, graphs / graph.name)
            shutil.copyfile(source / record.tokenizer["file"], folder / "model" / record.tokenizer["file"])
            _write_json(graphs / EXPORT_RECORD, {**record.raw, "files": {graph.name: record.files[graph.name]}})
            _write_json(folder / PAGE_FILE, page)
        except OSError as error:
            raise HfRnnError(f"{str(folder)!r} cannot be written ({error.strerror}): name another folder.") from error
    return folder


def check_new(folder: Path) -> None:
    """Raise [`HfRnnError`] unless a folder is new or empty.

    Args:
        folder: Folder to write to.
    """
    if folder.is_file() or (folder.exists() and any(folder.iterdir())):
        raise HfRnnError(f"{str(folder)!r} is not empty: name a new folder.")


def _check_task(config: RNNConfig, model: str) -> None:
    kind = architecture(config)
    if kind not in ("RNNForSequenceClassification", "RNNForTokenClassification"):
        raise HfRnnError(f"{model!r} is an {kind}, but the page needs a text classifier or a tagger: name one.")


def _graph_of(source: Path, record: ExportRecord, name: str) -> Path:
    """Return the path of the graph that the page runs, the one in int8 if there is one, after a check of the files."""
    if record.task not in (CLASSIFIER, TAGGER):
        raise HfRnnError(
            f"{name!r} is a model for {record.task.replace('_', ' ')}, but the page needs a text classifier or a "
            "tagger: name one."
        )
    graph = quantized_name(GRAPH) if quantized_name(GRAPH) in record.files else GRAPH
    file = source / ONNX_FOLDER / record.graph_files(graph != GRAPH, name)[0]
    check_file(file, record.files[graph]["sha256"], f"{ONNX_FOLDER}/{graph}", name)
    check_file(source / record.tokenizer["file"], record.tokenizer["sha256"], record.tokenizer["file"], name)
    return file


def _about(source: Path, config: RNNConfig, record: ExportRecord, title: str, graph: Path) -> dict[str, Any]:
    """Return the title, the description, the examples and the probes of a page."""
    file = source / record.tokenizer["file"]
    _check_tokenizer(json.loads(file.read_text(encoding="utf-8")), str(file))
    tokenizer: Any = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    table = dict(architecture_table(config))
    metrics = source / METRICS_FILE
    facts = json.loads(metrics.read_text(encoding="utf-8")) if metrics.is_file() else {}
    rows = [
        {key: row[key] for key in ("text", "text_pair") if key in row}
        for row in facts.get("data", {}).get("examples", [])
    ]
    # One text may be the example of several labels.
    examples = [row for place, row in enumerate(rows) if row not in rows[:place]]
    return {
        "title": title,
        "description": f"{table['recurrent layers']} · {table['parameters']} parameters",
        "bytes": graph.stat().st_size,
        "examples": examples[:EXAMPLES],
        "probes": [{"text": text, "ids": tokenizer.encode(text).ids} for text in PROBES],
    }


def _check_tokenizer(file: dict, name: str) -> None:
    """Raise [`HfRnnError`] if a tokenizer has a part that the page would read in another way."""

    def flat(part: dict | None, inner: str) -> list[dict]:
        if part is None:
            return []
        return [each for one in part[inner] for each in flat(one, inner)] if inner in part else [part]

    normalizers, pre_tokenizers = flat(file["normalizer"], "normalizers"), flat(file["pre_tokenizer"], "pretokenizers")
    wrong = [part["type"] for part in normalizers if part["type"] not in NORMALIZERS]
    wrong += [part["type"] for part in pre_tokenizers if part["type"] not in PRE_TOKENIZERS]
    wrong += [
        f"{part['type']} with the behavior {part['behavior']}"
        for part in pre_tokenizers
        if part.get("behavior", "Isolated") not in BEHAVIORS[part["type"] == "Punctuation" :]
    ]
    model = file["model"]
    wrong += [model["type"]] if model["type"] not in MODELS else []
    wrong += [f"{model['type']} with byte_fallback"] if model.get("byte_fallback") else []
    if wrong:
        raise HfRnnError(
            f"{name!r} has the part {wrong[0]}, which the page cannot read exactly: serve the page of a Python process "
            "instead, hf-rnn demo MODEL, or train the model with a tokenizer of its own, tokenizer.kind=bpe."
        )


def _write_json(file: Path, content: dict) -> None:
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


__all__ = ["check_new", "write_static_page"]
