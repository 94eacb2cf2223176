# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""A made-up data set of messages to the customer support of a shop, written by the grammar below: nobody sent them.

The label is what the sender wants. Most messages name a second subject too, and only syntax says which one counts:
negation (`I do not want a refund, I want a new kettle`), contrast (`the delivery was fine, but …`), polarity, and
word order (`cancel my order and not my account`). The same words stand in both roles, so counts of words and of pairs
of words fall short. As in real data, classes differ in size, some words are rare or mistyped, some labels wrong.
"""

import random

# Class: its messages in percent.
SHARES = {"delivery": 30, "refund": 22, "damage": 17, "account": 12, "cancellation": 9, "praise": 6, "invoice": 4}
# The share of messages whose subject stands alone, of labels drawn anew, and of longer words with a typing error.
SIMPLE, LABEL_NOISE, TYPING_ERRORS = 0.4, 0.04, 0.015

WISHES = {
    "delivery": ["to know where the parcel is", "a delivery date", "to change the delivery address"],
    "refund": ["my money back", "a refund", "to be repaid for the {thing}"],
    "damage": ["a new {thing}", "the {thing} repaired", "to exchange the broken {thing}"],
    "account": ["to reset my password", "to change my e-mail address", "my login unlocked"],
    "cancellation": ["to cancel the order", "to withdraw from the purchase", "to stop the subscription"],
    "praise": ["to say thank you", "to praise your staff", "to recommend the {thing}"],
    "invoice": ["an invoice", "a receipt for the {thing}", "the bill corrected"],
}
FACTS = {
    "delivery": ["the parcel is late", "the courier did not come", "the tracking page shows nothing"],
    "refund": ["you charged me twice", "the money is not back yet", "the {thing} costs less elsewhere"],
    "damage": ["the {thing} is broken", "the {thing} has a crack", "the {thing} does not switch on"],
    "account": ["I cannot log in", "my password is refused", "somebody else uses my account"],
    "cancellation": ["I ordered the {thing} by mistake", "I no longer need the {thing}", "I changed my mind"],
    "praise": ["the {thing} is wonderful", "your staff helped me at once", "everything went well"],
    "invoice": ["the invoice is missing", "the bill shows a wrong name", "my tax office wants a receipt"],
}
ASPECTS = {
    "delivery": ["the delivery", "the courier", "the shipping"],
    "refund": ["the refund", "the repayment", "the price"],
    "damage": ["the {thing}", "the lid of the {thing}", "the plug of the {thing}"],
    "account": ["the login", "my customer account", "the password page"],
    "cancellation": ["the cancellation", "the withdrawal form", "the end of the subscription"],
    "invoice": ["the invoice", "the bill", "the receipt"],
}
GOOD = ["fine", "great", "quick and easy", "as it should be", "flawless", "good"]
BAD = ["a mess", "terrible", "wrong", "a disaster", "faulty", "bad"]
NEGATIONS = ["not", "never", "hardly", "anything but", "far from"]

# {a} is what counts.
WISH_FRAMES = [
    "I do not want {b}, I want {a}.",
    "I want {a}, I do not want {b}.",
    "I would like {a} rather than {b}.",
    "rather than {b} I would like {a}.",
    "at first I wanted {b}, and now I need {a}.",
    "now I need {a}, and at first I wanted {b}.",
    "your colleague offered {b}, but I asked for {a}.",
    "I asked for {a}, but your colleague offered {b}.",
]
FACT_FRAMES = [
    "I do not write because {b} but because {a}.",
    "I write because {a} and not because {b}.",
    "never mind that {b}: {a}.",
    "{a}. Never mind that {b}.",
    "although {b}, my problem is that {a}.",
    "my problem is that {a}, although {b}.",
    "I told your colleague that {a}, and he understood that {b}.",
    "your colleague understood that {b}, and I told him that {a}.",
]
ASPECT_FRAMES = [
    "{b} was {good}, but {a} was {end}.",
    "{a} was {end}, but {b} was {good}.",
    "although {b} was {good}, {a} was {end}.",
    "{a} was {end}, although {b} was {good}.",
]
PRAISE_FRAMES = ["{b} was {good}, and {a} was {end}.", "{b} was {good} and also {a} was {end}."]
# Two subjects share a verb.
ORDER_FRAMES = [
    "please cancel my {a} and not my {b}.",
    "not my {b} but my {a} is to be cancelled.",
    "keep my {b} and cancel my {a}.",
    "cancel my {a} and keep my {b}.",
]
OBJECTS = {"cancellation": ["order", "subscription", "purchase"], "account": ["account", "login", "profile"]}

GREETINGS = ["", "", "", "Hello! ", "Hi there, ", "Good morning. ", "Dear support team, "]
OPENINGS = [
    "",
    "",
    "",
    "I ordered the {thing} on {day}. ",
    "This is about order {number}. ",
    "I am writing again about the {thing}. ",
    "Your colleague {name} sent me here. ",
]
CLOSINGS = ["", "", "", " Thank you!", " Thanks in advance, {name}", " Please answer soon.", " Order {number}."]
THINGS = "kettle lamp toaster chair camera radio backpack blender coat clock heater keyboard mixer tent watch".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
SYLLABLES = "bel dor fin gal hum jas kor lem mir nov pel quin ras sol tav ul ven wex yor zan".split()


def _rare_name(rng: random.Random) -> str:
    return "".join(rng.choices(SYLLABLES, k=rng.choice((2, 3)))).capitalize()


def _thing(rng: random.Random) -> str:
    thing = rng.choice(THINGS)
    return f"{_rare_name(rng)} {thing}" if rng.random() < 0.2 else thing


def _opinion(rng: random.Random, positive: bool) -> str:
    """A phrase such as `fine` or `not a mess`; half of them are negated."""
    negated = rng.random() < 0.5
    word = rng.choice(GOOD if positive != negated else BAD)
    return f"{rng.choice(NEGATIONS)} {word}" if negated else word


def _class(rng: random.Random) -> str:
    return rng.choices([*SHARES], [*SHARES.values()])[0]


def _aspects(rng: random.Random, label: str, other: str | None) -> str:
    """A sentence about two things of which one was bad; for praise, none."""
    praise = label == "praise"
    a, b = (rng.choice(ASPECTS[each if each in ASPECTS else rng.choice([*ASPECTS])]) for each in (label, other))
    opinions = {"good": _opinion(rng, True), "end": _opinion(rng, praise)}
    frame = "{a} was {end}." if other is None else rng.choice(PRAISE_FRAMES if praise else ASPECT_FRAMES)
    return frame.format(a=a, b=b, **opinions)


def _sentence(rng: random.Random, label: str, other: str | None) -> str:
    """A sentence about the sender's wish, and beside it the subject that does not count, where there is one."""
    if {label, other} == {*OBJECTS} and rng.random() < 0.5:
        return rng.choice(ORDER_FRAMES).format(a=rng.choice(OBJECTS[label]), b=rng.choice(OBJECTS[other]))
    kind = rng.choice(("wishes", "facts", "aspects"))
    if kind == "aspects":
        return _aspects(rng, label, other)
    phrases, frames, alone = (WISHES, WISH_FRAMES, "I want {a}.") if kind == "wishes" else (FACTS, FACT_FRAMES, "{a}.")
    frame = alone if other is None else rng.choice(frames)
    return frame.format(a=rng.choice(phrases[label]), b=other and rng.choice(phrases[other]))


