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
from ..runtime import tokens
from ..utils.errors import ConfigError, check_choice, first_line, looks_local
from ..utils.hub_download import snapshot
from .added_words import add_words, whole_words

PAD, UNK, BOS, EOS = SPECIAL_TOKENS = ["<pad>", "<unk>", "<s>", "</s>"]
# Files of a tokenizer in a folder or repository.
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
# Kinds whose vocabulary can have any word as an entry.
OF_WORDS = ("word", "whitespace", "wordpiece")

# Scripts without spaces between words: kind="word" makes each of their characters a token.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORD = Regex(rf"[{_UNSPACED}]|[\w&&[^{_UNSPACED}]]+(?:['’][\w&&[^{_UNSPACED}]]+)*|[^\w\s]")
_BETWEEN_SPACES = Regex(r"\S+")
_SPECIAL = Regex(r"(?<!\S)(?:" + "|".join(SPECIAL_TOKENS) + r")(?!\S)")
_CHARACTER = Regex("(?m:.)")
_MODEL_INPUTS = ["input_ids", "attention_mask"]


@dataclass
class TokenizerArguments:
    """Tokenizer of a run: an existing one, or the settings to train a new one.

    Args:
        path: Folder or Hub id of an existing tokenizer. null to train one with the other settings of this section.
        kind: Kind of the trained tokenizer: bpe, unigram, word, wordpiece, whitespace or char. null for the tokenizer
            of model.pretrained if that is set, else wordpiece for token_classification and bpe for the other tasks.
        vocab_size: Maximum number of vocabulary entries, without rare_tokens and vector_words.
        rare_tokens: Maximum number of additional, rarer vocabulary entries. Only the wide path of a text classifier
            distinguishes them. They have no embedding, and the recurrence reads them as the unknown token. Needs kind
            word, whitespace or char.
        vector_words: Number of words at the start of model.vectors that become additional vocabulary entries. If the
            vectors are those of lower-case words and lowercase is false, the capitalized and upper-case forms of these
            words become entries too. If a classifier or tagger trains its embedding, words that no row has become
            entries after the training. Needs model.vectors, and kind word, whitespace or wordpiece.
        lowercase: Convert the text to lower case.
        min_frequency: Minimum number of occurrences of a word in the training texts (for bpe and wordpiece, of a pair
            of symbols) to become an entry. Not read for unigram and char.
        strip_html: Replace HTML tags, such as <br />, by a space.
    """

    path: str | None = None
    kind: str | None = None
    vocab_size: int = 30000
    rare_tokens: int = 0
    vector_words: int = 0
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
    words: Iterable[str] = (),
) -> PreTrainedTokenizerFast:
    """Train a tokenizer in one pass over the texts, which need not fit in memory.

    Args:
        texts: Strings to train on; any iterable.
        kind: `"bpe"`: byte-level byte-pair encoding (Sennrich et al. 2016), for any language, without unknown tokens.
            `"unigram"`: unigram language model (Kudo 2018). `"word"`: words and punctuation marks; each character is a
            token in scripts without spaces. `"wordpiece"` (Schuster and Nakajima 2012): the same, but rare words are
            split into subwords, which begin with `##` except the first; keeps all texts in memory during training.
            `"whitespace"`: the parts between spaces, for whitespace-tokenized text; special tokens in the text, such
            as `<unk>`, become those of the tokenizer. `"char"`: characters.
        vocab_size: Maximum number of vocabulary entries, special tokens included.
        lowercase: True to convert the text to lower case.
        min_frequency: Minimum number of occurrences of a word (for `"bpe"` and `"wordpiece"`, of a pair of symbols) to
            become an entry. `"unigram"` selects by likelihood, and `"char"` keeps all characters up to `vocab_size`.
        strip_html: True to replace HTML tags, such as `<br />`, by a space.
        normalize_digits: True to replace every digit by 0.
        show_progress: True to show a progress bar.
        words: Words that become entries in addition to `vocab_size`, such as words with pretrained vectors. A word that
            the tokenizer would split at a space or a punctuation mark is left out. Only for `"word"`, `"whitespace"`
            and `"wordpiece"`.

    Returns:
        Fast tokenizer with the special tokens `<pad>` (0), `<unk>` (1), `<s>` (2) and `</s>` (3) and with character
        offsets. Pairs are joined as `first </s> second`. It has no maximum length, because its models have none.

    Raises:
        ConfigError: The kind is unknown, there is no text, the vocabulary is too small for the kind, or there are words
            for a kind without them.
    """
    check_choice("kind", kind, KINDS)
    words = list(words)
    if words and kind not in OF_WORDS:
        kinds = ", ".join(OF_WORDS)
        raise ConfigError(f"kind={kind!r} has no entries for words={words[:3]}: write one of {kinds}, or no words.")
    if isinstance(texts, str):
        raise ConfigError("texts is one string: pass a list of texts, train_tokenizer([text]).")
    smallest = len(SPECIAL_TOKENS) + (256 if kind == "bpe" else 1)
    if vocab_size < smallest:
        raise ConfigError(f"vocab_size={vocab_size} is too small for kind={kind!r}: write at least {smallest}.")
    model, pre_tokenizer, decoder, trainer = _parts(kind, vocab_size, min_frequency, show_progress)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = _normalizer(lowercase, strip_html, normalize_digits)
    tokenizer.pre_tokenizer = pre_tokenizer
    if kind == "whitespace":
        # Special tokens in the text are in the vocabulary already and must not be learnt as words.
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
    if words:
        add_words(tokenizer, whole_words(tokenizer, words))
    if not counted.characters:
        raise ConfigError("there is no text to train a tokenizer from: the column is empty, or all its rows are.")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNK,
        bos_token=BOS,
        eos_token=EOS,
        model_input_names=_MODEL_INPUTS,
        clean_up_tokenization_spaces=False,
    )


