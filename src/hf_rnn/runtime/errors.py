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


def first_line(error: BaseException) -> str:
    """Return the message of an error on one line; the name of its class if it has none.

    Args:
        error: Error to describe.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__


__all__ = ["ConfigError", "DataError", "HfRnnError", "HubError", "first_line"]
