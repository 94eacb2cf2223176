"""Students of teachers: the whole way, from the teacher to the saved model, and its interruptions."""

import csv
import json
import shutil

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from support import write_jsonl
from support.marks import proof
from support.reviews import made_up_reviews
from support.students import same
from support.tiny_teachers import tiny_classifier, tiny_encoder

import hf_rnn
from hf_rnn.teachers.transformer import TransformerTeacher
from hf_rnn.utils.errors import ConfigError, DataError, HfRnnError

SMALL = {
    "tokenizer": {"kind": "word"},
    "model": {"embedding_size": 8, "hidden_size": 8},
    "training": {"num_train_epochs": 2, "per_device_train_batch_size": 16},
    "report": {"baseline": False},
}


def sections(path, output, of_teacher=None, **others) -> dict:
    """Return the sections of a student's run; `others` add keys to sections, such as `distil={"size": 100}`."""
    found = {name: dict(values) for name, values in SMALL.items()}
    found["data"] = {"path": str(path)}
    found["training"]["output_dir"] = str(output)
    found["teacher"] = {} if of_teacher is None else {"path": str(of_teacher)}
    for name, values in others.items():
        found[name] = {**found.get(name, {}), **values}
    return found


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    """Keep the answers of teachers in the folder of the test."""
    monkeypatch.setattr("hf_rnn.training.open_teachers.HF_HOME", str(tmp_path / "hf"))


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    columns = made_up_reviews(160)
    names = ("negative", "positive")
    return [{"text": t, "label": names[i]} for t, i in zip(columns["text"], columns["label"], strict=True)]


@pytest.fixture(scope="module")
def data(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("reviews")
    for split, some in (("train", rows[:100]), ("validation", rows[100:130]), ("test", rows[130:])):
        write_jsonl(folder / f"{split}.jsonl", some)
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("teacher")
    # The names differ in case and order from those of the data.
    return tiny_classifier(folder / "tiny-bert", [row["text"] for row in rows], ["Positive", "Negative"])


@pytest.fixture(scope="module")
def sklearn_teacher(rows):
    texts, labels = zip(*(row.values() for row in rows), strict=True)
    return make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10)).fit(texts, labels)


# The way of the data -------------------------------------------------------------------------------------------------


def test_a_student_learns_the_answers_of_a_transformer_and_is_compared_with_it(data, teacher, tmp_path, capsys):
    results = hf_rnn.distil(sections(data, tmp_path / "student", teacher))
    told = capsys.readouterr().out
    assert "tiny-bert" in told
    assert "100 labelled" in told
    found = json.loads((tmp_path / "student" / "metrics.json").read_text())["teacher"]
    assert found == results["teacher"]
    for split, count in (("validation", 30), ("test", 30)):
        scores = found["scores"][split]
        assert scores["rows"] == count
        assert 0 <= scores["agreement"] <= 1
        assert scores["student"]["accuracy"] == results[split]["accuracy"]
    assert found["teacher"]["parameters"] > found["student"]["parameters"] > 0
    assert found["speed"]["student"]["texts_a_second"] > 0
    card = (tmp_path / "student" / "README.md").read_text()
    assert "## Teacher" in card
    assert "tiny-bert" in card
    with open(tmp_path / "student" / "disagreements.csv", newline="") as file:
        differ = [row for row in csv.DictReader(file) if row["row"].endswith("of test")]
    assert len(differ) == round(30 * (1 - found["scores"]["test"]["agreement"]))
    assert all(row["teacher"] != row["student"] for row in differ)


@pytest.mark.slow
@pytest.mark.proof
def test_labels_of_the_teacher_are_found_by_name(data, teacher, tmp_path, rows):
    """The teacher's labels have another order than those of the data."""
    learnt = hf_rnn.distil(
        sections(data, tmp_path / "student", teacher, training={"num_train_epochs": 12, "learning_rate": 0.02})
    )
    assert learnt["teacher"]["scores"]["validation"]["agreement"] > 0.7


