# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Load the tensors of a torch or safetensors file without running code of the file."""

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..utils.errors import HfRnnError, first_line

# Largest number of bytes of the parts of a file, and of a tensor that repeats its stored numbers.
LARGEST, DEEPEST = 1 << 33, 3
# Keys under which programs store the state dict beside other things.
_INSIDE = ("model", "state_dict", "model_state_dict", "module")
_FLAIR = "flair.data.Dictionary"


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by their names.

    Args:
        path: `.safetensors` file, or a file of `torch.save` with tensors, numbers, strings, lists and dicts only.

    Raises:
        HfRnnError: The file is damaged or too large, needs the code of another program, or has no state dict.
    """
    name = str(path)
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise HfRnnError(f"{name!r} is damaged ({first_line(error)}): copy it again.") from error
    _check_size(path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _unsafe(name, str(error)) from error
    except PermissionError as error:
        raise HfRnnError(f"{name!r} cannot be read ({error.strerror}): change its permissions.") from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        # The messages of these errors speak of the inside of torch.
        raise _of_another_kind(name) from error
    tensors = _state_dict(found, name)
    for key, tensor in tensors.items():
        if tensor.layout is not torch.strided or tensor.numel() > tensor.untyped_storage().nbytes():
            raise HfRnnError(f"{key} of {name!r} declares {tensor.numel():,} numbers and stores fewer: it is damaged.")
        if tensor.is_quantized or tensor.is_complex():
            raise HfRnnError(f"{key} of {name!r} has the type {tensor.dtype}: save the model in float32.")
    return tensors


def _check_size(path: Path) -> None:
    """Raise [`HfRnnError`] if the file declares parts that are far larger than itself."""
    try:
        with zipfile.ZipFile(path) as archive:
            declared = sum(member.file_size for member in archive.infolist())
    except (OSError, zipfile.BadZipFile):
        # Files of torch before 1.6 are no archives.
        return
    stored = path.stat().st_size
    # torch.save compresses nothing.
    if declared > LARGEST or declared > 2 * stored + (1 << 20):
        raise HfRnnError(f"{str(path)!r} declares {declared:,} bytes and has {stored:,}: the file is damaged.")


def _unsafe(name: str, message: str) -> HfRnnError:
    """Return the error for a file that torch refuses to load without running code."""
    if _FLAIR in message:
        return HfRnnError(
            f"{name!r} is a model of Flair, which stores its dictionary as an object of {_FLAIR}; reading it would run "
            "code. If you trust its origin, convert it where flair is installed:\n"
            "import json, torch; from flair.models import LanguageModel\n"
            f"lm = LanguageModel.load_language_model({name!r})\n"
            'torch.save(lm.state_dict(), "flair.pt")\n'
            'json.dump([item.decode() for item in lm.dictionary.idx2item], open("flair.json", "w"))\n'
            "and import flair.pt with config=…, names=… and vocabulary='flair.json', as docs/import.md shows."
        )
    if "Unsupported operand" in message:
        return _of_another_kind(name)
    found = re.search(r"GLOBAL (\S+)", message)
    more = f"an object of {found[1]}" if found else "more than tensors, numbers, strings, lists and dicts"
    return HfRnnError(
        f"{name!r} holds {more}, and reading it could run any code. If you trust its origin, load it in the program "
        'that saved it, and save its state dict: torch.save(model.state_dict(), "weights.pth").'
    )


def _of_another_kind(name: str) -> HfRnnError:
    return HfRnnError(
        f"{name!r} cannot be read as a file of torch.save or Keras: the file is damaged, or of another kind. Name a "
        ".keras, .h5, .pth, .pt or .safetensors file."
    )


def _state_dict(found: Any, name: str) -> dict[str, Tensor]:
    """Return the state dict in what torch.load returned."""
    for _ in range(DEEPEST):
        if not isinstance(found, Mapping):
            break
        inside = next((key for key in _INSIDE if isinstance(found.get(key), Mapping)), None)
        if inside is None:
            break
        found = found[inside]
    tensors = (
        {str(key): value for key, value in found.items() if isinstance(value, Tensor)}
        if isinstance(found, Mapping)
        else {}
    )
    if not tensors:
        raise HfRnnError(
            f"{name!r} has no state dict, a dict of names and tensors: write torch.save(model.state_dict(), "
            '"weights.pth").'
        )
    return tensors


__all__ = ["load_tensors"]
