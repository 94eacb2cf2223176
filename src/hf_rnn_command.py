# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The console script `hf-rnn`.

It stands outside of the package: importing `hf_rnn` registers the models, which loads torch, but for a process that has
imported this module before. So `hf-rnn --help` answers at once.
"""


def entry() -> None:
    """Run the command line."""
    from hf_rnn.cli.main import entry as run

    run()


__all__ = ["entry"]
