"""Abilities of the machine that some tests need."""

import pytest

from hf_rnn.utils.machine import runs_bf16

needs_bf16 = pytest.mark.skipif(not runs_bf16(), reason="this processor runs no LSTM in bf16")
