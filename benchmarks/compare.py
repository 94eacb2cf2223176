"""Time contenders in turn, each in its own process, after a check that their answers agree.

A contender is a generator function of one of the benchmarks. Its first value is an answer, which shows that it computes
the same as the others. Each later value is the figure of one round, usually in seconds.
"""

import multiprocessing
import os
import statistics
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np


class Contender(NamedTuple):
    """Contender of a benchmark: a generator function, and the process that runs it.

    Args:
        name: Name in the tables.
        run: Generator function, as `module:function`.
        options: Keyword arguments of the function.
        checked: Compare its answer with that of the first contender. False for a contender whose answer may differ,
            such as one that is timed only as a lower bound.
        environment: Environment variables of its process.
    """

    name: str
    run: str
    options: dict[str, Any]
    checked: bool = True
    environment: dict[str, str] = {}


def _serve(connection, contender: Contender) -> None:
    """Send the next value of a contender's generator at each request, until the connection is closed."""
    os.environ.update(contender.environment)
    module, function = contender.run.split(":")
    rounds = getattr(import_module(module), function)(**contender.options)
    try:
        while connection.recv():
            connection.send(next(rounds))
    except EOFError:
        pass


def compare(
    contenders: list[Contender],
    rounds: int,
    tolerance: float = 1e-3,
    warm_up: int = 1,
    log: Callable[[str], None] = print,
) -> dict[str, list]:
    """Return the figures of each contender's rounds, by name.

    Args:
        contenders: Contenders to time. The answer of the first one is the expected answer.
        rounds: Number of timed rounds, after the warm-up rounds.
        tolerance: Maximum absolute difference of the answers.
        warm_up: Number of rounds that are not timed.
        log: Function that prints the median and the range of each contender.

    Raises:
        AssertionError: A checked answer differs from the expected one.
    """
    context = multiprocessing.get_context("spawn")
    servers, pipes = {}, {}
    for contender in contenders:
        pipes[contender.name], theirs = context.Pipe()
        servers[contender.name] = context.Process(target=_serve, args=(theirs, contender), daemon=True)
        servers[contender.name].start()
        theirs.close()

    def ask(*names: str) -> list:
        for name in names:
            pipes[name].send(True)
        return [pipes[name].recv() for name in names]

    try:
        answers = dict(zip(pipes, ask(*pipes), strict=True))  # Nothing is timed yet, so all run at once.
        expected = answers[contenders[0].name]
        for contender in contenders:
            if contender.checked:
                np.testing.assert_allclose(
                    answers[contender.name], expected, rtol=0, atol=tolerance, err_msg=f"{contender.name} is wrong"
                )
        figures: dict[str, list] = {contender.name: [] for contender in contenders}
        for number in range(rounds + warm_up):
            for name in figures:
                (figure,) = ask(name)
                if number >= warm_up:
                    figures[name].append(figure)
        for name, values in figures.items():
            middles = [float(np.median(value)) for value in values]
            log(f"  {name:<46} {statistics.median(middles):.4g}  ({min(middles):.4g} to {max(middles):.4g})")
        return figures
    finally:
        for name, server in servers.items():
            pipes[name].close()
            server.join(10)
            server.terminate()
