"""Tests that exported language models and translators write what the models do."""

import json
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from support.exported_writers import REVIEWS, SOURCES, exported_language_model, exported_translator
from support.translating import pairs

import hf_rnn
from hf_rnn.inference.predictor import write
from hf_rnn.runtime.errors import HfRnnError

pytest.importorskip("onnx", reason="needs the extra onnx")

from hf_rnn.runtime.command import run
from hf_rnn.runtime.model import Model

# Much longer, and differences in the last bit of logits would add up until another token is written.
LONG = " ".join(SOURCES[:8])
TEXTS = [*SOURCES[:9], "", "  \n", None, 7, "你好 one ﷽", LONG]


KINDS = ["word", pytest.param("bpe", marks=pytest.mark.slow), pytest.param("unigram", marks=pytest.mark.slow)]


@pytest.fixture(params=KINDS)
def language_model(request, writers):
    return writers(exported_language_model, request.param)


@pytest.fixture(params=KINDS)
def translator(request, writers):
    return writers(exported_translator, request.param)


@pytest.fixture
def both(exported_writers):
    return exported_writers


@pytest.mark.parametrize("prompt", ["the film was", "", "What a film ! It", " ".join(REVIEWS[:40])])
def test_a_language_model_continues_a_text_as_the_predictor_does(language_model, prompt):
    predictor, folder = language_model
    model = Model.from_pretrained(folder)
    expected = write(predictor, prompt, max_new_tokens=12, temperature=0)
    assert model.generate(prompt, 12, temperature=0) == expected
    assert expected.startswith(prompt)


def test_beams_of_a_language_model(language_model):
    predictor, folder = language_model
    prompt = "the film was"
    ids = predictor.tokenizer(prompt, return_tensors="pt")["input_ids"]
    (written,) = predictor.model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, num_beams=4, do_sample=False
    )
    decoded = predictor.tokenizer.decode(written, skip_special_tokens=True)
    assert Model.from_pretrained(folder).generate(prompt, 12, num_beams=4) == decoded.strip()


def test_the_seed_and_the_temperature_decide_what_is_drawn(language_model):
    _, folder = language_model
    model = Model.from_pretrained(folder)
    one, same, other = (model.generate("the film", 30, temperature=3.0, seed=seed) for seed in (1, 1, 2))
    assert one == same != other
    assert model.generate("the film", 30, top_k=1, seed=3) == model.generate("the film", 30, temperature=0)


def test_a_translator_answers_as_the_predictor_does(translator):
    predictor, folder = translator
    model = Model.from_pretrained(folder)
    expected = predictor(TEXTS)
    assert model.predict(TEXTS) == expected
    assert [answer["text"] for answer in expected[9:12]] == ["", "", ""]
    assert len({answer["text"] for answer in expected}) > 5
    # Another number of rows in a batch changes the padding, and nothing else.
    assert model.predict(TEXTS[:9], batch_tokens=8) == predictor(TEXTS[:9], batch_tokens=8)
    assert model.predict(TEXTS[0]) == expected[0]
    predictor.model.generation_config.num_beams = 1
    assert model.predict(TEXTS[:9], num_beams=1) == predictor(TEXTS[:9])
    predictor.model.generation_config.num_beams = 4


def test_the_command(both, capsys):
    language_model, translator = both
    run([str(language_model[1]), "the film was", "", "--max_new_tokens", "5", "--temperature", "0"])
    lines = [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()]
    assert lines == [write(language_model[0], text, 5, 0) for text in ("the film was", "")]
    run([str(translator[1]), *SOURCES[:3]])
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert answers == translator[0](SOURCES[:3])


def test_the_runtime_writes_without_torch(both):
    language_model, translator = both
    code = (
        "import json, sys; sys.modules['torch'] = sys.modules['transformers'] = None; from pathlib import Path; "
        "sys.path.insert(0, sys.argv[1]); from hf_rnn_runtime import Model; "
        "print(json.dumps([Model.from_pretrained(sys.argv[2]).generate('the film', 5, temperature=0), "
        "Model.from_pretrained(sys.argv[3]).predict(['two one .'])]))"
    )
    source = Path(hf_rnn.__file__).parents[2] / "runtime" / "src"
    ended = subprocess.run(
        [sys.executable, "-c", code, str(source), str(language_model[1]), str(translator[1])],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(ended.stdout) == [write(language_model[0], "the film", 5, 0), translator[0](["two one ."])]


def test_a_prompt_may_be_a_number_or_missing(both, tmp_path, capsys):
    predictor, folder = both[0]
    model = Model.from_pretrained(folder)
    for prompt, text in ((None, ""), (5, "5"), (2.5, "2.5")):
        expected = write(predictor, text, 5, 0)
        assert model.generate(prompt, 5, temperature=0) == expected
        assert write(predictor, prompt, 5, 0) == expected
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": null}\n')
    run([str(folder), "--file", str(rows), "--max_new_tokens", "5", "--temperature", "0"])
    assert json.loads(capsys.readouterr().out)["text"] == write(predictor, "", 5, 0)


def test_options_of_the_command_for_a_language_model(both, capsys):
    _, folder = both[0]
    options = ["--max_new_tokens", "12", "--temperature", "3"]
    run([str(folder), "the film", *options, "--top_k", "1"])
    model = Model.from_pretrained(folder)
    assert json.loads(capsys.readouterr().out)["text"] == model.generate("the film", 12, temperature=0)
    with pytest.raises(HfRnnError, match=r"--min_score 0\.9 compares the scores of labels: leave it out"):
        run([str(folder), "the film", "--min_score", "0.9"])


def test_the_backend_onnx_of_a_predictor(both, tmp_path):
    (language_model, its_folder), (translator, folder) = both
    onnx = hf_rnn.Predictor.from_pretrained(folder, backend="onnx")
    assert onnx(TEXTS) == translator(TEXTS)
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in pairs(20)))
    data = hf_rnn.DataArguments(path=str(rows), text_column="en", label_column="de")
    assert hf_rnn.evaluate(onnx, data) == pytest.approx(hf_rnn.evaluate(translator, data))
    onnx = hf_rnn.Predictor.from_pretrained(its_folder, backend="onnx")
    assert write(onnx, "the film was", 12, 0) == write(language_model, "the film was", 12, 0)
    rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in REVIEWS[:20]))
    data = hf_rnn.DataArguments(path=str(rows))
    assert hf_rnn.evaluate(onnx, data) == pytest.approx(hf_rnn.evaluate(language_model, data), rel=1e-4)
    with pytest.raises(HfRnnError, match=r"model\.parameters needs torch"):
        onnx.model.parameters()


