# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Attribution: scores for how much each word of a text contributes to a label of a text classifier."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from ..inference.predictor import Predictor
from ..models.decisions import labels_of
from ..models.modeling_rnn import RNNForSequenceClassification
from ..runtime.texts import as_text
from ..text.batching import BATCH_TOKENS
from ..utils.errors import HfRnnError, check_choice
from .answers import check_classifier, margin, reading_mode, scores_of, target_index
from .segmentation import Span, sentences_of, tokens_of, words_of
from .views import Explanation

DEFAULT = "integrated_gradients"
# Integrated gradients: the initial and the maximum number of points on the path, and the completeness gap that is small
# enough.
FEWEST, MOST, GAP = 32, 2048, 0.01
# The smallest difference of logits that the completeness gap is divided by. It avoids a division by about zero.
NOTHING = 1e-3


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
    """Compute attribution scores: how much each word of a text contributes to a label.

    The explained number is the logit of the label minus the mean of the other logits, since a softmax depends only on
    differences of logits. In tasks without a softmax, it is the logit itself. The score of a word is the sum of the
    scores of its subwords.

    | method | the score of a word |
    |---|---|
    | `integrated_gradients` | Sundararajan et al. 2017; scores add up to the difference from embeddings of zeros |
    | `input_x_gradient` | Shrikumar et al. 2016: its embedding times the gradient there; quick, and a local estimate |
    | `occlusion` | the change of the explained number when the word is masked, so that the model does not read it |
    | `sentence_occlusion` | the same for a sentence |
    | `attention` | its weight in the pooling, for models with `pooling="attention"`; it is the same for all labels |

    Args:
        model: An [`RNNForSequenceClassification`] on any device. It runs in eval mode and is not changed.
        tokenizer: Fast tokenizer of the model.
        text: One text or a list of texts; pairs of texts are not supported.
        target: Label to explain, or its index; the label that the model chooses if None.
        method: Attribution method of the table.
        n_steps: Number of points on the path of integrated gradients. None starts with 32 and doubles it, up to 2,048,
            until the sum of the scores is within 1 % of the difference from the baseline.
        batch_tokens: Maximum number of tokens in a batch.
        cut: Function that truncates rows of token ids as in training, such as `task.cut`; None for no truncation.

    Returns:
        An [`Explanation`] for one text, or a list of them for a list.

    Raises:
        HfRnnError: A text has no tokens, or the label or the method does not exist; the model is not a text classifier
            or has no pooling for the method; the tokenizer has no offsets; or captum is not installed.

    ```python
    >>> from hf_rnn import Predictor, explain

    >>> predictor = Predictor.from_pretrained("my-model")
    >>> read = {"cut": predictor.task.cut}  # truncates long texts as in training
    >>> print(explain(predictor.model, predictor.tokenizer, "a lovely lamp", **read).to_ansi())
    ```
    """
    _check(model, text, method, n_steps, batch_tokens)
    texts = [as_text(each) for each in ([text] if isinstance(text, str) else text)]
    with reading_mode(model):
        explanations = [_explain(model, tokenizer, each, target, method, n_steps, batch_tokens, cut) for each in texts]
    return explanations[0] if isinstance(text, str) else explanations


def _check(model: Any, text: str | Sequence[str], method: str, n_steps: int | None, batch_tokens: int) -> None:
    check_choice("method", method, METHODS)
    check_classifier(model)
    if method == "attention" and model.config.pooling != "attention":
        raise HfRnnError(
            f"method='attention' needs attention pooling, which this model does not have (pooling="
            f"{model.config.pooling!r}): write method='integrated_gradients', or train with model.pooling='attention'."
        )
    for name, value in (("n_steps", n_steps), ("batch_tokens", batch_tokens)):
        if value is not None and not (isinstance(value, int) and value >= 1):
            raise HfRnnError(f"{name}={value!r} must be a whole number, 1 or greater.")
    if not isinstance(text, Sequence) or isinstance(text, bytes):
        raise HfRnnError(f"{text!r} is of type {type(text).__name__}: pass a text, or a list of texts.")


