"""Compare the parts of a training step with the peak performance of the hardware.

python benchmarks/limit.py [--rounds 15]
"""

import statistics

import report
import torch
from growth import BASE, Step, rounds_of

from hf_rnn.utils.machine import keep_freed_memory


def main() -> None:
    arguments = report.parser(__doc__, rounds=15, needs_data=False).parse_args()
    keep_freed_memory()
    T, B, H, L, V = (BASE[name] for name in "TBHLV")
    step, E, N = Step(**BASE), 128, 2048
    square, half = torch.randn(N, N), torch.randn(N, N).bfloat16()
    source = torch.randn(1 << 26)
    target = torch.empty_like(source)
    recurrence, embedding = step.model.model.recurrence, step.model.model.embed_tokens
    with torch.no_grad():
        x = embedding(step.batch["input_ids"])
    x.requires_grad_()
    grad = torch.randn(B, T, H)

    def predict():
        with torch.inference_mode():
            recurrence(x)

    def train(bf16=False):
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            out = recurrence(x)[0][-1]
        out.backward(grad.to(out.dtype))

    def embed():
        embedding.weight.grad = None
        embedding(step.batch["input_ids"]).backward(grad)

    rounds = rounds_of(
        {
            "product": lambda: square @ square,
            "product, bf16": lambda: half @ half,
            "copy": lambda: target.copy_(source),
            "predict": predict,
            "train": train,
            "train, bf16": lambda: train(True),
            "embed": embed,
            "update": step.optimizer.step,
            "step": step,
        },
        arguments.rounds,
    )
    ms = {name: statistics.median(times) for name, times in rounds.items()}
    # The peaks of the hardware are the best round; all other times are medians.
    ms |= {name: min(rounds[name]) for name in ("product", "product, bf16", "copy")}
    peak, peak_half = (2 * N**3 / ms[name] / 1e6 for name in ("product", "product, bf16"))
    bandwidth = 2 * source.nbytes / ms["copy"] / 1e6
    # Each gate multiplies the input and h. The backward pass has twice as many products.
    forward = sum(2 * B * T * 4 * H * ((E if layer == 0 else H) + H) for layer in range(L)) / 1e9
    parameters = sum(p.numel() for p in step.model.parameters())
    # AdamW reads the parameter, the gradient and two moments, and writes all but the gradient.
    update = 7 * 4 * parameters / 1e9
    # Rows are read and written, their gradients are read and added, and the other gradients are set to zero.
    embed_bytes = (4 * B * T * E + V * E) * 4 / 1e9
    rows = [
        ["recurrence, predicting", f"{forward:.1f} GFLOP", f"{ms['predict']:.1f}", share(forward, ms["predict"], peak)],
        [
            "recurrence, training",
            f"{3 * forward:.1f} GFLOP",
            f"{ms['train']:.1f}",
            share(3 * forward, ms["train"], peak),
        ],
        [
            "recurrence, training, bf16",
            f"{3 * forward:.1f} GFLOP",
            f"{ms['train, bf16']:.1f}",
            share(3 * forward, ms["train, bf16"], peak_half),
        ],
        [
            "embedding and its gradient",
            f"{embed_bytes:.3f} GB",
            f"{ms['embed']:.1f}",
            share(embed_bytes, ms["embed"], bandwidth),
        ],
        ["AdamW", f"{update:.3f} GB", f"{ms['update']:.1f}", share(update, ms["update"], bandwidth)],
        ["whole step", f"{3 * forward:.1f} GFLOP", f"{ms['step']:.1f}", share(3 * forward, ms["step"], peak)],
    ]
    for row in rows:
        print(" · ".join(row))
    note = (
        f"Peaks are the best of the same {arguments.rounds} rounds. The product of two {N} × {N} matrices reaches "
        f"{peak:.0f} GFLOP/s in fp32 and {peak_half:.0f} GFLOP/s in bf16. A copy of 256 MiB reaches "
        f"{bandwidth:.1f} GB/s, read and written. A share of the bandwidth over 1 means that the data was still in "
        "the cache."
    )
    columns = ["part of a step", "work", "ms", "share of the peak"]
    title = f"Embedding({V}, {E}) → {L} × LSTM({H}), B={B}, T={T}"
    report.save(
        "limit", "Training step and peak performance of the hardware", [report.table(title, columns, rows, note)]
    )


def share(work: float, milliseconds: float, peak: float) -> str:
    """Return the achieved share of a peak; work in GFLOP or GB, peak per second."""
    return f"{work / milliseconds * 1e3 / peak:.2f}"


if __name__ == "__main__":
    main()
