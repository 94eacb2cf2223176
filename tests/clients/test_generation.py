"""Tests of the generation, the pipelines and the server of transformers."""

import pytest
import torch
import transformers

from hf_rnn import (
    DataArguments,
    RNNForCausalLM,
    RNNForConditionalGeneration,
    RNNForSequenceClassification,
    RNNTrainingArguments,
    Translation,
    TranslationTrainer,
    train_tokenizer,
)

pytestmark = pytest.mark.works_with("transformers")
PROMPT = "the film was"


def test_stop_strings(make, tokenizer):
    """generate(stop_strings=…, tokenizer=…)"""
    model = make(RNNForCausalLM)
    ids = tokenizer(PROMPT, return_tensors="pt").input_ids
    free = model.generate(ids, max_new_tokens=12, do_sample=False)
    word = tokenizer.decode(free[0, ids.shape[1]])
    stopped = model.generate(ids, max_new_tokens=12, do_sample=False, stop_strings=[word], tokenizer=tokenizer)
    assert stopped.shape[1] == ids.shape[1] + 1


@pytest.mark.parametrize("num_beams", [1, 2])
@pytest.mark.parametrize("kind", ["bpe", "unigram", "word", "wordpiece", "whitespace", "char"])
@pytest.mark.parametrize("texts", ["English", "Russian"])
def test_stop_strings_with_any_tokenizer(make, reviews, kind, texts, num_beams):
    """generate(stop_strings=…) and token_healing with each kind of tokenizer, and of other alphabets"""
    words = reviews["text"] if texts == "English" else ["фильм был очень хорошим", "конец был не так хорош"] * 9
    own = train_tokenizer(words, kind=kind, vocab_size=300, show_progress=False, min_frequency=1)
    model = make(RNNForCausalLM, vocab_size=len(own), initializer_range=1.0)
    batch = own([words[0], words[1]], padding=True, padding_side="left", return_tensors="pt")
    how = {"max_new_tokens": 12, "min_new_tokens": 12, "do_sample": False, "num_beams": num_beams}
    free = model.generate(**batch, **how)
    n = batch["input_ids"].shape[1]
    written = [own.decode(free[0, : n + k]) for k in range(13)]
    strings = [own.decode(token).strip() for token in free[0, n + 1 :]]
    string = next((string for string in strings if string.isalnum() and string.isprintable()), None)
    if string is None:
        pytest.skip("the model, which was not trained, wrote no whole character")
    stopped = model.generate(**batch, **how, stop_strings=[string], tokenizer=own)
    if num_beams == 1:
        expected = next(k for k in range(1, 13) if written[k].count(string) > written[0].count(string))
        assert torch.equal(stopped[0, : n + expected], free[0, : n + expected])
        assert (stopped[0, n + expected :] == own.pad_token_id).all()
        model.generate(**batch, **how, token_healing=True, tokenizer=own)


def test_stop_strings_of_a_translator(make, tokenizer):
    """generate(stop_strings=…, tokenizer=…) of a translator"""
    model = make(RNNForConditionalGeneration)
    ids = tokenizer(PROMPT, return_tensors="pt").input_ids
    free = model.generate(ids, max_new_tokens=12, min_new_tokens=12)
    word = tokenizer.decode(free[0, 1])
    how = {"max_new_tokens": 12, "min_new_tokens": 12}
    assert model.generate(ids, **how, stop_strings=[word], tokenizer=tokenizer).shape[1] <= free.shape[1]


def test_token_healing(make, tokenizer):
    """generate(token_healing=True, tokenizer=…)"""
    ids = tokenizer(PROMPT, return_tensors="pt").input_ids
    out = make(RNNForCausalLM).generate(ids, max_new_tokens=4, token_healing=True, tokenizer=tokenizer)
    assert out.shape[1] > 1


def test_stop_sequence(make, tokenizer):
    """pipeline("text-generation")(…, stop_sequence=…)"""
    write = transformers.pipeline("text-generation", make(RNNForCausalLM), tokenizer=tokenizer)
    (answer,) = write(PROMPT, stop_sequence="good", max_new_tokens=4)
    assert answer["generated_text"].startswith(PROMPT)


