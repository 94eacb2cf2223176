"""Tests of the lowest versions in pyproject.toml, which `make test-lowest` installs."""

import lowest
import pytest


def test_lower_bounds_are_read():
    found = lowest.lowest(["hf-rnn[explain]", "transformers>=5.17,<6", "pyyaml>=6.0", "jax[cpu]>=0.6"])
    assert found == {"transformers": "5.17", "pyyaml": "6.0", "jax": "0.6"}
    with pytest.raises(ValueError, match=r"'numpy<3' of pyproject\.toml has no lower bound"):
        lowest.lowest(["numpy<3"])


def test_each_package_has_one_version_and_torch_that_of_the_constraints(capsys):
    lowest.main()
    lines = capsys.readouterr().out.splitlines()
    assert f"torch=={lowest.pinned('torch')}" in lines
    names = [line.partition("==")[0] for line in lines]
    assert len(set(names)) == len(names)
