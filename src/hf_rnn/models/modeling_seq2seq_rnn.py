# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Sequence-to-sequence model: an encoder reads a text, a decoder with attention writes another.

Shape letters as in `configuration_rnn`; S is the time of the source text, and T that of the target text.
"""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GenerationMixin
from transformers.modeling_outputs import Seq2SeqLMOutput

from .attention import AttentionDecoder, DecoderState, Memory
from .configuration_rnn import RNNConfig
from .embedding import embed
from .forward_arguments import accepts_client_arguments, foreign_state
from .label_checks import IGNORED, check_in_vocabulary
from .modeling_rnn import RNNModel
from .outputs import RNNModelOutput
from .pretrained_model import RNNPreTrainedModel
from .recurrence import locked_dropout
from .recurrent_cache import RNNCache
from .stop_strings import StringStoppingMixin


class RNNDecoderCache(RNNCache):
    """State of the decoder, used instead of transformers' cache; its size does not grow with the target text.

    Args:
        state: Parts of a [`DecoderState`], with rows as the first dimension of each.
        seen_tokens: Number of target tokens that the decoder has read, the start token included.
        keys: Attention keys of the source text, `[B, S, H]`. Beams of one text share them, so that reordering beams
            leaves them as they are.
    """

    def __init__(self, state: tuple[Tensor, ...], seen_tokens: int, keys: Tensor):
        super().__init__(state, seen_tokens)
        self.keys = keys

    @classmethod
    def of(cls, state: DecoderState, seen_tokens: int, keys: Tensor) -> "RNNDecoderCache":
        """Return the cache that holds a decoder state.

        Args:
            state: State of the decoder.
            seen_tokens: Number of target tokens that the decoder has read.
            keys: Attention keys of the source text, `[B, S, H]`.
        """
        layers = [part.transpose(0, 1) for part in (state.h, state.c) if part is not None]
        return cls((*layers, state.attended, state.covered), seen_tokens, keys)

    def decoder_state(self) -> DecoderState:
        """Return the state in the form that the decoder takes."""
        *layers, attended, covered = self.state
        h, *c = (part.transpose(0, 1) for part in layers)
        return DecoderState(h, c[0] if c else None, attended, covered)


class RNNForConditionalGeneration(RNNPreTrainedModel, StringStoppingMixin, GenerationMixin):
    """Encoder-decoder model for translation, summarization or spelling correction.

    An [`RNNModel`] reads the source text, and an [`AttentionDecoder`] writes the target text (Sutskever et al. 2014,
    Bahdanau et al. 2015, Luong et al. 2015). Both share one vocabulary. Only this model reads the configuration's
    `attention_type`, `input_feeding`, `coverage`, `share_embeddings`, `label_smoothing` and `scheduled_sampling`.

    Args:
        config: Configuration of the model. The model keeps a copy with `is_encoder_decoder=True`.
    """

    _is_stateful = True

    def __init__(self, config: RNNConfig):
        config = copy.deepcopy(config)
        config.is_encoder_decoder = True
        super().__init__(config)
        V, E = config.vocab_size, config.embedding_size
        self.model = RNNModel(config)
        self.decoder = AttentionDecoder(config)
        self.decoder_embed_tokens = None
        if not config.share_embeddings:
            self.decoder_embed_tokens = nn.Embedding(V, E, padding_idx=config.pad_token_id)
        self.lm_head = nn.Linear(E, V)
        source = "model.embed_tokens" if config.share_embeddings else "decoder_embed_tokens"
        self._tied_weights_keys = {"lm_head.weight": f"{source}.weight"}
        self._keys_to_ignore_on_save = list(self._tied_weights_keys) if config.tie_word_embeddings else None
        self.post_init()

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False

    def get_encoder(self, modality: str | None = None) -> RNNModel:
        """Return the encoder.

        Args:
            modality: Ignored; the model reads text only.
        """
        return self.model

    def get_decoder(self) -> AttentionDecoder:
        """Return the decoder."""
        return self.decoder

    def use_vocabulary(self, tokenizer: Any) -> None:
        """Copy the ids of the special tokens from a tokenizer into the configuration and the generation configuration.

        The ids are those of the tokens that begin, end and pad a text. The decoder starts with the token that begins
        one.

        Args:
            tokenizer: Tokenizer of the model.
        """
        names = {"decoder_start_token_id": "bos_token_id"}
        for name in ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"):
            value = getattr(tokenizer, names.get(name, name))
            setattr(self.config, name, value)
            setattr(self.generation_config, name, value)

    def resize_token_embeddings(self, *args: Any, **kwargs: Any) -> nn.Embedding:
        """Resize the embedding and, if the decoder has its own, that of the decoder.

        Args:
            *args: Same as in [`~transformers.PreTrainedModel.resize_token_embeddings`].
            **kwargs: Same as in [`~transformers.PreTrainedModel.resize_token_embeddings`].
        """
        embedding = super().resize_token_embeddings(*args, **kwargs)
        if self.decoder_embed_tokens is not None:
            how: Any = {name: kwargs[name] for name in ("mean_resizing",) if name in kwargs}
            self.decoder_embed_tokens = self._get_resized_embeddings(
                self.decoder_embed_tokens, embedding.num_embeddings, **how
            )
            self.tie_weights()
        return embedding

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """Generate target texts, after checking the number of beams.

        Args:
            *args: Same as in [`~transformers.GenerationMixin.generate`].
            **kwargs: Same as in [`~transformers.GenerationMixin.generate`].

        Raises:
            ValueError: If `num_beams` is less than 1 or greater than the size of the vocabulary.
        """
        chosen = kwargs.get("generation_config") or self.generation_config
        beams = kwargs["num_beams"] if kwargs.get("num_beams") is not None else chosen.num_beams or 1
        if not 1 <= beams <= self.config.vocab_size:
            raise ValueError(
                f"num_beams={beams} must be from 1 to the number of entries of the vocabulary, vocab_size="
                f"{self.config.vocab_size}: write num_beams=5."
            )
        general: Any = super()
        return general.generate(*args, **kwargs)

    def prepare_decoder_input_ids_from_labels(self, labels: Tensor) -> Tensor:
        """Return the labels shifted right by one position, with the start token in front and -100 replaced by padding.

        Args:
            labels: Token ids of the target text, `[B, T]`.

        Raises:
            ValueError: If the configuration has neither `decoder_start_token_id` nor `bos_token_id`.
        """
        begin, pad = self.config.decoder_start_token_id, self.config.pad_token_id
        begin = self.config.bos_token_id if begin is None else begin
        if begin is None:
            raise ValueError(
                "decoder_start_token_id and bos_token_id are None, and the decoder needs a start token: write "
                "RNNConfig(…, decoder_start_token_id=tokenizer.bos_token_id)."
            )
        shifted = torch.cat([labels.new_full((len(labels), 1), begin), labels[:, :-1]], dim=1)
        return shifted.masked_fill(shifted == IGNORED, pad or 0)

    @accepts_client_arguments()
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        encoder_outputs: RNNModelOutput | None = None,
        past_key_values: RNNDecoderCache | None = None,
        inputs_embeds: Tensor | None = None,
        decoder_inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        logits_to_keep: int = 0,
    ) -> Seq2SeqLMOutput:
        """Encode the source text, decode the target text, and compute the loss if labels are given.

        Args:
            input_ids: Token ids of the source text, `[B, S]`; see [`RNNModel.forward`].
            attention_mask: Mask of the source text, `[B, S]`; `encoder_outputs` need it too.
            inputs_embeds: Embedded source text, `[B, S, E]`, instead of `input_ids`.
            decoder_input_ids: Target tokens to read, `[B, T]`; None for the labels shifted right by one position.
            decoder_attention_mask: Mask of the target tokens, `[B, T]`; it may cover the tokens of earlier calls too.
                Padding does not change the state.
            encoder_outputs: Output of the encoder, instead of a source text.
            past_key_values: State after the target tokens that precede `decoder_input_ids`.
            decoder_inputs_embeds: Embedded target tokens, `[B, T, E]`, instead of `decoder_input_ids`.
            labels: Target text with its end token, `[B, T]`; the loss ignores -100.
            use_cache: True to return the state; None returns it only without labels.
            output_attentions: True to return the attention as `cross_attentions`, a tuple of one `[B, 1, T, S]` (one
                layer, one head).
            output_hidden_states: True to return the outputs of each layer of the encoder and the decoder; None for the
                configuration's value.
            logits_to_keep: Number of target positions at the end that get logits; 0 for all.

        Raises:
            ValueError: If there is neither a target text nor labels, the start token is missing, or the shapes of
                source, target, state and labels do not match; also for the reasons in [`RNNModel.forward`].
        """
        config = self.config
        if output_hidden_states is None:
            output_hidden_states = config.output_hidden_states
        if encoder_outputs is None:
            encoder_outputs = self.model(
                input_ids,
                attention_mask,
                inputs_embeds,
                output_hidden_states=output_hidden_states,
                return_dict=True,
            )
        elif isinstance(encoder_outputs, tuple):
            encoder_outputs = RNNModelOutput(*encoder_outputs)
        elif "final_hidden_state" not in encoder_outputs:
            raise ValueError(
                f"encoder_outputs is a {type(encoder_outputs).__name__} without final_hidden_state: pass "
                "encoder_outputs=model.get_encoder()(input_ids, attention_mask)."
            )
        if labels is not None:
            _check_labels(labels, config.vocab_size)
        if decoder_inputs_embeds is None and decoder_input_ids is None:
            if labels is None:
                raise ValueError(
                    "the decoder has no input: pass labels=…, or decoder_input_ids=…, or call model.generate(…)."
                )
            decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        memory, state = self._take_up(encoder_outputs, attention_mask, past_key_values)
        x = decoder_inputs_embeds
        if x is None:
            assert decoder_input_ids is not None
            x = self._embed(decoder_input_ids)
        _check(x, memory, state, labels)
        mask = None if decoder_attention_mask is None else decoder_attention_mask[:, -x.shape[1] :]
        if self.training and config.scheduled_sampling and decoder_inputs_embeds is None:
            assert decoder_input_ids is not None
            x = self._embed(self._sampled(decoder_input_ids, x, memory, state, mask))
        attended, weights, outputs, after = self.decoder(x, memory, state, mask)
        logits = self.lm_head(locked_dropout(attended[:, -logits_to_keep:], config.output_dropout, self.training))
        loss = None
        if labels is not None:
            loss = self._loss(logits, labels, weights, state.covered)
        use_cache = labels is None if use_cache is None else use_cache
        seen = x.shape[1] + (0 if past_key_values is None else past_key_values.seen_tokens)
        return Seq2SeqLMOutput(
            loss=loss,
            logits=logits,
            past_key_values=RNNDecoderCache.of(after, seen, memory.keys) if use_cache else None,  # type: ignore[arg-type]
            decoder_hidden_states=(x, *outputs) if output_hidden_states else None,
            cross_attentions=(weights.unsqueeze(1),) if output_attentions else None,  # type: ignore[arg-type]
            encoder_last_hidden_state=memory.values,
            encoder_hidden_states=encoder_outputs.hidden_states,
        )

    def _take_up(
        self, read: RNNModelOutput, attention_mask: Tensor | None, cache: RNNDecoderCache | None
    ) -> tuple[Memory, DecoderState]:
        """Return the encoded source text, and the state before the next target token."""
        valid = None if attention_mask is None else attention_mask.bool()
        if cache is not None and not isinstance(cache, RNNDecoderCache):
            raise ValueError(
                foreign_state("past_key_values", cache, "this model accepts only states that it returned itself")
            )
        assert read.last_hidden_state is not None
        assert read.final_hidden_state is not None
        if cache is not None:
            return Memory(read.last_hidden_state, cache.keys, valid), cache.decoder_state()
        memory = self.decoder.attention.memory(read.last_hidden_state, valid)
        return memory, self.decoder.begin(read.final_hidden_state, read.final_cell_state, memory)

    def _embed(self, ids: Tensor) -> Tensor:
        if self.decoder_embed_tokens is None:
            embedded = self.model.embed(ids)
        else:
            dropout = self.config.embedding_dropout if self.training else 0.0
            embedded = embed(self.decoder_embed_tokens, ids, self.config.vocab_size, dropout)
        return locked_dropout(embedded, self.config.input_dropout, self.training)

    @torch.no_grad()
    def _sampled(self, ids: Tensor, x: Tensor, memory: Memory, state: DecoderState, mask: Tensor | None) -> Tensor:
        """Replace target tokens at random by the decoder's own predictions (Bengio et al. 2015).

        The predictions come from a first pass that reads the right tokens (Mihaylova and Martins 2019). Padding and the
        start token stay.
        """
        written = self.lm_head(self.decoder(x, memory, state, mask)[0]).argmax(-1)
        written = torch.cat([ids[:, :1], written[:, :-1]], dim=1)
        drawn = torch.rand(ids.shape, device=ids.device) < self.config.scheduled_sampling
        padding = torch.zeros_like(drawn) if self.config.pad_token_id is None else ids == self.config.pad_token_id
        return torch.where(drawn & ~padding, written, ids)

    def _loss(self, logits: Tensor, labels: Tensor, weights: Tensor, covered: Tensor) -> Tensor:
        """Compute the loss per target token, in nats.

        In training mode, it has label smoothing and the coverage loss, which penalizes attention to the same position
        twice (See et al. 2017).
        """
        smoothing = self.config.label_smoothing if self.training else 0.0
        nats = F.cross_entropy(
            logits.flatten(0, 1).float(), labels.flatten(), reduction="sum", label_smoothing=smoothing
        )
        if self.training and self.config.coverage:
            before = covered.unsqueeze(1) + weights.cumsum(1) - weights
            twice = torch.minimum(before, weights).sum(-1)
            nats = nats + self.config.coverage * twice.masked_fill(labels == IGNORED, 0).sum()
        return nats / (labels != IGNORED).sum().clamp(min=1)


def _check_labels(labels: Tensor, V: int) -> None:
    """Raise ValueError unless the labels are token ids of the vocabulary, or -100, of shape `[B, T]`."""
    if labels.dim() != 2 or labels.is_floating_point():
        raise ValueError(
            f"labels have the shape {tuple(labels.shape)} and the type {labels.dtype}: pass token ids [B, T], a row "
            "for each text."
        )
    check_in_vocabulary(labels, V)


def _check(x: Tensor, memory: Memory, state: DecoderState, labels: Tensor | None) -> None:
    """Raise ValueError unless the source text, the embedded target text, the state and the labels match in shape."""
    B, S = memory.values.shape[:2]
    if memory.valid is not None and tuple(memory.valid.shape) != (B, S):
        raise ValueError(
            f"attention_mask has the shape {tuple(memory.valid.shape)}, and encoder_outputs [B, S] = {(B, S)}: pass "
            "the mask of encoder_outputs."
        )
    if not x.shape[1]:
        raise ValueError(
            f"the decoder's input has the shape [B, T] = {tuple(x.shape[:2])}, without a start token: pass one, such "
            f"as decoder_input_ids=torch.full(({B}, 1), model.config.decoder_start_token_id)."
        )
    if len(x) != B:
        raise ValueError(
            f"decoder_input_ids have {len(x)} rows, and encoder_outputs have {B}: pass a start token for each text, "
            f"such as torch.full(({B}, 1), model.config.decoder_start_token_id)."
        )
    if state.h.shape[1] != B:
        raise ValueError(
            f"past_key_values is the state of {state.h.shape[1]} rows, and encoder_outputs have {B}: pass the state of "
            "these rows."
        )
    if labels is not None and labels.shape != x.shape[:2]:
        raise ValueError(
            f"labels have the shape {tuple(labels.shape)}, and the decoder's input [B, T] = {tuple(x.shape[:2])}: "
            "leave decoder_input_ids out, or pass one for each label."
        )


__all__ = ["RNNDecoderCache", "RNNForConditionalGeneration"]
