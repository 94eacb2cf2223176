"""Measure the start-up time: imports, commands and the first prediction.

python benchmarks/start_up.py [--rounds 5]
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
from prediction import SHORT, write_model


def main() -> None:
    arguments = report.parser(__doc__, rounds=5).parse_args()
    folder = tempfile.mkdtemp()
    write_model(Path(folder), arguments.data)
    command = str(Path(sys.executable).with_name("hf-rnn"))
    first = f"import hf_rnn; hf_rnn.Predictor.from_pretrained({folder!r})([{SHORT!r}])"
    piped = f"import hf_rnn; from transformers import pipeline; pipeline('text-classification', {folder!r})({SHORT!r})"
    commands = {
        "hf-rnn --help": [command, "--help"],
        "hf-rnn predict --help": [command, "predict", "--help"],
        "hf-rnn train --help": [command, "train", "--help"],
        "import torch": [sys.executable, "-c", "import torch"],
        "from transformers import PreTrainedModel": [sys.executable, "-c", "from transformers import PreTrainedModel"],
        "import hf_rnn": [sys.executable, "-c", "import hf_rnn"],
        "first answer of a Predictor, all imports included": [sys.executable, "-c", first],
        "first answer of a pipeline, all imports included": [sys.executable, "-c", piped],
        "hf-rnn predict MODEL TEXT": [command, "predict", folder, SHORT],
        "import keras (tensorflow)": [sys.executable, "-c", "import keras"],
    }
    figures: dict[str, list[float]] = {name: [] for name in commands}
    try:
        for number in range(arguments.rounds + 1):
            for name, words in commands.items():
                begun = time.perf_counter()
                subprocess.run(words, check=True, capture_output=True)
                if number:
                    figures[name].append(time.perf_counter() - begun)
        inside = subprocess.run([sys.executable, "-c", INSIDE.format(folder=folder, text=SHORT)], capture_output=True)
        loaded, answered, second = inside.stdout.split()
    finally:
        shutil.rmtree(folder)
    tables = [report.comparison("A process from its start to its end", figures, "s", "import hf_rnn")]
    for name, row in zip(figures, tables[0]["rows"], strict=True):
        print(name, row[1])
    note = "Measured once, after the imports. A server has this cost when it starts."
    tables.append(
        report.table(
            "In a process that has imported hf_rnn",
            ["step", "ms"],
            [
                ["Predictor.from_pretrained", loaded.decode()],
                ["first prediction", answered.decode()],
                ["second prediction", second.decode()],
            ],
            note,
        )
    )
    report.save("start_up", "Start-up time", tables)


INSIDE = """
import time, hf_rnn
from hf_rnn import Predictor
def ms(since): return f"{{(time.perf_counter() - since) * 1e3:.1f}}"
begun = time.perf_counter()
predictor = Predictor.from_pretrained({folder!r})
print(ms(begun))
for _ in range(2):
    begun = time.perf_counter()
    predictor([{text!r}])
    print(ms(begun))
"""


if __name__ == "__main__":
    main()
