# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""A made-up data set of short reviews, written by the grammar below: nobody ever held these opinions.

It is for trying things in seconds, not for measuring models. Negation (`not good`), contrast (`good, but …` ends in
the opinion that counts) and intensity (`hardly`, `too`) turn the words around, so that their order matters: a bag of
words falls well short of a model that reads.
"""

import random

THINGS = "film book soup phone hotel song lamp chair show game train coat camera garden museum lecture".split()
PARTS = "ending colour price story taste sound design service size finish opening cover handle view idea".split()
GOOD = "good great lovely superb fine charming bright clever warm delightful".split()
BAD = "bad awful dull poor weak ugly dreary clumsy cold tedious".split()
STRONG = "very really truly quite remarkably".split()
NEGATIONS = ["not", "never", "hardly", "anything but", "far from"]
CONTRASTS = ["but", "yet", "however"]
OPENINGS = ["", "", "honestly , ", "to be fair , ", "i must say : ", "well , "]
CONCESSIONS = ["although", "even though", "while"]


def _opinion(rng: random.Random, positive: bool) -> str:
    """A phrase such as `very good` or `not dull` of the wanted meaning."""
    negated = rng.random() < 0.5
    word = rng.choice(GOOD if positive != negated else BAD)
    if negated:
        return f"{rng.choice(NEGATIONS)} {word}"
    return f"{rng.choice(STRONG)} {word}" if rng.random() < 0.4 else word


def _review(rng: random.Random, positive: bool) -> str:
    thing, part, other = rng.choice(THINGS), rng.choice(PARTS), rng.choice(PARTS)
    opening = rng.choice(OPENINGS)
    decisive, opposite = _opinion(rng, positive), _opinion(rng, not positive)
    form = rng.randrange(4)
    if form == 0:
        return f"{opening}the {thing} was {decisive} ."
    if form == 1:
        return f"{opening}the {part} was {opposite} , {rng.choice(CONTRASTS)} the {thing} was {decisive} ."
    if form == 2:
        return f"{opening}{rng.choice(CONCESSIONS)} the {part} was {opposite} , the {thing} was {decisive} ."
    concession = f"{rng.choice(CONCESSIONS)} the {part} was {opposite} and the {other} too"
    return f"{opening}the {thing} was {decisive} , {concession} ."


def made_up_reviews(rows: int = 5000, seed: int = 0) -> dict[str, list]:
    """Columns `text` and `label` (0 negative, 1 positive), balanced, all texts different, the same for each seed."""
    rng = random.Random(seed)
    texts: dict[str, int] = {}
    while len(texts) < rows:
        positive = len(texts) % 2
        texts.setdefault(_review(rng, bool(positive)), positive)
    return {"text": list(texts), "label": list(texts.values())}


__all__ = ["made_up_reviews"]