def _typed(rng: random.Random, text: str) -> str:
    """The text with its typing errors: a letter is missing or doubled, or two are exchanged."""
    words = text.split(" ")
    for place, word in enumerate(words):
        if len(word) > 3 and rng.random() < TYPING_ERRORS:
            at = rng.randrange(1, len(word) - 2)
            one, two = word[at], word[at + 1]
            words[place] = word[:at] + rng.choice((two, one + one + two, two + one)) + word[at + 2 :]
    return " ".join(words)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _message(rng: random.Random, label: str) -> str:
    others = [each for each in SHARES if each != label]
    other = None if rng.random() < SIMPLE else rng.choices(others, [SHARES[each] for each in others])[0]
    parts = rng.choice(GREETINGS), rng.choice(OPENINGS), _capital(_sentence(rng, label, other)), rng.choice(CLOSINGS)
    text = "".join(parts).replace("{number}", str(rng.randrange(10_000, 100_000))).replace("{day}", rng.choice(DAYS))
    text = text.replace("{thing}", _thing(rng)).replace("{name}", _rare_name(rng))
    return _typed(rng, text)


def made_up_messages(rows: int = 6000, seed: int = 0) -> dict[str, list]:
    """Return made-up messages to customer support, all different, the same for each seed.

    Args:
        rows: number of messages.
        seed: of all that is drawn.

    Returns:
        Columns `text` and `label`, the name of a class in `SHARES`.
    """
    rng = random.Random(seed)
    texts: dict[str, str] = {}
    while len(texts) < rows:
        label = _class(rng)
        text = _message(rng, label)
        texts.setdefault(text, _class(rng) if rng.random() < LABEL_NOISE else label)
    return {"text": list(texts), "label": list(texts.values())}


__all__ = ["made_up_messages"]
