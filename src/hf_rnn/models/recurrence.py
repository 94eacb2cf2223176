# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The one place that runs a recurrent layer over a ragged batch, and beside it the equations that it must obey.

Shapes: B batch, T time, E embedding (the input's width), H hidden, D directions, L layers, G gates (4 for the LSTM, 3
for the GRU, 1 for the plain RNN).
"""

from contextlib import nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from .recurrence_cpu import CELLS as BY_HAND
from .recurrence_cpu import through_time

# Time steps that a kernel of torch's takes at once (pytorch#133751).
LONGEST = {"cuda": 65_535}
MODES = {"lstm": "LSTM", "gru": "GRU", "rnn_tanh": "RNN_TANH", "rnn_relu": "RNN_RELU"}


class RecurrentState(NamedTuple):
    """What a recurrent layer remembers, in `torch.nn.LSTM`'s layout: layer by layer, forward before backward."""

    h: Tensor  # [L*D, B, H]
    c: Tensor | None = None  # [L*D, B, H], the LSTM's cells; None for the other cells


class Ragged(NamedTuple):
    """Where the tokens of each row stand in a padded batch, and the two orders in which they are read."""

    valid: Tensor  # [B, T] bool: True in the first `length` places of each row
    lengths: Tensor  # [B]
    to_front: Tensor | None  # [B, T] index that brings a row's tokens to its front; None where they are there already
    to_place: Tensor | None  # [B, T] its inverse
    reverse: Tensor  # [B, T] index that reverses each row within its length; its own inverse

    @classmethod
    def from_mask(cls, attention_mask: Tensor) -> "Ragged | None":
        """Reads a mask `[B, T]` (non-zero: a token), with padding anywhere; None where there is no padding at all."""
        mask = attention_mask.bool()
        asks = may_ask(mask)
        if asks and mask.all():
            return None
        lengths = mask.sum(1)
        time = torch.arange(mask.shape[1], device=mask.device)
        valid = time < lengths[:, None]
        to_front = to_place = None
        if not asks or not torch.equal(mask, valid):
            # A stable sort by counting, which exporters know.
            tokens_before = mask.long().cumsum(1) - 1
            to_place = torch.where(mask, tokens_before, lengths[:, None] + time - tokens_before - 1)
            to_front = torch.empty_like(to_place).scatter(1, to_place, time.expand_as(to_place))
        return cls(valid, lengths, to_front, to_place, cls._reverse(valid, lengths))

    @classmethod
    def right_padded(cls, valid: Tensor) -> "Ragged | None":
        """As [`from_mask`], of a mask whose tokens are known to stand in front."""
        if may_ask(valid) and valid.all():
            return None
        lengths = valid.sum(1)
        return cls(valid, lengths, None, None, cls._reverse(valid, lengths))

    @staticmethod
    def _reverse(valid: Tensor, lengths: Tensor) -> Tensor:
        time = torch.arange(valid.shape[1], device=valid.device)
        return torch.where(valid, lengths[:, None] - 1 - time, time)


def _is_looked_at() -> bool:
    """Return whether the graph itself is looked at, by a compiler, a tracer, an exporter or `torch.func`: what it does
    must not depend on the data of the moment."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing() or torch._C._are_functorch_transforms_active()


def may_ask(x: Tensor) -> bool:
    """Return whether the host may ask for the values of a tensor: a GPU would make it wait."""
    return x.device.type == "cpu" and can_ask(x)


def can_ask(x: Tensor) -> bool:
    """Return whether the host can ask for the values of a tensor at all, be it that a GPU waits."""
    return x.device.type != "meta" and not _is_looked_at()


def _gather(x: Tensor, index: Tensor) -> Tensor:
    """Return `x[b, index[b, t]]`, `[B, T, F]`."""
    # T is the index's: an exporter that unrolls a kernel may take that of its outputs for a constant.
    return x.gather(1, index.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


class _Permute(torch.autograd.Function):
    """[`_gather`] for an index that is a permutation of each row: the gradient is a gather too, by the inverse, where
    torch's own would add up into zeros."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
        return _gather(x, index)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, index, inverse = inputs
        ctx.save_for_backward(index, inverse)
        ctx.save_for_forward(index)

    @staticmethod
    def jvp(ctx, tangent: Tensor, *_):
        (index,) = ctx.saved_tensors
        return _gather(tangent, index)

    @staticmethod
    def backward(ctx, grad: Tensor):
        index, inverse = ctx.saved_tensors
        return _Permute.apply(grad, inverse, index), None, None


