from collections import Counter

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import hf_rnn
from hf_rnn.text.arguments import DataArguments
from hf_rnn.text.loading import load
from hf_rnn.text.made_up_messages import SHARES, made_up_messages
from hf_rnn.utils.errors import UserError


def test_messages_are_many_different_and_the_same_for_a_seed():
    messages = made_up_messages(1000, seed=4)
    assert len(set(messages["text"])) == len(messages["label"]) == 1000
    assert messages == made_up_messages(1000, seed=4)
    assert messages != made_up_messages(1000, seed=5)
    assert not any(set(text) & set('"{}') for text in messages["text"])


def test_classes_differ_in_size():
    counts = Counter(made_up_messages()["label"])
    assert counts.keys() == SHARES.keys()
    assert counts.most_common()[0][1] > 5 * counts.most_common()[-1][1]


def test_most_words_are_rare():
    counts = Counter(word for text in made_up_messages()["text"] for word in text.split())
    assert sum(count == 1 for count in counts.values()) > len(counts) / 2


def test_words_and_pairs_of_words_are_not_enough():
    splits = load(DataArguments())
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10, max_iter=1000))
    model.fit(splits["train"]["text"], splits["train"]["label"])
    assert model.score(splits["test"]["text"], splits["test"]["label"]) < 0.82


def test_the_rows_of_older_releases_are_named_in_an_error(tmp_path):
    with pytest.raises(UserError, match=r"'made_up_reviews': these rows are no longer.*data.path='made_up_messages'"):
        hf_rnn.train({"data": {"path": "made_up_reviews"}, "training": {"output_dir": str(tmp_path / "model")}})
    assert not (tmp_path / "model").exists()


def test_a_run_on_the_rows_of_older_releases_still_answers(tiny_run, tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    for file in tiny_run.iterdir():
        if file.is_file():
            (old / file.name).write_bytes(file.read_bytes())
    run = (old / "run.yaml").read_text(encoding="utf-8")
    lines = [line for line in run.splitlines() if not line.strip().startswith("path:")]
    (old / "run.yaml").write_text("\n".join(lines).replace("data:", "data:\n  path: made_up_reviews"), encoding="utf-8")
    predictor = hf_rnn.Predictor.from_pretrained(old)
    assert predictor(["the film was good ."]) == hf_rnn.Predictor.from_pretrained(tiny_run)(["the film was good ."])
    with pytest.raises(UserError, match=r"'made_up_reviews': these rows are no longer part"):
        hf_rnn.evaluate(predictor, DataArguments("made_up_reviews"))
