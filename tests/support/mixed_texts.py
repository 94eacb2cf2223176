"""Texts of mixed scripts, with the characters that tokenizers of different programs read in different ways."""

import random

SCRIPTS = (
    "abcdefghijklmnopqrstuvwxyz",
    "ABCXYZ",
    "éàüßñçøŁ",
    "АБВгдежз",
    "ΑΒΓΣΟΔαβγσς",
    "שלוםעברית",
    "مرحبابالعالمء",
    "नमस्तेदुनिया",
    "ภาษาไทยง่าย",
    "ພາສາລາວ",
    "ខ្មែរ",
    "မြန်မာ",
    "ಕನ್ನಡ",
    "你好世界漢字中文",
    "ひらがなカタカナ",
    "한국어말",
    "\u1112\u1161\u11ab\u1100\u1161",  # Hangul as single consonants and vowels
    "😀🎉👩\u200d👩\u200d👧🇩🇪👍🏽",
    "e\u0301o\u0302\u0323n\u0303q\u0307\u0323",
    "İıſﬁ²½Ⅷ№",
    "0123456789٣४",
    ".,;:!?…—–-_'’\"“”()[]{}<>/\\|&@#$%^*+=~`",
    "\u00a0\u3000\t\n\r\u200b\ufeff\x85\x1c\u2028",
    "𝒳𐍈𠀀🜁",
)
# Texts that begin the list.
FIRST = (
    "",
    " ",
    "  a  b ",
    "<s>a</s> b<unk>c",
    "x<br />y and a <b class='x'>bold</b> c",
    "< 3 and > 2",
    "don't can’t it's I'LL",
    "\ud800 alone \udc00",
    "ΟΔΟΣ ΣΑΣ Σ İSTANBUL",
    "a\u0301\u0301\u0301",
    "foo\u0000bar",
    "__proto__ constructor toString",
    "1,000.50€ 3rd 4x4",
    "a" * 150,
    "日" * 50,
    "\n\n\nabc\n\n",
    "\ufeffabc \u0085 def",
)


def mixed_texts(count: int = 200, seed: int = 0) -> list[str]:
    """Return texts, some of them with unpaired surrogates."""
    draw, texts = random.Random(seed), list(FIRST)
    while len(texts) < count:
        words = []
        for _ in range(draw.randint(1, 14)):
            script = draw.choice(SCRIPTS) if draw.random() < 0.8 else "".join(draw.sample(SCRIPTS, 3))
            words.append("".join(draw.choice(script) for _ in range(draw.randint(1, 7))))
        texts.append(draw.choice([" ", " ", " ", "", "  "]).join(words))
    return texts[:count]
