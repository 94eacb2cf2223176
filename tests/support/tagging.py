"""Sentences with named entities, and a short run that trains a tagger on them."""

import random

FIRST, LAST = ["Anna", "Boris", "Clara", "Dmitri"], ["Blackburn", "Ivanov", "Meier"]
PLACES = ["Kiel", "New York", "Ulm"]
TAGS = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]


def sentences(count: int, seed: int = 0) -> list[dict]:
    """Return sentences about persons and places, as words and BIO tags."""
    draw, rows = random.Random(seed), []
    for _ in range(count):
        name, place = [draw.choice(FIRST), *draw.sample(LAST, draw.randint(0, 1))], draw.choice(PLACES).split()
        words = [*name, draw.choice(["lives in", "left", "comes from"]), *place, "."]
        tags = ["B-PER", *["I-PER"] * (len(name) - 1), "O", "B-LOC", *["I-LOC"] * (len(place) - 1), "O"]
        middle = words[len(name)].split()
        words[len(name) : len(name) + 1], tags[len(name) : len(name) + 1] = middle, ["O"] * len(middle)
        rows.append({"tokens": words, "ner_tags": tags})
    return rows


def run(data, output_dir, crf=True, **training) -> dict:
    return {
        "task": "token_classification",
        "preset": "none",
        "data": {"path": str(data)},
        "tokenizer": {"kind": "wordpiece", "vocab_size": 70},
        "model": {
            "embedding_size": 16,
            "hidden_size": 16,
            "bidirectional": True,
            "crf": crf,
            "character_encoder": "cnn",
            "character_hidden_size": 8,
            "character_embedding_size": 8,
        },
        "training": {
            "output_dir": str(output_dir),
            "num_train_epochs": 8,
            "disable_tqdm": True,
            "learning_rate": 0.02,
            **training,
        },
    }
