# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""What a figure was measured on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch


def hardware() -> str:
    """The processor, or the GPUs, in words."""
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} × {torch.cuda.get_device_name()}"
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or 'CPU'}, {os.cpu_count()} cores"


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide a result."""
    packages = ("torch", "transformers", "tokenizers", "datasets", "accelerate")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
