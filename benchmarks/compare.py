"""Times contenders in turn, each in a process of its own, after their answers were found to agree.

A contender is a generator function in one of the benchmarks: its first value is an answer, by which it shows that it
computes what the others compute, and each later one is the seconds (or another figure) of one round.
"""

import multiprocessing
import os
import statistics
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np


class Contender(NamedTuple):
    """
    Args:
        name: as the tables call it.
        run: `module:function` of the generator function.
        options: its arguments.
        checked: whether its answer has to agree; one that is timed as a floor only gives none.
        environment: variables of its process.
    """

    name: str
    run: str
    options: dict[str, Any]
    checked: bool = True
    environment: dict[str, str] = {}


def _serve(connection, contender: Contender) -> None:
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
    """
    Args:
        contenders: the first one's answer is what the others' have to be.
        rounds: that are timed, after those that warm up.
        tolerance: of the answers, absolute.

    Returns:
        The figures of each contender's rounds.

    Raises:
        AssertionError: answers differ.
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
        answers = dict(zip(pipes, ask(*pipes), strict=True))  # nothing is timed yet: all at once
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
