"""Tests that the state dicts of plain torch modules become models by a mapping of names."""

import json
import re
import shutil
import sys

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

import hf_rnn
from hf_rnn.cli.main import main
from hf_rnn.utils.errors import HfRnnError

WORDS = ["<pad>", "<unk>", "a", "b", "c"]
CONFIG = {
    "architectures": ["RNNForSequenceClassification"],
    "vocab_size": 5,
    "embedding_size": 4,
    "hidden_size": 3,
    "cell_type": "gru",
    "bidirectional": True,
    "pooling": "last",
    "pad_token_id": 0,
    "unk_token_id": 1,
    "num_labels": 3,
}
NAMES = {
    "model.embed_tokens": "words",
    "model.recurrence": "net.gru",
    "classifier.out_proj.weight": "w",
    "classifier.out_proj.bias": "b",
}


def state():
    gru = {f"net.gru.{name}": tensor for name, tensor in nn.GRU(4, 3, bidirectional=True).state_dict().items()}
    return {
        "words.weight": torch.randn(5, 4),
        **gru,
        "w": torch.randn(3, 6),
        "b": torch.randn(3),
        "extra": torch.ones(1),
    }


def expected(weights, ids):
    """Return the logits that the source would give."""
    gru = nn.GRU(4, 3, bidirectional=True, batch_first=True)
    gru.load_state_dict({name[8:]: weight for name, weight in weights.items() if name.startswith("net.gru.")})
    _, h = gru(weights["words.weight"][ids])
    return torch.cat([h[0], h[1]], -1) @ weights["w"].T + weights["b"]


@torch.no_grad()
@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_weights_are_mapped_by_names(tmp_path, capsys, ending):
    weights, source = state(), tmp_path / f"weights.{ending}"
    torch.save({"state_dict": weights}, source) if ending == "pt" else save_file(weights, source)
    folder = hf_rnn.import_model(source, tmp_path / "model", config=CONFIG, names=NAMES, vocabulary=WORDS)
    assert "1 tensors of the source: extra" in capsys.readouterr().out
    ids = torch.tensor([[2, 3, 4, 1]])
    model = hf_rnn.RNNForSequenceClassification.from_pretrained(folder)
    torch.testing.assert_close(model(ids).logits, expected(weights, ids), atol=1e-6, rtol=0)
    assert hf_rnn.load_tokenizer(str(folder))("a b c d")["input_ids"] == [2, 3, 4, 1]


