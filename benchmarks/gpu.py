"""On a GPU: a training step, the kernels behind it, and the time to 89 % on IMDB.

python benchmarks/gpu.py [--rounds 7] [--data ../shared/data]
"""

import statistics
import tempfile
import time

import numpy as np
import report
import time_to_accuracy
import torch
from compare import Contender, compare
from models import IMDB, Problem, imdb_rows, write_rows
from torch import nn

from hf_rnn.recurrence import Recurrence

WIDE = {**IMDB, "hidden_size": 512, "num_hidden_layers": 2}
DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def steps(arguments, tables: list[dict]) -> None:
    """Our Trainer against a bare loop over cuDNN, padded (a floor on ragged rows) and packed."""
    with tempfile.TemporaryDirectory() as folder:
        rows, labels = imdb_rows(arguments.data / "imdb", str(report.ROOT / "configs" / "imdb.yaml"), 1920)
        write_rows(f"{folder}/rows.npz", rows, labels, 1000)
        for name, model in (("configs/imdb.yaml", IMDB), ("two layers of 512 each way", WIDE)):
            problem = Problem(model, f"{folder}/rows.npz", 64)
            contenders = []
            for label, dtype in DTYPES.items():
                precision = {label: True} if dtype is not None else {}
                loop = {"problem": problem, "device": "cuda", "dtype": dtype}
                contenders += [
                    Contender(f"hf_rnn, {label}", "contenders:trainer", {"problem": problem, **precision}),
                    Contender(f"torch, padded, {label}", "contenders:bare_loop", {**loop, "packed": False}, False),
                    Contender(f"torch, packed, {label}", "contenders:bare_loop", {**loop, "packed": True}),
                ]
            print(name, flush=True)
            figures = compare(contenders, arguments.rounds)
            tokens = sum(map(len, rows))
            for label in DTYPES:
                seconds = statistics.median(figures[f"hf_rnn, {label}"])
                print(f"  hf_rnn, {label}: {tokens / seconds:,.0f} tokens a second")
            title = f"{name}, B=64, 1,920 IMDB reviews cut to 1,000 tokens"
            tables.append(report.comparison(title, figures, "ms a step", "hf_rnn, fp32", scale=1e3 / 30))


def kernels(rounds: int) -> dict:
    """Two one-way calls with reversed rows, against one two-way call over packed rows; forward and backward."""
    rows = []
    for B, T, H in ((16, 128, 128), (64, 256, 128), (64, 512, 128), (64, 256, 512), (16, 1024, 768), (256, 64, 256)):
        for label, dtype in DTYPES.items():
            x = torch.randn(B, T, H, device="cuda", dtype=dtype or torch.float32, requires_grad=True)
            lengths = torch.randint(T // 2, T + 1, (B,))
            lengths[0] = T
            mask = (torch.arange(T) < lengths[:, None]).cuda()
            ours = Recurrence("lstm", H, H, bidirectional=True).to(x)
            theirs = nn.LSTM(H, H, batch_first=True, bidirectional=True).to(x)
            theirs.load_state_dict(ours.state_dict())

            def padded(ours=ours, x=x, mask=mask):
                return ours(x, mask, output_cell_state=False)[0][0]

            def packed(theirs=theirs, x=x, mask=mask):
                lengths = mask.sum(1).cpu()
                out = theirs(nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))[0]
                return nn.utils.rnn.pad_packed_sequence(out, batch_first=True)[0]

            torch.testing.assert_close(padded(), packed(), rtol=0.02, atol=0.02)
            times: dict[str, list[float]] = {"padded": [], "packed": []}
            for number in range(rounds + 3):
                for name, run in (("padded", padded), ("packed", packed)):
                    torch.cuda.synchronize()
                    begun = time.perf_counter()
                    run().float().sum().backward()
                    torch.cuda.synchronize()
                    if number >= 3:
                        times[name].append((time.perf_counter() - begun) * 1e3)
            ms = {name: statistics.median(values) for name, values in times.items()}
            ratio = ms["packed"] / ms["padded"]
            rows.append([f"{B} × {T} × {H}", label, f"{ms['padded']:.2f}", f"{ms['packed']:.2f}", f"{ratio:.2f}"])
            print(*rows[-1], flush=True)
    columns = ["B × T × H", "dtype", "padded and reversed, ms", "packed, ms", "packed : padded"]
    return report.table("A bidirectional LSTM layer on ragged rows, forward and backward", columns, rows)


def accuracy(arguments, tables: list[dict]) -> None:
    options = {"data": str(arguments.data / "imdb"), "parts": 2, "overrides": ["--training.bf16", "true"]}
    contender = Contender("hf_rnn, bf16", "time_to_accuracy:hf_rnn", options)
    points = np.asarray(compare([contender], 1, warm_up=0, log=lambda line: None)[contender.name][0])
    rows = [[f"{seconds:.1f}", f"{share:.2%}"] for seconds, share in points]
    tables.append(report.table("configs/imdb.yaml in bf16", ["seconds of training", "test accuracy"], rows))
    reached = [seconds for seconds, share in points if share >= max(time_to_accuracy.TARGETS)]
    print("89 % after", reached[:1], "seconds")


def main() -> None:
    arguments = report.parser(__doc__, rounds=7).parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("there is no CUDA device here: make bench measures a CPU.")
    tables = [kernels(arguments.rounds)]
    for part in (steps, accuracy):
        part(arguments, tables)
        report.save("gpu", "On a GPU", tables)


if __name__ == "__main__":
    main()
