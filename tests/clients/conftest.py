"""Programs of others, driven with small models as their own documentation shows it.

Each test is a row of the table in `docs/works_with.md`: the marker `works_with` names the program, and the change that
it takes where it does not work as with any other model; the test's docstring says what is done.
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
    """Warnings are errors where hf_rnn gives them; what libraries have to say to each other is theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", module=r"hf_rnn(\..*)?")
        yield


@pytest.fixture(scope="session")
def reviews() -> dict:
    """`{"text": 60 texts, "label": 0 or 1 for each}`."""
    return made_up_reviews(60)


@pytest.fixture(scope="session")
def tokenizer(reviews):
    return hf_rnn.train_tokenizer(reviews["text"], vocab_size=300, show_progress=False)


@pytest.fixture
def make(tokenizer, tmp_path):
    """Makes a model of a class of hf_rnn, small, with the vocabulary of `tokenizer`; saves both and loads the model, as
    the programs find it. `model.name_or_path` is the folder."""

    def make(model_class: type, **fields):
        torch.manual_seed(0)
        model = model_class(hf_rnn.RNNConfig(**{"vocab_size": len(tokenizer), **SIZES, **fields}))
        model.save_pretrained(tmp_path / "model")
        tokenizer.save_pretrained(tmp_path / "model")
        return model_class.from_pretrained(tmp_path / "model")

    return make
