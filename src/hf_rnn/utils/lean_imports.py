# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Import transformers without the libraries that only training and other architectures use.

A process that answers one text spends most of its time on imports. Two thirds of what `from transformers import
PreTrainedModel` imports after torch serve tensor parallelism, the compiler, attention caches and the losses of object
detectors. transformers imports all of this at the top of its modules and has no option to skip it.

This module is written for transformers 5.23 and torch 2.13. If a later version changes a part that is named here, the
process starts as slowly as without this module. Its answers stay the same.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from .processes import is_one_of_several

# transformers imports these libraries if they are installed: PIL and jinja2 for chat templates, psutil for serving,
# scipy for the loss of object detectors, sklearn for assisted generation, accelerate for models on several devices.
OPTIONAL = ("PIL", "accelerate", "jinja2", "psutil", "scipy", "sklearn")


@contextmanager
def lean_imports() -> Iterator[None]:
    """Load and use a model inside the block without libraries that inference does not need.

    Use it in a process with one thread that reads models from files and then ends: the transformers modules imported
    inside have no tensor parallelism afterwards. It changes nothing in a process that has already imported
    transformers' models, or that is one of several.
    """
    if is_one_of_several() or "transformers.modeling_utils" in sys.modules:
        yield
        return
    import torch

    with ExitStack() as stack:
        for name in set(OPTIONAL) - set(sys.modules):
            # None in `sys.modules` makes the import of a module fail.
            sys.modules[name] = None  # type: ignore[assignment]
            stack.callback(sys.modules.pop, name, None)
        # Without `torch.distributed`, transformers imports neither FSDP nor distributed tensors, which import sympy.
        stack.enter_context(_replaced(torch.distributed, "is_available", lambda: False))
        if "torch._dynamo" not in sys.modules:
            sys.modules["torch._dynamo"] = _Compiler()
        import transformers  # noqa: F401

        _one_scan(stack)
        _no_conversions(stack)
        yield


class _Compiler(ModuleType):
    """Replacement for `torch._dynamo` that loads the real module at the first use of anything but its decorators.

    transformers decorates functions for the compiler at import, but nothing is compiled here. Without this class, a
    cold `hf-rnn predict` takes 54 % more CPU time.
    """

    def __init__(self) -> None:
        name = "torch._dynamo"
        super().__init__(name)
        spec: Any = importlib.util.find_spec(name)
        self.__spec__, self.__package__ = spec, name
        self.__file__, self.__path__ = spec.origin, spec.submodule_search_locations
        self.allow_in_graph = self.assume_constant_result = self.disable = _as_it_is

    def __getattr__(self, name: str) -> Any:
        # Python itself looks up such names; this must not load the real module.
        if name.startswith("__"):
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec: Any = self.__spec__
        spec.loader.exec_module(self)
        return getattr(self, name)


def _as_it_is(function: Callable | None = None, *args: Any, **options: Any) -> Any:
    """Return a function unchanged; usable as a decorator with or without arguments."""
    return (lambda decorated: decorated) if function is None else function


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Replace an attribute of a module inside the block."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _one_scan(stack: ExitStack) -> None:
    """Let `transformers.models` reuse the list of modules that `transformers` has already built.

    Both scan 1,600 files for this list. The cache of the scanning function treats a folder and its `__init__.py` as two
    places. Without this function, a cold `hf-rnn predict` takes 12 % more CPU time.
    """
    from transformers.utils import import_utils

    find = import_utils.create_import_structure_from_path

    def found(place: Any) -> Any:
        return find(Path(place).parent if Path(place).name == "__init__.py" else place)

    stack.enter_context(_replaced(import_utils, "create_import_structure_from_path", found))


def _no_conversions(stack: ExitStack) -> None:
    """Skip the table of old weight names of other architectures, which is a thousand regular expressions.

    Our models need no such table: `check_weights` has checked that the weights have today's names. Without this
    function, a cold `hf-rnn predict` takes 11 % more CPU time.
    """
    from transformers import conversion_mapping

    if getattr(conversion_mapping, "_checkpoint_conversion_mapping_cache", 0) is None:
        found: dict[str, list] = {"legacy": []}
        stack.enter_context(_replaced(conversion_mapping, "_checkpoint_conversion_mapping_cache", found))


__all__ = ["lean_imports"]
