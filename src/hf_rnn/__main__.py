# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Command line as a module: `python -m hf_rnn` is the same as `hf-rnn`."""

from .cli.main import entry

entry()
