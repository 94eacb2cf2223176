"""Tests that models imported from Keras give the answers of Keras."""

import json
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from support import ROOT, tiny_config, write_jsonl
from support.code_blocks import code_blocks
from support.waiting import PATIENCE

import hf_rnn
from hf_rnn.cli.main import _command, main
from hf_rnn.hub.folder import model_files
from hf_rnn.interchange.keras_file import KerasFile
from hf_rnn.utils.errors import HfRnnError

# Models by the backend that runs Keras.
NAMES = {
    "jax": ("seed_model", "imdb_example"),
    "numpy": (
        *("lstm", "widths", "gru", "tanh", "relu", "no_bias", "bidirectional", "then_forward", "own_backward"),
        *("backwards", "all_backwards", "there_and_back", "average", "average_unmasked", "maximum", "concatenated"),
        *("regression", "logit", "logits", "nested"),
    ),
}
FILES = Path(__file__).with_name("keras_files")


def text_of(row):
    return " ".join(f"w{number}" for number in row)


def words(count):
    return ["", "[UNK]", *(f"w{number}" for number in range(2, count))]


@pytest.fixture(scope="session")
def oracle(tmp_path_factory):
    """Return a folder with models and answers that Keras wrote in processes of its own."""
    folder = tmp_path_factory.mktemp("keras")
    script = ROOT / "tests" / "interchange" / "keras_oracle.py"
    for backend, names in NAMES.items():
        command = [sys.executable, str(script), str(folder), backend, *names]
        subprocess.run(command, check=True, timeout=PATIENCE, capture_output=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", [name for names in NAMES.values() for name in names])
def test_an_imported_model_answers_as_keras(oracle, tmp_path, name, ending):
    check(oracle, tmp_path, name, ending)


def check(folder, tmp_path, name, ending):
    """Import a model from a folder, and compare its answers with those of Keras in the same folder."""
    told = json.loads((folder / f"{name}.json").read_text())
    way = {"truncation": told["padding"]} if told["masked"] else {"padding": told["padding"]}
    source = folder / f"{name}.{ending}"
    hf_rnn.import_model(source, tmp_path / "model", vocabulary=words(told["words"]), length=9, **way)
    predictor = hf_rnn.Predictor.from_pretrained(tmp_path / "model")
    scores = predictor.scores([text_of(row) for row in told["rows"]])
    # GlobalMaxPooling1D of Keras ignores the mask, so only rows without padding have the same answer.
    first = -2 if name == "maximum" else 0
    np.testing.assert_allclose(scores[first:], probabilities(name, np.array(told["answers"]))[first:], atol=1e-5)


def probabilities(name, answers):
    """Return the scores of our labels for answers of Keras."""
    if name == "logit":
        answers = 1 / (1 + np.exp(-answers))
    if name == "logits":
        answers = np.exp(answers) / np.exp(answers).sum(-1, keepdims=True)
    return answers if answers.shape[1] > 1 or name == "regression" else np.concatenate([1 - answers, answers], axis=1)


@pytest.mark.parametrize("source", ["lstm.keras", "bidirectional.h5", "concatenated.keras"])
def test_committed_files_of_keras_answer_as_keras(tmp_path, source):
    """The files are those that `keras_oracle.py` writes; this test needs no Keras."""
    name, _, ending = source.partition(".")
    check(FILES, tmp_path, name, ending)


@pytest.fixture
def import_file(tmp_path):
    def run(source="lstm.keras", **choices):
        default = {"vocabulary": words(40)} if Path(source).stem != "text_vectorization" else {}
        source = source if isinstance(source, Path) else FILES / source
        return hf_rnn.import_model(source, tmp_path / "model", **{**default, **choices})

    return run


def test_texts_are_read_as_by_the_text_vectorization_in_the_file(import_file, capsys):
    predictor = hf_rnn.Predictor.from_pretrained(import_file("text_vectorization.keras", labels=["neg", "pos"]))
    assert "filled up or truncated to 8 tokens (post)" in capsys.readouterr().out
    for told in json.loads((FILES / "text_vectorization.json").read_text(encoding="utf-8")):
        ids = predictor.tokenizer(told["text"])["input_ids"][:8]
        assert ids == told["ids"]
        (scores,) = predictor.scores([told["text"]])
        assert scores[1] == pytest.approx(told["score"], abs=1e-5)


def test_a_text_without_padding_is_read_as_keras_reads_it_alone(import_file):
    """The last rows of the file are as long as the padding, so Keras read them without it."""
    told = json.loads((FILES / "lstm.json").read_text())
    predictor = hf_rnn.Predictor.from_pretrained(import_file(padding="none", length=9))
    found = predictor.scores([text_of(row) for row in told["rows"]])[:, 1]
    expected = np.array(told["answers"])[:, 0]
    np.testing.assert_allclose(found[-2:], expected[-2:], atol=1e-5)
    assert abs(found[0] - expected[0]) > 1e-3


def test_the_imdb_word_index_becomes_a_tokenizer(import_file, tmp_path):
    index = {"the": 1, "film": 2, "don't": 3, **{f"x{i}": i for i in range(4, 80)}}
    (tmp_path / "index.json").write_text(json.dumps(index))
    folder = import_file(vocabulary=tmp_path / "index.json", index_from=3, padding="pre", length=6)
    tokenizer = hf_rnn.load_tokenizer(str(folder))
    # Words from number 37 on are outside of the embedding, as with load_data(num_words=40).
    ids = tokenizer("The film: don't x36/x37 unseen")["input_ids"]
    assert ids == [0] * 6 + [1, 4, 5, 6, 39, 2, 2]
    assert tokenizer.convert_ids_to_tokens([0, 1, 2, 3, 4]) == ["<fill>", "<start>", "<unk>", "<unused_3>", "the"]
    assert tokenizer.pad_token_id == 40
    answer = hf_rnn.Predictor.from_pretrained(folder)("the film")
    assert answer["label"] in ("LABEL_0", "LABEL_1")


def test_the_word_index_of_a_tokenizer_has_no_offset(import_file):
    folder = import_file(vocabulary={"<OOV>": 1, "the": 2}, index_from=0, padding="none")
    assert hf_rnn.load_tokenizer(str(folder))("the Film")["input_ids"] == [2, 1]


def test_decisions_are_printed_and_saved_with_the_model(import_file, capsys):
    folder = import_file(padding="pre", length=9, labels=["neg", "pos"])
    printed = capsys.readouterr().out
    record = json.loads((folder / "import.json").read_text(encoding="utf-8"))
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert record["source"] == "lstm.keras"
    for topic, told in record["decisions"]:
        assert f"{topic:<11}{told}" in printed
    assert "imported from a Keras 3" in card
    assert "filled up or truncated to 9 tokens" in card
    assert "| labels | one of neg, pos (1 sigmoid) |" in card
    assert folder / "import.json" in model_files(folder).values()


@pytest.mark.slow
def test_an_imported_model_can_be_evaluated_and_trained_further(import_file, tmp_path):
    folder = import_file("bidirectional.h5", labels=["neg", "pos"])
    rows = [{"text": text_of(row), "label": label} for row, label in (([2, 3], "neg"), ([4, 5], "pos"))] * 10
    write_jsonl(tmp_path / "rows.jsonl", rows)
    assert hf_rnn.evaluate(folder, tmp_path / "rows.jsonl")["rows"] == 20
    settings = tiny_config(tmp_path / "rows.jsonl", tmp_path / "run")
    settings["model"] = {"pretrained": str(folder), "keep_head": True}
    del settings["tokenizer"]
    hf_rnn.train(settings)
    assert not (tmp_path / "run" / "import.json").exists()
    with pytest.raises(HfRnnError, match="name a data set, data=PATH"):
        hf_rnn.evaluate(folder)


@pytest.mark.parametrize(
    ("source", "choices", "message"),
    [
        ("lstm.keras", {}, r"no mask_zero.*padding='pre' and length=200"),
        ("lstm.keras", {"padding": "left"}, "padding='left' must be one of pre, post, none"),
        ("lstm.keras", {"padding": "pre"}, "length=200 too"),
        ("lstm.keras", {"padding": "pre", "length": 9, "truncation": "post"}, "on the same side"),
        ("lstm.keras", {"padding": "none", "vocabulary": None}, "has no vocabulary: name a file"),
        ("lstm.keras", {"padding": "none", "vocabulary": words(41)}, "has 41 entries, and the embedding has 40 rows"),
        ("lstm.keras", {"padding": "none", "vocabulary": words(40)[1:]}, r"begins with \['\[UNK\]', 'w2'\]"),
        ("lstm.keras", {"padding": "none", "vocabulary": ["", "a", "a"]}, "has 'a' twice"),
        ("lstm.keras", {"padding": "none", "vocabulary": {"a": 1}}, "write index_from=3"),
        ("lstm.keras", {"padding": "none", "vocabulary": {"a": 1}, "index_from": 0}, "no entry for unknown words"),
        ("lstm.keras", {"padding": "none", "vocabulary": {"a": 1}, "index_from": 2}, "must be 3"),
        ("lstm.keras", {"padding": "none", "index_from": 3}, "belongs to a word index"),
        ("lstm.keras", {"padding": "none", "labels": ["a"]}, r"labels=\['a'\] must be 2 different names"),
        ("lstm.keras", {"padding": "none", "problem_type": "regression"}, "leave problem_type out"),
        ("lstm.keras", {"padding": "none", "backward": True}, "backward has no effect on a Keras model"),
        ("bidirectional.h5", {"padding": "post", "length": 9}, "masks padding"),
        ("text_vectorization.keras", {"vocabulary": words(40)}, "has its own vocabulary"),
        ("text_vectorization.keras", {"padding": "pre"}, "pads and truncates at the end"),
        ("text_vectorization.keras", {"length": 9}, "length=9, but the model in .* reads 8 tokens"),
    ],
)
def test_wrong_choices_are_errors_that_say_what_to_write(import_file, tmp_path, source, choices, message):
    with pytest.raises(HfRnnError, match=message):
        import_file(source, **choices)
    assert not (tmp_path / "model").exists()


def changed(path, target, change):
    """Copy a `.keras` file with a changed configuration."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as copy:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "config.json":
                model = json.loads(content)
                change(model["config"]["layers"])
                content = json.dumps(model).encode()
            copy.writestr(name, content)
    return target


def as_keras_2(layers):
    """Write the configuration of layers as Keras 2 does."""
    if layers[0]["class_name"] == "InputLayer" and "inbound_nodes" not in layers[0]:
        layers[1]["config"]["batch_input_shape"] = layers.pop(0)["config"]["batch_shape"]
    for layer in layers:
        nodes = []
        for node in layer.get("inbound_nodes", []):
            tensors = node["args"][0] if isinstance(node["args"][0], list) else node["args"]
            nodes.append([[*tensor["config"]["keras_history"], {}] for tensor in tensors])
        layer["inbound_nodes"] = nodes
        for name in ("module", "registered_name"):
            layer.pop(name)


@pytest.mark.parametrize("source", ["lstm", "concatenated"])
def test_configurations_of_keras_2_are_read(tmp_path, source):
    changed(FILES / f"{source}.keras", tmp_path / f"{source}.keras", as_keras_2)
    shutil.copyfile(FILES / f"{source}.json", tmp_path / f"{source}.json")
    check(tmp_path, tmp_path, source, "keras")


def set_all(kind, **settings):
    def change(layers):
        for layer in layers:
            if layer["class_name"] == kind:
                layer["config"] |= settings

    return change


def rename(kind, to):
    def change(layers):
        for layer in layers:
            if layer["class_name"] == kind:
                layer["class_name"] = layer["registered_name"] = to

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename("LSTM", "ConvLSTM1D"), r"lstm\w* \(ConvLSTM1D\); lstm\w* \(ConvLSTM1D\)"),
        (rename("Dense", "Lambda"), r"dense\w* \(Lambda: code in a file is not run\)"),
        (rename("Dense", "Custom>Dense"), r"\(Custom>Dense\)"),
        (set_all("LSTM", activation="relu"), "activation='relu', and torch's kernels have 'tanh'"),
        (set_all("LSTM", recurrent_activation="hard_sigmoid"), "recurrent_activation='hard_sigmoid'"),
        (set_all("LSTM", stateful=True), "stateful=True"),
        (set_all("LSTM", units=6), r"is \[6, 20\], and its configuration asks for \[6, 24\]"),
        (set_all("LSTM", units=10**9), "configuration asks for"),
        (set_all("Dense", activation="tanh"), "activation='tanh'"),
        (set_all("Dense", activation="relu"), "neither a classifier nor a regressor"),
        (set_all("LSTM", return_sequences=True), "answers each token"),
        (set_all("LSTM", return_sequences=False), "does not read the outputs of the layer before it"),
        (lambda layers: layers.pop(), "does not end with a Dense layer"),
        (lambda layers: layers.clear(), "holds a model of the class 'Sequential'"),
    ],
)
def test_layers_that_cannot_be_imported_are_named(import_file, tmp_path, change, message):
    source = changed(FILES / "lstm.keras", tmp_path / "changed.keras", change)
    with pytest.raises(HfRnnError, match=message):
        import_file(source, padding="none")


def test_a_gru_that_cudnn_lacks_is_refused(import_file, tmp_path, monkeypatch):
    def to_old_gru(layers):
        layers[2] |= {"class_name": "GRU", "registered_name": None}
        layers[2]["config"]["reset_after"] = False

    def without_check(self, path, layer, parts):
        return {part: [torch.zeros(shape) for shape in shapes] for part, shapes in parts.items()}

    source = changed(FILES / "lstm.keras", tmp_path / "changed.keras", to_old_gru)
    monkeypatch.setattr(KerasFile, "read", without_check)
    with pytest.raises(HfRnnError, match=r"reset_after=False.*reset_after=True"):
        import_file(source, padding="none")


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_damaged_files_are_named(import_file, tmp_path, ending, share):
    source = FILES / ("lstm.keras" if ending == "keras" else "bidirectional.h5")
    content = source.read_bytes()
    (tmp_path / f"cut.{ending}").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(HfRnnError, match=rf"cut\.{ending}' .*(damaged|incomplete)"):
        import_file(tmp_path / f"cut.{ending}")


def test_archives_that_grow_are_refused(import_file, tmp_path):
    bomb = tmp_path / "bomb.keras"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * (1 << 25))
        archive.writestr("model.weights.h5", b"")
    with pytest.raises(HfRnnError, match="declares 33,554,432 bytes"):
        import_file(bomb)


def test_weights_outside_of_the_file_are_refused(import_file, tmp_path):
    """HDF5 files can link to other files, whose contents would become weights."""
    for number, link in enumerate((h5py.ExternalLink("/etc/passwd", "/x"), h5py.SoftLink("/elsewhere"))):
        source = tmp_path / f"link_{number}.h5"
        shutil.copyfile(FILES / "bidirectional.h5", source)
        with h5py.File(source, "a") as file:
            top = next(name for name in file["model_weights"] if name.startswith("embedding"))
            path = f"model_weights/{top}/" + file["model_weights"][top].attrs["weight_names"][0]
            del file[path]
            file[path] = link
        with pytest.raises(HfRnnError, match="is a link to other data"):
            import_file(source)


def test_declared_sizes_without_data_are_refused(import_file, tmp_path):
    source = tmp_path / "large.h5"
    shutil.copyfile(FILES / "bidirectional.h5", source)
    with h5py.File(source, "a") as file:
        model = json.loads(file.attrs["model_config"])
        embedding = next(each for each in model["config"]["layers"] if each["class_name"] == "Embedding")
        embedding["config"]["input_dim"] = 1 << 28
        file.attrs["model_config"] = json.dumps(model)
        top = embedding["config"]["name"]
        path = f"model_weights/{top}/" + file["model_weights"][top].attrs["weight_names"][0]
        del file[path]
        file.create_dataset(path, shape=(1 << 28, 6), dtype="f4", chunks=(1 << 16, 6))
    with pytest.raises(HfRnnError, match="declares 6,442,450,944 bytes and stores 0"):
        import_file(source)


def test_other_sources_are_named(import_file, tmp_path):
    (tmp_path / "text.keras").write_text("no model")
    with pytest.raises(HfRnnError, match=r"text\.keras' cannot be read as a Keras model"):
        import_file(tmp_path / "text.keras")
    with pytest.raises(HfRnnError, match="is a folder, not a file"):
        import_file(tmp_path)
    with pytest.raises(HfRnnError, match=r"does not exist.*Did you mean '.*text\.keras'"):
        import_file(tmp_path / "texts.keras")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["layers/dense/vars/0"] = np.ones(3)
    with pytest.raises(HfRnnError, match="weights without the layers"):
        import_file(tmp_path / "weights.h5")
    (tmp_path / "model").mkdir()
    with pytest.raises(HfRnnError, match=r"exists already: name a new folder, output=FOLDER"):
        import_file(padding="none")


def test_the_command_imports_and_names_its_options(tmp_path, capsys):
    (tmp_path / "words.txt").write_text("\n".join(words(40)), encoding="utf-8")
    base = ["import", str(FILES / "lstm.keras"), "--output", str(tmp_path / "model")]
    assert main([*base, "--vocabulary", str(tmp_path / "words.txt")]) == 1
    assert "Write --padding pre --length 200 for texts from pad_sequences" in capsys.readouterr().err
    more = ["--vocabulary", str(tmp_path / "words.txt"), "--padding", "post", "--length", "9", "--labels", "[neg, pos]"]
    assert main([*base, *more]) == 0
    out = capsys.readouterr().out
    assert f"the model is in {tmp_path / 'model'}" in out
    assert "one of neg, pos" in out
    assert main(["predict", str(tmp_path / "model"), "w3 w4"]) == 0
    assert main(["--help"]) == 0
    assert "\n    import " in capsys.readouterr().out


def test_the_commands_of_the_page_have_options_that_exist():
    for token, _ in code_blocks(ROOT / "docs" / "import.md"):
        for line in token.content.splitlines() if token.info == "bash" else ():
            program, name, *arguments = shlex.split(line)
            assert program == "hf-rnn"
            _command(name).parser().parse_args(arguments)
