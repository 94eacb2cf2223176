import json
from dataclasses import replace

import pytest

from hf_rnn import Predictor
from hf_rnn.inference import bulk as bulk_prediction
from hf_rnn.inference.bulk import predict_file
from hf_rnn.text.arguments import DataArguments
from hf_rnn.utils.errors import UserError

TEXTS = ["the film was not good .", "", "  ", "the soup was bad , but the lamp was lovely .", "unseen words only"]


def test_a_file_gets_one_answer_a_row(tiny_run, tmp_path):
    rows = [{"id": i, "text": text} for i, text in enumerate(TEXTS)]
    (tmp_path / "in.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    predictor = Predictor.from_pretrained(tiny_run)
    output = tmp_path / "out.jsonl"
    assert predict_file(predictor, DataArguments(path=str(tmp_path / "in.jsonl")), output) == len(TEXTS)
    answers = [json.loads(line) for line in output.read_text().splitlines()]
    assert [answer["id"] for answer in answers] == list(range(len(TEXTS)))
    labels = [answer["prediction"]["label"] for answer in answers]
    assert labels == [answer["label"] for answer in predictor(TEXTS)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]


def test_pairs_of_a_file_are_read_as_pairs(tiny_run, tmp_path):
    (tmp_path / "in.csv").write_text("a,b\nthe film,was good .\nthe soup,was bad .\n")
    predictor = Predictor.from_pretrained(tiny_run)
    data = DataArguments(path=str(tmp_path / "in.csv"), text_column="a", text_pair_column="b")
    predict_file(predictor, data, tmp_path / "out.jsonl")
    answers = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    expected = predictor(["the film </s> was good .", "the soup </s> was bad ."])
    assert [a["prediction"]["score"] for a in answers] == pytest.approx([e["score"] for e in expected], abs=1e-6)
    with pytest.raises(UserError, match=r"data\.text_pair_column='c' is not a column"):
        predict_file(predictor, replace(data, text_pair_column="c"), tmp_path / "other.jsonl")


def test_a_column_called_prediction_is_not_written_over(tiny_run, tmp_path):
    (tmp_path / "in.csv").write_text("text,prediction\nthe film was good .,mine\n")
    with pytest.raises(UserError, match="has a column 'prediction'"):
        predict_file(
            Predictor.from_pretrained(tiny_run), DataArguments(path=str(tmp_path / "in.csv")), tmp_path / "out.jsonl"
        )
    assert not (tmp_path / "out.jsonl").exists()


@pytest.fixture
def rows(tmp_path):
    """Return the data arguments of a file with eleven rows."""
    lines = [
        json.dumps({"id": i, "text": f"the film was {word} ."})
        for i, word in enumerate("good bad fine dull".split() * 3)
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(lines[:11]))
    return DataArguments(path=str(tmp_path / "in.jsonl"))


def test_a_prediction_that_was_cut_goes_on_after_its_last_part(rows, tiny_run, tmp_path, monkeypatch):
    predictor = Predictor.from_pretrained(tiny_run)
    predict_file(predictor, rows, tmp_path / "whole.jsonl", part_rows=3)
    answer, parts = Predictor.stream, []

    def cut(self, texts, **options):
        parts.append(list(texts))
        if len(parts) == 3:
            raise KeyboardInterrupt
        return answer(self, parts[-1], **options)

    monkeypatch.setattr(Predictor, "stream", cut)
    with pytest.raises(KeyboardInterrupt):
        predict_file(predictor, rows, tmp_path / "out.jsonl", part_rows=3)
    assert not (tmp_path / "out.jsonl").exists()
    # The resumed run keeps the finished parts, even with `overwrite=True`, which replaces an older output.
    predict_file(predictor, rows, tmp_path / "out.jsonl", part_rows=3, overwrite=True)
    assert [len(part) for part in parts] == [3, 3, 3, 3, 2]
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert not (tmp_path / "out.jsonl.parts").exists()


def test_parts_of_another_prediction_are_not_mixed_in(rows, tiny_run, tmp_path, monkeypatch):
    predictor = Predictor.from_pretrained(tiny_run)
    with monkeypatch.context() as patch:
        patch.setattr(bulk_prediction, "write_answers", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            predict_file(predictor, rows, tmp_path / "out.jsonl", part_rows=3)
    before = sorted(path.name for path in (tmp_path / "out.jsonl.parts").iterdir())
    with pytest.raises(UserError, match=r"out.jsonl.parts' holds parts of a prediction of other rows.*overwrite=True"):
        predict_file(predictor, rows, tmp_path / "out.jsonl", top_k=None, part_rows=3)
    assert sorted(path.name for path in (tmp_path / "out.jsonl.parts").iterdir()) == before
    predict_file(predictor, rows, tmp_path / "out.jsonl", top_k=None, overwrite=True, part_rows=3)
    answers = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [answer["id"] for answer in answers] == list(range(11))
    assert all(len(answer["prediction"]["labels"]) == 2 for answer in answers)
