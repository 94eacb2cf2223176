"""Pairs of sentences in two languages, and a short run that trains a translator on them."""

import random

NUMBERS = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier", "five": "fünf", "six": "sechs"}


def pairs(count: int, seed: int = 0) -> list[dict]:
    """Return pairs of number words; the German words are in reverse order."""
    draw, rows = random.Random(seed), []
    for _ in range(count):
        words = draw.choices(list(NUMBERS), k=draw.randint(1, 4))
        rows.append({"en": " ".join(words) + " .", "de": " ".join(NUMBERS[word] for word in words[::-1]) + " ."})
    return rows


def run(data, output_dir, model=None, **training) -> dict:
    return {
        "task": "translation",
        "data": {"path": str(data), "text_column": "en", "label_column": "de"},
        "tokenizer": {"kind": "word", "min_frequency": 1},
        "model": {"embedding_size": 32, "hidden_size": 32, "bidirectional": True, **(model or {})},
        "training": {
            "output_dir": str(output_dir),
            "num_train_epochs": 12,
            "disable_tqdm": True,
            "learning_rate": 0.01,
            **training,
        },
    }
