"""Tests of an encoder in sentence-transformers: load, train, encode and search."""

import numpy as np
import pytest
from datasets import Dataset

import hf_rnn

pytest.importorskip("sentence_transformers")

ABOUT = {
    "the cat sleeps on the mat": "a kitten naps upon a rug",
    "rain falls on the roof": "water drops from clouds to houses",
    "the train leaves at noon": "our railway departs by midday",
    "he plays the old piano": "she performs some music",
}


@pytest.fixture
def encoder(tmp_path):
    """Return the folder of an untrained bidirectional encoder."""
    tokenizer = hf_rnn.train_tokenizer([*ABOUT, *ABOUT.values()], "word", min_frequency=1, show_progress=False)
    config = hf_rnn.RNNConfig(vocab_size=len(tokenizer), embedding_size=24, hidden_size=16, bidirectional=True)
    hf_rnn.RNNModel(config).save_pretrained(tmp_path / "encoder")
    tokenizer.save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


def test_an_encoder_learns_to_find_what_says_the_same(encoder, tmp_path):
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from sentence_transformers.util import semantic_search

    transformer = Transformer(str(encoder))
    model = SentenceTransformer(modules=[transformer, Pooling(transformer.model.config.output_size)], device="cpu")
    assert model.get_embedding_dimension() == 32
    args = SentenceTransformerTrainingArguments(
        str(tmp_path / "run"),
        num_train_epochs=30,
        learning_rate=0.01,
        per_device_train_batch_size=4,
        disable_tqdm=True,
        save_strategy="no",
        dataloader_pin_memory=False,
        report_to=[],
    )
    rows = Dataset.from_dict({"anchor": list(ABOUT), "positive": list(ABOUT.values())})
    SentenceTransformerTrainer(model, args, train_dataset=rows, loss=MultipleNegativesRankingLoss(model)).train()
    texts, questions = (model.encode(list(part), show_progress_bar=False) for part in (ABOUT.values(), ABOUT))
    assert texts.shape == (4, 32)
    found = [hits[0]["corpus_id"] for hits in semantic_search(questions, texts, top_k=1)]
    assert found == [0, 1, 2, 3]
    # A text has the same embedding alone, in a batch with longer texts, and after the model was saved and loaded.
    np.testing.assert_allclose(model.encode(next(iter(ABOUT)), show_progress_bar=False), questions[0], atol=1e-6)
    model.save(str(tmp_path / "saved"))
    again = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    np.testing.assert_allclose(again.encode(list(ABOUT), show_progress_bar=False), questions, atol=1e-6)