def test_the_student_learns_the_teacher_and_not_the_labels(rows, sklearn_teacher, tmp_path):
    """With hard_labels=0, the labels of the training rows are not read: half of them are wrong."""
    wrong = [{**row, "label": "negative" if i % 2 else "positive"} for i, row in enumerate(rows[:100])]
    model = {"embedding_size": 32, "hidden_size": 32}
    config = sections("", tmp_path / "student", model=model, training={"num_train_epochs": 12, "learning_rate": 0.02})
    del config["data"]
    hf_rnn.distil(config, data={"train": wrong, "validation": rows[100:]}, teacher=sklearn_teacher)
    answers = hf_rnn.Predictor.from_pretrained(tmp_path / "student")([row["text"] for row in rows[:100]])
    assert np.mean([answer["label"] == row["label"] for answer, row in zip(answers, rows, strict=False)]) > 0.9


@pytest.mark.slow
def test_functions_columns_and_several_teachers(rows, teacher, sklearn_teacher, tmp_path):
    def counts(texts):
        good = np.array([[0.9, 0.1] if "not" in text else [0.2, 0.8] for text in texts])
        return good

    data = {"train": rows[:100], "validation": rows[100:]}
    config = sections("", tmp_path / "student")
    del config["data"]
    results = hf_rnn.distil(config, data=data, teacher=[counts, sklearn_teacher])
    assert len(results["teacher"]["teachers"]) == 2
    config["training"]["output_dir"] = str(tmp_path / "columns")
    with_columns = [{**row, "p": 0.9, "q": "0.1"} for row in rows]
    config["teacher"] = {"columns": {"negative": "q", "positive": "p"}}
    results = hf_rnn.distil(config, data=with_columns)
    assert results["teacher"]["scores"]["validation"]["agreement"] > 0.9
    schema = json.loads((tmp_path / "columns" / "schema.json").read_text())
    assert schema["text_column"] == "text"


@pytest.mark.slow
def test_a_function_may_answer_with_labels_and_is_asked_again_in_the_next_call(rows, tmp_path):
    asked: list[str] = []

    def judge(texts):
        asked.extend(texts)
        return [
            {"positive": 0.8, "negative": 0.2} if "not" in text else {"positive": 0, "negative": 1} for text in texts
        ]

    config = sections("", tmp_path / "one")
    del config["data"]
    hf_rnn.distil(config, data=rows, teacher=judge)
    assert not (tmp_path / "one" / ".answers").exists()
    first = len(asked)
    config["training"]["output_dir"] = str(tmp_path / "two")
    hf_rnn.distil(config, data=rows, teacher=judge)
    assert len(asked) == 2 * first
    judge.revision = "1"
    for name in ("three", "four"):
        before = len(asked)
        config["training"]["output_dir"] = str(tmp_path / name)
        results = hf_rnn.distil(config, data=rows, teacher=judge)
    # The comparison of speeds asks for some texts.
    assert len(asked) - before < first
    assert same(tmp_path / "one", tmp_path / "four")
    assert results["teacher"]["scores"]["validation"]["agreement"] > 0.4


@pytest.mark.slow
@pytest.mark.proof
def test_functions_of_the_same_name_have_their_own_answers(rows, tmp_path):
    config = sections("", tmp_path / "student")
    del config["data"]
    first, second = (lambda texts, p=p: [[p, 1 - p]] * len(texts) for p in (0.9, 0.3))
    results = hf_rnn.distil(config, data=rows, teacher=[first, second])
    assert results["teacher"]["scores"]["validation"]["teacher"]["brier"] == pytest.approx(
        np.mean([(0.6 - (row["label"] == "negative")) ** 2 for row in rows[:50]]), abs=0.1
    )


def test_teachers_with_labels_of_different_names_are_combined(data, rows, tmp_path):
    texts = [row["text"] for row in rows]
    first = tiny_classifier(tmp_path / "first", texts, ["LABEL_0", "LABEL_1"])
    second = tiny_classifier(tmp_path / "second", texts, ["NEG", "POS"])
    names = {"LABEL_0": "negative", "LABEL_1": "positive", "NEG": "negative", "POS": "positive"}
    both = {"path": [str(first), str(second)], "label_map": names}
    results = hf_rnn.distil(sections(data, tmp_path / "student", teacher=both))
    assert len(results["teacher"]["teachers"]) == 2


