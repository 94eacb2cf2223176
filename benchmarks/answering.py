"""Answer texts with a saved classifier on one core and print the speed, for `benchmarks/accuracy.py`.

The script imports only what the classifier needs, because the time to the first answer includes the imports.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path

import peers

# Number of short texts that are answered one at a time.
SHORT = 20


def main(kind: str, saved: str, file: str) -> None:
    """Print speed, time stamp of the first answer and peak memory as JSON.

    Args:
        kind: Name of the classifier's class in peers.py.
        saved: Folder of the saved classifier.
        file: JSON file with the texts.
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
    # `getrusage` would include the memory of the process that started this one.
    lines = Path("/proc/self/status").read_text().splitlines()
    figures["memory MB"] = next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("VmHWM"))
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
