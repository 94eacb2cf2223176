"""Fixtures for tests that drive other programs with small models, as the documentation of those programs shows.

`tools/works_with.py` writes each test as one row of the table in `docs/works_with.md`. The marker `works_with` names
the program. Its `change` says what a user must write differently, or why the use is refused. The docstring of the test
is the cell "use" of the row, so it is a phrase and not a sentence.
"""

import warnings
from collections.abc import Iterator

import pytest
import torch
from support.reviews import made_up_reviews

import hf_rnn

SIZES = {"embedding_size": 12, "hidden_size": 16, "bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0}


@pytest.fixture(autouse=True)
def _warnings_of_others() -> Iterator[None]:
    """Turn warnings from hf_rnn into errors, and ignore the warnings of other libraries."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", module=r"hf_rnn(\..*)?")
        yield


@pytest.fixture(scope="session")
def reviews() -> dict:
    """Return 60 reviews as columns `text` and `label`, where a label is 0 or 1."""
    return made_up_reviews(60)


@pytest.fixture(scope="session")
def tokenizer(reviews):
    return hf_rnn.train_tokenizer(reviews["text"], vocab_size=300, show_progress=False)


@pytest.fixture
def make(tokenizer, tmp_path):
    """Return a function that saves a small model with `tokenizer` and loads it again.

    The programs load such a folder. `model.name_or_path` is its path.
    """

    def make(model_class: type, **fields):
        torch.manual_seed(0)
        model = model_class(hf_rnn.RNNConfig(**{"vocab_size": len(tokenizer), **SIZES, **fields}))
        model.save_pretrained(tmp_path / "model")
        tokenizer.save_pretrained(tmp_path / "model")
        return model_class.from_pretrained(tmp_path / "model")

    return make