def test_labels_that_look_like_numbers_keep_their_spelling(rows, tmp_path):
    spelled = {"negative": "01", "positive": "no"}
    write_jsonl(tmp_path / "rows.jsonl", [{**row, "label": spelled[row["label"]]} for row in rows])
    bert = tiny_classifier(tmp_path / "bert", [row["text"] for row in rows], ["A", "B"])
    run = sections(tmp_path / "rows.jsonl", tmp_path / "student", bert)
    names = ("tokenizer", "model", "training")
    words = [f"--{name}.{key}={value}" for name in names for key, value in run[name].items()]
    words += ["--data.path", str(tmp_path / "rows.jsonl"), "--teacher", str(bert)]
    hf_rnn.distil([*words, "--teacher.label_map", "{A: 01, B: no}"])
    text = (tmp_path / "student" / "run.yaml").read_text()
    assert 'A: "01"' in text
    hf_rnn.distil(["--config", str(tmp_path / "student/run.yaml"), "--training.output_dir", str(tmp_path / "again")])
    assert same(tmp_path / "student", tmp_path / "again")


def test_the_form_of_answers_can_be_written(rows, tmp_path):
    config = sections("", tmp_path / "student", teacher={"outputs": "logits"})
    del config["data"]

    def positive(texts):
        return [[0.9, 0.9 + 0.05 * ("not" in text)] for text in texts]

    results = hf_rnn.distil(config, data=rows, teacher=positive)
    assert results["teacher"]["scores"]["validation"]["teacher"]["brier"] == pytest.approx(0.25, abs=0.02)
    config["training"]["output_dir"] = str(tmp_path / "other")
    config["teacher"] = {}
    with pytest.raises(DataError, match="sum to 1"):
        hf_rnn.distil(config, data=rows, teacher=positive)


def test_teachers_are_weighed_by_class(rows, sklearn_teacher, tmp_path):
    def wrong(texts):
        return 1 - sklearn_teacher.predict_proba(list(texts))

    config = sections("", tmp_path / "mean")
    del config["data"]
    scores = {}
    for ensemble in ("mean", "by_class"):
        config["teacher"] = {"ensemble": ensemble}
        config["training"]["output_dir"] = str(tmp_path / ensemble)
        results = hf_rnn.distil(config, data=rows, teacher=[sklearn_teacher, wrong])
        scores[ensemble] = results["teacher"]["scores"]["validation"]["teacher"]["accuracy"]
    assert scores["by_class"] > 0.8 > scores["mean"]


def test_transfer_texts_and_made_up_texts_are_answered_and_learnt(rows, data, teacher, tmp_path, capsys):
    untidy = tmp_path / "more.csv"
    untidy.write_text("id;text\n1;the ending was dull\n2;the ending was dull\n3;\n4;" + rows[0]["text"] + "\n5;not bad")
    results = hf_rnn.distil(
        sections(data, tmp_path / "student", teacher, distil={"transfer": str(untidy), "size": 180})
    )
    assert results["teacher"]["rows"] == {"labelled": 100, "unlabelled": 2, "made up": 78}
    assert results["run"]["train_rows"] == 180
    assert "2 unlabelled" in capsys.readouterr().out