def _permuted(x: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
    # Dynamo does not look into functions that have a `jvp` (torch 2.13).
    return _gather(x, index) if torch.compiler.is_compiling() else _Permute.apply(x, index, inverse)


def reversed_rows(x: Tensor, ragged: Ragged | None) -> Tensor:
    """Each row read from its own end: `[B, T, F]`, right-padded as before."""
    return x.flip(1) if ragged is None else _permuted(x, ragged.reverse, ragged.reverse)


def locked_dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Dropout with one mask per row, the same at each time step (Gal and Ghahramani 2016).

    Args:
        x: `[B, T, F]`.
    """
    if not training or p == 0:
        return x
    return x * F.dropout(x.new_ones(x.shape[0], 1, x.shape[2]), p)


def _wants_one_buffer(x: Tensor) -> bool:
    """Return whether the kernel for a tensor reads weights from one buffer, as cuDNN does."""
    return x.is_cuda


def _in_one_buffer(weights: list[Tensor]) -> bool:
    """Return whether weights stand one behind the other in memory, in cuDNN's order."""
    # A subclass, such as a FakeTensor, has no place.
    if not all(type(w) in (Tensor, nn.Parameter) and w.is_contiguous() for w in weights):
        return False
    if len({(w.untyped_storage().data_ptr(), w.dtype) for w in weights}) > 1:
        return False
    place = weights[0].data_ptr()
    for weight in weights:
        if weight.data_ptr() != place:
            return False
        place += weight.numel() * weight.element_size()
    return True


def _one_buffer(weights: list[Tensor]) -> list[Tensor]:
    """The weights in one buffer, in cuDNN's order, which it would else copy at each call, with a warning."""
    flat = torch.cat([weight.reshape(-1) for weight in weights])
    return [part.view_as(w) for part, w in zip(flat.split([w.numel() for w in weights]), weights, strict=True)]


def _side_by_side(directions: list[Tensor]) -> Tensor:
    return directions[0].unsqueeze(0) if len(directions) == 1 else torch.stack(directions)


class RecurrentLayer(GradientCheckpointingLayer):
    """One recurrent layer over a right-padded batch, both directions. It owns no weights: [`Recurrence`] does, under
    torch's names. It is a module of its own so that its activations can be recomputed instead of kept."""

    def __init__(self, mode: str, hidden_size: int):
        super().__init__()
        self.mode = mode
        self.hidden_size = hidden_size

    def forward(self, *args) -> tuple[Tensor, Tensor, Tensor | None]:
        """[`read`], which is computed once more for its gradients where gradient checkpointing is on."""
        return self.read(*args)

    def read(
        self,
        x: Tensor,
        h0: Tensor,
        c0: Tensor | None,
        weights: list[list[Tensor]],
        ragged: Ragged | None,
        output_cell_state: bool,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """
        Args:
            x: `[B, T, F]`, right-padded with finite values.
            h0, c0: the state to start from, `[D, B, H]`.
            weights: of each direction, as [`Recurrence.weights`] gives them.
            ragged: where the tokens stand; None if everywhere.
            output_cell_state: whether the LSTM's final cells are wanted.

        Returns:
            Outputs `[B, T, D*H]`, with any finite values in padded places, and the final h and c, `[D, B, H]`.
        """
        inputs = [x] if len(weights) == 1 else [x, reversed_rows(x, ragged)]
        run = self._run_by_hand if self._needs_gradients_by_hand(x) else self._run
        outputs, hs, cs = run(inputs, h0, c0, weights, ragged, output_cell_state)
        outputs = [out if direction == 0 else reversed_rows(out, ragged) for direction, out in enumerate(outputs)]
        return torch.cat(outputs, dim=-1), torch.cat(hs), None if cs[0] is None else torch.cat(cs)

    def _needs_gradients_by_hand(self, x: Tensor) -> bool:
        """Return whether torch would be slow: a cell without a fused kernel, on a CPU, whose gradients may be asked
        for. Who looks at the graph itself gets torch's own."""
        return self.mode in BY_HAND and x.numel() > 0 and torch.is_grad_enabled() and may_ask(x)

    def _run_by_hand(self, inputs, h0, c0, weights, ragged, output_cell_state):
        """As `_run`, with all directions in one loop."""
        by_kind = [_side_by_side(list(kind)) for kind in zip(*weights, strict=True)]
        out = through_time(self.mode, _side_by_side([x.transpose(0, 1) for x in inputs]), h0, *by_kind)
        outputs = [part.transpose(0, 1) for part in out]
        hs = [self._final(part, h0[d : d + 1], ragged) for d, part in enumerate(outputs)]
        return outputs, hs, [None] * len(outputs)

    def _run(self, inputs, h0, c0, weights, ragged, output_cell_state):
        """Each direction read from left to right: outputs `[B, T, H]` and the final h and c, `[1, B, H]`."""
        lstm = c0 is not None
        hold = lstm and ragged is not None and output_cell_state
        outputs, hs, cs = [], [], []
        for direction, (x, (w_ih, *others)) in enumerate(zip(inputs, weights, strict=True)):
            # cuDNN takes no state with strides.
            h, c = (None if part is None else part[direction : direction + 1].contiguous() for part in (h0, c0))
            out = x.new_zeros(x.shape[0], 0, self.hidden_size)
            if x.shape[1]:
                if hold:
                    x, w_ih = self._hold_cells(x, w_ih, ragged)
                out, last, *rest = self._run_kernel(x, (h, c) if lstm else (h,), [w_ih, *others])
                h = last if ragged is None else self._final(out, h, ragged)
                c = rest[0] if lstm and (ragged is None or output_cell_state) else None
            outputs.append(out)
            hs.append(h)
            cs.append(c)
        return outputs, hs, cs

    def _run_kernel(self, x: Tensor, state: tuple[Tensor, ...], weights: list[Tensor]) -> tuple[Tensor, ...]:
        """Outputs and the state after the last step; what no kernel reads at once, part by part."""
        kernel = getattr(torch._VF, self.mode.lower())
        # `train` only tells a kernel to keep what a backward pass needs; cuDNN refuses one without. A traced graph does
        # not know yet whether gradients will be asked for.
        train = torch.is_grad_enabled() or torch.jit.is_tracing()
        options = (True, 1, 0.0, train, False, True)
        on_gpu = _wants_one_buffer(x)
        if on_gpu and torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64:
            # torch's autocast would run the kernel in fp16 whatever its own dtype is, and gradients become 0 there.
            dtype = torch.get_autocast_dtype(x.device.type)
            x, state, weights = x.to(dtype), tuple(part.to(dtype) for part in state), [w.to(dtype) for w in weights]
        if on_gpu and (_is_looked_at() or not _in_one_buffer(weights)):
            weights = _one_buffer(weights)
        longest = LONGEST.get(x.device.type)
        outputs = []
        with torch.autocast(x.device.type, enabled=False) if on_gpu else nullcontext():
            for part in [x] if longest is None or x.shape[1] <= longest else x.split(longest, dim=1):
                out, *state = kernel(part, state if len(state) == 2 else state[0], weights, *options)
                outputs.append(out)
                state = tuple(state)
        return (outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)), *state

    def _final(self, out: Tensor, h0: Tensor, ragged: Ragged | None) -> Tensor:
        """h of each row after its own last token, `[1, B, H]`."""
        if ragged is None:
            return out[:, -1].unsqueeze(0)
        last = (ragged.lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, self.hidden_size)
        return torch.where(ragged.lengths[:, None] > 0, out.gather(1, last).squeeze(1), h0[0]).unsqueeze(0)

    def _hold_cells(self, x: Tensor, w_ih: Tensor, ragged: Ragged) -> tuple[Tensor, Tensor]:
        """Makes c_t = c_{t-1} after a row's end, since the kernel gives the cells of the last step only.

        One more input, 1 on padding, pushes the input gate to exactly 0 and the forget gate to exactly 1: then
        c_t = f ∘ c_{t-1} + i ∘ g = c_{t-1}, and gradients pass unchanged. For a GPU more inputs, all 0, follow up to a
        multiple of 8: the products of its tensor cores are slow at other widths.
        """
        saturating = 1e4
        push = w_ih.new_zeros(4, self.hidden_size)
        push[0] = -saturating
        push[1] = saturating
        padding = (~ragged.valid).unsqueeze(-1).to(x.dtype)
        zeros = -(x.shape[-1] + 1) % 8 if _wants_one_buffer(x) else 0
        return (
            torch.cat([x, F.pad(padding, (0, zeros))], dim=-1),
            torch.cat([w_ih, F.pad(push.view(-1, 1), (0, zeros))], dim=1),
        )


class Recurrence(nn.RNNBase):
    """L recurrent layers over a ragged batch, exact for each row whatever the padding.

    Parameters have the names and shapes of `torch.nn.LSTM`, `GRU` and `RNN`: their state dicts load unchanged. Each
    layer and direction is one call of torch's fused kernel (oneDNN, cuDNN) on the *padded* batch, which is several
    times faster than a packed one; `recurrence_cpu` trains the cells that have none. It stays exact because right
    padding cannot reach back in time: rows are brought to right-padded form, the backward direction reads them reversed
    within their own lengths, and final states are taken at each row's end.

    Args:
        cell_type: `lstm`, `gru`, `rnn_tanh` or `rnn_relu`.
        input_size: E.
        hidden_size: H, of one direction.
        num_layers: L.
        bidirectional: D is 2 instead of 1.
        hidden_dropout: locked dropout between layers.
        weight_dropout: DropConnect on the hidden-to-hidden matrices (Merity et al. 2018), one mask per forward pass.
    """

    def __init__(
        self,
        cell_type: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        hidden_dropout: float = 0.0,
        weight_dropout: float = 0.0,
    ):
        mode = MODES[cell_type]
        # torch's own `dropout` would act inside cuDNN, where it can neither be reproduced nor locked over time.
        super().__init__(mode, input_size, hidden_size, num_layers, batch_first=True, bidirectional=bidirectional)
        self.cell_type = cell_type
        self.num_directions = 2 if bidirectional else 1
        self.hidden_dropout = hidden_dropout
        self.weight_dropout = weight_dropout
        self.layers = nn.ModuleList(RecurrentLayer(mode, hidden_size) for _ in range(num_layers))

    def weights(self, layer: int) -> list[list[Tensor]]:
        """`[weight_ih [G*H, E or D*H], weight_hh [G*H, H], bias_ih [G*H], bias_hh [G*H]]` of each direction."""
        D = self.num_directions
        return [[getattr(self, name) for name in names] for names in self._all_weights[layer * D : (layer + 1) * D]]

    def dropped_weights(self, layer: int) -> list[list[Tensor]]:
        """[`weights`], in training with a mask of the weight dropout that is drawn anew at each call."""
        if not (self.training and self.weight_dropout > 0):
            return self.weights(layer)
        return [[w_ih, F.dropout(w_hh, self.weight_dropout), *b] for w_ih, w_hh, *b in self.weights(layer)]

    def flatten_parameters(self) -> None:
        """Lay the weights of each layer and direction into one buffer, as cuDNN wants them: one call, one buffer. What
        copies a model, such as `copy.deepcopy` or `torch.optim.swa_utils.AveragedModel`, takes them apart again."""
        weights = self._flat_weights
        if len(weights) < len(self._flat_weights_names) or not all(
            type(w) is nn.Parameter and type(w.data) is Tensor and _wants_one_buffer(w) for w in weights
        ):
            return
        with torch.no_grad():
            for start in range(0, len(weights), 4):
                group = weights[start : start + 4]
                if len({w.dtype for w in group}) == 1 and not _in_one_buffer(group):
                    for weight, part in zip(group, _one_buffer(group), strict=True):
                        weight.data = part

    def forward(
        self,
        inputs: Tensor,
        attention_mask: Tensor | None = None,
        state: RecurrentState | None = None,
        output_cell_state: bool = True,
    ) -> tuple[tuple[Tensor, ...], RecurrentState]:
        """
        Args:
            inputs: `[B, T, E]`; what stands in padded places is not read, whatever it is.
            attention_mask: `[B, T]`, non-zero where there is a token; padding may stand right, left or anywhere.
                None: all are tokens.
            state: the state to start from, in the layout of [`RecurrentState`]; zeros if None.
            output_cell_state: whether the LSTM's final cells are wanted; a ragged batch is slightly faster without.

        Returns:
            The outputs of each layer, L tensors `[B, T, D*H]` with zeros in padded places, and the final state of each
            row at its own length. A row of length 0 puts out zeros and ends in the state it started from.

        Raises:
            ValueError: a mask or a state of another shape, or a state without the parts that the cell has.
        """
        if attention_mask is not None and attention_mask.shape != inputs.shape[:2]:
            raise ValueError(
                f"attention_mask has the shape {list(attention_mask.shape)}, expected that of the inputs, [B, T] = "
                f"{list(inputs.shape[:2])}."
            )
        if _wants_one_buffer(inputs) and not _is_looked_at():
            self.flatten_parameters()
        h0, c0 = self._initial_state(state, inputs)
        ragged = None if attention_mask is None else Ragged.from_mask(attention_mask)
        x = inputs
        if ragged is not None:
            if ragged.to_front is not None:
                x = _permuted(x, ragged.to_front, ragged.to_place)
            x = x.masked_fill(~ragged.valid.unsqueeze(-1), 0)
        D = self.num_directions
        outputs, hs, cs = [], [], []
        for index, layer in enumerate(self.layers):
            rows = slice(index * D, (index + 1) * D)
            x, h, c = layer(
                x, h0[rows], None if c0 is None else c0[rows], self.dropped_weights(index), ragged, output_cell_state
            )
            hs.append(h)
            cs.append(c)
            outputs.append(self._in_place(x, ragged))
            if index + 1 < len(self.layers):
                x = locked_dropout(x, self.hidden_dropout, self.training)
        return tuple(outputs), RecurrentState(torch.cat(hs), None if cs[0] is None else torch.cat(cs))

    def _initial_state(self, state: RecurrentState | None, inputs: Tensor) -> RecurrentState:
        expected = (self.num_layers * self.num_directions, inputs.shape[0], self.hidden_size)
        if state is None:
            zeros = inputs.new_zeros(expected)
            return RecurrentState(zeros, zeros if self.cell_type == "lstm" else None)
        state = RecurrentState(*state)
        if (state.c is not None) != (self.cell_type == "lstm"):
            form = "(h, c)" if self.cell_type == "lstm" else "(h,)"
            raise ValueError(
                f"the state of a {self.cell_type} is {form}; this one is {'(h, c)' if state.c is not None else '(h,)'}."
            )
        for name, part in state._asdict().items():
            if part is not None and part.shape != expected:
                raise ValueError(
                    f"state.{name} has the shape {tuple(part.shape)}, expected [L*D, B, H] = {expected}: "
                    "start each batch with a state of its own rows."
                )
        # Autocast gives states of fewer bits than those that a pass without it, or of another kind, has to start from.
        return RecurrentState(*(part if part is None else part.to(inputs.dtype) for part in state))

    @staticmethod
    def _in_place(x: Tensor, ragged: Ragged | None) -> Tensor:
        if ragged is None:
            return x
        x = x.masked_fill(~ragged.valid.unsqueeze(-1), 0)
        return x if ragged.to_front is None else _permuted(x, ragged.to_place, ragged.to_front)


def lstm_cell(x, h, c, w_ih, w_hh, b_ih, b_hh):
    """One step of the LSTM (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000): `[B, H]` twice."""
    i, f, g, o = (x @ w_ih.T + b_ih + h @ w_hh.T + b_hh).chunk(4, dim=-1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_cell(x, h, w_ih, w_hh, b_ih, b_hh):
    """One step of the GRU (Cho et al. 2014), reset after the product as in cuDNN: `[B, H]`."""
    x_r, x_z, x_n = (x @ w_ih.T + b_ih).chunk(3, dim=-1)
    h_r, h_z, h_n = (h @ w_hh.T + b_hh).chunk(3, dim=-1)
    r, z = (x_r + h_r).sigmoid(), (x_z + h_z).sigmoid()
    n = (x_n + r * h_n).tanh()
    return (1 - z) * n + z * h


def rnn_cell(f, x, h, w_ih, w_hh, b_ih, b_hh):
    """One step of the plain RNN (Elman 1990), h_t = f(W x_t + U h_{t-1} + b): `[B, H]`."""
    return f(x @ w_ih.T + b_ih + h @ w_hh.T + b_hh)


def naive_recurrence(
    recurrence: Recurrence,
    inputs: Tensor,
    attention_mask: Tensor | None = None,
    state: RecurrentState | None = None,
) -> tuple[tuple[Tensor, ...], RecurrentState]:
    """What [`Recurrence`] computes (dropout aside), as a loop over time: slow, and plain enough to be trusted.

    Arguments and results are those of [`Recurrence.forward`]. Where a row has no token it keeps its state and puts out
    zeros, which is all that padding means.
    """
    B, T, _ = inputs.shape
    L, D, H = recurrence.num_layers, recurrence.num_directions, recurrence.hidden_size
    mask = torch.ones(B, T, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
    if state is None:
        zeros = inputs.new_zeros(L * D, B, H)
        state = RecurrentState(zeros, zeros)
    x = inputs
    outputs, final_h, final_c = [], [], []
    for layer in range(L):
        directions = []
        for direction, weights in enumerate(recurrence.weights(layer)):
            h = state.h[layer * D + direction]
            c = None if state.c is None else state.c[layer * D + direction]
            out = [inputs.new_zeros(B, H)] * T
            for t in reversed(range(T)) if direction else range(T):
                token = mask[:, t, None].to(inputs.device)
                x_t = torch.where(token, x[:, t], 0)
                if recurrence.cell_type == "lstm":
                    new_h, new_c = lstm_cell(x_t, h, c, *weights)
                    c = torch.where(token, new_c, c)
                elif recurrence.cell_type == "gru":
                    new_h = gru_cell(x_t, h, *weights)
                else:
                    new_h = rnn_cell(torch.tanh if recurrence.cell_type == "rnn_tanh" else torch.relu, x_t, h, *weights)
                h = torch.where(token, new_h, h)
                out[t] = torch.where(token, new_h, 0)
            directions.append(torch.stack(out, dim=1) if T else inputs.new_zeros(B, 0, H))
            final_h.append(h)
            final_c.append(c)
        x = torch.cat(directions, dim=-1)
        outputs.append(x)
    c = torch.stack(final_c) if recurrence.cell_type == "lstm" else None
    return tuple(outputs), RecurrentState(torch.stack(final_h), c)


__all__ = ["Recurrence", "RecurrentState", "naive_recurrence"]
