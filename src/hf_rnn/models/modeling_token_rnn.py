# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Token classifier, with or without a conditional random field.

Shape letters as in `configuration_rnn`.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import initialization as init
from transformers.modeling_outputs import TokenClassifierOutput

from .characters import CharacterEncoder
from .configuration_rnn import RNNConfig
from .crf import CRF, bio_transitions
from .decisions import labels_of
from .forward_arguments import accepts_client_arguments
from .heads import ClassificationHead
from .label_checks import IGNORED, check_known
from .modeling_rnn import RNNModel
from .pretrained_model import RNNPreTrainedModel
from .ragged import Ragged


def _follow_labels(model: "RNNForTokenClassification", *_: Any) -> None:
    """Set the allowed transitions of the conditional random field from the labels of the model's configuration."""
    if model.crf is not None:
        model.crf.follow(labels_of(model.config), anew=True)


class RNNForTokenClassification(RNNPreTrainedModel):
    """[`RNNModel`] with a classification head for each token.

    With `character_encoder`, the spelling of each token is added to its embedding. With `crf=True`, a conditional
    random field scores whole tag sequences (Huang et al. 2015, Lample et al. 2016).

    The logits of a model with a conditional random field depend on the mode. In eval mode, they are max-marginals: the
    score of the best tag sequence that has a given tag at a given position. The best tag at each position, which
    `pipeline` takes, then gives the best sequence. In training mode, they are the scores of single tags.

    Args:
        config: Configuration of the model.
    """

    def __init__(self, config: RNNConfig):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.model = RNNModel(config)
        self.characters = CharacterEncoder(config) if config.character_encoder != "none" else None
        self.classifier = ClassificationHead(config, config.output_size)
        assert config.num_labels is not None
        self.crf = CRF(config.num_labels) if config.crf else None
        self.register_load_state_dict_post_hook(_follow_labels)
        self.post_init()

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """Load a model, and set the allowed transitions of its conditional random field from `config.id2label`.

        The order of the labels may differ from that of the saved ones.

        Args:
            *args: Same as in [`~transformers.PreTrainedModel.from_pretrained`].
            **kwargs: Same as in [`~transformers.PreTrainedModel.from_pretrained`].
        """
        found: Any = super().from_pretrained(*args, **kwargs)
        _follow_labels(found[0] if isinstance(found, tuple) else found)
        return found

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Initialize a module as [`RNNPreTrainedModel`] does, except for two kinds of modules.

        A conditional random field starts with zeros and the transitions of the BIO scheme. The spelling table of a
        [`CharacterEncoder`] starts empty.
        """
        if isinstance(module, CRF):
            for parameter in module.parameters():
                init.zeros_(parameter)
            module.labels = labels_of(self.config)
            init.copy_(module.allowed, bio_transitions(module.labels))
            return
        if isinstance(module, CharacterEncoder):
            init.zeros_(module.spelling)
        super()._init_weights(module)

    def use_vocabulary(self, tokenizer: Any) -> None:
        """Fill the spelling table of the character encoder from a tokenizer; do nothing without a character encoder.

        Args:
            tokenizer: Tokenizer of the model.
        """
        if self.characters is None:
            return
        tokens = [token or "" for token in tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))]
        decoder: Any = getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None)
        if type(decoder).__name__ == "ByteLevel":
            # A byte-level tokenizer shows each byte of a token as one letter; its decoder restores the text.
            tokens = [decoder.decode([token]) for token in tokens]
        self.characters.learn_spelling(tokens)

    def resize_token_embeddings(self, *args: Any, **kwargs: Any) -> nn.Embedding:
        """Resize the embedding, and the spelling table of the character encoder if there is one.

        Args:
            *args: Same as in [`~transformers.PreTrainedModel.resize_token_embeddings`].
            **kwargs: Same as in [`~transformers.PreTrainedModel.resize_token_embeddings`].
        """
        embedding = super().resize_token_embeddings(*args, **kwargs)
        if self.characters is not None:
            self.characters.resize(embedding.num_embeddings)
        return embedding

    @accepts_client_arguments()
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
    ) -> TokenClassifierOutput:
        """Compute the logits of each token, and the loss if labels are given.

        Args:
            input_ids: Same as in [`RNNModel.forward`].
            attention_mask: Same as in [`RNNModel.forward`].
            inputs_embeds: Embedded text, `[B, T, E]`, instead of `input_ids`; with a character encoder, it must already
                include the vectors of the spelling.
            labels: Tag of each token, `[B, T]`. The loss ignores -100 and padding; a conditional random field sums over
                all possible tags of an ignored token. It learns `B-x` instead of an `I-x` that is not allowed, such as
                where a window starts inside a span.
            output_hidden_states: Same as in [`RNNModel.forward`].

        Returns:
            `logits` `[B, T, C]`, and with labels `loss`, in nats per labeled token.

        Raises:
            ValueError: If the labels are not in `config.id2label` or have another shape than the text; also for the
                reasons in [`RNNModel.forward`].
        """
        if self.characters is not None and inputs_embeds is None:
            self.model.check_inputs(input_ids, attention_mask, inputs_embeds)
            assert input_ids is not None
            inputs_embeds, input_ids = self.model.embed(input_ids) + self.characters(input_ids.long()), None
        outputs = self.model(
            input_ids,
            attention_mask=attention_mask,
            inputs_embeds=inputs_embeds,
            output_hidden_states=output_hidden_states,
            output_cell_state=False,
            return_dict=True,
        )
        logits = self.classifier(outputs.last_hidden_state)
        if labels is not None:
            self._check_labels(labels, logits)
            if attention_mask is not None:
                labels = labels.masked_fill(attention_mask == 0, IGNORED)
        if self.crf is None:
            loss = None if labels is None else self.loss_of(logits, labels)
        else:
            loss, logits = self._through_crf(self.crf, logits, labels, attention_mask)
        return TokenClassifierOutput(loss=loss, logits=logits, hidden_states=outputs.hidden_states)

    @staticmethod
    def loss_of(logits: Tensor, labels: Tensor) -> Tensor:
        """Return the cross-entropy per labeled token, without a conditional random field; 0 without labeled tokens.

        Args:
            logits: Scores before softmax, `[B, T, C]`.
            labels: Tag of each token, `[B, T]`; the loss ignores -100.
        """
        nats = F.cross_entropy(logits.flatten(0, -2).float(), labels.flatten(), ignore_index=IGNORED, reduction="sum")
        return nats / (labels != IGNORED).sum().clamp(min=1)

    def _through_crf(
        self, crf: CRF, emissions: Tensor, labels: Tensor | None, attention_mask: Tensor | None
    ) -> tuple[Tensor | None, Tensor]:
        """Return the loss, None without labels, and the logits.

        The logits are max-marginals in eval mode, and the emissions themselves in training mode.
        """
        crf.follow(labels_of(self.config))
        scores = emissions.float()
        if not scores.shape[1]:
            return (None if labels is None else scores.sum()), emissions
        ragged = None if attention_mask is None else Ragged.from_mask(attention_mask)
        valid = scores.new_ones(scores.shape[:2], dtype=torch.bool) if ragged is None else ragged.valid
        to_front, to_place = (None, None) if ragged is None else (ragged.to_front, ragged.to_place)
        if to_front is not None:
            scores = scores.gather(1, to_front.unsqueeze(-1).expand_as(scores))
        loss = None
        if labels is not None:
            tags = labels if to_front is None else labels.gather(1, to_front)
            loss = -crf.log_likelihood(scores, tags, valid).sum() / (labels != IGNORED).sum().clamp(min=1)
        if self.training:
            return loss, emissions
        best = crf.max_marginals(scores, valid).masked_fill(~valid.unsqueeze(-1), 0)
        if to_place is not None:
            best = best.gather(1, to_place.unsqueeze(-1).expand_as(best))
        return loss, best.to(emissions.dtype)

    def _check_labels(self, labels: Tensor, logits: Tensor) -> None:
        """Raise ValueError unless the labels are class indices, or -100, of shape `[B, T]`."""
        B, T, C = logits.shape
        if tuple(labels.shape) != (B, T):
            raise ValueError(
                f"labels have the shape {tuple(labels.shape)}, expected [B, T] = [{B}, {T}]: one for each token, -100 "
                "for those without (DataCollatorForTokenClassification pads them)."
            )
        if labels.is_floating_point():
            raise ValueError(f"labels are of the type {labels.dtype}: pass class indices, labels.long().")
        check_known(labels, C)


__all__ = ["RNNForTokenClassification"]
