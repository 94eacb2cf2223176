"""Language models and translators with loud weights, saved and exported."""

from pathlib import Path

import hf_rnn
from support.loud_writers import loud
from support.reviews import made_up_reviews
from support.translating import pairs

REVIEWS = made_up_reviews(300)["text"]
SOURCES = [row["en"] for row in pairs(60)]


def saved(folder: Path, model_class, kind: str, texts: list[str], **settings) -> Path:
    tokenizer = hf_rnn.train_tokenizer(texts, kind, 300, min_frequency=1, show_progress=False)
    ids = {name: getattr(tokenizer, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    config = hf_rnn.RNNConfig(vocab_size=len(tokenizer), embedding_size=8, hidden_size=12, **ids, **settings)
    model = loud(model_class(config), 0.8)
    if model_class is hf_rnn.RNNForConditionalGeneration:
        model.use_vocabulary(tokenizer)
        model.generation_config.update(num_beams=4, max_length=31)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def exported_language_model(folder: Path, kind: str):
    """Return a predictor with a language model, and the folder of the same model exported."""
    model = saved(folder / "model", hf_rnn.RNNForCausalLM, kind, REVIEWS, num_hidden_layers=2)
    return hf_rnn.Predictor.from_pretrained(model), hf_rnn.export(model, folder / "exported")


def exported_translator(folder: Path, kind: str):
    """Return a predictor with a translator, and the folder of the same model exported."""
    settings = {"bidirectional": True, "input_feeding": True, "coverage": 1.0, "attention_type": "additive"}
    model = saved(folder / "model", hf_rnn.RNNForConditionalGeneration, kind, SOURCES, **settings)
    return hf_rnn.Predictor.from_pretrained(model), hf_rnn.export(model, folder / "exported")
