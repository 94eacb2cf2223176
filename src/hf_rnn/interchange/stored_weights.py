# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Weights stored in few bytes in an ONNX graph: int8 with scales, product quantization, integers of fewer bits.

Nodes that compute a whole weight have constant inputs only. onnxruntime and onnxruntime-web evaluate them once, when
they load the graph. They do not do so with `DequantizeLinear`, therefore weights are computed by `Cast` and `Mul`.

Shape letters: V rows and E columns of a table, M codebooks of K centroids.
"""

import warnings

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

# Largest code of int8, with as many steps below 0 as above.
LARGEST = 127
# Columns of the table that one codebook describes, as in fastText: 4 bits for each number. With 4 columns, a classifier
# of reviews lost a point of accuracy.
COLUMNS = 2
MOST_CENTROIDS = 256
# Rows per centroid: with fewer, the codebooks are no smaller than the rows.
ROWS_OF_A_CENTROID = 4
# Rows that centroids are fitted to.
MOST_ROWS = 20_000


class Int8:
    """Weight in int8, with scales in float16.

    Args:
        name: Name of the weight.
        values: Values, float32.
        axes: Axes along which the values share a scale: `(1,)` for a scale per row of a table, `(0,)` per column.
        largest: Largest code.
    """

    def __init__(self, name: str, values: NDArray, axes: tuple[int, ...], largest: int = LARGEST) -> None:
        scales = np.abs(values).max(axes, keepdims=True) / largest
        self.scales = scales.clip(max=np.finfo(np.float16).max).astype(np.float16)
        # The codes belong to the rounded scales. All values of a part whose scale is 0 become 0.
        steps = np.where(self.scales == 0, np.inf, self.scales.astype(np.float32))
        self.codes = np.rint(values / steps).clip(-largest, largest).astype(np.int8)
        self.name = name
        self.has_row_scales = axes == (1,)
        self.form = f"int8, {scales.size:,} scales"

    @property
    def codes_name(self) -> str:
        return f"{self.name}.codes"

    @property
    def scales_name(self) -> str:
        return f"{self.name}.scales"

    @property
    def tensors(self) -> list[TensorProto]:
        """Tensors that hold the weight."""
        return [tensor_of(self.codes_name, self.codes), tensor_of(self.scales_name, self.scales)]

    def rebuilt(self, output: str) -> list[NodeProto]:
        """Return nodes that compute the whole weight in float32.

        Args:
            output: Name of the result.
        """
        return _times(self.codes_name, self.scales_name, output)

    def looked_up(self, ids: str, output: str) -> list[NodeProto]:
        """Return nodes that compute rows of the weight in float32.

        Args:
            ids: Name of the row indices.
            output: Name of the result.
        """
        codes, scales = f"{output}/rows", self.scales_name
        nodes = [helper.make_node("Gather", [self.codes_name, ids], [codes])]
        if self.has_row_scales:
            scales = f"{output}/row_scales"
            nodes.append(helper.make_node("Gather", [self.scales_name, ids], [scales]))
        return nodes + _times(codes, scales, output)


class ProductQuantized:
    """Table by product quantization (Jégou et al. 2011).

    Groups of [`COLUMNS`] columns have a codebook each. A row has one code of 8 bits per codebook, the index of the
    nearest centroid. k-means fits the centroids.

    Args:
        name: Name of the table.
        table: Values `[V, E]`, float32.
    """

    def __init__(self, name: str, table: NDArray) -> None:
        V, E = table.shape
        self.name, self.rows, self.columns = name, V, E
        groups = -(-E // COLUMNS)
        padded = np.pad(table, [(0, 0), (0, groups * COLUMNS - E)])
        fitted = [_codebook(padded[:, start : start + COLUMNS]) for start in range(0, padded.shape[1], COLUMNS)]
        sizes = [len(centroids) for centroids, _ in fitted]
        self.centroids = np.concatenate([centroids for centroids, _ in fitted]).astype(np.float16)  # [M*K, COLUMNS]
        self.codes = np.stack([codes for _, codes in fitted], axis=1).astype(np.uint8)  # [V, M]
        self.starts = (np.cumsum(sizes) - sizes).astype(np.int32)  # [M], the first centroid of each codebook
        self.form = f"product quantization, {groups} codes of {max(sizes)} centroids"

    @property
    def tensors(self) -> list[TensorProto]:
        """Tensors that hold the table."""
        parts: dict[str, NDArray] = {"codes": self.codes, "centroids": self.centroids, "starts": self.starts}
        parts |= {"end": np.array([self.columns]), "start": np.array([0]), "axis": np.array([-1])}
        return [tensor_of(f"{self.name}.{part}", values) for part, values in parts.items()]

    def rebuilt(self, output: str) -> list[NodeProto]:
        """Return nodes that compute the whole table in float32.

        Args:
            output: Name of the result.
        """
        codes = f"{self.name}.codes"
        # The shape of the ids, which are all rows in order.
        shape = helper.make_node("Constant", [], [f"{output}/shape"], value_ints=[self.rows])
        return [shape, *self._decoded(codes, output)]

    def looked_up(self, ids: str, output: str) -> list[NodeProto]:
        """Return nodes that compute rows of the table in float32.

        Args:
            ids: Name of the row indices.
            output: Name of the result.
        """
        codes = f"{output}/rows"
        return [
            helper.make_node("Gather", [f"{self.name}.codes", ids], [codes]),
            helper.make_node("Shape", [ids], [f"{output}/shape"]),
            *self._decoded(codes, output),
        ]

    def _decoded(self, codes: str, output: str) -> list[NodeProto]:
        """Return nodes that compute rows from their codes; `{output}/shape` is the shape of the ids."""
        part, name = f"{output}/{{}}".format, f"{self.name}.{{}}".format
        return [
            helper.make_node("Cast", [codes], [part("places")], to=TensorProto.INT32),
            helper.make_node("Add", [part("places"), name("starts")], [part("centroids")]),
            as_float(name("centroids"), part("book")),
            helper.make_node("Gather", [part("book"), part("centroids")], [part("groups")]),
            helper.make_node("Concat", [part("shape"), name("axis")], [part("flat")], axis=0),
            helper.make_node("Reshape", [part("groups"), part("flat")], [part("padded")]),
            helper.make_node("Slice", [part("padded"), name("start"), name("end"), name("axis")], [output]),
        ]


class Narrower:
    """Weight in a type of half the size: float16 instead of float32, int32 instead of int64.

    Args:
        name: Name of the weight.
        values: Values, float32, or int64 that fit in int32.
    """

    def __init__(self, name: str, values: NDArray) -> None:
        narrow = np.float16 if values.dtype == np.float32 else np.int32
        self.name, self.values, self.dtype = name, values.astype(narrow), values.dtype
        self.form = str(self.values.dtype)

    @staticmethod
    def fits(values: NDArray) -> bool:
        """Return whether int32 can hold all values.

        Args:
            values: Values, int64.
        """
        return bool(values.size) and values.min() >= -(2**31) and values.max() < 2**31

    @property
    def tensors(self) -> list[TensorProto]:
        """Tensors that hold the weight."""
        return [tensor_of(f"{self.name}.{self.form}", self.values)]

    def rebuilt(self, output: str) -> list[NodeProto]:
        """Return nodes that compute the weight in its first type.

        Args:
            output: Name of the result.
        """
        to = helper.np_dtype_to_tensor_dtype(self.dtype)
        return [helper.make_node("Cast", [f"{self.name}.{self.form}"], [output], to=to)]


def as_float(name: str, output: str) -> NodeProto:
    """Return a node that converts a tensor to float32.

    Args:
        name: Name of the tensor.
        output: Name of the result.
    """
    return helper.make_node("Cast", [name], [output], to=TensorProto.FLOAT)


def _times(codes: str, scales: str, output: str) -> list[NodeProto]:
    """Return nodes that multiply codes and scales in float32."""
    return [
        as_float(codes, f"{output}/codes"),
        as_float(scales, f"{output}/scales"),
        helper.make_node("Mul", [f"{output}/codes", f"{output}/scales"], [output]),
    ]


def tensor_of(name: str, values: NDArray) -> TensorProto:
    """Return a tensor of a graph.

    Args:
        name: Name of the tensor.
        values: Values.
    """
    return numpy_helper.from_array(np.ascontiguousarray(values), name)


def _codebook(rows: NDArray) -> tuple[NDArray, NDArray]:
    """Fit a codebook to rows `[V, COLUMNS]`; return its centroids `[K, COLUMNS]` and the code of each row `[V]`."""
    # Imported here, because it takes long, and int8 does not need it.
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    sample = rows
    if len(rows) > MOST_ROWS:
        sample = rows[np.random.default_rng(0).choice(len(rows), MOST_ROWS, replace=False)]
    K = min(MOST_CENTROIDS, max(len(rows) // ROWS_OF_A_CENTROID, 1))
    different, counts = np.unique(sample, axis=0, return_counts=True)
    if len(rows) == len(sample) and len(different) <= K:
        return different, np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
    kmeans = KMeans(min(K, len(different)), init="random", n_init=1, max_iter=10, random_state=0)
    with warnings.catch_warnings():
        # Nearly equal rows leave some centroids without rows, which does no harm.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = kmeans.fit(different, sample_weight=counts)
    return fitted.cluster_centers_, fitted.predict(rows)


__all__ = ["LARGEST", "Int8", "Narrower", "ProductQuantized", "as_float", "tensor_of"]
