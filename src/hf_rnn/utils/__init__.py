# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Modules that every package uses: errors, the machine, processes, figures, and answers of the Hub."""
