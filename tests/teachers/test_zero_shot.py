"""Teachers that are models of natural language inference."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from hf_rnn.teachers.zero_shot import is_nli, zero_shot_teacher
from hf_rnn.utils.errors import ConfigError

SINGLE, MULTI = "single_label_classification", "multi_label_classification"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "film", "good", "bad", "long", "this", "example", "is", "about", "."]
LABELS = ["good", "bad", "film"]
TEXTS = [("a good film",), ("",), ("a bad film " * 40,), ("long",)]


def saved(folder, id2label):
    vocabulary = {word: place for place, word in enumerate(WORDS)}
    backend = Tokenizer(models.WordLevel(vocabulary, "[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=backend, **special).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=64,
        initializer_range=1.0,
        id2label=id2label,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def nli(tmp_path_factory):
    """Return the folder of a tiny model of natural language inference with random weights."""
    return saved(tmp_path_factory.mktemp("nli"), {0: "contradiction", 1: "neutral", 2: "entailment"})


def logits_of(folder, text, hypotheses):
    """Return the logits of a text with each hypothesis, one at a time."""
    model = BertForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    rows = []
    for hypothesis in hypotheses:
        encoded = tokenizer(
            text or " ", hypothesis, truncation="only_first", max_length=64, return_tensors="pt", padding=True
        )
        with torch.no_grad():
            rows.append(model(**{name: encoded[name] for name in tokenizer.model_input_names}).logits[0])
    return torch.stack(rows)


@pytest.mark.parametrize("problem_type", [SINGLE, MULTI])
def test_probabilities_are_those_of_entailment(nli, problem_type):
    teacher = zero_shot_teacher(nli, LABELS, problem_type, hypothesis="this is about {}.")
    answers = teacher.answers(TEXTS)
    for (text,), answer in zip(TEXTS, answers, strict=True):
        logits = logits_of(nli, text, [f"this is about {label}." for label in LABELS])
        own = logits[:, [0, 2]].softmax(1)[:, 1] if problem_type == MULTI else logits[:, 2].softmax(0)
        np.testing.assert_allclose(answer, own, atol=1e-5)
    assert (teacher.labels, teacher.outputs) == (LABELS, "probabilities")


def test_the_key_follows_the_template_the_labels_and_the_problem(nli):
    def key(labels=LABELS, problem_type=SINGLE, **options):
        return zero_shot_teacher(nli, labels, problem_type, **options).key

    assert key() == key(name="another name for it")
    assert len({key(), key(LABELS[:2]), key(problem_type=MULTI), key(hypothesis="about {}")}) == 4


def test_pairs_of_texts_are_an_error(nli):
    with pytest.raises(ConfigError, match="'USER/NLI' reads a hypothesis in the place of a second text"):
        zero_shot_teacher(nli, LABELS, SINGLE, name="USER/NLI").answers([("a", "b")])


@pytest.mark.parametrize("hypothesis", ["about", "about {label}", "about {", "about {} {}"])
def test_a_template_that_a_label_does_not_complete_is_an_error(nli, hypothesis):
    told = f"teacher.hypothesis='{hypothesis}' needs one {{}} in the place of the label".replace("{", r"\{")
    with pytest.raises(ConfigError, match=told):
        zero_shot_teacher(nli, LABELS, SINGLE, hypothesis=hypothesis)


def test_a_regression_is_an_error(nli):
    with pytest.raises(ConfigError, match="answers with labels, and the data has numbers: name another teacher"):
        zero_shot_teacher(nli, LABELS, "regression")


def test_a_model_without_entailment_is_an_error(tmp_path):
    folder = saved(tmp_path, {0: "not_entailment", 1: "other"})
    with pytest.raises(ConfigError, match="has the labels not_entailment, other, and a model of natural language"):
        zero_shot_teacher(folder, LABELS, SINGLE)


@pytest.mark.parametrize(
    ("labels", "is_one"), [(["ENTAILMENT", "neutral"], True), (["not_entailment", "other"], False), (None, False)]
)
def test_a_label_entailment_makes_a_model_one_of_inference(labels, is_one):
    config = BertConfig(id2label=dict(enumerate(labels))) if labels else BertConfig()
    assert is_nli(config) is is_one