def test_eight_threads_write_what_one_does(both):
    translator, language_model = Model.from_pretrained(both[1][1]), Model.from_pretrained(both[0][1])

    def continued(text: str) -> str:
        return language_model.generate(text, 6, temperature=0)

    for answer, texts in ((translator.predict, SOURCES[:8]), (continued, REVIEWS[:8])):
        expected = list(map(answer, texts))
        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(answer, texts * 2)) == expected * 2


def test_unknown_words_of_a_prompt_give_a_warning(both, caplog):
    with caplog.at_level(logging.WARNING):
        Model.from_pretrained(both[0][1]).generate("你好", 1)
    assert "'你好' has words outside the vocabulary, which are read as <unk>." in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_new_tokens": 0}, "max_new_tokens=0 must be a whole number, 1 or greater"),
        ({"max_new_tokens": 2.5}, "max_new_tokens=2.5 must be a whole number"),
        ({"temperature": 0.001}, "temperature=0.001 must be 0, for greedy decoding, or 0.01"),
        ({"temperature": -1}, "temperature=-1 must be 0"),
        ({"top_p": 0}, "top_p=0 must be greater than 0"),
        ({"seed": -1}, "seed=-1 must be a whole number, 0 or greater"),
        ({"top_k": -1}, "top_k=-1 must be 0"),
        ({"num_beams": 0}, "num_beams=0 must be a whole number"),
        ({"num_beams": 100_000}, "num_beams=100000 must be from 1 to"),
        ({"num_beams": 3, "temperature": 0.5}, "temperature=0.5 is for drawing tokens, and num_beams=3 searches"),
        ({"num_beams": 3, "top_k": 5}, "top_k=5 is for drawing tokens, and num_beams=3 searches"),
        ({"temperature": 0, "top_k": 5}, "top_k=5 is for drawing tokens, and temperature=0 selects"),
        ({"temperature": 0, "top_p": 0.5}, "top_p=0.5 is for drawing tokens, and temperature=0 selects"),
        ({"temperature": 0, "seed": 1}, "seed=1 is for drawing tokens, and temperature=0 selects"),
        ({"temperature": "x"}, "temperature='x' must be 0"),
        ({"temperature": float("inf")}, "temperature=inf must be 0"),
        ({"temperature": True}, "temperature=True must be 0"),
        ({"top_k": 2.5}, "top_k=2.5 must be 0, for all tokens, or a greater whole number"),
        ({"top_k": "3"}, "top_k='3' must be 0"),
        ({"top_p": "1"}, "top_p='1' must be greater than 0"),
        ({"seed": True}, "seed=True must be a whole number"),
        ({"prompt": 5j}, "is of type complex: pass texts"),
    ],
)
def test_numbers_out_of_range(both, options, message):
    with pytest.raises(HfRnnError, match=message):
        Model.from_pretrained(both[0][1]).generate(**{"prompt": "the film", **options})


def test_each_model_names_what_it_does(both):
    language_model, translator = both
    with pytest.raises(
        HfRnnError, match=r'language model, which predicts no labels: write model.generate\("some text"\)'
    ):
        Model.from_pretrained(language_model[1]).predict(["the film"])
    with pytest.raises(HfRnnError, match=r"not a language model .* write model.predict\(\[text\]\)"):
        Model.from_pretrained(translator[1]).generate("one")
    with pytest.raises(HfRnnError, match="--seed 1 is an option of language models only"):
        run([str(translator[1]), "one", "--seed", "1"])
    with pytest.raises(HfRnnError, match="a translator writes one text: leave top_k out"):
        Model.from_pretrained(translator[1]).predict(["one"], top_k=2)


def test_the_record_of_a_writer(both):
    language_model, translator = both
    record = json.loads((language_model[1] / "onnx" / "hf_rnn.json").read_text())
    assert (record["task"], record["labels"]) == ("language_modeling", [])
    assert [part["shape"] for part in record["state"]] == [["batch", 2, 12]] * 2
    assert set(record["files"]) == {"model.onnx"}
    assert 0 < record["parity"]["largest"] < 1e-4
    record = json.loads((translator[1] / "onnx" / "hf_rnn.json").read_text())
    assert record["task"] == "translation"
    assert [part["input"] for part in record["state"]] == ["past_h", "past_c", "past_attended", "past_covered"]
    assert set(record["files"]) == {"encoder_model.onnx", "decoder_model.onnx"}
    assert record["generation"]["num_beams"] == 4
    assert np.isfinite(record["parity"]["largest"])
