# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Why a classifier answers what it answers: how much each word of a text speaks for a label."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ..inference.predictor import Predictor
from ..models.modeling_rnn import RNNForSequenceClassification, labels_of
from ..text.batching import BATCH_TOKENS
from ..text.labels import is_regression
from ..text.tokenization import as_text
from ..utils.errors import UserError, check_choice, nearest
from .views import Viewable

DEFAULT = "integrated_gradients"
# Points of the path of integrated gradients to begin with, and at most; the gap at which there are enough of them.
FEWEST, MOST, GAP = 32, 2048, 0.01
# A difference of logits that is less is none, and no share of it is asked for.
NOTHING = 1e-3
# Of a token that the tokenizer added to the text.
NOWHERE = (-1, -1)


@dataclass
class Span:
    """A word or a sentence.

    Args:
        word: as it stands in the text, from `start` to `end` (characters).
        score: how much it speaks for the label; negative, against it.
        tokens: places of its tokens in what the model read.
    """

    word: str
    start: int
    end: int
    score: float = 0.0
    tokens: list[int] = field(default_factory=list, repr=False)


@dataclass
class Explanation(Viewable):
    """
    Args:
        text: as it was given.
        label: that the words speak for.
        score: its probability; in regression, the value.
        method: see [`explain`].
        words: in the order of the text; sentences where the method is about those. What the model did not read is not
            among them.
        ids: tokens that the model read.
        scores: those of all labels, by their names.
        completeness_gap: of integrated gradients, by what share of it the scores miss the difference that they have to
            add up to; None for other methods.
    """

    text: str
    label: str
    score: float
    method: str
    words: list[Span]
    ids: list[int] = field(repr=False)
    scores: dict[str, float] = field(repr=False)
    completeness_gap: float | None = None

    def as_dict(self) -> dict:
        """What JSON can hold: text, label, score, method, scores, and of each word its offsets and its score."""
        told = asdict(self)
        told.pop("ids")
        for word in told["words"]:
            word.pop("tokens")
        return told


def explain(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    text: str | Sequence[str],
    target: str | int | None = None,
    method: str = DEFAULT,
    *,
    n_steps: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
    cut: Callable[[list], list] | None = None,
) -> Any:
    """Tells how much each word of a text speaks for a label.

    What is told of is the label's logit less the mean of the others', since a softmax sees no more of them; in tasks
    without one, the logit itself. The scores of sub-words are added up to those of words by character offsets.

    | method | the score of a word |
    |---|---|
    | `integrated_gradients` | Sundararajan et al. 2017, from embeddings of zeros; scores add up to the difference |
    | `input_x_gradient` | Shrikumar et al. 2016: its embedding times the gradient there; quick, and right near by |
    | `occlusion` | the difference that it makes to leave it out, by a mask that the model does not read over |
    | `sentence_occlusion` | the same of a sentence |
    | `attention` | the weight that the pooling gave it, where the pooling is `"attention"`, whatever the label |

    Args:
        model: an [`RNNForSequenceClassification`], on any device; it is read in eval mode, and left as it was.
        tokenizer: of the model; a fast one.
        text: one, or several; texts of pairs are not read.
        target: a label or its index; the likeliest if None.
        n_steps: points of the path of integrated gradients; if None, 32, and twice as many as long as the scores miss
            by more than 1 % what they have to add up to, up to 2,048.
        batch_tokens: tokens that are read at once.
        cut: what the model was trained to read of token ids, such as `task.cut`; all if None.

    Returns:
        An [`Explanation`], or a list of them.

    Raises:
        UserError: a text without tokens, a label that does not exist, an unknown method or one that the pooling does
            not go with, no classifier, a tokenizer without offsets; or captum is not installed.

    ```python
    >>> from hf_rnn import Predictor, explain

    >>> predictor = Predictor.from_pretrained("my-model")
    >>> read = {"cut": predictor.task.cut}  # of a longer text, what the model was trained to read
    >>> print(explain(predictor.model, predictor.tokenizer, "a lovely lamp", **read).to_ansi())
    ```"""
    check_choice("method", method, METHODS)
    if not isinstance(model, RNNForSequenceClassification):
        raise UserError(
            f"{type(model).__name__} gives a text no label to explain: pass an RNNForSequenceClassification."
        )
    if method == "attention" and model.config.pooling != "attention":
        raise UserError(
            f"method='attention' shows the weights of a pooling that this model does not have (pooling="
            f"{model.config.pooling!r}): write method='integrated_gradients', or train with --model.pooling attention."
        )
    for name, value in (("n_steps", n_steps), ("batch_tokens", batch_tokens)):
        if value is not None and not (isinstance(value, int) and value >= 1):
            raise UserError(f"{name}={value!r} must be a whole number from 1 on.")
    if not isinstance(text, Sequence) or isinstance(text, bytes):
        raise UserError(f"{text!r} is of type {type(text).__name__}: pass a text, or a list of texts.")
    texts = [as_text(each) for each in ([text] if isinstance(text, str) else text)]
    with reading_mode(model):
        explanations = [_explain(model, tokenizer, each, target, method, n_steps, batch_tokens, cut) for each in texts]
    return explanations[0] if isinstance(text, str) else explanations


