"""Answers texts with a saved classifier on one core, and prints how fast, for `benchmarks/accuracy.py`.

It imports nothing but what the classifier needs, since its first answer counts from the start of the process.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path

import peers

# Short texts that are answered one by one.
SHORT = 20


def main(kind: str, saved: str, file: str) -> None:
    """Print seconds, milliseconds and megabytes as JSON.

    Args:
        kind: class of the classifier, in peers.py.
        saved: its folder.
        file: JSON with the texts.
    """
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    texts = json.loads(Path(file).read_text(encoding="utf-8"))
    peer = getattr(peers, kind).load(Path(saved))
    peer.predict(texts[:1])
    first = time.perf_counter()
    times = []
    for text in sorted(texts, key=len)[:SHORT]:
        begun = time.perf_counter()
        peer.predict([text])
        times.append(time.perf_counter() - begun)
    begun = time.perf_counter()
    peer.predict(texts)
    seconds = time.perf_counter() - begun
    figures = {"ms a text": 1e3 * statistics.median(times), "texts/s": len(texts) / seconds, "first": first}
    # getrusage would count what the process that started this one had.
    lines = Path("/proc/self/status").read_text().splitlines()
    figures["memory MB"] = next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM"))
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
