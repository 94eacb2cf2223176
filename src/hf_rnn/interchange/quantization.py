# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Quantization of an exported ONNX graph: small weights in the file, and integer arithmetic where it is faster.

- A large `LSTM` becomes `DynamicQuantizeLSTM`, and a large `MatMul` or `Gemm` becomes `DynamicQuantizeMatMul`. These
  operators of onnxruntime quantize their inputs at each call, with one scale for the whole batch.
- Tables have int8 rows, or product quantization. Only the rows that are looked up are computed in float32.
- All other large weights are int8 in the file and float32 in memory. onnxruntime has no integer operator for a GRU or a
  plain RNN.

onnxruntime-web has the operators of onnxruntime too (domain `com.microsoft`).
"""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from ..utils.errors import check_choice
from .graph_surgery import Reader, attributes, is_lookup, readers, remove_unread, share_tables, shorten
from .stored_weights import LARGEST, Int8, Narrower, ProductQuantized, as_float, tensor_of

# Forms of tables.
FORMS = ("int8", "pq")
DOMAIN = "com.microsoft"
# Weights with fewer numbers stay in float: together they have a few kilobytes.
SMALLEST = 1024
# Numbers from which integer arithmetic takes less time than float32, for one text and for many: in the weight of a
# matrix product, or in the weights of one direction of an LSTM.
SMALLEST_INTEGER = 65_536
# Columns from which each row of a table has its scale. With fewer, the scales would need more bytes than they save.
LEAST_COLUMNS = 16
# Largest code of weights in integer products. x86 CPUs without VNNI add two products of 8 bits in 16 bits, which would
# overflow with 127: 2 · 255 · 63 < 2^15.
LARGEST_IN_PRODUCTS = 63
# Inputs that are weights, by operator and index, each with the axes along which its values share a scale; without axes
# for biases, which are in float16.
STORED: dict[tuple[str, int], tuple[int, ...]] = {
    ("Conv", 1): (1, 2),
    ("GRU", 1): (-1,),
    ("GRU", 2): (-1,),
    ("GRU", 3): (),
    ("Gather", 0): (0,),
    ("Gemm", 1): (-2,),
    ("Gemm", 2): (),
    ("LSTM", 1): (-1,),
    ("LSTM", 2): (-1,),
    ("LSTM", 3): (),
    ("MatMul", 1): (-2,),
    ("RNN", 1): (-1,),
    ("RNN", 2): (-1,),
    ("RNN", 3): (),
    ("Transpose", 0): (-1,),
}


Stored = Int8 | Narrower | ProductQuantized


class Product(NamedTuple):
    """Matrix product with a weight, `x W` or `x Wᵀ`."""

    node: NodeProto
    position: int  # of the node in the graph
    is_transposed: bool  # the rows of the weight are the outputs


def quantize(source: Path, target: Path, embeddings: str = "int8", integers: bool = True) -> dict[str, Any]:
    """Quantize an exported graph.

    Args:
        source: ONNX file of a graph in float32, of opset 13 or newer.
        target: ONNX file to write. Inputs, outputs and metadata are those of `source`.
        embeddings: Form of the tables: `int8` for a scale per row, or `pq` for product quantization. A table is int8
            with `pq` too if that makes it smaller.
        integers: Compute with integers where that is faster. The logits of a text then depend a little on the batch and
            on the machine, because the inputs of integer operators are rounded with one scale for the batch. False:
            the weights are stored in the same bytes, and all operators compute in float32.

    Returns:
        Facts about the new graph: `bytes_before` and `bytes_after`, the sizes of the files; `operators`, the number of
        operators that compute with integers, by name; `tensors`, the form of each quantized weight; and `kept`, the
        number and size of all other weights by the reason why they are unchanged.

    Raises:
        ConfigError: `embeddings` has another value.
    """
    check_choice("embeddings", embeddings, FORMS)
    model = onnx.load(str(source))
    share_tables(model)
    quantizer = _Quantizer(model, embeddings, integers)
    quantizer.run()
    shorten(model)
    onnx.save(model, str(target))
    return {
        "bytes_before": Path(source).stat().st_size,
        "bytes_after": Path(target).stat().st_size,
        "operators": dict(sorted(quantizer.operators.items())),
        "tensors": quantizer.facts,
        "kept": quantizer.kept(),
    }


class _Quantizer:
    """Quantization of one model.

    Args:
        model: Model, which [`run`] changes.
        embeddings: Form of the tables.
        integers: Use operators that compute with integers.
    """

    def __init__(self, model: ModelProto, embeddings: str, integers: bool):
        self.model, self.graph, self.embeddings, self.integers = model, model.graph, embeddings, integers
        # A weight that is also an input of the graph is not constant.
        inputs = {each.name for each in self.graph.input}
        self.weights = {each.name: each for each in self.graph.initializer if each.name not in inputs}
        self.readers = readers(self.graph)
        # Outputs of the graph. No node needs to read them.
        self.outputs = {each.name for each in self.graph.output}
        self.new_nodes: dict[int, list[NodeProto]] = {}
        # Inputs that the new nodes do not read: positions of nodes with the index of the input.
        self.done: set[tuple[int, int]] = set()
        self.at_load: list[NodeProto] = []
        self.tensors: dict[str, TensorProto] = {}
        self.reasons: dict[str, str] = {}
        self.operators: Counter[str] = Counter()
        self.facts: list[dict[str, Any]] = []

    def run(self) -> None:
        """Quantize all weights and rewrite the graph."""
        for position, node in enumerate(self.graph.node):
            if self._is_integer_lstm(node):
                self._quantize_lstm(position, node)
        for name in self.weights:
            self._quantize_weight(name)
        nodes = [new for place, node in enumerate(self.graph.node) for new in self.new_nodes.get(place, [node])]
        weights = [each for each in self.graph.initializer if each.name not in self.quantized]
        del self.graph.node[:], self.graph.initializer[:]
        self.graph.node.extend([*self.at_load, *nodes])
        self.graph.initializer.extend([*weights, *self.tensors.values()])
        remove_unread(self.graph)
        if self.operators and DOMAIN not in {each.domain for each in self.model.opset_import}:
            self.model.opset_import.append(helper.make_opsetid(DOMAIN, 1))

    @property
    def quantized(self) -> set[str]:
        return {each["tensor"] for each in self.facts}

    def kept(self) -> list[dict[str, Any]]:
        """Return the number and size of the weights that are unchanged, by the reason."""
        found: dict[str, dict[str, Any]] = {}
        for name, reason in self.reasons.items():
            entry = found.setdefault(reason, {"why": reason, "tensors": 0, "bytes": 0})
            entry["tensors"] += 1
            entry["bytes"] += numpy_helper.to_array(self.weights[name]).nbytes
        return list(found.values())

    def _is_integer_lstm(self, node: NodeProto) -> bool:
        """Return whether `DynamicQuantizeLSTM` can replace a node."""
        inputs = [*node.input, *[""] * 8]
        if not self.integers or node.op_type != "LSTM" or inputs[7] or {"activations", "layout"} & {*attributes(node)}:
            return False
        weights = [self.weights.get(name) for name in inputs[1:3]]
        if any(each is None or each.data_type != TensorProto.FLOAT for each in weights):
            return False
        return sum(np.prod(each.dims[1:]) for each in weights) >= SMALLEST_INTEGER

    def _quantize_lstm(self, position: int, node: NodeProto) -> None:
        """Replace an LSTM. Its weights `[D, 4H, F]` become `[D, F, 4H]`, with scales `[D, 4H]`."""
        nodes, codes, others = [], [], []
        for name in node.input[1:3]:
            weight = Int8(name, numpy_helper.to_array(self.weights[name]).transpose(0, 2, 1), (1,), LARGEST_IN_PRODUCTS)
            scales = weight.scales[:, 0]
            # The zero points are 0. LSTMs of the same size share them.
            zeros = tensor_of("zeros_{}_{}".format(*scales.shape), np.zeros(scales.shape, np.int8))
            self._add([tensor_of(weight.codes_name, weight.codes), tensor_of(weight.scales_name, scales), zeros])
            nodes.append(as_float(weight.scales_name, f"{node.output[0]}/{weight.scales_name}"))
            codes.append(weight.codes_name)
            others += [*nodes[-1].output, zeros.name]
            self._describe(name, ["LSTM"], weight.form, "int8")
        inputs = [node.input[0], *codes, *[*node.input, *[""] * 8][3:8], *others]
        new = helper.make_node("DynamicQuantizeLSTM", inputs, node.output, domain=DOMAIN, **attributes(node))
        self._replace(position, [*nodes, new], 1, 2)

    def _quantize_weight(self, name: str) -> None:
        """Store a weight in few bytes, and replace the nodes that can read it so."""
        left = [each for each in self.readers[name] if (each.position, each.place) not in self.done]
        if not left and name not in self.outputs:
            return
        reason = self._why_kept(name, left)
        if reason:
            self.reasons[name] = reason
            return
        values = numpy_helper.to_array(self.weights[name])
        products = self._products(name, left)
        weight = self._stored(name, values, left, products)
        if isinstance(weight, Int8):
            for product in products:
                self._replace(product.position, _integer_product(product, weight), 1)
        if isinstance(weight, (Int8, ProductQuantized)):
            for each in left:
                if is_lookup(each):
                    self._replace(each.position, weight.looked_up(each.node.input[1], each.node.output[0]), 0)
        self._add(weight.tensors)
        self.at_load += weight.rebuilt(name)
        computed = "int8" if isinstance(weight, Int8) and products else str(values.dtype)
        self._describe(name, sorted({each.node.op_type for each in left}), weight.form, computed)

    def _why_kept(self, name: str, left: list[Reader]) -> str | None:
        """Return the reason why a weight is unchanged; None for a weight to quantize."""
        tensor = self.weights[name]
        if np.prod(tensor.dims) < SMALLEST:
            return f"fewer than {SMALLEST:,} numbers"
        if tensor.data_type == TensorProto.INT64:
            return None if Narrower.fits(numpy_helper.to_array(tensor)) else "integers above 32 bits"
        if tensor.data_type != TensorProto.FLOAT:
            return f"{TensorProto.DataType.Name(tensor.data_type).lower()}, not float32"
        other = next((each for each in left if (each.node.op_type, each.place) not in STORED), None)
        if other is not None:
            return f"input {other.place} of {other.node.op_type}, not a weight of a product, a recurrence or a table"
        return "output of the graph" if name in self.outputs else None

    def _products(self, name: str, left: list[Reader]) -> list[Product]:
        """Return the products with a weight that can be computed with integers, if the weight is large enough."""
        tensor, found = self.weights[name], []
        is_large = len(tensor.dims) == 2 and np.prod(tensor.dims) >= SMALLEST_INTEGER
        if not self.integers or not is_large or tensor.data_type != TensorProto.FLOAT:
            return []
        for each in left:
            if each.node.op_type == "Transpose":
                by = self.readers[each.node.output[0]]
                found += [Product(r.node, r.position, True) for r in by if r.node.op_type == "MatMul" and r.place == 1]
            elif each.place == 1 and (each.node.op_type == "MatMul" or self._is_plain_gemm(each.node)):
                found.append(Product(each.node, each.position, bool(attributes(each.node).get("transB"))))
        # The scales belong to the outputs, and to the rows of a table.
        by_row = any(is_lookup(each) for each in left) or (found and found[0].is_transposed)
        return [each for each in found if each.position is not None and each.is_transposed == by_row]

    def _is_plain_gemm(self, node: NodeProto) -> bool:
        """Return whether a node is `x W + b` or `x Wᵀ + b` with a constant vector b, or without b."""
        if node.op_type != "Gemm":
            return False
        options = {"alpha": 1, "beta": 1, "transA": 0, **attributes(node)}
        bias = self.weights.get(node.input[2]) if len(node.input) > 2 else None
        has_vector = len(node.input) < 3 or (bias is not None and len(bias.dims) == 1)
        return (options["alpha"], options["beta"], options["transA"]) == (1, 1, 0) and has_vector

    def _stored(self, name: str, values: NDArray, left: list[Reader], products: list[Product]) -> Stored:
        """Return the form of a weight."""
        if values.dtype == np.int64:
            return Narrower(name, values)
        largest = LARGEST_IN_PRODUCTS if products else LARGEST
        if not any(is_lookup(each) for each in left):
            axes = STORED[left[0].node.op_type, left[0].place]
            if axes == (-2,) and attributes(left[0].node).get("transB"):
                axes = (-1,)
            return Int8(name, values, axes, largest) if axes else Narrower(name, values)
        if values.ndim == 1 or values.shape[-1] < LEAST_COLUMNS:
            return Int8(name, values, (0,), largest)
        table = Int8(name, values, (1,), largest)
        if self.embeddings == "pq" and values.ndim == 2:
            smaller = ProductQuantized(name, values)
            return smaller if _bytes(smaller.tensors) < _bytes(table.tensors) else table
        return table

    def _replace(self, position: int, nodes: list[NodeProto], *done: int) -> None:
        """Replace the node at a position; the new nodes do not read the inputs at the indices `done`."""
        self.new_nodes[position] = nodes
        self.done.update((position, place) for place in done)
        self.operators.update(node.op_type for node in nodes if node.domain == DOMAIN)

    def _add(self, tensors: list[TensorProto]) -> None:
        self.tensors.update({each.name: each for each in tensors})

    def _describe(self, name: str, read_by: list[str], form: str, computed: str) -> None:
        tensor = self.weights[name]
        fact = {"tensor": name, "shape": [*tensor.dims], "read_by": read_by, "stored": form, "computed": computed}
        if name not in self.quantized:
            self.facts.append(fact)


def _integer_product(product: Product, weight: Int8) -> list[NodeProto]:
    """Return nodes that compute a product with integers."""
    node, nodes = product.node, []
    (output,) = node.output
    codes = weight.codes_name
    if product.is_transposed:
        codes = f"{output}/codes"
        nodes.append(helper.make_node("Transpose", [weight.codes_name], [codes], perm=[1, 0]))
    nodes.append(as_float(weight.scales_name, f"{output}/row_scales"))
    nodes.append(helper.make_node("Constant", [], [f"{output}/shape"], value_ints=[-1]))
    nodes.append(helper.make_node("Reshape", [f"{output}/row_scales", f"{output}/shape"], [f"{output}/scales"]))
    inputs = [node.input[0], codes, f"{output}/scales"]
    if len(node.input) > 2:
        inputs += ["", node.input[2]]
    return [*nodes, helper.make_node("DynamicQuantizeMatMul", inputs, [output], domain=DOMAIN)]


def _bytes(tensors: list[TensorProto]) -> int:
    return sum(each.ByteSize() for each in tensors)


__all__ = ["FORMS", "quantize"]
