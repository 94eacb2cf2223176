# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Import transformers without the libraries that only training and other architectures use.

A process that answers one text spends nearly all of its time on imports. Two thirds of what
`from transformers import PreTrainedModel` imports after torch serve tensor parallelism, the compiler, attention caches
and the losses of object detectors. All of this is imported at the top of transformers' modules, where a user of the
library has no say. Written against transformers 5.23 and torch 2.13; where a later version has changed a part that is
named here, the process starts as slowly as without this module, and answers the same.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from .processes import is_one_of_several

# transformers asks whether these are installed, and imports them if so: PIL and jinja2 for chat templates, psutil for
# serving, scipy for the loss of object detectors, sklearn for assisted generation, accelerate for models on several
# devices.
OPTIONAL = ("PIL", "accelerate", "jinja2", "psutil", "scipy", "sklearn")


@contextmanager
def lean_imports() -> Iterator[None]:
    """Load and use a model inside the block without the libraries that answers never use.

    The block is for a process with one thread, which reads models from files and ends: the modules of transformers
    that it imports have no tensor parallelism from then on. In a process that has imported transformers' models before,
    or is one of several, it changes nothing.
    """
    if is_one_of_several() or "transformers.modeling_utils" in sys.modules:
        yield
        return
    import torch

    with ExitStack() as stack:
        for name in set(OPTIONAL) - set(sys.modules):
            # Python's own way to say that a module cannot be imported.
            sys.modules[name] = None  # type: ignore[assignment]
            stack.callback(sys.modules.pop, name, None)
        # Without it, transformers imports neither FSDP nor tensors that are spread over processes, and with them sympy.
        stack.enter_context(_replaced(torch.distributed, "is_available", lambda: False))
        if "torch._dynamo" not in sys.modules:
            sys.modules["torch._dynamo"] = _Compiler()
        import transformers  # noqa: F401

        _one_scan(stack)
        _no_conversions(stack)
        yield


class _Compiler(ModuleType):
    """`torch._dynamo`, which is loaded by the first use of anything but its decorators.

    transformers' modules decorate functions for the compiler as they are imported. Nothing is compiled here. Without
    this class a cold `hf-rnn predict` takes 54 % more CPU time.
    """

    def __init__(self) -> None:
        name = "torch._dynamo"
        super().__init__(name)
        spec: Any = importlib.util.find_spec(name)
        self.__spec__, self.__package__ = spec, name
        self.__file__, self.__path__ = spec.origin, spec.submodule_search_locations
        self.allow_in_graph = self.assume_constant_result = self.disable = _as_it_is

    def __getattr__(self, name: str) -> Any:
        # Python asks for such names to see whether a module has them.
        if name.startswith("__"):
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec: Any = self.__spec__
        spec.loader.exec_module(self)
        return getattr(self, name)


def _as_it_is(function: Callable | None = None, *args: Any, **options: Any) -> Any:
    """Decorate a function, with or without arguments, by nothing."""
    return (lambda decorated: decorated) if function is None else function


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Give an attribute of a module another value inside the block."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _one_scan(stack: ExitStack) -> None:
    """Let `transformers.models` take over the list of its modules, which `transformers` has made by now.

    Both read 1,600 files for it: the function that keeps what it found takes a folder, and the `__init__.py` in it, for
    two places. Without this function a cold `hf-rnn predict` takes 12 % more CPU time.
    """
    from transformers.utils import import_utils

    find = import_utils.create_import_structure_from_path

    def found(place: Any) -> Any:
        return find(Path(place).parent if Path(place).name == "__init__.py" else place)

    stack.enter_context(_replaced(import_utils, "create_import_structure_from_path", found))


def _no_conversions(stack: ExitStack) -> None:
    """Leave out the names that weights of other architectures had in the past: a thousand regular expressions.

    Our models' weights have the names of today, which `check_weights` has made sure of. Without this function a cold
    `hf-rnn predict` takes 11 % more CPU time.
    """
    from transformers import conversion_mapping

    if getattr(conversion_mapping, "_checkpoint_conversion_mapping_cache", 0) is None:
        found: dict[str, list] = {"legacy": []}
        stack.enter_context(_replaced(conversion_mapping, "_checkpoint_conversion_mapping_cache", found))


__all__ = ["lean_imports"]
