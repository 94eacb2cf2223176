# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Console script `hf-rnn`.

It is outside the package, because importing `hf_rnn` registers the models, which imports torch. While this script runs,
`hf_rnn` leaves the registration to the command line, so that `hf-rnn --help` answers at once.
"""

is_running = False


def entry() -> None:
    """Run the command line, and end the process with its exit code."""
    global is_running
    is_running = True
    try:
        from hf_rnn.cli.main import entry as run
    except KeyboardInterrupt:
        # `main` uses the same exit code for a later interrupt.
        raise SystemExit(130) from None
    run()


__all__ = ["entry", "is_running"]
