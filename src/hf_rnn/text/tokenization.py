# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Fast tokenizers: trained from any iterable of texts, or loaded from a folder or the Hub."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.utils import CONFIG_NAME

from ..models.weight_files import is_intact
from ..utils.errors import UserError, check_choice, first_line, looks_local
from ..utils.hub_download import snapshot

PAD, UNK, BOS, EOS = SPECIAL_TOKENS = ["<pad>", "<unk>", "<s>", "</s>"]
# Characters at the end of a text whose tokens may still change with what follows: more than the longest HTML tag that
# `strip_html` leaves out. Places at which it is tried to cut before that end.
MARGIN, TRIES = 256, 8
# Characters that are tokenized at a time, of a text that is longer than twice as many.
LONG = 1 << 17
# The files of a tokenizer in a folder or repository.
TOKENIZER_FILES = (
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "*.model",
    "chat_template*",
    "merges.txt",
)
KINDS = ("bpe", "unigram", "word", "wordpiece", "whitespace", "char")
# Kinds whose entries are numbered by frequency, after the special tokens.
BY_FREQUENCY = ("word", "whitespace", "char")

# Scripts that are written without spaces: each character is a word of its own for kind="word".
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = Regex(rf"[{_UNSPACED}]|[\w&&[^{_UNSPACED}]]+(?:['’][\w&&[^{_UNSPACED}]]+)*|[^\w\s]")
_BETWEEN_SPACES = Regex(r"\S+")
_SPECIAL = Regex(r"(?<!\S)(?:" + "|".join(SPECIAL_TOKENS) + r")(?!\S)")
_CHARACTER = Regex("(?m:.)")
_MODEL_INPUTS = ["input_ids", "attention_mask"]


@dataclass
class TokenizerArguments:
    """The tokenizer.

    Args:
        path: folder or Hub id of an existing tokenizer; the other settings are for training one, where this is None.
        kind: bpe, unigram, word, wordpiece, whitespace or char; null for the tokenizer of model.pretrained where there
            is one, else wordpiece for token_classification and bpe for the other tasks.
        vocab_size: the most entries that the trained vocabulary may have.
        rare_tokens: entries that it may have beyond these, rarer ones, which the wide path alone tells apart: they have
            no vectors, and the recurrence reads them as the unknown token.
        lowercase: whether upper and lower case are one.
        min_frequency: how often a word or pair must be seen to become an entry.
        strip_html: whether tags such as <br /> are read as a space.
    """

    path: str | None = None
    kind: str | None = None
    vocab_size: int = 30000
    rare_tokens: int = 0
    lowercase: bool = False
    min_frequency: int = 2
    strip_html: bool = False


