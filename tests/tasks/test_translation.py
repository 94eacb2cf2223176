"""Tests of translation: a training run, its output, its alignment, and errors in pairs."""

import json
import logging
import shutil

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from PIL import Image
from support import assert_same_run, write_jsonl
from support.machine import needs_bf16
from support.translating import pairs, run
from tokenizers import processors
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

import hf_rnn
from hf_rnn.cli.main import main
from hf_rnn.inference.evaluation import evaluate
from hf_rnn.interpret.diagnosis import diagnose
from hf_rnn.tasks.metrics import TranslationMetrics
from hf_rnn.tasks.translation import Translation
from hf_rnn.text.arguments import DataArguments
from hf_rnn.text.loading import load
from hf_rnn.utils.errors import UserError


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    """Return the folder of a translator, the results of its run, and the folder of its data."""
    folder = tmp_path_factory.mktemp("translator")
    (folder / "data").mkdir()
    for split, count in (("train", 400), ("validation", 40), ("test", 40)):
        write_jsonl(folder / "data" / f"{split}.jsonl", pairs(count, seed=count))
    model = {"input_feeding": True, "coverage": 0.1, "label_smoothing": 0.05}
    return folder / "model", hf_rnn.train(run(folder / "data", folder / "model", model)), folder / "data"


