"""Models of each kind that the runtime answers with, untrained and with loud weights, and the same models exported."""

from functools import cache
from pathlib import Path

import pytest
import torch
import yaml
from support.exported import export
from support.exported_writers import exported_language_model, exported_translator
from support.runtime_models import KINDS, TEXTS
from support.tagging import TAGS, sentences

import hf_rnn


def saved(folder: Path, model_class, tokenizer, **settings) -> Path:
    """Save an untrained model, and return its folder."""
    torch.manual_seed(1)
    sizes = {"vocab_size": len(tokenizer), "embedding_size": 8, "hidden_size": 8, "pad_token_id": 0}
    model = model_class(hf_rnn.RNNConfig(**sizes, **settings))
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.5)
    if hasattr(model, "use_vocabulary"):
        model.use_vocabulary(tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def classifiers(tmp_path_factory) -> dict[str, Path]:
    """Return the folders of classifiers of each kind of answer."""
    texts = [str(text) for text in TEXTS if text != TEXTS[8]]
    tokenizer = hf_rnn.train_tokenizer(texts, "word", 100, min_frequency=1, show_progress=False)
    folder, found = tmp_path_factory.mktemp("classifiers"), {}
    for kind, settings in KINDS.items():
        found[kind] = saved(folder / kind, hf_rnn.RNNForSequenceClassification, tokenizer, **settings)
        data = {"path": "", "max_length": 20, "truncation": "head" if kind == "number" else "head_tail"}
        if kind == "pairs":
            data |= {"text_column": "premise", "text_pair_column": "hypothesis"}
        run = {"task": "text_classification", "data": data}
        (found[kind] / "run.yaml").write_text(yaml.safe_dump(run), encoding="utf-8")
    return found


@pytest.fixture(scope="session")
def tagger(tmp_path_factory) -> Path:
    """Return the folder of a tagger with a conditional random field and characters."""
    texts = [" ".join(row["tokens"]) for row in sentences(60)]
    tokenizer = hf_rnn.train_tokenizer(texts, "wordpiece", 90, show_progress=False)
    labels = {"id2label": dict(enumerate(TAGS)), "label2id": {tag: i for i, tag in enumerate(TAGS)}}
    settings = {"bidirectional": True, "crf": True, "character_encoder": "cnn", **labels}
    return saved(tmp_path_factory.mktemp("tagger") / "model", hf_rnn.RNNForTokenClassification, tokenizer, **settings)


@pytest.fixture(scope="session")
def exported(classifiers, tagger, tmp_path_factory) -> dict[str, Path]:
    """Return the folders of the exported models, by kind; the tagger is `tagger`."""
    pytest.importorskip("onnx", reason="needs the extra onnx")
    folder = tmp_path_factory.mktemp("exported")
    return {kind: export(model, folder / kind) for kind, model in {**classifiers, "tagger": tagger}.items()}


@pytest.fixture(scope="session")
def writers(tmp_path_factory):
    """Return a function of a kind of model and of tokenizer that returns a predictor and its exported folder."""
    pytest.importorskip("onnx", reason="needs the extra onnx")

    @cache
    def make(make_model, kind: str):
        return make_model(tmp_path_factory.mktemp("writer"), kind)

    return make


@pytest.fixture(scope="session")
def exported_writers(writers):
    """Return a language model and a translator, each as a predictor and its exported folder."""
    return writers(exported_language_model, "word"), writers(exported_translator, "word")