def _explain(
    model: RNNForSequenceClassification,
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    target: str | int | None,
    method: str,
    n_steps: int | None,
    batch_tokens: int,
    cut: Callable[[list[int]], list[int]] | None,
) -> Explanation:
    ids, offsets = tokens_of(tokenizer, text, cut)
    batch = torch.tensor([ids], device=model.device)
    with torch.no_grad():
        logits = model(batch, return_dict=True).logits.float()
    if not logits.isfinite().all():
        raise HfRnnError(
            f"the logits for {text[:60]!r} are NaN or infinite: the weights are damaged, load another model."
        )
    index = target_index(model.config, target, logits[0])
    spans = sentences_of(text, offsets) if method == "sentence_occlusion" else words_of(text, offsets)
    at_once = max(1, batch_tokens // len(ids))
    question = _Question(model, index, batch, spans, n_steps, at_once)
    scores, gap = METHODS[method](question)
    if method in OF_RECURRENCE and model.wide_path is not None:
        # Gradients of embeddings do not include the wide path. It is linear in its n-grams, so their scores are exact.
        scores = scores + margin(model.config, model.wide_path.token_scores(batch).detach(), index).cpu()
    for span in spans:
        span.score = float(scores[span.tokens].sum())
    of_labels = dict(zip(labels_of(model.config), scores_of(model.config, logits)[0].tolist(), strict=True))
    label = labels_of(model.config)[index]
    return Explanation(text, label, of_labels[label], method, spans, ids, of_labels, gap)


@dataclass
class _Question:
    """A model, a text and a label for an attribution method.

    Args:
        model: Text classifier.
        index: Index of the label.
        ids: Token ids of the text, `[1, T]`.
        spans: Words or sentences of the text.
        n_steps: Number of points on the path of integrated gradients; None to choose it by the completeness gap.
        at_once: Maximum number of rows of T tokens in a batch.
    """

    model: Any
    index: int
    ids: Tensor
    spans: list[Span]
    n_steps: int | None
    at_once: int

    def of_embedded(self, embedded: Tensor) -> Tensor:
        """Return the explained number `[B]` for embedded tokens `[B, T, E]`, without the part of the wide path."""
        logits = self.model.recurrent_logits(inputs_embeds=embedded)
        return margin(self.model.config, logits, self.index)

    def of_kept(self, kept: Tensor) -> Tensor:
        """Return the explained number `[B]` for masks `[B, T]`, which are 0 for tokens that the model does not read."""
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
    # The model skips masked tokens at any position, so its answer is that for the text without the word.
    kept = torch.ones(question.ids.shape, device=question.ids.device)
    # Words are numbered from 1. Tokens of group 0 belong to no word.
    groups = torch.zeros_like(question.ids)
    for number, span in enumerate(question.spans, 1):
        groups[0, span.tokens] = number
    method = _captum().FeatureAblation(question.of_kept)
    options = {"feature_mask": groups, "perturbations_per_eval": question.at_once}
    with torch.no_grad():
        scores = method.attribute(kept, **options)[0].cpu()
    for span in question.spans:
        # captum gives each token the score of its whole word, so the tokens share it.
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

# Methods that compute gradients of embedded tokens. The wide path reads token ids and has no such gradients.
OF_RECURRENCE = ("integrated_gradients", "input_x_gradient")


def _captum() -> Any:
    try:
        from captum import attr
    except ImportError:
        raise HfRnnError('explanations need captum: pip install captum (or "hf-rnn[explain]").') from None
    return attr


def explainable(predictor: Predictor) -> tuple[Any, PreTrainedTokenizerBase, Callable[[list], list]]:
    """Return the model, the tokenizer and the `cut` of a predictor, the arguments of [`explain`] and `how_it_read`.

    Args:
        predictor: Predictor with a text classifier.

    Raises:
        HfRnnError: The model is not a text classifier, or it reads pairs of texts.
    """
    if not predictor.task.one_answer:
        raise HfRnnError(
            f"this is a model for {predictor.task.problem_type.replace('_', ' ')}, but only the labels of text "
            "classifiers can be explained: name a text classifier."
        )
    if predictor.task.data.text_pair_column:
        raise HfRnnError(
            f"this model reads pairs of texts (the second one from {predictor.task.data.text_pair_column!r}), but only "
            "single texts can be explained: name a model of single texts."
        )
    return predictor.model, predictor.tokenizer, predictor.task.cut


__all__ = ["DEFAULT", "METHODS", "explain", "explainable"]
