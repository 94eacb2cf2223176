"""Labels in the answers of a chat model."""

import math

import numpy as np
import pytest

from hf_rnn.teachers.written_labels import from_logprobs, named_in


def token(*choices):
    """Return a token as the chat API does; the first of the pairs (text, probability) is the chosen one."""
    tops = [{"token": text, "logprob": math.log(p), "bytes": None} for text, p in choices]
    return tops[0] | {"top_logprobs": tops}


FIRST = {
    "another token counts for its label": (
        [token(("pos", 0.7), ("neg", 0.2), ("the", 0.1))],
        {"neg": 2 / 9, "pos": 7 / 9},
    ),
    "beginnings of labels, in another case": (
        [token((" Pos", 0.5), ("pos", 0.25), ("ne", 0.25)), token(("itive", 1.0))],
        {"negative": 0.25, "positive": 0.75},
    ),
    "a space and a quote say nothing": (
        [token((" ", 0.9), ("pos", 0.1)), token(('"', 1.0)), token(("neg", 0.6), ("pos", 0.4))],
        {"neg": 0.54, "pos": 0.46},
    ),
    "two labels begin with the same token": (
        [token(("very ", 0.8), ("good", 0.2)), token(("good", 0.75), ("bad", 0.25))],
        {"good": 0.2, "very good": 0.6, "very bad": 0.2},
    ),
    "a token begins two labels": (
        [token(("good", 0.8), ("very", 0.2))],
        {"good": 0.8, "very good": 0.1, "very bad": 0.1},
    ),
    "a label continues another one": (
        [token(("A", 0.9), ("B", 0.1)), token((".", 0.8), ("B", 0.2))],
        {"A": 0.72, "AB": 0.18, "B": 0.1},
    ),
    "the answer ends with the shorter label": ([token(("A", 0.9), ("B", 0.1))], {"A": 0.9, "AB": 0.0, "B": 0.1}),
    "digits": ([token(("1", 0.6), ("2", 0.4))], {"1": 0.6, "2": 0.4}),
}


@pytest.mark.parametrize(("tokens", "scores"), FIRST.values(), ids=FIRST)
def test_probabilities_of_tokens_are_those_of_the_labels_that_they_begin(tokens, scores):
    np.testing.assert_allclose(from_logprobs(tokens, list(scores)), list(scores.values()), atol=1e-9)


def test_tokens_that_are_parts_of_characters_are_joined():
    first, second = "体育".encode()[:2], "体育".encode()[2:]
    tokens = [
        {"token": "�", "logprob": math.log(0.8), "bytes": list(first), "top_logprobs": []},
        {
            "token": "�",
            "logprob": 0.0,
            "bytes": list(second),
            "top_logprobs": [{"token": "财经", "logprob": math.log(0.1), "bytes": None}],
        },
    ]
    assert from_logprobs(tokens, ["体育", "财经"]).argmax() == 0


@pytest.mark.parametrize(
    "tokens", [[], [token(("The", 0.9), ("pos", 0.1))], [token((" ", 1.0))], [token(("positively", 1.0))]]
)
def test_an_answer_that_does_not_begin_with_a_label_has_no_probabilities(tokens):
    assert from_logprobs(tokens, ["neg", "positive"]) is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("positive", 1),
        ("**Very Positive**.", 2),
        ("The label is: positive", 1),
        ("positive, not negative", None),
        ("nonpositive", None),
        ("", None),
    ],
)
def test_the_only_label_in_an_answer_is_found(text, place):
    assert named_in(text, ["negative", "positive", "very positive"]) == place


def test_a_label_is_found_in_a_script_without_spaces():
    assert named_in("答案是体育。", ["财经", "体育"]) == 1
