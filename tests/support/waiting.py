"""Waits for conditions, with a limit that only a test that hangs can reach."""

import time
from collections.abc import Callable

# The limit is in seconds. A busy machine may need minutes for one second of work on an idle machine.
PATIENCE = 900.0


def wait_until(condition: Callable[[], bool], told: str, every: float = 0.2) -> None:
    """Wait until a condition holds.

    Args:
        condition: Function that returns True at the end of the wait; it may raise to end the wait.
        told: Message of the error.
        every: Seconds between two calls of the condition.

    Raises:
        AssertionError: The condition does not hold after `PATIENCE` seconds.
    """
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"{told}, after {PATIENCE:.0f} s"
        time.sleep(every)
