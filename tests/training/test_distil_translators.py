"""Translators that are students: the translations of a teacher, their cache, and the comparison."""

import csv

import pytest
from support import write_jsonl
from support.students import same
from support.tiny_teachers import tiny_encoder, tiny_translator
from support.translating import pairs

import hf_rnn
from hf_rnn.teachers.transformer import TransformerTranslator
from hf_rnn.utils.errors import ConfigError, DataError

ROWS = pairs(48)


def sections(path, output, of_teacher=None, **others) -> dict:
    """Return the sections of a student's run; `others` add keys to sections, such as `distil={"size": 100}`."""
    found = {
        "task": "translation",
        "data": {"path": str(path), "text_column": "en", "label_column": "de"},
        "tokenizer": {"kind": "word", "min_frequency": 1},
        "model": {"embedding_size": 8, "hidden_size": 8},
        # A high learning rate makes the student learn soon to end its texts, so that it writes less.
        "training": {
            "output_dir": str(output),
            "num_train_epochs": 2,
            "per_device_train_batch_size": 8,
            "learning_rate": 0.03,
        },
        "teacher": {} if of_teacher is None else {"path": str(of_teacher)},
    }
    for name, values in others.items():
        found[name] = {**found.get(name, {}), **values}
    return found


@pytest.fixture(autouse=True)
def _short(tmp_path, monkeypatch):
    """Keep the answers of teachers in the folder of the test, and time each answer once."""
    monkeypatch.setattr("hf_rnn.training.teacher_report.TIMES", 0)
    monkeypatch.setattr("hf_rnn.training.open_teachers.HF_HOME", str(tmp_path / "hf"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    for split, rows in (("train", ROWS[:32]), ("validation", ROWS[32:40]), ("test", ROWS[40:])):
        write_jsonl(folder / f"{split}.jsonl", rows)
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    return tiny_translator(folder / "tiny-bart", [text for row in ROWS for text in row.values()])


def test_a_translator_learns_from_a_transformer_and_is_compared_with_it(data, teacher, tmp_path):
    (tmp_path / "more.txt").write_text(f"six six six six six .\n\n{ROWS[0]['en']}\none one one one one .\n")
    distil = {"transfer": str(tmp_path / "more.txt"), "hard_labels": 0.5}
    results = hf_rnn.distil(sections(data, tmp_path / "student", teacher, distil=distil))
    found = results["teacher"]
    assert found["rows"] == {"labelled": 32, "unlabelled": 2, "made up": 0, "original pairs": 16}
    assert results["run"]["train_rows"] == 50
    scores = found["scores"]["test"]
    assert scores["rows"] == 8
    assert scores["student"]["chrf"] == results["test"]["chrf"]
    assert 0 <= scores["teacher"]["bleu"] < 10
    assert found["speed"]["student"]["milliseconds_for_one"] > 0
    assert "## Teacher" in (tmp_path / "student" / "README.md").read_text()
    with open(tmp_path / "student" / "disagreements.csv", newline="") as file:
        differ = [row for row in csv.DictReader(file) if row["row"].endswith("of test")]
    assert len(differ) == round(8 * (1 - scores["agreement"]))
    assert all(row["teacher"] != row["student"] for row in differ)


def test_the_student_learns_the_translations_of_the_teacher_and_not_the_references(data, tmp_path):
    of_model = {"embedding_size": 32, "hidden_size": 32}
    of_training = {"num_train_epochs": 8, "learning_rate": 0.01, "per_device_train_batch_size": 4}
    of_training |= {"load_best_model_at_end": False}  # The best one by the references is the first.
    # The references have no such word.
    run = sections(data, tmp_path / "student", model=of_model, training=of_training)
    results = hf_rnn.distil(run, teacher=lambda texts: ["zwölf ."] * len(texts))
    assert results["teacher"]["scores"]["test"]["agreement"] == 1
    assert hf_rnn.Predictor.from_pretrained(tmp_path / "student")("one two three .")["text"] == "zwölf ."
    again = hf_rnn.distil(sections(data, tmp_path / "pupil", tmp_path / "student", distil={"size": 42}))
    assert again["teacher"]["scores"]["test"]["teacher"] == results["teacher"]["scores"]["test"]["student"]
    assert again["teacher"]["rows"]["made up"] == 10


@pytest.mark.slow
@pytest.mark.proof
def test_an_interrupted_run_gives_the_same_weights_and_translates_nothing_twice(data, teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(TransformerTranslator, "group", 12)
    hf_rnn.distil(sections(data, tmp_path / "whole", teacher={"path": str(teacher), "cache": str(tmp_path / "one")}))
    answered: list = []
    translations, step = TransformerTranslator.translations, hf_rnn.RNNTrainer.training_step
    stops = {"translations": 3, "steps": 6}

    def killed(name):
        stops[name] -= 1
        if stops[name] == 0:
            raise KeyboardInterrupt

    def interrupted_translations(self, texts):
        killed("translations")
        answered.extend(texts)
        return translations(self, texts)

    def interrupted_step(self, *args, **kwargs):
        killed("steps")
        return step(self, *args, **kwargs)

    monkeypatch.setattr(TransformerTranslator, "translations", interrupted_translations)
    monkeypatch.setattr(hf_rnn.RNNTrainer, "training_step", interrupted_step)
    again = sections(data, tmp_path / "cut", teacher={"path": str(teacher), "cache": str(tmp_path / "two")})
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            hf_rnn.distil(again)
    different = {(row["en"],) for row in ROWS}
    assert set(answered) == different
    assert len(answered) == len(different)
    hf_rnn.distil(again)
    assert same(tmp_path / "whole", tmp_path / "cut")


# Bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"distil": {"temperature": 2.0}}, "distil.temperature=2.0 acts on the probabilities of labels"),
        ({"distil": {"loss": "cross_entropy"}}, "distil.loss='cross_entropy' acts on"),
        ({"teacher": {"finetune": True}}, "fine-tunes encoders for classifiers and taggers"),
        ({"teacher": {"path": ["a", "b"]}}, "are 2 translators, whose texts cannot be averaged"),
    ],
)
def test_settings_that_make_no_sense_are_errors(data, teacher, tmp_path, others, words):
    with pytest.raises(ConfigError, match=words):
        hf_rnn.distil(sections(data, tmp_path / "student", teacher, **others))


def test_a_teacher_that_writes_no_text_is_an_error(data, tmp_path):
    encoder = tiny_encoder(tmp_path / "encoder", ["one two"])
    with pytest.raises(ConfigError, match="is a BertModel, which writes no text for a text"):
        hf_rnn.distil(sections(data, tmp_path / "student", encoder))
    with pytest.raises(DataError, match=r"return a list of .* texts"):
        hf_rnn.distil(sections(data, tmp_path / "student"), teacher=lambda texts: [1] * len(texts))
    with pytest.raises(DataError, match="writes no text for any"):
        hf_rnn.distil(sections(data, tmp_path / "student"), teacher=lambda texts: [" "] * len(texts))