@contextmanager
def reading_mode(model: Any) -> Iterator[None]:
    """Eval mode, as long as it lasts."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _explain(model, tokenizer, text, target, method, n_steps, batch_tokens, cut) -> Explanation:
    ids, offsets = tokens_of(tokenizer, text, cut)
    batch = torch.tensor([ids], device=model.device)
    with torch.no_grad():
        logits = model(batch, return_dict=True).logits.float()
    if not logits.isfinite().all():
        raise UserError(
            f"the model's answer for {text[:60]!r} is no number: its weights are damaged, load another one."
        )
    index = target_index(model.config, target, logits[0])
    spans = sentences_of(text, offsets) if method == "sentence_occlusion" else words_of(text, offsets)
    at_once = max(1, batch_tokens // len(ids))
    question = _Question(model, index, batch, spans, n_steps, at_once)
    scores, gap = METHODS[method](question)
    for span in spans:
        span.score = float(scores[span.tokens].sum())
    of_labels = dict(zip(labels_of(model.config), scores_of(model.config, logits)[0].tolist(), strict=True))
    label = labels_of(model.config)[index]
    return Explanation(text, label, of_labels[label], method, spans, ids, of_labels, gap)


@dataclass
class _Question:
    """What a method is asked: the text's tokens `[1, T]`, and of which label."""

    model: Any
    index: int
    ids: Tensor
    spans: list[Span]
    n_steps: int | None
    at_once: int

    def of_embedded(self, embedded: Tensor) -> Tensor:
        """What is explained, `[B]`, of embedded tokens `[B, T, E]`."""
        return margin(self.model.config, self.model(inputs_embeds=embedded, return_dict=True).logits, self.index)

    def of_kept(self, kept: Tensor) -> Tensor:
        """The same without the tokens that are not kept, `[B, T]`."""
        ids = self.ids.expand(len(kept), -1)
        return margin(
            self.model.config, self.model(ids, attention_mask=kept.long(), return_dict=True).logits, self.index
        )

    def embedded(self) -> Tensor:
        return self.model.model.lookup(self.ids).detach()


def _integrated_gradients(question: _Question) -> tuple[Tensor, float]:
    captum = _captum()
    embedded = question.embedded()
    method = captum.IntegratedGradients(question.of_embedded, multiply_by_inputs=True)
    with torch.no_grad():
        difference = float(question.of_embedded(embedded) - question.of_embedded(torch.zeros_like(embedded)))
    steps = question.n_steps or FEWEST
    while True:
        scores = method.attribute(embedded, n_steps=steps, internal_batch_size=question.at_once)
        gap = abs(float(scores.sum()) - difference) / max(abs(difference), NOTHING)
        if question.n_steps or gap <= GAP or steps >= MOST:
            return scores.sum(-1)[0].cpu(), gap
        steps *= 2


def _input_x_gradient(question: _Question) -> tuple[Tensor, None]:
    embedded = question.embedded().requires_grad_()
    return _captum().InputXGradient(question.of_embedded).attribute(embedded).sum(-1)[0].detach().cpu(), None


def _occlusion(question: _Question) -> tuple[Tensor, None]:
    # The model reads over no padding, wherever it stands: a masked word is a word that was never written.
    kept = torch.ones(question.ids.shape, device=question.ids.device)
    # Numbered from 1 on: 0 is what belongs to no word.
    groups = torch.zeros_like(question.ids)
    for number, span in enumerate(question.spans, 1):
        groups[0, span.tokens] = number
    method = _captum().FeatureAblation(question.of_kept)
    options = {"feature_mask": groups, "perturbations_per_eval": question.at_once}
    with torch.no_grad():
        scores = method.attribute(kept, **options)[0].cpu()
    for span in question.spans:
        # Each token of a word was given the difference that the word makes.
        scores[span.tokens] /= len(span.tokens)
    return scores, None


def _attention(question: _Question) -> tuple[Tensor, None]:
    with torch.no_grad():
        return question.model(question.ids, return_dict=True).pooling_weights[0].float().cpu(), None


METHODS: dict[str, Callable[[_Question], tuple[Tensor, float | None]]] = {
    "integrated_gradients": _integrated_gradients,
    "input_x_gradient": _input_x_gradient,
    "occlusion": _occlusion,
    "sentence_occlusion": _occlusion,
    "attention": _attention,
}


def _captum() -> Any:
    try:
        from captum import attr
    except ImportError:
        raise UserError('explanations need captum: pip install captum (or "hf-rnn[explain]").') from None
    return attr