def train_tokenizer(
    texts: Iterable[str],
    kind: str = "bpe",
    vocab_size: int = 30000,
    lowercase: bool = False,
    min_frequency: int = 2,
    strip_html: bool = False,
    normalize_digits: bool = False,
    show_progress: bool = True,
) -> PreTrainedTokenizerFast:
    """Trains a tokenizer in one pass over the texts, which may be any iterable, larger than memory too.

    Args:
        texts: strings.
        kind: `"bpe"`: byte-level byte-pair encoding (Sennrich et al. 2016), for any language, without unknown tokens;
            `"unigram"` (Kudo 2018); `"word"`: words and punctuation marks, one token per character in scripts that are
            written without spaces; `"wordpiece"` (Schuster and Nakajima 2012): the same, rare ones in pieces, of which
            all but the first begin with `##` (all texts are in memory meanwhile); `"whitespace"`: what stands between
            spaces, for text whose words were parted before, with its special tokens, such as `<unk>`, read as ours;
            `"char"`: characters.
        vocab_size: the most entries that it may have, special tokens among them.
        lowercase: whether upper and lower case are one.
        min_frequency: how often a word (or, for `"bpe"`, a pair) must be seen to become an entry; `"unigram"` chooses
            by likelihood and `"char"` keeps all up to `vocab_size`.
        strip_html: whether tags such as `<br />` are read as a space.
        normalize_digits: whether all digits are read as 0.
        show_progress: whether to draw a progress bar.

    Returns:
        A fast tokenizer with the special tokens `<pad>` (0), `<unk>` (1), `<s>` (2) and `</s>` (3), character offsets,
        and pairs joined as `first </s> second`. It has no maximal length, since its models have none.

    Raises:
        UserError: an unknown kind, no text, or a vocabulary too small for the kind.
    """
    check_choice("kind", kind, KINDS)
    if isinstance(texts, str):
        raise UserError("texts is one string: pass a list of texts, train_tokenizer([text]).")
    smallest = len(SPECIAL_TOKENS) + (256 if kind == "bpe" else 1)
    if vocab_size < smallest:
        raise UserError(f"vocab_size={vocab_size} is too small for kind={kind!r}: write at least {smallest}.")
    model, pre_tokenizer, decoder, trainer = _parts(kind, vocab_size, min_frequency, show_progress)
    steps: list[Any] = [normalizers.NFC()]
    if strip_html:
        steps.append(normalizers.Replace(Regex(r"<[^<>]{1,200}>"), " "))
    if lowercase:
        steps.append(normalizers.Lowercase())
    if normalize_digits:
        steps.append(normalizers.Replace(Regex(r"\d"), "0"))
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizer
    if kind == "whitespace":
        # A special token that stands in the text is one already, and no word to be learnt.
        special: Any = pre_tokenizers.Split(_SPECIAL, behavior="removed")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([special, pre_tokenizer])
    trim: list[Any] = [processors.ByteLevel(trim_offsets=True)] if kind == "bpe" else []
    tokenizer.post_processor = processors.Sequence(
        [*trim, processors.TemplateProcessing(single="$A", pair=f"$A {EOS} $B", special_tokens=[(EOS, 3)])]
    )
    if decoder is not None:
        tokenizer.decoder = decoder
    counted = _Counted(texts)
    if kind == "wordpiece":
        tokenizer.model = _word_pieces(tokenizer, counted, trainer, vocab_size)
    else:
        tokenizer.train_from_iterator(counted, trainer)
    if kind == "unigram":
        tokenizer.model = _numbered_alike(tokenizer)
    tokenizer.pre_tokenizer = pre_tokenizer
    if not counted.characters:
        raise UserError("there is no text to train a tokenizer from: the column is empty, or all its rows are.")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNK,
        bos_token=BOS,
        eos_token=EOS,
        model_input_names=_MODEL_INPUTS,
        clean_up_tokenization_spaces=False,
    )


def _parts(kind: str, vocab_size: int, min_frequency: int, show_progress: bool) -> tuple[Any, Any, Any, Any]:
    """The model, what cuts a text before it, what joins tokens to a text again, and the trainer, of each kind.

    Words get their spaces back, the first one too: what a language model writes is joined to what it read.
    """
    common: dict[str, Any] = {
        "vocab_size": vocab_size,
        "special_tokens": SPECIAL_TOKENS,
        "show_progress": show_progress,
    }
    if kind == "bpe":
        pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer: Any = trainers.BpeTrainer(min_frequency=min_frequency, initial_alphabet=alphabet, **common)
        return models.BPE(), pre_tokenizer, decoders.ByteLevel(), trainer
    if kind == "unigram":
        trainer = trainers.UnigramTrainer(unk_token=UNK, **common)
        # The decoder takes away a space that was put in front of a text; "never" says that there is none.
        return models.Unigram(), pre_tokenizers.Metaspace(), decoders.Metaspace(prepend_scheme="never"), trainer
    if kind == "wordpiece":
        split = pre_tokenizers.Split(_WORD, behavior="removed", invert=True)
        trainer = trainers.WordPieceTrainer(min_frequency=min_frequency, **common)
        # Not decoders.WordPiece, which leaves the first token as it is, without a space and with its ##.
        steps = [decoders.Replace(Regex("^(?!##)"), " "), decoders.Replace(Regex("^##"), ""), decoders.Fuse()]
        return models.WordPiece(unk_token=UNK), split, decoders.Sequence(steps), trainer
    if kind == "char":
        pattern, min_frequency = _CHARACTER, 0
        decoder: Any = decoders.Fuse()
    else:
        decoder = decoders.Sequence([decoders.Replace(Regex("^"), " "), decoders.Fuse()])
        pattern = _WORD if kind == "word" else _BETWEEN_SPACES
    split = pre_tokenizers.Split(pattern, behavior="removed", invert=True)
    trainer = trainers.WordLevelTrainer(min_frequency=min_frequency, **common)
    return models.WordLevel(unk_token=UNK), split, decoder, trainer