def test_a_run_learns_to_translate_and_says_how_it_was_measured(translator):
    folder, results, _ = translator
    assert results["test"]["bleu"] > 90
    assert results["test"]["chrf"] > 90
    assert results["test"]["bleu/signature"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    config = json.loads((folder / "config.json").read_text())
    assert (config["architectures"], config["is_encoder_decoder"]) == (["RNNForConditionalGeneration"], True)
    generation = json.loads((folder / "generation_config.json").read_text())
    assert (generation["num_beams"], generation["decoder_start_token_id"]) == (5, 2)


def test_what_it_writes_is_the_same_in_all_ways(translator, capsys, tmp_path):
    folder, *_ = translator
    text, expected = "two five one .", "eins fünf zwei ."
    assert hf_rnn.Predictor.from_pretrained(folder)([text, "six ."]) == [{"text": expected}, {"text": "sechs ."}]
    assert main(["predict", str(folder), text]) == 0
    assert capsys.readouterr().out == f"{expected}\t{text}\n"
    rows = write_jsonl(tmp_path / "texts.jsonl", [{"en": text}, {"en": ""}, {"en": None}])
    assert main(["predict", str(folder), "--file", str(rows), "--output", str(tmp_path / "out.jsonl")]) == 0
    written = [json.loads(line)["prediction"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert written[0] == {"text": expected}
    assert written[1] == written[2] == {"text": ""}
    # In plain transformers, the tokenizer appends the end token to the text.
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForSeq2SeqLM.from_pretrained(folder)
    answer = model.generate(**tokenizer(text, return_tensors="pt"))
    assert tokenizer.batch_decode(answer, skip_special_tokens=True) == [f" {expected}"]
    assert tokenizer("one", "two")["input_ids"] == tokenizer("one")["input_ids"] + tokenizer("two")["input_ids"]


def test_evaluation_is_that_of_training_and_the_card_has_it(translator):
    folder, results, data = translator
    again = evaluate(
        hf_rnn.Predictor.from_pretrained(folder), DataArguments(str(data), text_column="en", label_column="de")
    )
    assert again["bleu"] == pytest.approx(results["test"]["bleu"])
    assert again["bleu/signature"] == results["test"]["bleu/signature"]
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert 'translate = hf_rnn.Predictor.from_pretrained("model")' in card
    assert f"| BLEU | {results['validation']['bleu']:.2f} | {results['test']['bleu']:.2f} |" in card
    assert "1 × LSTM of 32, multiplicative attention, input feeding" in card


def test_it_shows_where_it_looked(translator, capsys, tmp_path):
    folder, *_ = translator
    predictor = hf_rnn.Predictor.from_pretrained(folder)
    found = hf_rnn.align(predictor, "two five one .")
    assert (found.source, found.target) == (["two", "five", "one", ".", "</s>"], ["eins", "fünf", "zwei", "."])
    assert found.weights.shape == (4, 5)
    np.testing.assert_allclose(found.weights.sum(1), 1, atol=1e-5)
    picture = tmp_path / "alignment.png"
    table = tmp_path / "alignment.json"
    command = ["explain", str(folder), "two five one .", "--output", str(picture), "--output", str(table)]
    assert main([*command, "--target", "eins fünf ."]) == 0
    assert capsys.readouterr().out.startswith("eins fünf .\n")
    assert json.loads(table.read_text())["target"] == ["eins", "fünf", "."]
    with Image.open(picture) as drawn:
        assert drawn.width > 200
    for wrong, message in (
        (["--how_it_read"], "has alignments only"),
        (["--output", "x.html"], ".png, .json"),
    ):
        assert main(["explain", str(folder), "two .", *wrong]) == 1
        assert message in capsys.readouterr().err
    with pytest.raises(UserError, match="'' has no words to explain"):
        hf_rnn.align(predictor, "")
    with pytest.raises(UserError, match=r"the translation of 'two \.' is empty: give a translation to align, written="):
        hf_rnn.align(predictor, "two .", " ")


@pytest.mark.slow
def test_a_run_that_was_cut_ends_as_if_it_had_not_been(translator, tmp_path):
    _, _, data = translator
    model = {"input_feeding": True, "scheduled_sampling": 0.2, "input_dropout": 0.2}
    hf_rnn.train(run(data, tmp_path / "whole", model, num_train_epochs=2, save_total_limit=9))
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    newest = max((tmp_path / "cut").glob("checkpoint-*"), key=lambda path: int(path.name[11:]))
    shutil.rmtree(newest)
    (tmp_path / "cut" / "metrics.json").unlink()
    hf_rnn.train(run(data, tmp_path / "cut", model, num_train_epochs=2, save_total_limit=9, resume=True))
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


def test_pairs_of_a_column_of_languages_and_of_well_known_names_are_read(tmp_path):
    rows = pairs(30)
    nested = Dataset.from_list([{"translation": row} for row in rows])
    data = DataArguments("rows", text_column="translation.en", label_column="translation.de")
    nested.to_parquet(tmp_path / "rows.parquet")
    data.path = str(tmp_path / "rows.parquet")
    train = Translation(data).prepare(load(data))["train"]
    assert set(train["source"]) == {row["en"] for row in rows} & set(train["source"])
    named = Dataset.from_list([{"document": row["en"], "summary": row["de"]} for row in rows])
    task = Translation(DataArguments("rows"))
    assert task.prepare(DatasetDict(train=named, validation=named))["train"]["target"][:] == [row["de"] for row in rows]


def test_a_model_of_nested_columns_is_measured_and_answers_files_by_itself(tmp_path):
    rows = [{"translation": row} for row in pairs(60)]
    for split in ("train", "test"):
        write_jsonl(tmp_path / f"{split}.jsonl", rows)
    settings = run(tmp_path, tmp_path / "model", num_train_epochs=1)
    settings["data"] |= {"text_column": "translation.en", "label_column": "translation.de"}
    bleu = hf_rnn.train(settings)["test"]["bleu"]
    assert main(["evaluate", str(tmp_path / "model"), "--output", str(tmp_path / "metrics.json")]) == 0
    assert json.loads((tmp_path / "metrics.json").read_text())["bleu"] == pytest.approx(bleu)
    files = ["--file", str(tmp_path / "test.jsonl"), "--output", str(tmp_path / "out.jsonl")]
    assert main(["predict", str(tmp_path / "model"), *files]) == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 60


def test_beams_are_set_from_the_command_line(translator, tiny_run, capsys):
    folder, *_ = translator
    assert main(["predict", str(folder), "two .", "--num_beams", "1"]) == 0
    assert capsys.readouterr().out == "zwei .\ttwo .\n"
    for model, beams, message in (
        (folder, "0", "--num_beams 0 must be from 1"),
        (tiny_run, "2", "is an option of translation models only"),
    ):
        assert main(["predict", str(model), "two .", "--num_beams", beams]) == 1
        assert message in capsys.readouterr().err


def test_rows_without_a_source_are_measured_as_they_are_answered(translator, tmp_path):
    folder, _, data = translator
    rows = pairs(12, seed=7) + [{"en": empty, "de": "drei ."} for empty in ("", "  ", " \n\t")]
    write_jsonl(tmp_path / "test.jsonl", rows)
    predictor = hf_rnn.Predictor.from_pretrained(folder)
    answers = [answer["text"] for answer in predictor([row["en"] for row in rows])]
    assert answers[12:] == ["", "", ""]
    expected = Translation.measure(answers, [row["de"] for row in rows])
    arguments = DataArguments(str(tmp_path), text_column="en", label_column="de")
    assert evaluate(predictor, arguments)["bleu"] == pytest.approx(expected["bleu"])
    # The evaluation during training does not count the output for these rows either.
    for split in ("train", "validation"):
        shutil.copy(data / f"{split}.jsonl", tmp_path)
    write_jsonl(tmp_path / "validation.jsonl", rows)
    settings = run(tmp_path, tmp_path / "model", num_train_epochs=4)
    settings["training"] |= {"per_device_eval_batch_size": 4, "eval_strategy": "epoch"}
    results = hf_rnn.train(settings)
    trained = hf_rnn.Predictor.from_pretrained(tmp_path / "model")
    by_itself = evaluate(trained, arguments, split="validation")
    assert results["validation"]["bleu"] == pytest.approx(by_itself["bleu"])
    trained.model.generation_config.num_beams = 1
    written = [answer["text"] for answer in trained([row["en"] for row in rows])]
    greedy = Translation.measure(written, [row["de"] for row in rows])
    log = json.loads(next((tmp_path / "model").glob("checkpoint-*/trainer_state.json")).read_text())["log_history"]
    best = max(row["eval_bleu"] for row in log if "eval_bleu" in row)
    assert best == pytest.approx(greedy["bleu"])


def test_lists_and_spaces_are_no_texts(translator):
    folder, *_ = translator
    task = Translation(DataArguments("rows", text_column="en", label_column="de"))
    rows = Dataset.from_list([{"en": "two .", "de": ["zwei", "zwo"]}] * 20)
    with pytest.raises(UserError, match=r"row 0 of the split 'train' has .*'zwei'.* column 'de': write one text"):
        task.prepare(DatasetDict(train=rows))
    assert hf_rnn.Predictor.from_pretrained(folder)(["   "]) == [{"text": ""}]


def test_of_files_with_both_sides_the_source_is_read(translator, tmp_path):
    folder, *_ = translator
    rows = write_jsonl(tmp_path / "rows.jsonl", [{"src": "two .", "tgt": "eins eins eins eins eins eins ."}])
    assert main(["predict", str(folder), "--file", str(rows), "--output", str(tmp_path / "out.jsonl")]) == 0
    assert json.loads((tmp_path / "out.jsonl").read_text())["prediction"] == {"text": "zwei ."}


def test_words_are_aligned_whatever_begins_a_text(translator):
    folder, *_ = translator
    predictor = hf_rnn.Predictor.from_pretrained(folder)
    tokenizer = predictor.tokenizer
    around = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)])
    tokenizer.backend_tokenizer.post_processor = around
    found = hf_rnn.align(predictor, "two one .", "eins zwei .")
    read, said = (torch.tensor([ids]) for ids in Translation.ids(tokenizer, ["two one .", "eins zwei ."]))
    (weights,) = predictor.model(input_ids=read, labels=said, output_attentions=True).cross_attentions
    np.testing.assert_allclose(found.weights[:, :3], weights[0, 0, 1:4, 1:4].detach().numpy(), atol=1e-6)


