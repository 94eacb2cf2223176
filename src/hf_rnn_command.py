# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The console script `hf-rnn`.

It stands outside of the package, since importing `hf_rnn` registers the models, which loads torch. While this script
runs, `hf_rnn` leaves that to the command line, so that `hf-rnn --help` answers at once.
"""

is_running = False


def entry() -> None:
    """Run the command line, and end the process with its exit code."""
    global is_running
    is_running = True
    try:
        from hf_rnn.cli.main import entry as run
    except KeyboardInterrupt:
        # As `main` does for an interrupt that comes later.
        raise SystemExit(130) from None
    run()


__all__ = ["entry", "is_running"]