def _word_pieces(tokenizer: Tokenizer, texts: Iterable[str], trainer: Any, vocab_size: int) -> Any:
    """What the trainer makes of texts, the same each time. By itself it numbers the letters inside words in any order,
    and of pieces that are as frequent it takes those of lower numbers."""
    texts = list(texts)
    cut: Any = tokenizer.pre_tokenizer
    normalize = tokenizer.normalizer.normalize_str
    words = [word for text in texts for word, _ in cut.pre_tokenize_str(normalize(text))]
    # The most frequent letters, each of which may take two places: at the beginning of a word, and inside.
    counts = sorted(Counter("".join(words)).items(), key=lambda pair: (-pair[1], pair))
    letters = [letter for letter, _ in counts[: max(1, (vocab_size - len(SPECIAL_TOKENS)) // 2)]]
    trainer.initial_alphabet, trainer.limit_alphabet = letters, len(letters)
    inside = sorted({letter for word in words for letter in word[1:]}.intersection(letters))
    trainer.special_tokens = [*SPECIAL_TOKENS, *(f"##{letter}" for letter in inside)]
    learning = Tokenizer(models.WordPiece(unk_token=UNK))
    learning.normalizer, learning.pre_tokenizer = tokenizer.normalizer, cut
    learning.train_from_iterator(texts, trainer)
    return models.WordPiece(learning.get_vocab(), unk_token=UNK)


def _numbered_alike(tokenizer: Tokenizer) -> Any:
    """The unigram model that was trained, the same each time. By itself the trainer adds up scores in any order, which
    changes their last digits, and gives letters that are no piece the lowest score and one ten-thousandth more each, in
    any order too (tokenizers 0.23, `UnigramTrainer::finalize`)."""
    model = json.loads(tokenizer.to_str())["model"]
    scores = {piece: round(score, 9) for piece, score in model["vocab"] if piece not in SPECIAL_TOKENS}
    least = min(scores.values(), default=0.0)

    def steps(piece: str) -> float:
        return (scores[piece] - least) / 1e-4

    letters = sorted(piece for piece in scores if len(piece) == 1 and abs(steps(piece) - round(steps(piece))) < 1e-4)
    letters = [piece for piece in letters if steps(piece) <= len(letters)]
    scores |= dict(zip(letters, sorted(scores[piece] for piece in letters), strict=True))
    pieces = [(piece, score) for piece, score in model["vocab"] if piece in SPECIAL_TOKENS]
    pieces += sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
    return models.Unigram(pieces, model["unk_id"], model.get("byte_fallback", False))


class _Counted:
    """Passes texts on and counts their characters."""

    def __init__(self, texts: Iterable[str]):
        self.texts = texts
        self.characters = 0

    def __iter__(self) -> Iterator[str]:
        for text in self.texts:
            text = text or ""
            self.characters += len(text.strip())
            yield text


def load_tokenizer(path: str, **kwargs: Any) -> PreTrainedTokenizerBase:
    """Loads a tokenizer from a folder or the Hub, and checks that a recurrent model can use it.

    Raises:
        UserError: there is none, or it has no padding token.
    """
    try:
        folder, options = _fetched(path, {"trust_remote_code": False, **kwargs})
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    except (OSError, ValueError) as error:
        raise UserError(
            f"no tokenizer can be loaded from {path!r} ({first_line(error)}): name a folder that "
            "tokenizer.save_pretrained wrote, or a Hub id."
        ) from error
    if tokenizer.pad_token_id is None:
        raise UserError(
            f"the tokenizer {path!r} has no padding token: load it, set tokenizer.pad_token = tokenizer.eos_token "
            "(or add one), save it, and name that folder."
        )
    # BERT's and its like would hand `token_type_ids` to a model that has no use for them.
    tokenizer.model_input_names = tokenizer.init_kwargs["model_input_names"] = _MODEL_INPUTS
    return tokenizer


def _fetched(path: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Fetch a tokenizer's files from the Hub with one question, for which transformers would wait minutes where the Hub
    does not answer; from the cache then.

    Returns:
        The folder, and the options that are still to be passed to `AutoTokenizer.from_pretrained`.
    """
    if Path(path).is_dir() or looks_local(path) or options["trust_remote_code"]:
        return path, options
    # The type of the model's configuration may name the class of its tokenizer.
    patterns = [f"{options.get('subfolder') or ''}/{name}".lstrip("/") for name in (CONFIG_NAME, *TOKENIZER_FILES)]
    where = {name: options[name] for name in ("revision", "token", "cache_dir", "local_files_only") if name in options}

    def is_whole(folder: Path) -> bool:
        return any(any((folder / (options.get("subfolder") or "")).glob(name)) for name in TOKENIZER_FILES)

    rest = {name: value for name, value in options.items() if name not in where}
    return str(snapshot(path, patterns, is_whole, **where, is_intact=is_intact)), rest


def settled_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[list[int], str]:
    """The tokens of a beginning of a text that do not change whatever follows it, and the rest of the text; no token
    where there is no place to cut."""
    encoded = tokenizer(text, return_offsets_mapping=True, verbose=False)
    ids, starts = encoded["input_ids"], [start for start, _ in encoded["offset_mapping"]]
    before = [start for start in starts if 0 < start <= len(text) - MARGIN]
    # The space before a word may belong to it.
    places = [place for start in before[: -TRIES - 1 : -1] for place in (len(text[:start].rstrip()), start)]
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    for place in dict.fromkeys(places):
        head, tail = (encoding.ids for encoding in backend.encode_batch_fast([text[:place], text[place:]]))
        if head + tail == ids:
            return head, text[place:]
    return [], text


def _ids_of_long(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """The tokens of one text, piece by piece: of each character, the backend keeps many times its size meanwhile. What
    follows a piece that cannot be cut is read as a whole."""
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    ids: list[int] = []
    waiting = ""
    for start in range(0, len(text), LONG):
        settled, waiting = settled_ids(tokenizer, waiting + text[start : start + LONG])
        ids += settled
        if not settled:
            waiting += text[start + LONG :]
            break
    return ids + backend.encode(waiting).ids


def as_text(value: Any) -> str:
    """A text, or a number of a column of numbers; nothing for None. Half a surrogate pair is no character."""
    if value is None:
        return ""
    if not isinstance(value, (str, int, float)):
        raise UserError(f"{str(value)[:60]!r} is of type {type(value).__name__}: pass texts, as strings.")
    text = str(value)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def token_ids(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], pairs: Sequence[str] | None = None
) -> list[list[int]]:
    """What `tokenizer(texts, pairs)["input_ids"]` is, without padding and at full length, and without the masks and
    offsets that nobody asked for: they take longer than the ids."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return tokenizer(list(texts), None if pairs is None else list(pairs), verbose=False)["input_ids"]
    if backend.padding is not None:
        backend.no_padding()
    if backend.truncation is not None:
        backend.no_truncation()
    rows: list = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
    if pairs is None and any(len(text) > 2 * LONG for text in rows):
        return [_ids_of_long(tokenizer, text) if len(text) > 2 * LONG else backend.encode(text).ids for text in rows]
    if len(rows) == 1:
        return [backend.encode(*(rows if pairs is None else rows[0])).ids]
    return [encoding.ids for encoding in backend.encode_batch_fast(rows)]


def pair_encodings(tokenizer: PreTrainedTokenizerBase, pairs: Sequence[tuple[str, str]]) -> list[list[int | None]]:
    """Return the text of each token of pairs: 0 or 1, or None for tokens between the texts. The order is that of
    [`token_ids`]."""
    if not pairs:
        return []
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise UserError(
            f"{type(tokenizer).__name__} does not say which token is of which text of a pair: use a fast tokenizer, or "
            "leave data.max_length out."
        )
    return [encoding.sequence_ids for encoding in backend.encode_batch(list(pairs))]


__all__ = [
    "TokenizerArguments",
    "as_text",
    "load_tokenizer",
    "pair_encodings",
    "settled_ids",
    "token_ids",
    "train_tokenizer",
]
