# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""python -m hf_rnn_runtime is hf-rnn-run."""

from .command import main

main()
