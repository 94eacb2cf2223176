"""Marks of parameters."""

from typing import Any

import pytest


def proof(*values: Any) -> Any:
    """Return the values of a slow test's parameters as a proof, which `make test-proofs` runs."""
    return pytest.param(*values, marks=pytest.mark.proof)
