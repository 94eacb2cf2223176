"""Fuzz tests: any input gives an answer or an error that says what to write. `make fuzz` tries more."""

import csv
import io
import json
import os
import string
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import DatasetDict
from huggingface_hub.errors import StrictDataclassError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hf_rnn import DataArguments, Predictor, RNNConfig, RNNForSequenceClassification, TextClassification
from hf_rnn.hub.card_merge import merge
from hf_rnn.inference.bulk import predict_file
from hf_rnn.inference.evaluation import labelled_rows
from hf_rnn.text.loading import load
from hf_rnn.text.sources import open_splits
from hf_rnn.training.checkpoints import damage
from hf_rnn.training.run_config import parse_run
from hf_rnn.utils.errors import UserError

TRIES = int(os.environ.get("HF_RNN_TRIES", "40"))
tries = settings(
    max_examples=TRIES,
    deadline=None,
    derandomize="HF_RNN_TRIES" not in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# Any characters: control characters, unassigned ones, lone surrogates, right-to-left text.
ANY = st.text(st.characters())
ODD = st.sampled_from(
    ["", " ", "\0", "\ud800", "\udfff", "אבג", "\u202e", "👩‍👩‍👧", "a" * 3000, "\u0301" * 50, "\r\n", "</s>", "[UNK]"]
)


@pytest.fixture(scope="module")
def predictor(tiny_run) -> Predictor:
    return Predictor.from_pretrained(tiny_run)


@pytest.mark.slow
@tries
@given(texts=st.lists(ANY | ODD, min_size=1, max_size=6))
def test_any_texts_are_answered_alone_as_in_company(texts, predictor):
    together = predictor(texts, top_k=None)
    for text, answer in zip(texts, together, strict=True):
        (alone,) = predictor([text], top_k=None)
        scores, same = (dict(zip(a["labels"], a["scores"], strict=True)) for a in (answer, alone))
        assert np.isfinite(list(scores.values())).all()
        assert scores == pytest.approx(same, abs=1e-5)
        assert sum(scores.values()) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_a_million_characters_are_answered(predictor):
    (answer,) = predictor(["the film was good . " * 50_000])
    assert 0.5 <= answer["score"] <= 1


@pytest.mark.slow
@tries
@given(
    mask=st.integers(1, 9).flatmap(
        lambda T: st.lists(st.lists(st.integers(0, 1), min_size=T, max_size=T), min_size=1, max_size=5)
    ),
    cell=st.sampled_from(["lstm", "gru", "rnn_tanh", "rnn_relu"]),
    pooling=st.sampled_from(["last", "mean", "max", "concat", "attention"]),
    bidirectional=st.booleans(),
)
def test_any_mask_gives_the_answers_of_the_tokens_alone(mask, cell, pooling, bidirectional):
    torch.manual_seed(0)
    config = RNNConfig(
        vocab_size=20, embedding_size=4, hidden_size=4, cell_type=cell, pooling=pooling, bidirectional=bidirectional
    )
    model = RNNForSequenceClassification(config).eval()
    mask = torch.tensor(mask)
    ids = torch.randint(4, 20, mask.shape)
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits
        assert logits.isfinite().all()
        for row, kept, answer in zip(ids, mask.bool(), logits, strict=True):
            if kept.any():
                alone = model(input_ids=row[kept][None], attention_mask=torch.ones(1, int(kept.sum()))).logits[0]
                torch.testing.assert_close(answer, alone, rtol=0, atol=1e-5)


CELL = st.text(st.sampled_from(string.ascii_letters + string.digits + " ,\"'\n\t\r;é\0"), max_size=12) | ANY.filter(
    lambda text: text.isprintable() or not text
)


@pytest.mark.slow
@tries
@given(rows=st.lists(st.lists(CELL, min_size=1, max_size=3), max_size=8), named=st.booleans())
def test_any_csv_is_read_or_refused(rows, named, tmp_path):
    lines = [",".join(row) for row in rows]
    file = tmp_path / "rows.csv"
    file.write_text("\n".join([*(["text,label"] if named else []), *lines]), encoding="utf-8", errors="replace")
    data = DataArguments(path=str(file))
    with suppress(UserError):
        TextClassification(data).prepare(load(data))


# Any characters but lone surrogates, which no file can hold.
WRITTEN = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["", "NA", "null", "nan", "01", "3.10", "9007199254740993", "true", '"', '""', "\\",
     '\\"', ",", ";", "|", "\t", "\n",
     "\r\n", "\u0085", "\u2028", " x ", "'", "[1]", "1e3", "\ufeff", "\0"]
)  # fmt: skip


