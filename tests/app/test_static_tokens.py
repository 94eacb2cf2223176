"""Tests that the static page splits texts into the same tokens as Python, in a browser."""

import json
import shutil

import pytest
from support.mixed_texts import mixed_texts
from support.web import served
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from hf_rnn import train_tokenizer
from hf_rnn.app.npm_packages import PACKAGES, unpack
from hf_rnn.app.static_page import STATIC
from hf_rnn.interpret.segmentation import NOWHERE, words_of
from hf_rnn.runtime.texts import as_text
from hf_rnn.text.tokenization import KINDS, token_ids

pytestmark = pytest.mark.slow
TEXTS = mixed_texts(200)
TRAINED_ON = [*map(as_text, mixed_texts(300, seed=1)), *["the film was good ; it's 3 o'clock, isn't it ?"] * 10]
ASK = """async ([file, texts, pairs]) => {
  const { Tokens } = await import("./tokens.js");
  const { wordsOf } = await import("./engine.js");
  const tokens = new Tokens(JSON.parse(file));
  const place = (text, unit) => (unit < 0 ? 0 : [...text.slice(0, unit)].length);
  return {
    read: texts.map((written) => {
      const read = tokens.encode(written);
      const text = written.replace(/\\p{Surrogate}/gu, "?");
      return {
        ids: read.map(({ id }) => id),
        offsets: read.map(({ start, end }) => [place(text, start), place(text, end)]),
        tokenWords: read.map(({ word }) => word),
        words: wordsOf(text, read).map((word) => [place(text, word.start), place(text, word.end), word.tokens]),
      };
    }),
    pairs: pairs.map(([one, other]) => tokens.encode(one, other).map(({ id }) => id)),
  };
}"""


def other_tokenizers() -> dict[str, Tokenizer]:
    """Return tokenizers of other models, by their names."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    template = {
        "single": "[CLS] $A [SEP]",
        "pair": "[CLS] $A [SEP] $B [SEP]",
        "special_tokens": [("[CLS]", 2), ("[SEP]", 3)],
    }
    made = {}
    for lowercase in (True, False):
        bert = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        bert.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
        bert.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made["bert uncased" if lowercase else "bert cased"] = (bert, trainers.WordPieceTrainer)
    roberta = Tokenizer(models.BPE())
    roberta.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made["byte-level"] = (roberta, trainers.BpeTrainer)
    words = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    words.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.StripAccents(), normalizers.Lowercase()])
    words.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(True)])
    made["words and digits"] = (words, trainers.WordLevelTrainer)
    marks = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    marks.normalizer = normalizers.NFKD()
    marks.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    made["spaces and marks"] = (marks, trainers.WordLevelTrainer)
    isolated = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    isolated.normalizer = normalizers.NFD()
    isolated.pre_tokenizer = pre_tokenizers.Split(Regex(r"\p{Han}|\d+|[[:alpha:]&&[^a-c]]+"), "isolated")
    made["isolated"] = (isolated, trainers.WordLevelTrainer)
    for name, (tokenizer, trainer) in made.items():
        tokenizer.post_processor = processors.TemplateProcessing(**template)
        letters = {"initial_alphabet": pre_tokenizers.ByteLevel.alphabet()} if name == "byte-level" else {}
        tokenizer.train_from_iterator(
            TRAINED_ON, trainer(vocab_size=900, special_tokens=special, show_progress=False, **letters)
        )
    return {name: tokenizer for name, (tokenizer, _) in made.items()}


@pytest.fixture(scope="module")
def page(browser, libraries, tmp_path_factory):
    """Yield a page that can import the modules of the static page."""
    folder = tmp_path_factory.mktemp("tokens")
    shutil.copytree(STATIC, folder, dirs_exist_ok=True)
    for package, archive in zip(PACKAGES, libraries, strict=True):
        unpack(package, archive, folder / "vendor" / package.folder)
    (folder / "empty.html").write_text("<!doctype html>")
    with served(folder) as address:
        page = browser.new_page()
        page.goto(f"{address}empty.html")
        yield page
        page.close()


def shown(text: str, offsets: tuple[int, int]) -> tuple[int, int] | None:
    """Return offsets without white space at both ends; None if nothing is left."""
    start, end = offsets
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None


def compare(page, tokenizer: PreTrainedTokenizerFast, with_offsets: bool = True) -> None:
    texts = list(map(as_text, TEXTS))
    pairs = [(texts[n], texts[n + 50]) for n in range(50)]
    # JSON cannot hold unpaired surrogates, but playwright's arguments can.
    found = page.evaluate(ASK, [tokenizer.backend_tokenizer.to_str(), TEXTS, pairs])
    encoded = tokenizer(texts, return_offsets_mapping=True, return_special_tokens_mask=True)
    for place, (text, read) in enumerate(zip(texts, found["read"], strict=True)):
        assert read["ids"] == encoded["input_ids"][place], repr(text)
        assert read["tokenWords"] == encoded.word_ids(place), repr(text)
        # The byte-level offsets of the Rust library are empty where a space is added after a special token.
        if not with_offsets or ("<s>" in text and "Ġ" in "".join(tokenizer.get_vocab())):
            continue
        special, offsets = encoded["special_tokens_mask"][place], encoded["offset_mapping"][place]
        for mine, theirs, spelled in zip(read["offsets"], offsets, tokenizer.tokenize(text), strict=False):
            # The Rust library gives a space that it adds to a text various places.
            if shown(text, theirs) and spelled.strip("Ġ▁"):
                assert shown(text, tuple(mine)) == shown(text, theirs), (text, spelled)
        kept = [NOWHERE if is_special else pair for is_special, pair in zip(special, offsets, strict=True)]
        words = [[word.start, word.end, word.tokens] for word in words_of(text, kept)]
        assert read["words"] == words, repr(text)
    assert found["pairs"] == token_ids(tokenizer, *zip(*pairs, strict=True))


@pytest.mark.parametrize("changes", [{}, {"lowercase": True, "strip_html": True, "normalize_digits": True}])
@pytest.mark.parametrize("kind", KINDS)
def test_a_trained_tokenizer_reads_texts_as_in_python(page, kind, changes):
    compare(page, train_tokenizer(TRAINED_ON, kind=kind, vocab_size=900, show_progress=False, **changes))


def test_tokenizers_of_other_models_read_texts_as_in_python(page):
    for name, backend in other_tokenizers().items():
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]")
        # The Rust library gives decomposed marks places of its own where they are stacked.
        compare(page, tokenizer, with_offsets=name.startswith(("bert", "byte")))


def test_special_tokens_in_vocabularies_keep_their_ids(page):
    texts = ["<unk> <s> a", "<pad>", "a</s>"]
    tokenizer = train_tokenizer(["a b c"] * 5, kind="whitespace", vocab_size=20, show_progress=False)
    found = page.evaluate(ASK, [tokenizer.backend_tokenizer.to_str(), texts, []])
    assert [read["ids"] for read in found["read"]] == json.loads(json.dumps(tokenizer(texts)["input_ids"]))
