# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The one place that runs a recurrent layer over a ragged batch. The equations stand in `cells`.

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

# Time steps that a kernel of torch's takes at once (pytorch#133751).
LONGEST = {"cuda": 65_535}
# Three lists with an entry for each direction: outputs `[B, T, H]`, and the final h and c, `[1, B, H]`.
DirectionOutputs = tuple[list[Tensor], list[Tensor], list[Tensor | None]]


class RecurrentState(NamedTuple):
    """The state of a recurrent stack, in `torch.nn.LSTM`'s layout: layer by layer, forward before backward."""

    h: Tensor  # [L*D, B, H]
    c: Tensor | None = None  # [L*D, B, H], the LSTM's; None for a cell without cell state


def locked_dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Apply dropout with one mask per row, the same at each time step (Gal and Ghahramani 2016).

    Args:
        x: `[B, T, F]`.
        p: the probability.
        training: whether there is dropout at all.
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
    """Return the weights in one buffer, in cuDNN's order: it would copy them at each call otherwise, with a warning."""
    flat = torch.cat([weight.reshape(-1) for weight in weights])
    return [part.view_as(w) for part, w in zip(flat.split([w.numel() for w in weights]), weights, strict=True)]


def _concatenated(cells: list[Tensor | None]) -> Tensor | None:
    """Return the cell states of directions or layers, `[D, B, H]` or `[L*D, B, H]`, where the cell has any."""
    found = [c for c in cells if c is not None]
    return torch.cat(found) if found else None


def _side_by_side(directions: list[Tensor]) -> Tensor:
    return directions[0].unsqueeze(0) if len(directions) == 1 else torch.stack(directions)