def explainable(predictor: Predictor) -> tuple[Any, PreTrainedTokenizerBase, Callable[[list], list]]:
    """The model of a predictor, its tokenizer and what it reads of token ids, for [`explain`] and `how_it_read`.

    Raises:
        UserError: it is no classifier of whole texts, or reads pairs of texts.
    """
    if not predictor.task.one_answer:
        raise UserError(
            f"this is a model for {predictor.task.problem_type.replace('_', ' ')}, and what is explained is the label "
            "of a text: name a classifier."
        )
    if predictor.task.data.text_pair_column:
        raise UserError(
            f"this model reads pairs of texts (data.text_pair_column={predictor.task.data.text_pair_column!r}), and "
            "explanations are of one text: name a model of single texts."
        )
    return predictor.model, predictor.tokenizer, predictor.task.cut


def is_one_of_several(config: Any) -> bool:
    """Whether the labels of a text exclude one another."""
    return config.problem_type in (None, "single_label_classification") and config.num_labels > 1


def margin(config: Any, logits: Tensor, index: int) -> Tensor:
    """`[B]`: a logit of `[B, C]`, less the mean of the others where labels exclude one another."""
    logits = logits.float()
    if not is_one_of_several(config):
        return logits[:, index]
    C = config.num_labels
    return logits[:, index] - (logits.sum(1) - logits[:, index]) / (C - 1)


def scores_of(config: Any, logits: Tensor) -> Tensor:
    """Probabilities of logits `[…, C]`; in regression, the values."""
    if is_regression(config):
        return logits
    return logits.softmax(-1) if is_one_of_several(config) else logits.sigmoid()


def target_index(config: Any, target: str | int | None, logits: Tensor) -> int:
    """The index of a label; of the likeliest one if `target` is None.

    Raises:
        UserError: there is no such label.
    """
    names = labels_of(config)
    if target is None:
        return int(logits.argmax())
    if isinstance(target, str) and target in names:
        return names.index(target)
    if str(target).isdecimal() and int(target) < len(names):
        return int(target)
    near = next((name for name in names if name.casefold() == str(target).casefold()), None) or nearest(target, names)
    hint = f": did you mean target={near!r}?" if near else ", or give an index."
    raise UserError(f"target={target!r} is not one of the labels {', '.join(names[:20])}{hint}")


def tokens_of(
    tokenizer: PreTrainedTokenizerBase, text: str, cut: Callable[[list], list] | None = None
) -> tuple[list[int], list[tuple[int, int]]]:
    """The token ids of what a model reads of a text, and where in it each stands; [`NOWHERE`] for those that
    the tokenizer added.

    Raises:
        UserError: there is nothing to read, or the tokenizer knows no offsets.
    """
    if not tokenizer.is_fast:
        raise UserError(f"a {type(tokenizer).__name__} knows no offsets: load a fast tokenizer, AutoTokenizer.")
    encoding = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True, verbose=False)
    places = list(range(len(encoding["input_ids"])))
    if cut is not None:
        (places,) = cut([places])
    special = encoding["special_tokens_mask"]
    offsets = [NOWHERE if special[place] else encoding["offset_mapping"][place] for place in places]
    if not any(text[start:end].strip() for start, end in offsets):
        raise UserError(f"{text[:60]!r} holds no words to explain: pass a text that the tokenizer finds tokens in.")
    return [encoding["input_ids"][place] for place in places], offsets


# Chinese, Japanese and Thai do not part words: each token stands for itself there.
_UNPARTED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


def _in_words(character: str) -> bool:
    # Letters, the marks that stand on them, and digits.
    spelled = unicodedata.category(character)[0] in "LMN" or character in "'’_"
    return spelled and not _UNPARTED.match(character)


def words_of(text: str, offsets: Sequence[tuple[int, int]]) -> list[Span]:
    """Tokens put together to words: those that touch, letter to letter, or that are parts of one character. A token of
    spaces belongs to the word behind it."""
    words: list[Span] = []
    spaces: list[int] = []
    for place, (start, end) in enumerate(offsets):
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
        if start == end:
            if (start, end) != NOWHERE:
                spaces.append(place)
            continue
        last = words[-1] if words else None
        touches = last is not None and last.end == start and _in_words(text[start - 1]) and _in_words(text[start])
        if last is not None and (touches or last.start <= start < last.end):
            last.end = max(last.end, end)
            last.word = text[last.start : last.end]
            last.tokens.append(place)
        else:
            words.append(Span(text[start:end], start, end, tokens=[*spaces, place]))
            spaces = []
    if words:
        words[-1].tokens += spaces
    return words


_SENTENCE_END = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s|$)|[。！？]+[”’」』）]*|\n+|<br\s*/?>", re.IGNORECASE)


def sentences_of(text: str, offsets: Sequence[tuple[int, int]]) -> list[Span]:
    """The words of a text put together to sentences, by their punctuation."""
    ends = np.array([match.end() for match in _SENTENCE_END.finditer(text)])
    sentences: dict[int, Span] = {}
    for word in words_of(text, offsets):
        number = int(np.searchsorted(ends, word.start, side="right"))
        sentence = sentences.setdefault(number, Span("", word.start, word.end))
        sentence.end = word.end
        sentence.tokens += word.tokens
    for sentence in sentences.values():
        sentence.word = text[sentence.start : sentence.end]
    return list(sentences.values())


__all__ = ["Explanation", "Span", "explain"]