def test_the_command_reads_names_from_options_and_files(tmp_path, capsys):
    torch.save(state(), tmp_path / "weights.pt")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    (tmp_path / "words.json").write_text(json.dumps(WORDS))
    first, *rest = NAMES.items()
    (tmp_path / "names.yaml").write_text(yaml.safe_dump(dict(rest)))
    command = ["import", str(tmp_path / "weights.pt"), "--output", str(tmp_path / "model"), "--map", "=".join(first)]
    command += ["--config", str(tmp_path / "config.yaml"), "--vocabulary", str(tmp_path / "words.json")]
    assert main(command) == 1
    assert "has no weights for model.recurrence.weight_ih_l0" in capsys.readouterr().err
    assert main([*command, "--map", str(tmp_path / "names.yaml")]) == 0
    assert hf_rnn.Predictor.from_pretrained(tmp_path / "model")("a b")["label"].startswith("LABEL_")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "and name its weights, --map our.name=their.name, or in Python"),
        (["--map", "gone.yml"], "--map gone.yml: the file 'gone.yml' does not exist. Name a YAML or JSON file, --map"),
        (["--config", "gone.yaml"], "hf-rnn import: there is no file 'gone.yaml': name a YAML or JSON file."),
        (
            ["--labels", "[bad one, good: one]"],
            "--labels 'good: one' must be text: put quotes around a text with a colon, ['good: one', …].",
        ),
    ],
)
def test_messages_of_the_command_name_its_options(tmp_path, capsys, options, message):
    torch.save(state(), tmp_path / "weights.pt")
    assert main(["import", str(tmp_path / "weights.pt"), "--output", str(tmp_path / "model"), *options]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "Errno" not in said


def test_missing_parent_folders_are_made(tmp_path):
    torch.save(state(), tmp_path / "weights.pt")
    output, given = tmp_path / "a" / "b" / "model", {"config": CONFIG, "names": NAMES, "vocabulary": WORDS}
    nan = {**state(), "b": torch.full((3,), torch.nan)}
    torch.save(nan, tmp_path / "nan.pt")
    with pytest.raises(HfRnnError, match="no numbers"):
        hf_rnn.import_model(tmp_path / "nan.pt", output, **given)
    assert not (tmp_path / "a").exists()
    assert hf_rnn.import_model(tmp_path / "weights.pt", output, **given) == output
    assert (output / "config.json").is_file()


def test_characters_are_split(tmp_path):
    torch.save(state(), tmp_path / "weights.pt")
    folder = hf_rnn.import_model(
        tmp_path / "weights.pt",
        tmp_path / "model",
        config=CONFIG,
        names=NAMES,
        vocabulary=["<pad>", "<unk>", "a", " ", "\n"],
    )
    assert hf_rnn.load_tokenizer(str(folder))("a a\nx")["input_ids"] == [2, 3, 2, 4, 1]


def test_a_saved_tokenizer_may_be_the_vocabulary(tmp_path):
    torch.save(state(), tmp_path / "weights.pt")
    tokenizer = hf_rnn.train_tokenizer(["a a b b"], kind="word", vocab_size=5, show_progress=False)
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    folder = hf_rnn.import_model(
        tmp_path / "weights.pt", tmp_path / "model", config=CONFIG, names=NAMES, vocabulary=tmp_path / "tokenizer"
    )
    assert hf_rnn.load_tokenizer(str(folder)).get_vocab() == tokenizer.get_vocab()


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"config": None}, "describe our model that should have these weights"),
        ({"config": {**CONFIG, "architectures": ["LSTM"]}}, r"architectures=\['LSTM'\]"),
        ({"config": {**CONFIG, "hidden_dim": 3}}, "hidden_size"),
        ({"config": {**CONFIG, "hidden_size": 0}}, "hidden_size=0"),
        (
            {"config": {**CONFIG, "hidden_size": 2}},
            r"have other shapes.*is \[6, 4\] and net\.gru\.weight_ih_l0 \[9, 4\]",
        ),
        ({"config": {**CONFIG, "unk_token_id": None}}, "unk_token_id=None"),
        ({"names": {**NAMES, "model.embed": "words"}}, "did you mean 'model.embed_tokens'"),
        ({"names": {}}, r"has no weights for model\.embed_tokens\.weight \(from model\.embed_tokens\.weight\)"),
        ({"vocabulary": None}, "has no vocabulary"),
        ({"vocabulary": [*WORDS, "d"]}, "has 6 tokens, and the config has vocab_size=5"),
        ({"padding": "pre"}, "padding has no effect on a torch model"),
    ],
)
def test_errors_say_what_to_write(tmp_path, choices, message):
    torch.save(state(), tmp_path / "weights.pt")
    given = {"config": CONFIG, "names": NAMES, "vocabulary": WORDS, **choices}
    with pytest.raises(HfRnnError, match=message):
        hf_rnn.import_model(tmp_path / "weights.pt", tmp_path / "model", **given)
    assert not list(tmp_path.glob("*model*"))


class Dictionary:
    """Stand-in for Flair's dictionary, which its checkpoints hold as an object."""


@pytest.fixture
def flair_dictionary(monkeypatch):
    monkeypatch.setattr(Dictionary, "__module__", "flair.data")
    monkeypatch.setitem(sys.modules, "flair", sys.modules[__name__])
    monkeypatch.setitem(sys.modules, "flair.data", sys.modules[__name__])
    return Dictionary()