@st.composite
def written_tables(draw):
    """Draw rows of any content, and the name, the bytes and the settings of a file with these rows."""
    delimiter, newline = draw(st.sampled_from(",;|\t")), draw(st.sampled_from(["\n", "\r\n"]))
    quoted = delimiter != "\t" or draw(st.booleans())
    escaped = quoted and draw(st.integers(0, 9)) == 0
    names = ["text", "label", "id", "note"][: draw(st.integers(2, 4))]
    cell = WRITTEN if quoted else WRITTEN.map(lambda text: "".join(c for c in text if c not in "\t\r\n"))
    row = st.tuples(cell, st.sampled_from(["positive", "negative"]), *[cell for _ in names[2:]]).map(list)
    rows = draw(st.lists(row, min_size=1, max_size=20)) * draw(st.sampled_from([1] * 99 + [2500]))
    carriage = any("\r" in value for row in rows for value in row)
    # Python's csv writer does not quote carriage returns that do not end its lines.
    always = carriage or (delimiter == "\t" and quoted) or draw(st.booleans())
    stream = io.StringIO()
    if quoted:
        how = {"escapechar": "\\", "doublequote": False} if escaped else {}
        quoting = csv.QUOTE_ALL if always else csv.QUOTE_MINIMAL
        writer = csv.writer(stream, delimiter=delimiter, lineterminator=newline, quoting=quoting, **how)
        writer.writerows([names, *rows])
    else:
        stream.write(newline.join(map(delimiter.join, [names, *rows])) + newline)
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
    settings = {"delimiter": delimiter, "quotechar": '"' if quoted else "none"} if draw(st.booleans()) else {}
    settings |= {"escapechar": "\\"} if escaped else {}
    name = f"rows{draw(st.sampled_from(['.csv', '.tsv'] if delimiter == chr(9) else ['.csv']))}"
    return names, rows, name, stream.getvalue().encode(encoding), settings


@pytest.mark.slow
@settings(tries, max_examples=TRIES if TRIES < 1000 else 10 * TRIES)
@given(table=written_tables())
def test_any_table_is_read_as_it_was_written_through_every_door(table, tmp_path, predictor):
    names, rows, name, content, how = table
    (tmp_path / name).write_bytes(content)
    data = DataArguments(
        path=str(tmp_path / name),
        problem_type="single_label_classification",
        label_names=["negative", "positive"],
        **how,
    )
    expected = [dict(zip(names, [value or None for value in row], strict=True)) for row in rows]
    splits = load(data)
    assert splits["train"].to_list() == expected
    assert list(open_splits(data)["train"].stream()) == expected
    texts, labels = [row[0] for row in rows], [int(row[1] == "positive") for row in rows]
    with suppress(UserError):
        # `prepare` refuses tables with too few rows.
        prepared = TextClassification(data).prepare(DatasetDict({**splits, "validation": splits["train"]}))
        assert (list(prepared["train"]["text"]), list(prepared["train"]["labels"])) == (texts, labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Predictor, "stream", lambda self, texts, **_: ({"read": text[0]} for text in texts))
        labelled, task = labelled_rows(predictor, data, None, ())
        measured = task.prepare_split(labelled, None)
        assert list(measured["text"]) == texts
        output = tmp_path / "out.jsonl"
        assert predict_file(predictor, data, output, overwrite=True) == len(rows)
    with output.open(encoding="utf-8") as lines:
        answers = [json.loads(line) for line in lines.read().split("\n")[:-1]]
    assert [{**row, "prediction": {"read": text}} for row, text in zip(expected, texts, strict=True)] == answers


@tries
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content, tmp_path):
    for name in ("rows.csv", "rows.jsonl", "rows.parquet", "rows.json"):
        (tmp_path / name).write_bytes(content)
        data = DataArguments(path=str(tmp_path / name))
        with suppress(UserError):
            TextClassification(data).prepare(load(data))


YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY.map(repr),
    lambda inner: (
        st.lists(inner, max_size=3).map(repr)
        | st.dictionaries(
            st.sampled_from("data model training tokenizer card task path hidden_size seed x".split()),
            inner,
            max_size=4,
        ).map(lambda d: "{" + ", ".join(f"{k}: {v}" for k, v in d.items()) + "}")
    ),
    max_leaves=6,
)


@tries
@given(text=YAML.map(str) | ANY)
@pytest.mark.slow
def test_any_configuration_is_read_or_refused(text, tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(text, encoding="utf-8", errors="replace")
    with suppress(UserError):
        parse_run(file)


@tries
@given(old=ANY | ANY.map(lambda text: f"---\n{text}\n---\n{text}"))
def test_any_card_keeps_its_handwriting_or_is_refused(old):
    new = "---\nlicense: mit\ntags: [hf_rnn]\n---\n\n# Model\n"
    with suppress(UserError):
        merge(new, old)


@tries
@given(
    content=st.binary(max_size=100)
    | ANY.map(lambda text: text.encode("utf-8", "replace"))
    | st.sampled_from(
        [b"{}", b"[]", b"null", b'{"files": []}', b'{"files": {"a": 1}}', b'{"files": {"../x": {"bytes": 1}}}']
    )
)
def test_any_manifest_is_damaged(content, tmp_path):
    Path(tmp_path, "manifest.json").write_bytes(content)
    assert damage(tmp_path)


@pytest.mark.slow
@tries
@given(
    fields=st.dictionaries(
        st.sampled_from(
            sorted(
                set(RNNConfig.__dataclass_fields__)
                & {
                    "vocab_size",
                    "hidden_size",
                    "embedding_size",
                    "num_hidden_layers",
                    "cell_type",
                    "pooling",
                    "hidden_dropout",
                    "bidirectional",
                    "pad_token_id",
                }
            )
        ),
        st.none() | st.integers(-3, 40) | st.floats(-2, 2) | st.text(max_size=4) | st.booleans(),
        max_size=4,
    )
)
def test_any_setting_makes_a_model_or_is_refused(fields):
    try:
        config = RNNConfig(**{"vocab_size": 20, "hidden_size": 4, "embedding_size": 4, **fields})
    except (ValueError, StrictDataclassError):
        return
    logits = RNNForSequenceClassification(config).eval()(input_ids=torch.zeros(1, 2, dtype=torch.long)).logits
    assert logits.isfinite().all()
