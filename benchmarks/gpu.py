"""Measure on a GPU: a training step, its kernels, and the time to 89 % accuracy on IMDB.

python benchmarks/gpu.py [--rounds 7] [--data ../shared/data]
python benchmarks/gpu.py --probe: the first figures in two minutes, without any data set
python benchmarks/gpu.py --probe --tiny --print: the same on small shapes, which runs on any machine
"""

import itertools
import statistics
import sys
import tempfile
import time
from functools import partial
from unittest.mock import patch

import numpy as np
import report
import time_to_accuracy
import torch
from compare import Contender, compare
from models import IMDB, SEED, Problem, imdb_rows, write_rows
from torch import nn
from torch.profiler import ProfilerActivity, profile

from hf_rnn import RNNConfig, RNNForSequenceClassification
from hf_rnn.models.recurrence import Recurrence, RecurrentLayer

WIDE = {**IMDB, "hidden_size": 512, "num_hidden_layers": 2}
DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
SHAPES = ((16, 128, 128), (64, 256, 128), (64, 512, 128), (64, 256, 512), (16, 1024, 768), (256, 64, 256))
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RUN = RecurrentLayer._run
SIDE = [torch.cuda.Stream()] if DEVICE == "cuda" else []


def synchronize() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def steps(arguments, tables: list[dict]) -> None:
    """Compare our Trainer with a plain loop over cuDNN, padded (a lower bound on ragged rows) and packed."""
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


def kernels(rounds: int, shapes=SHAPES) -> dict:
    """Time forward and backward of an LSTM layer, computed in several ways.

    Our layer runs in one direction, and in both directions, one after the other or in two streams. It is compared with
    one bidirectional cuDNN call over padded rows and over packed rows.
    """
    rows = []
    for (B, T, H), (label, dtype) in itertools.product(shapes, DTYPES.items()):
        x = torch.randn(B, T, H, device=DEVICE, dtype=dtype or torch.float32, requires_grad=True)
        lengths = torch.randint(T // 2, T + 1, (B,))
        lengths[0] = T
        mask = (torch.arange(T) < lengths[:, None]).to(DEVICE)
        one, ours = (Recurrence("lstm", H, H, bidirectional=both).to(x) for both in (False, True))
        theirs = nn.LSTM(H, H, batch_first=True, bidirectional=True).to(x)
        theirs.load_state_dict(ours.state_dict())

        def padded(layer, x=x, mask=mask):
            return layer(x, mask, output_cell_state=False)[0][0]

        def packed(theirs=theirs, x=x, mask=mask):
            lengths = mask.sum(1).cpu()
            out = theirs(nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))[0]
            return nn.utils.rnn.pad_packed_sequence(out, batch_first=True)[0]

        def streams(ours=ours, padded=padded):
            with patch.object(RecurrentLayer, "_run", _in_two_streams):
                return padded(ours)

        ways = {
            "one way": partial(padded, one),
            "both ways": partial(padded, ours),
            "both ways in two streams": streams,
            "one call, padded": lambda theirs=theirs, x=x: theirs(x)[0],
            "one call, packed": packed,
        }
        for way in ("both ways in two streams", "one call, packed"):
            torch.testing.assert_close(ways["both ways"](), ways[way](), rtol=0.02, atol=0.02)
        times = {
            name: milliseconds(lambda run=run: run().float().sum().backward(), rounds) for name, run in ways.items()
        }
        cells = [f"{value:.2f}" for value in times.values()]
        ratio = times["one call, packed"] / times["both ways"]
        rows.append([f"{B} × {T} × {H}", label, *cells, f"{ratio:.2f}"])
        print(*rows[-1], flush=True)
    columns = ["B × T × H", "dtype", *(f"{name}, ms" for name in ways), "packed : both ways"]
    return report.table("LSTM layer on ragged rows, forward and backward", columns, rows)


