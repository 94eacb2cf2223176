# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Text to text: an encoder reads, a decoder with attention writes. Shape letters as in `configuration_rnn`; S is the
time of what is read, and T of what is written."""

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
    """The decoder's state in the place of transformers' cache: of the same size however much was written.

    Args:
        state: as [`DecoderState`] has it, rows first.
        seen_tokens: how many tokens were written, the first one among them.
        keys: of what was read, `[B, S, H]`; those of beams of one text are the same.
    """

    def __init__(self, state: tuple[Tensor, ...], seen_tokens: int, keys: Tensor):
        super().__init__(state, seen_tokens)
        self.keys = keys

    @classmethod
    def of(cls, state: DecoderState, seen_tokens: int, keys: Tensor) -> "RNNDecoderCache":
        layers = [part.transpose(0, 1) for part in (state.h, state.c) if part is not None]
        return cls((*layers, state.attended, state.covered), seen_tokens, keys)

    def decoder_state(self) -> DecoderState:
        *layers, attended, covered = self.state
        h, *c = (part.transpose(0, 1) for part in layers)
        return DecoderState(h, c[0] if c else None, attended, covered)


class RNNForConditionalGeneration(RNNPreTrainedModel, StringStoppingMixin, GenerationMixin):
    """An [`RNNModel`] that reads and an [`AttentionDecoder`] that writes, over one vocabulary (Sutskever et al. 2014,
    Bahdanau et al. 2015, Luong et al. 2015): translation, summaries, spelling.

    The configuration's `attention_type`, `input_feeding`, `coverage`, `share_embeddings`, `label_smoothing` and
    `scheduled_sampling` are this model's.
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
        return self.model

    def get_decoder(self) -> AttentionDecoder:
        return self.decoder

    def use_vocabulary(self, tokenizer: Any) -> None:
        """Learns from a tokenizer which tokens begin, end and fill up what is written."""
        names = {"decoder_start_token_id": "bos_token_id"}
        for name in ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"):
            value = getattr(tokenizer, names.get(name, name))
            setattr(self.config, name, value)
            setattr(self.generation_config, name, value)

    def resize_token_embeddings(self, *args: Any, **kwargs: Any) -> nn.Embedding:
        embedding = super().resize_token_embeddings(*args, **kwargs)
        if self.decoder_embed_tokens is not None:
            how: Any = {name: kwargs[name] for name in ("mean_resizing",) if name in kwargs}
            self.decoder_embed_tokens = self._get_resized_embeddings(
                self.decoder_embed_tokens, embedding.num_embeddings, **how
            )
            self.tie_weights()
        return embedding

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """As transformers'.

        Raises:
            ValueError: less than one beam, or more than the vocabulary has entries.
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
        """Labels `[B, T]` one place on, behind the token that begins what is written; -100 becomes padding.

        Raises:
            ValueError: the configuration has no such token.
        """
        begin, pad = self.config.decoder_start_token_id, self.config.pad_token_id
        begin = self.config.bos_token_id if begin is None else begin
        if begin is None:
            raise ValueError(
                "decoder_start_token_id=None, and bos_token_id too: what is written begins with a token of its own. "
                "Write RNNConfig(…, decoder_start_token_id=tokenizer.bos_token_id)."
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
        """
        Args:
            input_ids, attention_mask, inputs_embeds: what is read, as in [`RNNModel.forward`], `[B, S]`.
            decoder_input_ids: `[B, T]`, what was written so far; the labels one place on if None.
            decoder_attention_mask: `[B, T]`, or of all that was written: what is no token changes nothing.
            encoder_outputs: of [`RNNModel`], instead of what is read.
            past_key_values: the state after what was written before `decoder_input_ids`.
            decoder_inputs_embeds: `[B, T, E]`, instead of `decoder_input_ids`.
            labels: `[B, T]`, what is to be written, with the token that ends it; -100 is not learnt.
            use_cache: whether to return the state; if None, where there are no labels.
            output_attentions: whether to return the attention, as `cross_attentions` of one layer and one head: a tuple
                of one `[B, 1, T, S]`.
            output_hidden_states: whether to return what each layer of the encoder and of the decoder puts out.
            logits_to_keep: how many places from the end get logits, 0 for all.

        Raises:
            ValueError: nothing to write, a decoder prompt or state of another batch than what is read, a token that
                begins the text missing, labels of another shape; and what [`RNNModel.forward`] raises.
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
                f"encoder_outputs is a {type(encoder_outputs).__name__} without the states in which the text ends: "
                "pass encoder_outputs=model.get_encoder()(input_ids, attention_mask)."
            )
        if labels is not None:
            _check_labels(labels, config.vocab_size)
        if decoder_inputs_embeds is None and decoder_input_ids is None:
            if labels is None:
                raise ValueError(
                    "there is nothing to write: pass labels=…, or decoder_input_ids=…, or call model.generate(…)."
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
        """What was read, and the state before what is to be written next."""
        valid = None if attention_mask is None else attention_mask.bool()
        if cache is not None and not isinstance(cache, RNNDecoderCache):
            raise ValueError(
                foreign_state("past_key_values", cache, "this model takes those that its own forward pass returned")
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
        """What was to be read, some tokens of it as the model itself would have written them after the right ones
        (Bengio et al. 2015; in two passes, Mihaylova and Martins 2019)."""
        written = self.lm_head(self.decoder(x, memory, state, mask)[0]).argmax(-1)
        written = torch.cat([ids[:, :1], written[:, :-1]], dim=1)
        drawn = torch.rand(ids.shape, device=ids.device) < self.config.scheduled_sampling
        padding = torch.zeros_like(drawn) if self.config.pad_token_id is None else ids == self.config.pad_token_id
        return torch.where(drawn & ~padding, written, ids)

    def _loss(self, logits: Tensor, labels: Tensor, weights: Tensor, covered: Tensor) -> Tensor:
        """Nats per token to be written, in training with smoothed labels, and what looking twice costs."""
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
    if labels.dim() != 2 or labels.is_floating_point():
        raise ValueError(
            f"labels have the shape {tuple(labels.shape)} and the type {labels.dtype}: pass token ids [B, T], a row "
            "for each text."
        )
    check_in_vocabulary(labels, V)


def _check(x: Tensor, memory: Memory, state: DecoderState, labels: Tensor | None) -> None:
    B, S = memory.values.shape[:2]
    if memory.valid is not None and tuple(memory.valid.shape) != (B, S):
        raise ValueError(
            f"attention_mask has the shape {tuple(memory.valid.shape)}, and what was read [B, S] = {(B, S)}: pass the "
            "mask of encoder_outputs."
        )
    if not x.shape[1]:
        raise ValueError(
            f"what is written has the shape [B, T] = {tuple(x.shape[:2])}, and no token to begin with: pass one, such "
            f"as decoder_input_ids=torch.full(({B}, 1), model.config.decoder_start_token_id)."
        )
    if len(x) != B:
        raise ValueError(
            f"decoder_input_ids have {len(x)} rows and what is read has {B}: pass a beginning for each text, such as "
            f"torch.full(({B}, 1), model.config.decoder_start_token_id)."
        )
    if state.h.shape[1] != B:
        raise ValueError(
            f"past_key_values is the state of {state.h.shape[1]} rows, and what is read has {B}: pass that of these."
        )
    if labels is not None and labels.shape != x.shape[:2]:
        raise ValueError(
            f"labels have the shape {tuple(labels.shape)} and what is written [B, T] = {tuple(x.shape[:2])}: leave "
            "decoder_input_ids out, or pass as many of them."
        )


__all__ = ["RNNDecoderCache", "RNNForConditionalGeneration"]
