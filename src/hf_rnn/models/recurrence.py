# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Recurrent layers over ragged batches; `cells` holds the equations.

Shapes: B batch, T time, E embedding (the input's width), H hidden, D directions, L layers, G blocks of H rows in the
weights (4 for the LSTM, 3 for the GRU, 1 for the plain RNN).
"""

from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from .cells import Cell, find_cell
from .ragged import Ragged, is_traced, may_ask, permuted, reversed_rows
from .recurrence_cpu import CPUPass, through_time
from .recurrence_cpu import is_enabled as cpu_passes_are_enabled

# Most time steps that one call of a torch kernel accepts, by type of device (pytorch#133751).
LONGEST = {"cuda": 65_535}
# Three lists with one entry per direction: outputs `[B, T, H]`, final h and final c, both `[1, B, H]`.
DirectionOutputs = tuple[list[Tensor], list[Tensor], list[Tensor | None]]


class RecurrentState(NamedTuple):
    """State of a recurrent stack, in `torch.nn.LSTM`'s layout: layer by layer, forward before backward."""

    h: Tensor  # [L*D, B, H]
    c: Tensor | None = None  # [L*D, B, H], the LSTM's; None for a cell without cell state


def locked_dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Apply dropout with one mask per row, the same at each time step (Gal and Ghahramani 2016).

    Args:
        x: Values, shape `[B, T, F]`.
        p: Dropout probability.
        training: False to return `x` unchanged.
    """
    if not training or p == 0:
        return x
    return x * F.dropout(x.new_ones(x.shape[0], 1, x.shape[2]), p)


def _wants_one_buffer(x: Tensor) -> bool:
    """Return whether the kernel for a tensor expects all weights in one buffer, as cuDNN does."""
    return x.is_cuda


def _in_one_buffer(weights: list[Tensor]) -> bool:
    """Return whether weights are contiguous in memory, one after the other in the order of the list."""
    # A subclass of Tensor, such as FakeTensor, has no memory address.
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
    """Copy weights into one buffer and return views of it; else cuDNN copies them at each call and warns."""
    flat = torch.cat([weight.reshape(-1) for weight in weights])
    return [part.view_as(w) for part, w in zip(flat.split([w.numel() for w in weights]), weights, strict=True)]


def _concatenated(cells: list[Tensor | None]) -> Tensor | None:
    """Concatenate cell states to `[D, B, H]` or `[L*D, B, H]`; return None if there are none."""
    found = [c for c in cells if c is not None]
    return torch.cat(found) if found else None


def _side_by_side(directions: list[Tensor]) -> Tensor:
    return directions[0].unsqueeze(0) if len(directions) == 1 else torch.stack(directions)


class RecurrentLayer(GradientCheckpointingLayer):
    """One recurrent layer over a right-padded batch, in one or two directions.

    [`Recurrence`] owns the weights, under torch's names. The layer is a module so that gradient checkpointing can
    compute its activations again instead of keeping them.
    """

    def __init__(self, cell_type: str, hidden_size: int):
        super().__init__()
        self.cell_type = cell_type
        self.hidden_size = hidden_size

    def forward(self, *args: Any) -> tuple[Tensor, Tensor, Tensor | None]:
        """Call [`read`]. With gradient checkpointing, the backward pass calls it again."""
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
        """Run the layer over a batch.

        Args:
            x: Inputs, shape `[B, T, F]`, right-padded with finite values.
            h0: Initial hidden state, shape `[D, B, H]`.
            c0: Initial cell state, shape `[D, B, H]`; None for a cell without cell state.
            weights: Weights of each direction, as [`Recurrence.weights`] returns them.
            ragged: Positions of the tokens; None if there is no padding.
            output_cell_state: False if the final cell state is not needed; it may then be None.

        Returns:
            Outputs `[B, T, D*H]`, with arbitrary finite values on padding, and the final h and c, `[D, B, H]`.
        """
        inputs = [x] if len(weights) == 1 else [x, reversed_rows(x, ragged)]
        cell = find_cell(self.cell_type)
        if cell.cpu_pass is not None and self._wants_cpu_pass(x):
            outputs, hs, cs = self._run_cpu_pass(cell.cpu_pass, inputs, h0, weights, ragged)
        else:
            outputs, hs, cs = self._run(inputs, h0, c0, weights, ragged, output_cell_state)
        outputs = [out if direction == 0 else reversed_rows(out, ragged) for direction, out in enumerate(outputs)]
        return torch.cat(outputs, dim=-1), torch.cat(hs), _concatenated(cs)

    @staticmethod
    def _wants_cpu_pass(x: Tensor) -> bool:
        """Return whether to use the CPU pass: on a CPU, with gradients enabled and no tracer."""
        # torch trains these cells slowly there. A compiler or tracer needs a graph, so it gets torch's own kernel.
        return cpu_passes_are_enabled() and x.numel() > 0 and torch.is_grad_enabled() and may_ask(x)

    def _run_cpu_pass(
        self,
        cpu_pass: type[CPUPass],
        inputs: list[Tensor],
        h0: Tensor,
        weights: list[list[Tensor]],
        ragged: Ragged | None,
    ) -> DirectionOutputs:
        """Run all directions in one loop over time. The inputs of the second one are already reversed."""
        by_kind = [_side_by_side(list(kind)) for kind in zip(*weights, strict=True)]
        out = through_time(cpu_pass, _side_by_side([x.transpose(0, 1) for x in inputs]), h0, *by_kind)
        outputs = [part.transpose(0, 1) for part in out]
        hs = [self._final(part, h0[d : d + 1], ragged) for d, part in enumerate(outputs)]
        return outputs, hs, [None] * len(outputs)

    def _run(
        self,
        inputs: list[Tensor],
        h0: Tensor,
        c0: Tensor | None,
        weights: list[list[Tensor]],
        ragged: Ragged | None,
        output_cell_state: bool,
    ) -> DirectionOutputs:
        """Run each direction from left to right, with torch's kernel if it has one for the cell."""
        cell = find_cell(self.cell_type)
        lstm = c0 is not None  # the only cell with both a kernel and a cell state
        outputs, hs, cs = [], [], []
        for direction, (x, (w_ih, *others)) in enumerate(zip(inputs, weights, strict=True)):
            # cuDNN accepts contiguous states only.
            h = h0[direction : direction + 1].contiguous()
            c = None if c0 is None else c0[direction : direction + 1].contiguous()
            out = x.new_zeros(x.shape[0], 0, self.hidden_size)
            if cell.mode is None:
                out, h, c = cell.run(x, h, c, [w_ih, *others], None if ragged is None else ragged.valid)
            elif x.shape[1]:
                if lstm and ragged is not None and output_cell_state:
                    x, w_ih = self._hold_cells(x, w_ih, ragged)
                out, last, *rest = self._run_kernel(x, (h,) if c is None else (h, c), [w_ih, *others])
                h = last if ragged is None else self._final(out, h, ragged)
                c = rest[0] if lstm and (ragged is None or output_cell_state) else None
            outputs.append(out)
            hs.append(h)
            cs.append(c)
        return outputs, hs, cs

    def _run_kernel(self, x: Tensor, state: tuple[Tensor, ...], weights: list[Tensor]) -> tuple[Tensor, ...]:
        """Run the kernel, in parts if the text is too long for one call; return outputs and the final state."""
        kernel = getattr(torch._VF, str(find_cell(self.cell_type).mode).lower())
        # `train` only makes the kernel keep what its backward pass needs; a graph that is traced may need it later.
        train = torch.is_grad_enabled() or torch.jit.is_tracing()
        options = (True, 1, 0.0, train, False, True)
        on_gpu = _wants_one_buffer(x)
        if on_gpu and torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64:
            # torch's autocast would run the kernel in fp16 even if its dtype is bf16; gradients become 0 in fp16.
            dtype = torch.get_autocast_dtype(x.device.type)
            x, state, weights = x.to(dtype), tuple(part.to(dtype) for part in state), [w.to(dtype) for w in weights]
        if on_gpu and (is_traced() or not _in_one_buffer(weights)):
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
        """Return h of each row after its own last token, `[1, B, H]`; h0 for a row without tokens."""
        if ragged is None:
            return out[:, -1].unsqueeze(0)
        last = (ragged.lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, self.hidden_size)
        return torch.where(ragged.lengths[:, None] > 0, out.gather(1, last).squeeze(1), h0[0]).unsqueeze(0)

    def _hold_cells(self, x: Tensor, w_ih: Tensor, ragged: Ragged) -> tuple[Tensor, Tensor]:
        """Make c_t = c_{t-1} after a row's end, since the kernel returns the LSTM's c of the last step only.

        An additional input, 1 on padding, sets the input gate to exactly 0 and the forget gate to exactly 1. Then
        c_t = f ∘ c_{t-1} + i ∘ g = c_{t-1}, and gradients pass unchanged. On a GPU, zero inputs fill the width up to a
        multiple of 8, since matrix products of other widths are slow on tensor cores.
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
    """L recurrent layers over a ragged batch; padding never changes the result of a row.

    Parameters have the names and shapes of `torch.nn.LSTM`, `GRU` and `RNN`, so state dicts load unchanged. Each layer
    and direction is one call of torch's fused kernel (oneDNN, cuDNN) on the padded batch, several times faster than on
    a packed one. On a CPU, `recurrence_cpu` trains the cells without a fused kernel. A cell that torch does not know
    runs in a loop. Results are exact since right padding comes after all tokens: rows are right-padded first, the
    backward direction reads each row reversed within its length, and final states are taken at each row's end.

    Args:
        cell_type: Name in [`~cells.CELLS`]: `lstm`, `gru`, `rnn_tanh` or `rnn_relu`.
        input_size: Width E of the inputs.
        hidden_size: Width H of the hidden state of one direction.
        num_layers: Number L of layers.
        bidirectional: True for D = 2 directions instead of 1.
        hidden_dropout: Probability of locked dropout between layers.
        weight_dropout: Probability of DropConnect on the hidden-to-hidden matrices (Merity et al. 2018).

    Raises:
        ValueError: An unknown cell.
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
        cell = find_cell(cell_type)
        # torch's own `dropout` is unused: inside cuDNN, it could be neither reproduced nor locked over time.
        mode = cell.mode or "RNN_TANH"
        super().__init__(mode, input_size, hidden_size, num_layers, batch_first=True, bidirectional=bidirectional)
        self.cell_type = cell_type
        if cell.mode is None:
            self._make_blocks(len(cell.blocks))
        self.num_directions = 2 if bidirectional else 1
        self.hidden_dropout = hidden_dropout
        self.weight_dropout = weight_dropout
        self.layers = nn.ModuleList(RecurrentLayer(cell_type, hidden_size) for _ in range(num_layers))

    def _make_blocks(self, G: int) -> None:
        """Replace the parameters of one block by those of G blocks; torch knows its own cells' shapes only."""
        self.mode = self.cell_type
        for name in self._flat_weights_names:
            H, *inputs = getattr(self, name).shape
            setattr(self, name, nn.Parameter(torch.empty(G * H, *inputs)))
        self.reset_parameters()

    @property
    def cell(self) -> Cell:
        """Cell of all layers."""
        return find_cell(self.cell_type)

    def weights(self, layer: int) -> list[list[Tensor]]:
        """Return `[weight_ih [G*H, E or D*H], weight_hh [G*H, H], bias_ih [G*H], bias_hh [G*H]]` of each direction.

        Args:
            layer: Index of the layer, from 0 for the bottom one.
        """
        D = self.num_directions
        return [[getattr(self, name) for name in names] for names in self._all_weights[layer * D : (layer + 1) * D]]

    def dropped_weights(self, layer: int) -> list[list[Tensor]]:
        """Return [`weights`] of the layer `layer`, in training with a new weight dropout mask at each call."""
        if not (self.training and self.weight_dropout > 0):
            return self.weights(layer)
        return [[w_ih, F.dropout(w_hh, self.weight_dropout), *b] for w_ih, w_hh, *b in self.weights(layer)]

    def flatten_parameters(self) -> None:
        """Move the weights of each layer and direction on a GPU into one buffer, as cuDNN expects.

        A copy of the model, such as from `copy.deepcopy` or `AveragedModel`, has separate weights again.
        """
        weights: list[Any] = self._flat_weights
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
        """Run the stack over a batch.

        Args:
            inputs: Embedded tokens, shape `[B, T, E]`; values on padding have no effect.
            attention_mask: Mask, shape `[B, T]`, non-zero on tokens; padding may be anywhere. None: no padding.
            state: Initial state; zeros if None.
            output_cell_state: False if the final cell state is not needed; ragged batches are then slightly faster.

        Returns:
            The outputs of each layer, L tensors `[B, T, D*H]` with zeros on padding, and the final state of each row
            after its last token. A row without tokens has zeros as outputs and the initial state as its final state.

        Raises:
            ValueError: A mask or state of another shape, a state with too few or too many parts, or an unknown cell.
        """
        if attention_mask is not None and attention_mask.shape != inputs.shape[:2]:
            raise ValueError(
                f"attention_mask has the shape {list(attention_mask.shape)}, expected that of the inputs, [B, T] = "
                f"{list(inputs.shape[:2])}."
            )
        if _wants_one_buffer(inputs) and not is_traced():
            self.flatten_parameters()
        h0, c0 = self._initial_state(state, inputs)
        ragged = None if attention_mask is None else Ragged.from_mask(attention_mask)
        x = inputs
        if ragged is not None:
            if ragged.to_front is not None and ragged.to_place is not None:
                x = permuted(x, ragged.to_front, ragged.to_place)
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
        return tuple(outputs), RecurrentState(torch.cat(hs), _concatenated(cs))

    def _initial_state(self, state: RecurrentState | None, inputs: Tensor) -> RecurrentState:
        expected = (self.num_layers * self.num_directions, inputs.shape[0], self.hidden_size)
        if state is None:
            zeros = inputs.new_zeros(expected)
            return RecurrentState(zeros, zeros if self.cell.has_cell_state else None)
        state = RecurrentState(*state)
        if (state.c is not None) != self.cell.has_cell_state:
            form = "(h, c)" if self.cell.has_cell_state else "(h,)"
            raise ValueError(
                f"the state of a {self.cell_type} is {form}; this one is {'(h, c)' if state.c is not None else '(h,)'}."
            )
        for name, part in state._asdict().items():
            if part is not None and part.shape != expected:
                raise ValueError(
                    f"state.{name} has the shape {tuple(part.shape)}, expected [L*D, B, H] = {expected}: "
                    "start each batch with a state of its own rows."
                )
        # A state from a pass with other autocast settings may have another dtype.
        c = None if state.c is None else state.c.to(inputs.dtype)
        return RecurrentState(state.h.to(inputs.dtype), c)

    @staticmethod
    def _in_place(x: Tensor, ragged: Ragged | None) -> Tensor:
        if ragged is None:
            return x
        x = x.masked_fill(~ragged.valid.unsqueeze(-1), 0)
        if ragged.to_front is None or ragged.to_place is None:
            return x
        return permuted(x, ragged.to_place, ragged.to_front)


__all__ = ["Recurrence", "RecurrentState"]