def _in_two_streams(layer, inputs, h0, c0, weights, ragged, output_cell_state):
    """Compute `RecurrentLayer._run` with the two directions in two CUDA streams."""
    if DEVICE == "cpu" or len(inputs) == 1:
        return RUN(layer, inputs, h0, c0, weights, ragged, output_cell_state)
    here, side = torch.cuda.current_stream(), SIDE[0]
    side.wait_stream(here)
    found = []
    for d, stream in enumerate((here, side)):
        of_direction = slice(d, d + 1)
        c = None if c0 is None else c0[of_direction]
        with torch.cuda.stream(stream):
            found.append(
                RUN(layer, inputs[of_direction], h0[of_direction], c, weights[of_direction], ragged, output_cell_state)
            )
    here.wait_stream(side)
    for part in (*found[1][0], *found[1][1], *found[1][2]):
        if part is not None:
            part.record_stream(here)
    return tuple(one + other for one, other in zip(*found, strict=True))


def milliseconds(run, rounds: int, warm_up: int = 3) -> float:
    """Return the median milliseconds of a call, including the wait for the GPU."""
    times = []
    for number in range(rounds + warm_up):
        synchronize()
        begun = time.perf_counter()
        run()
        synchronize()
        if number >= warm_up:
            times.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(times)


def agreement() -> dict:
    """Compare outputs of the GPU with those of the CPU, with and without cuDNN's TF32.

    The table also says if two backward passes give identical gradients.
    """
    rows = []
    before = torch.backends.cudnn.allow_tf32
    for cell, tf32 in itertools.product(("lstm", "gru", "rnn_tanh"), (True, False)):
        torch.backends.cudnn.allow_tf32 = tf32
        layer, x = Recurrence(cell, 128, 128, 2, bidirectional=True), torch.randn(8, 50, 128)
        mask = torch.arange(50) < torch.randint(1, 51, (8, 1))
        here = layer(x, mask)[0][-1]
        layer, x, mask = layer.to(DEVICE), x.to(DEVICE), mask.to(DEVICE)
        there = layer(x, mask)[0][-1].cpu()
        both = [torch.autograd.grad(layer(x, mask)[0][-1].pow(2).sum(), list(layer.parameters())) for _ in range(2)]
        same = all(torch.equal(*pair) for pair in zip(*both, strict=True))
        rows.append(
            [cell, "on" if tf32 else "off", f"{(here - there).abs().max().item():.1e}", "yes" if same else "no"]
        )
        print(*rows[-1], flush=True)
    torch.backends.cudnn.allow_tf32 = before
    columns = ["cell", "TF32 of cuDNN", "largest difference from a CPU", "identical gradients in two runs"]
    return report.table("Two bidirectional layers of 128, float32", columns, rows)


def one_step(rounds: int, T: int) -> dict:
    """Time a training step on made-up rows, and the part of the time that the host needs."""
    rows = []
    for name, fields, B in (("configs/imdb.yaml", IMDB, 64), ("two layers, one way", SEED, 32)):
        model = RNNForSequenceClassification(RNNConfig(num_labels=2, pad_token_id=0, **fields)).to(DEVICE).train()
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        lengths = torch.randint(1, T + 1, (B, 1), device=DEVICE)
        batch = {
            "input_ids": torch.randint(3, 9999, (B, T), device=DEVICE),
            "attention_mask": (torch.arange(T, device=DEVICE) < lengths).long(),
            "labels": torch.zeros(B, dtype=torch.long, device=DEVICE),
        }

        def step(model=model, optimizer=optimizer, batch=batch):
            model(**batch).loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

        alone = milliseconds(step, rounds)
        begun = time.perf_counter()
        for _ in range(20):
            step()
        host = (time.perf_counter() - begun) * 50
        synchronize()
        in_a_row = (time.perf_counter() - begun) * 50
        kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if DEVICE == "cuda" else [])]
        with profile(activities=kinds) as profiled:
            step()
            synchronize()
        launched = sum(each.count for each in profiled.key_averages() if "LaunchKernel" in each.key)
        waits = sum(each.count for each in profiled.key_averages() if "StreamSynchronize" in each.key)
        cells = [f"{alone:.2f}", f"{in_a_row:.2f}", f"{host:.2f}", launched, waits]
        rows.append([f"{name}, {B} × {T}", *cells])
        print(*rows[-1], flush=True)
    columns = [
        "model",
        "ms, one step alone",
        "ms a step, 20 in a row",
        "of these on the host, ms",
        "kernels",
        "waits for the GPU",
    ]
    return report.table("Training step of a classifier, float32", columns, rows)