def _normalizer(lowercase: bool, strip_html: bool, normalize_digits: bool) -> Any:
    steps: list[Any] = [normalizers.NFC()]
    if strip_html:
        steps.append(normalizers.Replace(Regex(r"<[^<>]{1,200}>"), " "))
    if lowercase:
        steps.append(normalizers.Lowercase())
    if normalize_digits:
        steps.append(normalizers.Replace(Regex(r"\d"), "0"))
    return normalizers.Sequence(steps)


def _parts(kind: str, vocab_size: int, min_frequency: int, show_progress: bool) -> tuple[Any, Any, Any, Any]:
    """Return the model, the pre-tokenizer, the decoder (or None) and the trainer of a kind.

    Decoders put a space before each word, the first one too, because generated text is appended to the prompt.
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
        # "never" keeps the decoder from removing the leading space.
        return models.Unigram(), pre_tokenizers.Metaspace(), decoders.Metaspace(prepend_scheme="never"), trainer
    if kind == "wordpiece":
        split = pre_tokenizers.Split(_WORD, behavior="removed", invert=True)
        trainer = trainers.WordPieceTrainer(min_frequency=min_frequency, **common)
        # decoders.WordPiece does not change the first token: it adds no space there and keeps its ##.
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
    """Train a WordPiece model with a reproducible vocabulary, and return it.

    The trainer numbers letters inside words in arbitrary order, which decides between equally frequent subwords.
    """
    texts = list(texts)
    cut: Any = tokenizer.pre_tokenizer
    normalize = tokenizer.normalizer.normalize_str
    words = [word for text in texts for word, _ in cut.pre_tokenize_str(normalize(text))]
    # Only half of the vocabulary, because a letter may need two entries: at the beginning of a word and inside it.
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
    """Return the trained unigram model with reproducible scores and ids.

    The trainer adds up scores in arbitrary order, which changes their last digits. Letters that are not pieces get the
    lowest score plus 0.0001 for each further one, in arbitrary order too (tokenizers 0.23, `UnigramTrainer::finalize`).
    """
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
    """Iterable over texts that counts their characters."""

    def __init__(self, texts: Iterable[str]):
        self.texts = texts
        self.characters = 0

    def __iter__(self) -> Iterator[str]:
        for text in self.texts:
            text = text or ""
            self.characters += len(text.strip())
            yield text


def load_tokenizer(path: str, **kwargs: Any) -> PreTrainedTokenizerBase:
    """Load a tokenizer from a folder or the Hub, and check that a recurrent model can use it.

    Args:
        path: Folder or Hub id of the tokenizer.
        **kwargs: Options of `AutoTokenizer.from_pretrained`. `trust_remote_code` is False by default.

    Raises:
        ConfigError: The tokenizer cannot be loaded, or it has no padding token.
    """
    try:
        folder, options = _fetched(path, {"trust_remote_code": False, **kwargs})
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"no tokenizer can be loaded from {path!r} ({first_line(error)}): name a folder that "
            "tokenizer.save_pretrained wrote, or a Hub id."
        ) from error
    if tokenizer.pad_token_id is None:
        raise ConfigError(
            f"the tokenizer {path!r} has no padding token: load it, set tokenizer.pad_token = tokenizer.eos_token "
            "(or add one), save it, and name that folder."
        )
    # Tokenizers such as that of BERT would also return `token_type_ids`, which recurrent models do not accept.
    tokenizer.model_input_names = tokenizer.init_kwargs["model_input_names"] = _MODEL_INPUTS
    return tokenizer


def _fetched(path: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the folder of a tokenizer and the options that are left for `AutoTokenizer.from_pretrained`.

    If the Hub does not answer, the files come from the cache. transformers alone would wait for minutes.
    """
    if Path(path).is_dir() or looks_local(path) or options["trust_remote_code"]:
        return path, options
    # The model type in the configuration may decide the class of the tokenizer.
    patterns = [f"{options.get('subfolder') or ''}/{name}".lstrip("/") for name in (CONFIG_NAME, *TOKENIZER_FILES)]
    where = {name: options[name] for name in ("revision", "token", "cache_dir", "local_files_only") if name in options}

    def is_whole(folder: Path) -> bool:
        return any(any((folder / (options.get("subfolder") or "")).glob(name)) for name in TOKENIZER_FILES)

    rest = {name: value for name, value in options.items() if name not in where}
    return str(snapshot(path, patterns, is_whole, **where, is_intact=is_intact)), rest