class RecurrentLayer(GradientCheckpointingLayer):
    """One recurrent layer over a right-padded batch, in both directions.

    It owns no weights: [`Recurrence`] does, under torch's names. It is a module of its own so that its activations can
    be recomputed instead of kept.
    """

    def __init__(self, cell_type: str, hidden_size: int):
        super().__init__()
        self.cell_type = cell_type
        self.hidden_size = hidden_size

    def forward(self, *args: Any) -> tuple[Tensor, Tensor, Tensor | None]:
        """Do as [`read`], which is computed again for its gradients where gradient checkpointing is on."""
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
            x: `[B, T, F]`, right-padded with finite values.
            h0, c0: the state to start from, `[D, B, H]`; c0 is None for a cell without cell state.
            weights: of each direction, as [`Recurrence.weights`] gives them.
            ragged: where the tokens stand; None if everywhere.
            output_cell_state: whether the final cell state is wanted.

        Returns:
            Outputs `[B, T, D*H]`, with any finite values in padded places, and the final h and c, `[D, B, H]`.
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
        """Return whether torch would be slow: on a CPU, where gradients may be asked for. A compiler or tracer, which
        looks at the graph itself, gets torch's own kernel."""
        return cpu_passes_are_enabled() and x.numel() > 0 and torch.is_grad_enabled() and may_ask(x)

    def _run_cpu_pass(
        self,
        cpu_pass: type[CPUPass],
        inputs: list[Tensor],
        h0: Tensor,
        weights: list[list[Tensor]],
        ragged: Ragged | None,
    ) -> DirectionOutputs:
        """Read all directions from left to right, in one loop."""
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
        """Read each direction from left to right, by one call of torch's kernel where there is one for the cell."""
        cell = find_cell(self.cell_type)
        lstm = c0 is not None  # the only cell that has both a kernel and a cell state
        outputs, hs, cs = [], [], []
        for direction, (x, (w_ih, *others)) in enumerate(zip(inputs, weights, strict=True)):
            # cuDNN takes no state with strides.
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
        """Return outputs and the state after the last step. A text longer than a kernel takes is read part by part."""
        kernel = getattr(torch._VF, str(find_cell(self.cell_type).mode).lower())
        # `train` only tells a kernel to keep what a backward pass needs; cuDNN refuses one without. A traced graph does
        # not know yet whether gradients will be asked for.
        train = torch.is_grad_enabled() or torch.jit.is_tracing()
        options = (True, 1, 0.0, train, False, True)
        on_gpu = _wants_one_buffer(x)
        if on_gpu and torch.is_autocast_enabled(x.device.type) and x.dtype != torch.float64:
            # torch's autocast would run the kernel in fp16 whatever its own dtype is, and gradients become 0 there.
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
        """Return h of each row after its own last token, `[1, B, H]`."""
        if ragged is None:
            return out[:, -1].unsqueeze(0)
        last = (ragged.lengths - 1).clamp(min=0)[:, None, None].expand(-1, 1, self.hidden_size)
        return torch.where(ragged.lengths[:, None] > 0, out.gather(1, last).squeeze(1), h0[0]).unsqueeze(0)

    def _hold_cells(self, x: Tensor, w_ih: Tensor, ragged: Ragged) -> tuple[Tensor, Tensor]:
        """Make c_t = c_{t-1} after a row's end, since the kernel returns the LSTM's c of the last step only.

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
    times faster than a packed one; `recurrence_cpu` trains the cells that have none on a CPU, and a loop over the
    equation runs a cell that torch does not know. It stays exact because right padding cannot reach back in time: rows
    are brought to right-padded form, the backward direction reads them reversed within their own lengths, and final
    states are taken at each row's end.

    Args:
        cell_type: a name in [`~cells.CELLS`]: `lstm`, `gru`, `rnn_tanh` or `rnn_relu`.
        input_size: E.
        hidden_size: H, of one direction.
        num_layers: L.
        bidirectional: D is 2 instead of 1.
        hidden_dropout: locked dropout between layers.
        weight_dropout: DropConnect on the hidden-to-hidden matrices (Merity et al. 2018), one mask per forward pass.

    Raises:
        ValueError: an unknown cell.
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
        # torch's own `dropout` would act inside cuDNN, where it can neither be reproduced nor locked over time.
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
        """Give the parameters, made for a cell of one block, G blocks: torch knows the shapes of its own cells only."""
        self.mode = self.cell_type
        for name in self._flat_weights_names:
            H, *inputs = getattr(self, name).shape
            setattr(self, name, nn.Parameter(torch.empty(G * H, *inputs)))
        self.reset_parameters()

    @property
    def cell(self) -> Cell:
        """The cell of all layers."""
        return find_cell(self.cell_type)

    def weights(self, layer: int) -> list[list[Tensor]]:
        """Return `[weight_ih [G*H, E or D*H], weight_hh [G*H, H], bias_ih [G*H], bias_hh [G*H]]` of each direction."""
        D = self.num_directions
        return [[getattr(self, name) for name in names] for names in self._all_weights[layer * D : (layer + 1) * D]]

    def dropped_weights(self, layer: int) -> list[list[Tensor]]:
        """Return [`weights`], in training with a weight dropout whose mask is drawn anew at each call."""
        if not (self.training and self.weight_dropout > 0):
            return self.weights(layer)
        return [[w_ih, F.dropout(w_hh, self.weight_dropout), *b] for w_ih, w_hh, *b in self.weights(layer)]

    def flatten_parameters(self) -> None:
        """Lay the weights of each layer and direction into one buffer, as cuDNN wants them: one call, one buffer.

        A copy of a model, such as by `copy.deepcopy` or `torch.optim.swa_utils.AveragedModel`, has them apart again.
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
            inputs: `[B, T, E]`; padded places are not read, whatever their values.
            attention_mask: `[B, T]`, non-zero where there is a token; padding may stand right, left or anywhere.
                None: all are tokens.
            state: the state to start from, in the layout of [`RecurrentState`]; zeros if None.
            output_cell_state: whether the final cell state is wanted; a ragged batch is slightly faster without.

        Returns:
            The outputs of each layer, L tensors `[B, T, D*H]` with zeros in padded places, and the final state of each
            row at its own length. A row of length 0 puts out zeros and ends in the state it started from.

        Raises:
            ValueError: a mask or a state of another shape, a state without the parts that the cell has, or an unknown
                cell.
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
        # Autocast gives states of fewer bits than those that a pass without it, or of another kind, has to start from.
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
