# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Read `.keras` and `.h5` files with h5py and json alone: no Keras, no pickles, no code of the file."""

import json
import math
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..utils.errors import HfRnnError

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Largest sizes in bytes that a file may declare, and how much larger than its stored form a part may be.
LARGEST_CONFIG, LARGEST_WEIGHTS, EXPANSION, SMALL = 1 << 26, 1 << 33, 1000, 1 << 20


class KerasFile:
    """Open file of a Keras model.

    Args:
        name: Name of the file, for errors.
        model: Serialized model: `class_name` and `config`.
        compiled: Serialized arguments of `compile`; {} if there are none.
        version: Version of Keras that wrote the file; empty if unknown.
        weights: Open HDF5 file or group with the weights.
        archive: Open archive of a `.keras` file; None for an `.h5` file.
    """

    def __init__(
        self, name: str, model: dict, compiled: dict, version: str, weights: Any, archive: zipfile.ZipFile | None
    ):
        self.name, self.model, self.compiled, self.version = name, model, compiled, version
        self._weights, self._archive = weights, archive

    @property
    def is_archive(self) -> bool:
        """True for a `.keras` file; False for an `.h5` file."""
        return self._archive is not None

    def read(self, path: str, layer: str, parts: dict[str, list[tuple[int, ...]]]) -> dict[str, list[Tensor]]:
        """Return the weights of a layer.

        Args:
            path: Path of the layer in the file: groups of a `.keras` file, or the name of the topmost layer that holds
                it in an `.h5` file.
            layer: Name of the layer.
            parts: Shapes of the weights of each part of the layer, such as `forward_layer/cell`; the parts have the
                order of the weights in an `.h5` file.

        Raises:
            HfRnnError: A weight is missing, has another shape or type, or is not in the file itself.
        """
        found = {}
        names = None if self.is_archive else self._names_in_h5(path, layer)
        for part, shapes in parts.items():
            if names is None:
                own = [f"{path}/{part}/vars/{i}".replace("//", "/") for i in range(len(shapes))]
            else:
                own, names = names[: len(shapes)], names[len(shapes) :]
            if len(own) < len(shapes):
                raise HfRnnError(f"{self.name!r} lacks weights of the layer {layer!r}: save the model again.")
            found[part] = [self._tensor(where, shape, layer) for where, shape in zip(own, shapes, strict=True)]
        return found

    def _names_in_h5(self, top: str, layer: str) -> list[str]:
        """Return the paths of the weights of a layer, in their order."""
        group = _hard(self._weights, top, self.name)
        names = [name.decode() if isinstance(name, bytes) else str(name) for name in group.attrs["weight_names"]]
        inside = [name for name in names if layer == top or layer in name.split("/")]
        return [f"{top}/{name}" for name in inside]

    def _tensor(self, path: str, shape: tuple[int, ...], layer: str) -> Tensor:
        import h5py

        data = _hard(self._weights, path, self.name)
        if not isinstance(data, h5py.Dataset) or data.is_virtual or data.external:
            raise HfRnnError(f"{path} of {self.name!r} is not stored in the file itself: save the model again.")
        if tuple(data.shape) != shape:
            raise HfRnnError(
                f"{path} of {self.name!r}, a weight of the layer {layer!r}, is {list(data.shape)}, and its "
                f"configuration asks for {list(shape)}: the file is damaged, or its layers have other weights than "
                "those of Keras."
            )
        if data.dtype.kind != "f":
            raise HfRnnError(
                f"{path} of {self.name!r} has the type {data.dtype}, not floating point: save the model before it is "
                "quantized, in float32."
            )
        size = math.prod(shape) * data.dtype.itemsize
        if size > LARGEST_WEIGHTS or (size > SMALL and data.id.get_storage_size() * EXPANSION < size):
            raise HfRnnError(
                f"{path} of {self.name!r} declares {size:,} bytes and stores {data.id.get_storage_size():,}: the file "
                "is damaged."
            )
        return torch.from_numpy(np.asarray(data[()], dtype=np.float32))

    def vocabulary(self, path: str) -> list[str] | None:
        """Return the vocabulary that a TextVectorization layer has in the file, or None.

        Args:
            path: Same as in [`read`].
        """
        name = f"assets/{path}/vocabulary.txt"
        if self._archive is None or name not in self._archive.namelist():
            return None
        lines = _member(self._archive, name, LARGEST_CONFIG, self.name).decode("utf-8").split("\n")
        while lines and lines[-1] == "":
            lines.pop()
        return lines


