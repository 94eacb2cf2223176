# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Errors that a user can correct."""


class HfRnnError(ValueError):
    """Error that a user can correct. The message names the cause and what to write instead."""


class ConfigError(HfRnnError):
    """Error in the settings of a run: an unknown key, a wrong value, or values that do not go together."""


class DataError(HfRnnError):
    """Error in a data set, its columns or labels, or in pretrained vectors."""


class HubError(HfRnnError):
    """Error in an exchange with the Hub: a missing repository, a refused token, or a server that does not answer."""


__all__ = ["ConfigError", "DataError", "HfRnnError", "HubError"]
