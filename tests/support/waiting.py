"""Wait for conditions, with a limit that only a test that hangs can reach."""

import time
from collections.abc import Callable

# Seconds. A busy machine may take minutes for what an idle one does in a second.
PATIENCE = 900.0


def wait_until(condition: Callable[[], bool], told: str, every: float = 0.2) -> None:
    """Wait until a condition holds.

    Args:
        condition: what has to hold; it may raise to end the wait.
        told: the message of a wait that was in vain.
        every: seconds between two looks.

    Raises:
        AssertionError: it does not hold after `PATIENCE` seconds.
    """
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"{told}, after {PATIENCE:.0f} s"
        time.sleep(every)