@needs_bf16
def test_in_bf16_too_a_run_is_judged_as_whoever_loads_it_does(translator, tmp_path):
    _, _, data = translator
    results = hf_rnn.train(run(data, tmp_path / "model", num_train_epochs=2, bf16=True))
    rows = DataArguments(str(data), text_column="en", label_column="de")
    again = evaluate(hf_rnn.Predictor.from_pretrained(tmp_path / "model"), rows)
    assert again["chrf"] == pytest.approx(results["test"]["chrf"])


def test_empty_and_overlong_pairs_are_not_trained_on_and_all_are_judged(caplog):
    rows = [*pairs(20), {"en": "one .", "de": ""}, {"en": " ", "de": "eins ."}, {"en": "one " * 30, "de": "eins ."}]
    table = Dataset.from_list(rows)
    task = Translation(DataArguments("rows", text_column="en", label_column="de", max_length=10))
    tokenizer = task.fitted(hf_rnn.train_tokenizer([row["en"] for row in rows], "word", show_progress=False))
    with caplog.at_level(logging.INFO):
        splits = task.prepare(DatasetDict(train=table, validation=table, test=table))
        encoded = {split: task.encode(of_split, tokenizer) for split, of_split in splits.items()}
    assert {split: len(of_split) for split, of_split in encoded.items()} == {"train": 20, "validation": 23, "test": 23}
    assert "2 training rows without a source or target text were left out" in caplog.text
    assert "1 training rows are longer than data.max_length=10: left out" in caplog.text
    assert all(row[-1] == tokenizer.eos_token_id for row in encoded["test"]["input_ids"])
    with pytest.raises(UserError, match=r"data.max_length=1 leaves no training row"):
        Translation(DataArguments("rows", max_length=1)).encode(splits["train"], tokenizer)