def test_flair_models_are_refused_with_the_lines_that_convert_them(tmp_path, flair_dictionary):
    torch.save({"state_dict": state(), "dictionary": flair_dictionary, "nlayers": 1}, tmp_path / "flair.pt")
    with pytest.raises(HfRnnError) as refused:
        hf_rnn.import_model(tmp_path / "flair.pt", tmp_path / "model", config=CONFIG, vocabulary=WORDS)
    assert "stores its dictionary as an object of flair.data.Dictionary" in str(refused.value)
    assert "torch.save(lm.state_dict()" in str(refused.value)


@torch.no_grad()
def test_a_converted_flair_model_writes_characters(tmp_path):
    """The state dict has the names of flair.models.LanguageModel."""
    letters = ["<unk>", "a", "b", " "]
    encoder, rnn, decoder = nn.Embedding(4, 5), nn.LSTM(5, 6), nn.Linear(6, 4)
    modules = nn.ModuleDict({"encoder": encoder, "rnn": rnn, "decoder": decoder})
    torch.save(modules.state_dict(), tmp_path / "flair.pt")
    config = {
        "architectures": ["RNNForCausalLM"],
        "vocab_size": 4,
        "embedding_size": 5,
        "hidden_size": 6,
        "tie_word_embeddings": False,
        "pad_token_id": 0,
        "unk_token_id": 0,
    }
    names = {"model.embed_tokens": "encoder", "model.recurrence": "rnn", "lm_head": "decoder"}
    folder = hf_rnn.import_model(
        tmp_path / "flair.pt", tmp_path / "model", config=config, names=names, vocabulary=letters
    )
    ids = torch.tensor([hf_rnn.load_tokenizer(str(folder))("ab ba")["input_ids"]])
    assert ids.tolist() == [[1, 2, 3, 2, 1]]
    out, _ = rnn(encoder(ids.T))
    torch.testing.assert_close(hf_rnn.RNNForCausalLM.from_pretrained(folder)(ids).logits, decoder(out).transpose(0, 1))


def test_files_that_are_no_state_dicts_are_named(tmp_path):
    def error(name):
        with pytest.raises(HfRnnError) as raised:
            hf_rnn.import_model(tmp_path / name, tmp_path / "model", config=CONFIG, vocabulary=WORDS)
        return str(raised.value)

    (tmp_path / "reviews.csv").write_text("text,label\ngood,1\n")
    assert "reviews.csv' has the ending '.csv', which no model that can be imported has" in error("reviews.csv")
    shutil.copyfile(tmp_path / "reviews.csv", tmp_path / "reviews.pt")
    assert "as a file of torch.save or Keras: the file is damaged, or of another kind" in error("reviews.pt")
    torch.save(nn.Sequential(nn.Linear(2, 2)), tmp_path / "module.pt")
    said = error("module.pt")
    assert "holds an object of torch.nn.modules.container.Sequential" in said
    assert 'torch.save(model.state_dict(), "weights.pth")' in said
    assert "safe_globals" not in said
    torch.save([1, 2], tmp_path / "list.pt")
    assert "has no state dict" in error("list.pt")
    torch.save(state(), tmp_path / "whole.pt")
    content = (tmp_path / "whole.pt").read_bytes()
    for share in (0, 1, 50, 95):
        (tmp_path / "cut.pt").write_bytes(content[: len(content) * share // 100])
        assert re.search("damaged|any code", error("cut.pt"))
    save_file(state(), tmp_path / "whole.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "whole.safetensors").read_bytes()[:-9])
    assert "is damaged" in error("cut.safetensors")
    torch.save({**state(), "words.weight": torch.ones(1, 1).expand(1 << 30, 1 << 10)}, tmp_path / "repeated.pt")
    assert "declares 1,099,511,627,776 numbers and stores fewer" in error("repeated.pt")
    torch.save({**state(), "b": torch.full((3,), torch.nan)}, tmp_path / "nan.pt")
    with pytest.raises(HfRnnError, match=r"no numbers \(NaN or infinite\): classifier.out_proj.bias"):
        hf_rnn.import_model(tmp_path / "nan.pt", tmp_path / "model", config=CONFIG, vocabulary=WORDS, names=NAMES)