def test_unlabelled_splits_are_transfer_texts(rows, teacher, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    write_jsonl(folder / "train.jsonl", rows[:60])
    write_jsonl(folder / "unsupervised.jsonl", [{"text": row["text"]} for row in rows[60:100]])
    run = sections(folder, tmp_path / "student", teacher, data={"unlabelled_splits": ["unsupervised"]})
    assert hf_rnn.distil(run)["teacher"]["rows"]["unlabelled"] == 40


@pytest.mark.slow
@pytest.mark.parametrize(
    "distil",
    [
        {"loss": "cross_entropy", "temperature": 2.0},
        proof({"hard_labels": 0.5}),
        proof({"hard_labels": 1.0, "annealing": True}),
    ],
)
def test_losses(data, teacher, tmp_path, distil):
    results = hf_rnn.distil(sections(data, tmp_path / "student", teacher, distil=distil))
    assert 0 <= results["teacher"]["scores"]["validation"]["agreement"] <= 1


def test_several_labels_and_regression(rows, tmp_path):
    several = [
        {"text": row["text"], "label": f"{row['label']}|film" if "film" in row["text"] else row["label"]}
        for row in rows
    ]
    config = sections("", tmp_path / "several")
    del config["data"]
    names = ["negative", "film", "positive"]

    def answers(texts):
        return [[0.9 * ("not" in text), 0.95 * ("film" in text), 0.9 * ("not" not in text)] for text in texts]

    answers.labels = names
    results = hf_rnn.distil(config, data=several, teacher=answers)
    assert results["teacher"]["scores"]["validation"]["teacher"]["f1_micro"] > 0.3
    config["training"]["output_dir"] = str(tmp_path / "values")
    values = [{"text": row["text"], "label": len(row["text"]) / 7} for row in rows]
    results = hf_rnn.distil(config, data=values, teacher=lambda texts: [[len(text) / 7] for text in texts])
    assert results["teacher"]["scores"]["validation"]["teacher"]["mse"] < 1e-6
    assert -1 <= results["teacher"]["scores"]["validation"]["correlation"] <= 1
    assert "a correlation of" in (tmp_path / "values" / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.proof
def test_pairs_of_texts(rows, tmp_path):
    pairs = [
        {"premise": row["text"], "hypothesis": f"it was {row['label']}", "label": i % 2} for i, row in enumerate(rows)
    ]
    texts = [row["premise"] for row in pairs] + [row["hypothesis"] for row in pairs]
    bert = tiny_classifier(tmp_path / "bert", texts, ["0", "1"])
    write_jsonl(tmp_path / "pairs.jsonl", pairs)
    results = hf_rnn.distil(sections(tmp_path / "pairs.jsonl", tmp_path / "student", bert, distil={"size": 200}))
    assert results["teacher"]["rows"]["made up"] == 200 - results["teacher"]["rows"]["labelled"]


# A teacher is fine-tuned ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def encoder(tmp_path_factory, rows):
    return tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny", [row["text"] for row in rows])


def test_an_encoder_is_finetuned_once_and_teaches(data, encoder, tmp_path, capsys):
    how = {"finetune": True, "epochs": 2, "batch_size": 16}
    first = hf_rnn.distil(sections(data, tmp_path / "first", encoder, teacher={"path": str(encoder), **how}))
    assert "is fine-tuned on 100 rows" in capsys.readouterr().out
    second = hf_rnn.distil(sections(data, tmp_path / "second", encoder, teacher={"path": str(encoder), **how}))
    assert "is fine-tuned on" not in capsys.readouterr().out
    assert first["test"] == second["test"]
    assert same(tmp_path / "first", tmp_path / "second")


def test_an_encoder_without_a_head_is_an_error(data, encoder, tmp_path):
    with pytest.raises(ConfigError, match=r"has no classification head: write teacher.finetune=True"):
        hf_rnn.distil(sections(data, tmp_path / "student", encoder))


# Interruptions -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_labelling_that_was_interrupted_gives_the_same_weights_and_labels_nothing_twice(
    data, teacher, tmp_path, monkeypatch
):
    monkeypatch.setattr(TransformerTeacher, "group", 16)
    run = sections(data, tmp_path / "whole", teacher, teacher={"path": str(teacher), "cache": str(tmp_path / "one")})
    hf_rnn.distil(run)
    asked: list = []
    answers = TransformerTeacher.answers

    def interrupted(self, texts):
        if len(asked) == 3:
            asked.append("killed")
            raise KeyboardInterrupt
        asked.append(list(texts))
        return answers(self, texts)

    monkeypatch.setattr(TransformerTeacher, "answers", interrupted)
    again = sections(data, tmp_path / "cut", teacher, teacher={"path": str(teacher), "cache": str(tmp_path / "two")})
    with pytest.raises(KeyboardInterrupt):
        hf_rnn.distil(again)
    hf_rnn.distil(again)
    # After training, the comparison of speeds asks again for some validation texts.
    texts = [text for group in asked if group != "killed" for text in group][:160]
    assert len(set(texts)) == 160
    assert same(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.slow
def test_training_that_was_interrupted_goes_on_with_the_same_call(data, teacher, tmp_path, monkeypatch):
    hf_rnn.distil(sections(data, tmp_path / "whole", teacher))
    run = sections(data, tmp_path / "cut", teacher)
    step = hf_rnn.RNNTrainer.training_step
    done: list[int] = []

    def killed(self, *args, **kwargs):
        done.append(1)
        if len(done) == 10:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    monkeypatch.setattr(hf_rnn.RNNTrainer, "training_step", killed)
    with pytest.raises(KeyboardInterrupt):
        hf_rnn.distil(run)
    hf_rnn.distil(run)
    assert same(tmp_path / "whole", tmp_path / "cut")
    with pytest.raises(HfRnnError, match=r"already holds a run that has ended: write training.overwrite=True"):
        hf_rnn.distil(run)


@pytest.mark.slow
def test_finetuning_that_was_interrupted_gives_the_same_teacher_and_student(data, encoder, tmp_path, monkeypatch):
    how = {"path": str(encoder), "finetune": True, "epochs": 3, "batch_size": 16}
    hf_rnn.distil(sections(data, tmp_path / "whole", teacher={**how, "cache": str(tmp_path / "one")}))
    step = hf_rnn.RNNTrainer.training_step
    done: list[int] = []

    def killed(self, *args, **kwargs):
        done.append(1)
        if len(done) == 17:  # The second epoch has begun at step 8.
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    monkeypatch.setattr(hf_rnn.RNNTrainer, "training_step", killed)
    run = sections(data, tmp_path / "cut", teacher={**how, "cache": str(tmp_path / "two")})
    with pytest.raises(KeyboardInterrupt):
        hf_rnn.distil(run)
    hf_rnn.distil(run)
    teachers = [next((tmp_path / cache).glob("*-finetuned-*/model")) for cache in ("one", "two")]
    assert same(*teachers)
    assert same(tmp_path / "whole", tmp_path / "cut")
    # The whole run has 21 steps for the teacher and 14 for the student.
    assert len(done) < 2 * 21 + 14


def test_a_damaged_file_of_answers_is_set_aside_with_a_warning(data, teacher, tmp_path, caplog):
    cache = tmp_path / "cache"
    run = sections(data, tmp_path / "one", teacher, teacher={"path": str(teacher), "cache": str(cache)})
    hf_rnn.distil(run)
    file = next(cache.glob("*/*.parquet"))
    file.write_bytes(file.read_bytes()[:20])
    run["training"]["output_dir"] = str(tmp_path / "two")
    hf_rnn.distil(run)
    assert "is damaged" in caplog.text
    assert file.with_suffix(".damaged").exists()
    assert same(tmp_path / "one", tmp_path / "two")


def test_any_file_of_answers_may_be_lost(data, teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(TransformerTeacher, "group", 16)
    cache = tmp_path / "cache"
    run = sections(data, tmp_path / "one", teacher={"path": str(teacher), "cache": str(cache)})
    hf_rnn.distil(run)
    files = sorted(cache.glob("*/*.parquet"))
    files[-1].unlink()
    files[2].write_bytes(b"")
    run["training"]["output_dir"] = str(tmp_path / "two")
    hf_rnn.distil(run)
    assert json.loads((tmp_path / "two" / "metrics.json").read_text())["teacher"]["rows"]["labelled"] == 100


def test_a_run_goes_on_with_the_same_answers_only(data, teacher, rows, tmp_path, monkeypatch):
    more = tmp_path / "more.jsonl"
    write_jsonl(more, [{"text": "the ending was dull"}, {"text": "not bad"}])
    run = sections(data, tmp_path / "student", teacher, distil={"transfer": str(more)})
    save = hf_rnn.RNNTrainer.save_checkpoint

    def killed(self, *args):
        save(self, *args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(hf_rnn.RNNTrainer, "save_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            hf_rnn.distil(run)
    write_jsonl(more, [{"text": "the ending was dull"}, {"text": "not good"}])
    with pytest.raises(HfRnnError, match="begun with other answers of the teacher, or other texts"):
        hf_rnn.distil(run)


def test_a_cache_of_another_teacher_is_an_error(data, teacher, tmp_path):
    cache = tmp_path / "cache"
    run = sections(data, tmp_path / "one", teacher, teacher={"path": str(teacher), "cache": str(cache)})
    hf_rnn.distil(run)
    file = next(cache.glob("*/teacher.json"))
    file.write_text(file.read_text().replace("Negative", "neutral"))
    run["training"]["output_dir"] = str(tmp_path / "two")
    with pytest.raises(HfRnnError, match="answers of another teacher"):
        hf_rnn.distil(run)
    file.write_text("{")
    with pytest.raises(HfRnnError, match="delete the folder of this teacher"):
        hf_rnn.distil(run)


def test_a_student_starts_from_the_embeddings_of_its_teacher(data, teacher, sklearn_teacher, tmp_path, rows):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    run = sections(data, tmp_path / "student", teacher, distil={"teacher_embeddings": True})
    run["training"] |= {"vectors_frozen_epochs": 0, "learning_rate": 1e-9}
    hf_rnn.distil(run)
    predictor = hf_rnn.Predictor.from_pretrained(tmp_path / "student")
    ours = predictor.model.get_input_embeddings().weight.detach().numpy()
    theirs = AutoModelForSequenceClassification.from_pretrained(teacher).get_input_embeddings().weight.detach().numpy()
    # Words that are close in the teacher are close in the student.
    ids = [
        (predictor.tokenizer.convert_tokens_to_ids(w), words[w])
        for w in ("film", "good", "bad", "was", "the")
        for words in [AutoTokenizer.from_pretrained(teacher).get_vocab()]
    ]
    first, second = np.array([ours[i] for i, _ in ids]), np.array([theirs[i] for _, i in ids])
    assert ours.shape[1] == 8
    distances = [np.linalg.norm(x[:, None] - x[None], axis=-1)[np.triu_indices(5, 1)] for x in (first, second)]
    assert np.corrcoef(*distances)[0, 1] > 0.6
    config = sections("", tmp_path / "other", distil={"teacher_embeddings": True})
    del config["data"]
    with pytest.raises(ConfigError, match="starts from the embeddings of a transformer"):
        hf_rnn.distil(config, data=rows, teacher=sklearn_teacher)


# Sizes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_student_has_at_most_the_asked_size(data, teacher, tmp_path):
    run = sections(data, tmp_path / "student", teacher, distil={"max_megabytes": 0.05})
    run |= {"preset": "default", "model": {"bidirectional": True}, "tokenizer": {}}
    hf_rnn.distil(run)
    files = ("model.safetensors", "tokenizer.json")
    size = sum((tmp_path / "student" / name).stat().st_size for name in files)
    assert 10_000 < size <= 50_000
    run["training"]["output_dir"] = str(tmp_path / "too_small")
    run["distil"]["max_megabytes"] = 0.001
    with pytest.raises(ConfigError, match=r"distil.max_megabytes=0.001 is too small: the smallest model has"):
        hf_rnn.distil(run)


# Bad input -----------------------------------------------------------------------------------------------------------


def test_a_run_without_a_teacher_is_an_error(data, tmp_path):
    with pytest.raises(ConfigError, match="a student needs a teacher"):
        hf_rnn.distil(sections(data, tmp_path / "student"))
    with pytest.raises(ConfigError, match=r"distil.size is read with a teacher only"):
        hf_rnn.train(sections(data, tmp_path / "student", distil={"size": 5}))


def test_a_teacher_that_is_no_better_than_chance_is_warned_of(rows, tmp_path, caplog):
    config = sections("", tmp_path / "student")
    del config["data"]
    hf_rnn.distil(config, data=rows, teacher=lambda texts: [[0.9, 0.1]] * len(texts))
    assert "no better than one that always gives the most frequent label" in caplog.text


def test_columns_with_other_texts_are_an_error(rows, tmp_path):
    write_jsonl(tmp_path / "scored.jsonl", [{**row, "p": 0.4, "q": 0.6} for row in rows])
    write_jsonl(tmp_path / "more.jsonl", [{"text": "the ending was dull"}])
    run = sections(tmp_path / "scored.jsonl", tmp_path / "student", teacher={"columns": ["p", "q"]})
    for distil, words in (
        ({"transfer": str(tmp_path / "more.jsonl")}, "labelled rows only"),
        ({"size": 999}, "makes up"),
    ):
        with pytest.raises(HfRnnError, match=words):
            hf_rnn.distil({**run, "distil": distil})


def test_other_labels_are_an_error_that_lists_both(data, rows, tmp_path):
    other = tiny_classifier(tmp_path / "other", [row["text"] for row in rows], ["LABEL_0", "LABEL_1", "LABEL_2"])
    with pytest.raises(ConfigError) as raised:
        hf_rnn.distil(sections(data, tmp_path / "student", other))
    for word in ("LABEL_0", "LABEL_2", "negative, positive", "teacher.label_map="):
        assert word in str(raised.value)
    names = {"LABEL_0": "negative", "LABEL_1": None, "LABEL_2": "positive"}
    results = hf_rnn.distil(sections(data, tmp_path / "student", teacher={"path": str(other), "label_map": names}))
    assert results["teacher"]["scores"]["test"]["rows"] == 30
    with pytest.raises(ConfigError, match="label_map names 'LABEL_9'"):
        hf_rnn.distil(
            sections(data, tmp_path / "wrong", teacher={"path": str(other), "label_map": {"LABEL_9": "negative"}})
        )


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (lambda texts: np.full((len(texts), 2), np.nan), "is not finite"),
        (lambda texts: np.full((len(texts), 2), 0.9), "sum to 1"),
        (lambda texts: np.ones((len(texts), 3)) / 3, "3 numbers a text"),
    ],
)
def test_answers_that_cannot_be_learnt_are_an_error(rows, tmp_path, answers, words):
    config = sections("", tmp_path / "student")
    del config["data"]
    with pytest.raises(HfRnnError, match=words):
        hf_rnn.distil(config, data=rows, teacher=answers)


def test_no_transfer_text_that_is_left_is_an_error(rows, data, teacher, tmp_path):
    write_jsonl(tmp_path / "same.jsonl", [{"text": row["text"]} for row in rows[:5]] + [{"text": " "}])
    with pytest.raises(DataError, match=r"none of the 6 texts .* is left"):
        hf_rnn.distil(sections(data, tmp_path / "student", teacher, distil={"transfer": str(tmp_path / "same.jsonl")}))


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"distil": {"loss": "mean"}}, "distil.loss='mean' is not one of mse, cross_entropy"),
        ({"distil": {"temperature": 2.0}}, "read by distil.loss=cross_entropy only"),
        ({"distil": {"hard_labels": 2.0}}, "must be from 0 to 1"),
        ({"distil": {"annealing": True}}, "distil.hard_labels, which is 0"),
        ({"distil": {"size": 0}}, "distil.size=0 must be greater than 0"),
        ({"distil": {"augment": ["synonyms"]}}, "distil.augment='synonyms' is not one of"),
        ({"distil": {"augment": ["vectors"], "size": 10}}, "model.vectors, which is not set"),
        ({"distil": {"generator": "lm"}}, "distil.size of them, which is not"),
        ({"training": {"virtual_adversarial": 1.0}}, "does not go with a teacher"),
        ({"training": {"focal_gamma": 2.0}}, "distil.hard_labels=0 leaves it out"),
        ({"training": {"label_smoothing_factor": 0.1}}, "smooths labels"),
        ({"teacher": {"path": "x", "columns": ["a", "b"]}}, "leave one of them out"),
        ({"teacher": {"path": "./missing"}}, "there is no such folder"),
        ({"teacher": {"endpoint_model": "llama"}}, "teacher.endpoint_model='llama' is about an endpoint, and no teach"),
        ({"teacher": {"prompt": "{text}"}}, "teacher.prompt='{text}' is about an endpoint, and no teacher is one"),
        ({"teacher": {"hypothesis": "about {}"}}, "'about {}' is read by NLI models, and none of the teachers"),
    ],
)
def test_settings_that_make_no_sense_are_errors(data, teacher, tmp_path, others, words):
    with pytest.raises(ConfigError, match=words):
        hf_rnn.distil(sections(data, tmp_path / "student", teacher, **others))


def test_a_folder_without_a_model_is_an_error(data, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="holds no model of transformers"):
        hf_rnn.distil(sections(data, tmp_path / "student", tmp_path / "empty"))


def test_a_run_without_a_teacher_saves_no_sections_of_teachers(data, tmp_path):
    hf_rnn.train({**{k: v for k, v in sections(data, tmp_path / "plain").items() if k != "teacher"}})
    text = (tmp_path / "plain" / "run.yaml").read_text()
    assert "teacher:" not in text
    assert "distil:" not in text


@pytest.mark.slow
def test_run_yaml_repeats_the_student(data, teacher, tmp_path):
    shutil.copytree(teacher, tmp_path / "bert")
    run = sections(data, tmp_path / "one", tmp_path / "bert", distil={"size": 120})
    hf_rnn.distil(run)
    hf_rnn.distil(["--config", str(tmp_path / "one" / "run.yaml"), f"--training.output_dir={tmp_path / 'two'}"])
    assert same(tmp_path / "one", tmp_path / "two")