def test_what_a_translator_cannot_do_says_so(translator, caplog):
    folder, _, data = translator
    predictor = hf_rnn.Predictor.from_pretrained(folder)
    with pytest.raises(
        UserError, match="top_k=3 is not possible, because a translator writes one text: leave top_k out"
    ):
        predictor(["one ."], top_k=3)
    with pytest.raises(UserError, match=r"pass one text per row, not 2; the second is 'two \.'"):
        predictor(["one ."], ["two ."])
    with pytest.raises(UserError, match="a stream needs a single text classifier"):
        predictor.open()
    with pytest.raises(UserError, match="RNNForConditionalGeneration does not have"):
        diagnose(predictor, predictor.task.data)
    with pytest.raises(
        UserError, match=r"label_smoothing_factor=0.1 does not apply to a decoder: write model.label_smoothing=0.1"
    ):
        hf_rnn.train(run(data, folder.parent / "other", label_smoothing_factor=0.1))
    settings = run(data, folder.parent / "other")
    del settings["data"]["label_column"]
    with pytest.raises(UserError, match=r"column of the target texts of .* 'en', 'de'. Write data.label_column=NAME"):
        hf_rnn.train(settings)
    predictor.task.data.max_length = 3
    with caplog.at_level(logging.WARNING):
        assert predictor(["two five one ."]) == [{"text": "eins fünf zwei ."}]
    assert "a text has 5 tokens, more than the 3 of the longest training text" in caplog.text


@pytest.mark.parametrize(("name", "what"), [("bos_token", "begins"), ("eos_token", "ends")])
def test_a_tokenizer_without_the_tokens_around_a_target_is_refused(name, what):
    tokenizer = hf_rnn.train_tokenizer(["one ."], "word", min_frequency=1, show_progress=False)
    setattr(tokenizer, name, None)
    with pytest.raises(UserError, match=f"has no {name}, which {what} each target text: set tokenizer.{name}"):
        Translation(DataArguments("rows")).fitted(tokenizer)


def test_bleu_of_texts_as_they_stand_and_lower_cased():
    found = TranslationMetrics().compute(predictions=["the Cat sat on the mat"], references=["the cat sat on the mat"])
    assert found["bleu_lowercase"] == pytest.approx(100)
    assert found["bleu"] < 60


@pytest.mark.proof
@pytest.mark.slow
def test_real_captions_are_translated(real_data, tmp_path):
    settings = run(real_data / "multi30k", tmp_path / "model", num_train_epochs=1, max_steps=2)
    settings["tokenizer"] = {"kind": "bpe", "vocab_size": 1000, "lowercase": True}
    settings["data"]["max_length"] = 20
    for split in ("validation", "test"):
        # The test file serves as the validation split, and there is no test split.
        settings["data"][f"{split}_split"] = ["test"] if split == "validation" else None
    results = hf_rnn.train(settings)
    assert results["data"]["splits"]["validation"]["rows"] == 1000
    assert torch.isfinite(torch.tensor(results["validation"]["loss"]))
