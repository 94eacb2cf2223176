# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Command line. [`main`][hf_rnn.cli.main] finds a command in [`commands`][hf_rnn.cli.commands] and runs it."""