def _hard(group: Any, path: str, name: str) -> Any:
    """Return an item of an HDF5 file, without following links to other files."""
    import h5py

    for part in path.strip("/").split("/"):
        link = group.get(part, getlink=True) if isinstance(group, h5py.Group) else None
        if link is None:
            raise HfRnnError(f"{name!r} has no weights at {path!r}: the file is incomplete. Save the model again.")
        if not isinstance(link, h5py.HardLink):
            raise HfRnnError(f"{path!r} of {name!r} is a link to other data, which is not read: save the model again.")
        group = group[part]
    return group


def _member(archive: zipfile.ZipFile, name: str, largest: int, file: str) -> bytes:
    """Return a member of an archive, whose declared size is checked before it is read."""
    size, stored = archive.getinfo(name).file_size, archive.getinfo(name).compress_size
    if size > largest or (size > SMALL and stored * EXPANSION < size):
        raise HfRnnError(
            f"{name} of {file!r} declares {size:,} bytes, stored in {stored:,}: the file is damaged, or no Keras model."
        )
    return archive.read(name)


@contextmanager
def open_keras(path: Path) -> Iterator[KerasFile]:
    """Open the file of a Keras model.

    Args:
        path: `.keras` or `.h5` file.

    Raises:
        HfRnnError: h5py is not installed, or the file is damaged, too large, or not a whole model.
    """
    name = str(path)
    try:
        import h5py
    except ImportError as error:
        raise HfRnnError(f'the weights in {name!r} are read with h5py: pip install "hf-rnn[keras]".') from error
    try:
        with path.open("rb") as file:
            is_h5 = file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE
        if is_h5:
            with h5py.File(path, "r") as weights:
                yield _legacy(weights, name)
            return
        with zipfile.ZipFile(path) as archive:
            _check_members(archive, name)
            model = json.loads(_member(archive, CONFIG, LARGEST_CONFIG, name))
            if archive.getinfo(WEIGHTS).compress_type == zipfile.ZIP_STORED:
                source: Any = archive.open(WEIGHTS)
            else:
                source = BytesIO(_member(archive, WEIGHTS, LARGEST_WEIGHTS, name))
            with source, h5py.File(source, "r") as weights:
                yield KerasFile(
                    name, model, model.get("compile_config") or {}, _version(archive, name), weights, archive
                )
    except HfRnnError:
        raise
    # h5py and zipfile raise many kinds of errors for damaged files; RecursionError comes from json.
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise HfRnnError(
            f"{name!r} cannot be read as a Keras model ({type(error).__name__}: {error}): the file is damaged or "
            "incomplete. Copy it again, or save the model again."
        ) from error


def _version(archive: zipfile.ZipFile, name: str) -> str:
    if METADATA not in archive.namelist():
        return ""
    return str(json.loads(_member(archive, METADATA, LARGEST_CONFIG, name)).get("keras_version", ""))


def _check_members(archive: zipfile.ZipFile, name: str) -> None:
    missing = [member for member in (CONFIG, WEIGHTS) if member not in archive.namelist()]
    if missing:
        raise HfRnnError(
            f"{name!r} has no {' and no '.join(missing)}, so it is not the file of a Keras model: name a file that "
            'model.save("model.keras") wrote.'
        )


def _legacy(weights: Any, name: str) -> KerasFile:
    """Return the model in an `.h5` file."""
    told = weights.attrs.get("model_config")
    if told is None or "model_weights" not in weights:
        raise HfRnnError(
            f"{name!r} has weights without the layers that they belong to, as model.save_weights writes them: load "
            'them into the model in Keras, and write model.save("model.keras").'
        )
    compiled, version = weights.attrs.get("training_config"), str(weights.attrs.get("keras_version", ""))
    of_layers = _hard(weights, "model_weights", name)
    return KerasFile(name, json.loads(told), json.loads(compiled) if compiled else {}, version, of_layers, None)


def names_in_archive(class_names: Sequence[str]) -> list[str]:
    """Return the groups of layers in the weights of a `.keras` file: the class in snake case, and a number.

    Args:
        class_names: Classes of all layers of a model, in their order.
    """
    used: dict[str, int] = {}
    names = []
    for class_name in class_names:
        snake = _snake_case(class_name)
        names.append(f"{snake}_{used[snake]}" if snake in used else snake)
        used[snake] = used.get(snake, 0) + 1
    return names


def _snake_case(name: str) -> str:
    # The same as keras.src.utils.naming.to_snake_case.
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


__all__ = ["HDF5_SIGNATURE", "KerasFile", "names_in_archive", "open_keras"]
