# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Base class of all errors that a user can correct."""


class HfRnnError(ValueError):
    """Error that a user can correct. The message names the cause and what to write instead."""


__all__ = ["HfRnnError"]
