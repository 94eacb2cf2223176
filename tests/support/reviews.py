"""Made-up short reviews, written by the grammar below, for tests that need two classes of the same size.

The messages that hf_rnn itself makes up have seven classes and some wrong labels. A model of 16 units learns these
reviews in few steps.
"""

import random
from pathlib import Path

from . import write_jsonl

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


def reviews_by_split(folder: Path) -> Path:
    """Write 4,000 reviews into train.jsonl and 1,000 into test.jsonl of a folder; return it."""
    columns = made_up_reviews()
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    write_jsonl(folder / "train.jsonl", rows[:4000])
    write_jsonl(folder / "test.jsonl", rows[4000:])
    return folder