def settled_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[list[int], str]:
    """Return the ids of the leading tokens that later text cannot change, and the rest of the text.

    Args:
        tokenizer: Fast tokenizer; its padding and truncation are switched off.
        text: Beginning of a text that may continue. If it cannot be cut, there are no ids and the rest is all of it.
    """
    return tokens.settled_ids(backend_of(tokenizer), text)


def backend_of(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """Return the tokenizer of the library tokenizers, with padding and truncation switched off.

    Args:
        tokenizer: Fast tokenizer.

    Raises:
        ConfigError: The tokenizer is not a fast one.
    """
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ConfigError(
            f"{type(tokenizer).__name__} does not map tokens to words and characters: use a fast tokenizer."
        )
    if backend.padding is not None:
        backend.no_padding()
    if backend.truncation is not None:
        backend.no_truncation()
    return backend


def token_ids(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], pairs: Sequence[str] | None = None
) -> list[list[int]]:
    """Return `tokenizer(texts, pairs)["input_ids"]` without padding and truncation.

    Args:
        tokenizer: Tokenizer to use; padding and truncation of a fast tokenizer are switched off.
        texts: Texts, or the first texts of pairs.
        pairs: Second text of each pair; None for single texts.
    """
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        return tokenizer(list(texts), None if pairs is None else list(pairs), verbose=False)["input_ids"]
    return tokens.token_ids(backend_of(tokenizer), texts, pairs)


def pair_encodings(tokenizer: PreTrainedTokenizerBase, pairs: Sequence[tuple[str, str]]) -> list[list[int | None]]:
    """Return the text of a pair that each token belongs to: 0, 1 or, for tokens between the texts, None.

    Args:
        tokenizer: Fast tokenizer.
        pairs: Pairs of texts. Tokens have the same order as in [`token_ids`].

    Raises:
        ConfigError: There are pairs, and the tokenizer is not a fast one.
    """
    if not pairs:
        return []
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise ConfigError(
            f"{type(tokenizer).__name__} does not map tokens to the texts of a pair: use a fast tokenizer, or "
            "leave data.max_length out."
        )
    return tokens.pair_encodings(backend_of(tokenizer), pairs)


__all__ = [
    "TokenizerArguments",
    "backend_of",
    "load_tokenizer",
    "pair_encodings",
    "settled_ids",
    "token_ids",
    "train_tokenizer",
]
