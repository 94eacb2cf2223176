# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Answers of exported models without torch: numpy, onnxruntime and tokenizers alone.

The distribution `hf-rnn-runtime` packages this folder as `hf_rnn_runtime`. It imports nothing else of hf_rnn. Code that
answers with and without torch stands here once, and the rest of hf_rnn imports it.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Imported on first use: the rest of hf_rnn imports parts of this package without onnxruntime.
_LAZY = {"HfRnnError": "errors", "Model": "model"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["HfRnnError", "Model", "__version__"]
