# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Changes of ONNX graphs that keep their results: shared tables, fewer nodes, shorter names."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper


class Reader(NamedTuple):
    """Node that reads a tensor."""

    node: NodeProto
    place: int  # index of the tensor among the inputs
    position: int | None  # position of the node in the graph; None for a node in the body of a loop or branch


def attributes(node: NodeProto) -> dict[str, Any]:
    """Return the attributes of a node by name.

    Args:
        node: Node of a graph.
    """
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def readers(graph: GraphProto) -> dict[str, list[Reader]]:
    """Return the nodes that read each tensor, by the name of the tensor.

    Args:
        graph: Graph of a model. Nodes in the bodies of its loops and branches count too.
    """
    found = defaultdict(list)
    for index, node in enumerate(graph.node):
        for inner in _with_inner(node):
            for place, name in enumerate(inner.input):
                found[name].append(Reader(inner, place, index if inner is node else None))
    return found


def share_tables(model: ModelProto) -> list[str]:
    """Store a table once that is looked up and, transposed, multiplied, as the tied embedding of a language model is.

    torch's exporter writes the transposed table as a second weight. The result is a `Transpose`, which onnxruntime
    evaluates once when it loads the graph.

    Args:
        model: Model, which is changed.

    Returns:
        Names of the shared tables.
    """
    graph = model.graph
    reads, weights = readers(graph), {each.name: each for each in graph.initializer}
    tables = [name for name in weights if any(is_lookup(reader) for reader in reads[name])]
    shared = []
    for name, weight in weights.items():
        if name in tables or len(weight.dims) != 2 or any(reader.node.op_type != "MatMul" for reader in reads[name]):
            continue
        table = next((each for each in tables if _is_transposed(weights[each], weight)), None)
        if table is not None:
            graph.initializer.remove(weight)
            graph.node.insert(0, helper.make_node("Transpose", [table], [name], perm=[1, 0]))
            shared.append(table)
    return shared


def is_lookup(reader: Reader) -> bool:
    """Return whether a node of the graph looks up rows of the tensor that it reads.

    Args:
        reader: Node and index of the tensor among its inputs.
    """
    is_table = reader.node.op_type == "Gather" and reader.place == 0 and attributes(reader.node).get("axis", 0) == 0
    return is_table and reader.position is not None


def remove_unread(graph: GraphProto) -> None:
    """Remove the nodes and weights of a graph that no output depends on.

    Args:
        graph: Graph, which is changed.
    """
    read = {each.name for each in graph.output}
    nodes = []
    for node in reversed(graph.node):
        if read.intersection(node.output):
            nodes.append(node)
            read.update(name for inner in _with_inner(node) for name in inner.input)
            read.update(each.name for inner in _with_inner(node) for body in _bodies(inner) for each in body.output)
    weights = [each for each in graph.initializer if each.name in read]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(nodes))
    graph.initializer.extend(weights)


def shorten(model: ModelProto) -> None:
    """Shorten the names inside a graph and keep one of equal constants; the names of weights, inputs and outputs stay.

    torch writes paths of modules as names, which need more bytes than the weights of a small model.

    Args:
        model: Model, which is changed.
    """
    graph = model.graph
    kept = {each.name for each in (*graph.input, *graph.output, *graph.initializer)}
    names: dict[str, str] = {"": ""}
    constants: dict[bytes, str] = {}
    nodes = []
    for node in graph.node:
        value = node.attribute[0].SerializeToString() if node.op_type == "Constant" else None
        if value in constants and node.output[0] not in kept:
            names[node.output[0]] = constants[value]
            continue
        for name in _written(node):
            names.setdefault(name, name if name in kept else f"t{len(names)}")
        if value is not None:
            constants[value] = names[node.output[0]]
        nodes.append(node)
    for node in nodes:
        _rename(node, names)
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)


def _is_transposed(table: TensorProto, weight: TensorProto) -> bool:
    if [*table.dims] != [*reversed(weight.dims)] or table.data_type != weight.data_type:
        return False
    return bool(np.array_equal(numpy_helper.to_array(table).T, numpy_helper.to_array(weight)))


def _bodies(node: NodeProto) -> list[GraphProto]:
    """Return the graphs inside a node: the body of a loop, or branches."""
    return [each.g for each in node.attribute if each.type == AttributeProto.GRAPH]


def _with_inner(node: NodeProto) -> Iterator[NodeProto]:
    """Yield a node and all nodes inside it."""
    yield node
    for body in _bodies(node):
        for inner in body.node:
            yield from _with_inner(inner)


def _written(node: NodeProto) -> Iterator[str]:
    """Yield the names of the tensors that a node and the graphs inside it define."""
    for inner in _with_inner(node):
        yield from inner.output
        for body in _bodies(inner):
            yield from (each.name for each in (*body.input, *body.initializer))


def _rename(node: NodeProto, names: dict[str, str]) -> None:
    for inner in _with_inner(node):
        inner.name = ""
        inner.input[:] = [names.get(name, name) for name in inner.input]
        inner.output[:] = [names.get(name, name) for name in inner.output]
        for body in _bodies(inner):
            del body.value_info[:]
            for each in (*body.input, *body.output, *body.initializer):
                each.name = names.get(each.name, each.name)


__all__ = ["Reader", "attributes", "is_lookup", "readers", "remove_unread", "share_tables", "shorten"]