def trainer_settings(rounds: int, count: int, longest: int) -> dict:
    """Time our Trainer on made-up rows: in float32, bf16 and fp16, and with the defaults of transformers."""
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(5.2, 0.6, count), 3, longest).astype(int)
    ours = {"non_blocking": True}, False
    theirs = {"non_blocking": False}, True
    settings = {
        "hf_rnn, fp32": (*ours, {}),
        "hf_rnn, bf16": (*ours, {"bf16": True}),
        "hf_rnn, fp16": (*ours, {"fp16": True}),
    }
    settings["transformers' filter of NaN and blocking copies, fp32"] = (*theirs, {})
    if DEVICE == "cpu":
        settings = {name: value for name, value in settings.items() if not value[2]}
    contenders = []
    with tempfile.TemporaryDirectory() as folder:
        rows = [random.integers(3, 9999, length) for length in lengths]
        write_rows(f"{folder}/rows.npz", rows, random.integers(0, 2, count), longest)
        problem = Problem(IMDB, f"{folder}/rows.npz", 64)
        for name, (copies, checked, precision) in settings.items():
            options = {"accelerator_config": copies, "logging_nan_inf_filter": checked, **precision}
            contenders.append(Contender(name, "contenders:trainer", {"problem": problem, **options}))
        figures = compare(contenders, rounds)
    title = f"configs/imdb.yaml in a Trainer, B=64, {count:,} made-up rows of {lengths.mean():.0f} tokens on average"
    return report.comparison(title, figures, "ms a step", "hf_rnn, fp32", scale=1e3 / -(-count // 64))


def probe(tiny: bool) -> list[dict]:
    """Return the tables that a GPU can measure in two minutes, without any data set."""
    shapes = ((4, 10, 8),) if tiny else SHAPES[1:4]
    return [
        agreement(),
        one_step(3 if tiny else 15, 8 if tiny else 256),
        kernels(1 if tiny else 5, shapes),
        trainer_settings(1 if tiny else 3, 128 if tiny else 2560, 9 if tiny else 1000),
    ]


def accuracy(arguments, tables: list[dict]) -> None:
    """Measure the training time until 89 % test accuracy on IMDB, in bf16."""
    options = {"data": str(arguments.data / "imdb"), "parts": 2, "overrides": ["--training.bf16", "true"]}
    contender = Contender("hf_rnn, bf16", "time_to_accuracy:hf_rnn", options)
    points = np.asarray(compare([contender], 1, warm_up=0, log=lambda line: None)[contender.name][0])
    rows = [[f"{seconds:.1f}", f"{share:.2%}"] for seconds, share in points]
    tables.append(report.table("configs/imdb.yaml in bf16", ["seconds of training", "test accuracy"], rows))
    reached = [seconds for seconds, share in points if share >= max(time_to_accuracy.TARGETS)]
    print("89 % after", reached[:1], "seconds")


def main() -> None:
    options = report.parser(__doc__, rounds=7, needs_data="--probe" not in sys.argv)
    options.add_argument("--probe", action="store_true", help="the first figures in two minutes")
    options.add_argument("--tiny", action="store_true", help="on small shapes, and on a CPU too, to try the probe")
    arguments = options.parse_args()
    if DEVICE == "cpu" and not arguments.tiny:
        raise SystemExit("there is no CUDA device here: make bench measures a CPU.")
    if arguments.probe:
        report.save("gpu_probe", "Short benchmark on a GPU", probe(arguments.tiny))
        return
    tables = [kernels(arguments.rounds)]
    for part in (steps, accuracy):
        part(arguments, tables)
        report.save("gpu", "Benchmark on a GPU", tables)


if __name__ == "__main__":
    main()