@pytest.mark.works_with("transformers", change="what a state has read cannot be taken back")
def test_assisted_generation(make, tokenizer):
    """generate(assistant_model=…): refused by transformers, as for Mamba"""
    model, ids = make(RNNForCausalLM), tokenizer(PROMPT, return_tensors="pt").input_ids
    with pytest.raises(ValueError, match="stateful"):
        model.generate(ids, assistant_model=make(RNNForCausalLM), max_new_tokens=4)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_arguments_of_other_models(make, tokenizer, num_beams):
    """generate(position_ids=…, use_cache=…, return_dict_in_generate=…)"""
    model = make(RNNForCausalLM)
    batch = tokenizer([PROMPT, "bad"], padding=True, padding_side="left", return_tensors="pt")
    positions = (batch["attention_mask"].cumsum(1) - 1).masked_fill(batch["attention_mask"] == 0, 1)
    how = {"max_new_tokens": 5, "do_sample": False, "num_beams": num_beams}
    plain = model.generate(**batch, **how)
    more = model.generate(**batch, **how, position_ids=positions, use_cache=True, return_dict_in_generate=True)
    assert torch.equal(plain, more.sequences)


@pytest.mark.parametrize("model_class", [RNNForSequenceClassification, RNNForCausalLM, RNNForConditionalGeneration])
def test_outputs_that_are_tuples(make, tokenizer, model_class):
    """config.return_dict=False"""
    model = make(model_class, return_dict=False)
    batch = dict(tokenizer(PROMPT, return_tensors="pt"))
    if model_class is RNNForConditionalGeneration:
        batch["labels"] = batch["input_ids"]
    found = model(**batch)
    assert isinstance(found, tuple)
    wanted = model(**batch, return_dict=True).to_tuple()
    assert len(found) == len(wanted)
    if model_class is not RNNForSequenceClassification:
        assert model.generate(batch["input_ids"], max_new_tokens=3).shape[0] == 1


def test_max_length_of_a_translator(make, tokenizer, tmp_path):
    """generate(max_length=…) of a translator trained here"""
    model = make(RNNForConditionalGeneration)
    arguments = RNNTrainingArguments(
        output_dir=str(tmp_path / "run"),
        report_to="none",
        save_strategy="no",
        eval_strategy="no",
        load_best_model_at_end=False,
    )
    TranslationTrainer(model, arguments, Translation(DataArguments(name="-")), tokenizer)
    model.save_pretrained(tmp_path / "saved")
    again = RNNForConditionalGeneration.from_pretrained(tmp_path / "saved")
    ids = tokenizer(PROMPT, return_tensors="pt").input_ids
    assert again.generate(ids, max_length=7, min_length=7).shape == (1, 7)


@pytest.mark.works_with(
    "transformers", change="python -c 'import hf_rnn; from transformers.cli.transformers import main; main()' serve …"
)
def test_serve(make, tokenizer):
    """transformers serve FOLDER, and transformers chat, which asks it"""
    pytest.importorskip("fastapi", reason="transformers serve needs pip install 'transformers[serving]'")
    from transformers.cli.serving.model_manager import ModelManager

    folder = make(RNNForCausalLM).name_or_path
    manager = ModelManager()
    model, processor = manager.load_model_and_processor(f"{folder}@main")
    assert type(model) is RNNForCausalLM
    assert len(processor) == len(tokenizer)


@pytest.mark.parametrize("num_beams", [1, 2])
@pytest.mark.parametrize("model_class", [RNNForCausalLM, RNNForConditionalGeneration])
def test_output_attentions(make, tokenizer, model_class, num_beams):
    """generate(output_attentions=True, output_hidden_states=True, output_logits=True)"""
    ids = tokenizer(PROMPT, return_tensors="pt").input_ids
    more = dict.fromkeys(("output_attentions", "output_hidden_states", "output_logits"), True)
    found = make(model_class).generate(
        ids, max_new_tokens=3, min_new_tokens=3, num_beams=num_beams, return_dict_in_generate=True, **more
    )
    assert len(found.logits) == 3
    if model_class is RNNForConditionalGeneration:
        assert len(found.cross_attentions) == 3
