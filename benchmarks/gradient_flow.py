"""Measure in which networks the gradient vanishes on its way back through time.

python benchmarks/gradient_flow.py [--data ../shared/data]
python benchmarks/gradient_flow.py --curve adding "LSTM" --print     # only one curve
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import report
import torch
from datasets import load_dataset
from torch import Tensor, nn

from hf_rnn import RNNConfig, RNNForCausalLM, RNNForSequenceClassification, measure_gradient_flow, train_tokenizer
from hf_rnn.interpret.gradient_flow import LOST, GradientFlow, verdict
from hf_rnn.interpret.gradient_flow_views import LEAST
from hf_rnn.utils.figures import new_figure

HIDDEN, BATCH, SNAPSHOTS = 64, 64, 12
ADDING, COPYING, SYMBOLS, REVIEW = 100, 60, 8, 200
# Settings of each network: cell, forget gate bias, orthogonal initialization of the recurrent matrices (else torch's
# default), and the norm to which gradients are clipped.
NETWORKS: dict[str, dict[str, Any]] = {
    "plain RNN": {"cell_type": "rnn_tanh", "orthogonal": False},
    "plain RNN, orthogonal": {"cell_type": "rnn_tanh"},
    "plain RNN, orthogonal, not clipped": {"cell_type": "rnn_tanh", "clip": None},
    "GRU": {"cell_type": "gru"},
    "LSTM, forget bias 0": {"cell_type": "lstm", "forget_gate_bias": 0.0},
    "LSTM": {"cell_type": "lstm"},
    "LSTM, not clipped": {"cell_type": "lstm", "clip": None},
    "LSTM, forget bias 5": {"cell_type": "lstm", "forget_gate_bias": 5.0},
}


class Problem:
    """Source of endless batches, with a model that learns from them."""

    steps, rate = 2000, 2e-3
    # Name of the figure at the end of training.
    unit = "loss"

    def __init__(self, data: Path): ...

    def model(self, **cell) -> Any:
        """Return an untrained model with the settings of a network."""
        raise NotImplementedError

    def batch(self, size: int) -> dict[str, Tensor]:
        """Return a random batch with `size` rows."""
        raise NotImplementedError

    def measured(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return a batch in the form that the measurement takes."""
        return batch


class Adding(Problem):
    """Adding task: sum the two marked numbers among 100 (Hochreiter and Schmidhuber 1997).

    Predicting the mean has a loss of 0.167.
    """

    title = f"adding, {ADDING} steps"

    def model(self, **cell):
        config = RNNConfig(vocab_size=1, embedding_size=2, hidden_size=HIDDEN, pooling="last", num_labels=1, **cell)
        return RNNForSequenceClassification(config)

    def batch(self, size):
        values, marks = torch.rand(size, ADDING), torch.zeros(size, ADDING)
        first, second = torch.randint(ADDING // 2, (size,)), torch.randint(ADDING // 2, ADDING, (size,))
        rows = torch.arange(size)
        marks[rows, first] = marks[rows, second] = 1
        return {"inputs_embeds": torch.stack([values, marks], -1), "labels": (values * marks).sum(1)}


class Copying(Problem):
    """Copying task: repeat eight symbols after 60 blanks (Hochreiter and Schmidhuber 1997).

    A uniform guess has a loss of ln 8, which is 2.08.
    """

    title = f"copying over {COPYING} blanks"

    def model(self, **cell):
        sizes = {"vocab_size": SYMBOLS + 3, "embedding_size": 16, "hidden_size": HIDDEN, "tie_word_embeddings": False}
        return RNNForCausalLM(RNNConfig(**sizes, **cell))

    def batch(self, size):
        symbols = torch.randint(3, SYMBOLS + 3, (size, SYMBOLS))
        ids = torch.cat([symbols, torch.ones(size, COPYING, dtype=torch.long), torch.full((size, 1), 2), symbols], 1)
        labels = ids.clone()
        labels[:, :-SYMBOLS] = -100
        return {"input_ids": ids, "labels": labels}

    def measured(self, batch):
        # The label is the first repeated symbol, which depends only on tokens from before the blanks.
        end = -SYMBOLS
        return {"input_ids": batch["input_ids"][:, :end], "labels": batch["input_ids"][:, end]}


class Reviews(Problem):
    """IMDB: classify a review as positive or negative from its last 200 tokens and the last hidden state alone."""

    title = f"IMDB reviews, last {REVIEW} tokens"
    steps = 600

    def __init__(self, data: Path):
        rows = load_dataset(str(data / "imdb"), split="train")
        tokenizer = train_tokenizer(
            rows["text"], "word", vocab_size=10_000, lowercase=True, strip_html=True, show_progress=False
        )
        encoded = tokenizer(list(rows["text"]))["input_ids"]
        long = [n for n, ids in enumerate(encoded) if len(ids) >= REVIEW]
        self.ids = torch.tensor([encoded[n][-REVIEW:] for n in long])
        self.labels = torch.tensor(rows["label"])[long]

    def model(self, **cell):
        config = RNNConfig(vocab_size=10_000, embedding_size=64, hidden_size=HIDDEN, pooling="last", **cell)
        return RNNForSequenceClassification(config)

    def batch(self, size):
        chosen = torch.randint(len(self.ids), (size,))
        return {"input_ids": self.ids[chosen], "labels": self.labels[chosen]}


PROBLEMS: dict[str, type[Problem]] = {"adding": Adding, "copying": Copying, "reviews": Reviews}


def learn(problem: Problem, orthogonal: bool = True, clip: float | None = 1.0, **cell) -> dict:
    """Train one network, and measure its gradient flow during training."""
    torch.manual_seed(0)
    model = problem.model(**cell)
    if not orthogonal:
        for name, parameter in model.model.recurrence.named_parameters():
            if name.startswith("weight_hh"):
                nn.init.uniform_(parameter, -(HIDDEN**-0.5), HIDDEN**-0.5)
    held = problem.measured(problem.batch(32))
    optimizer = torch.optim.Adam(model.parameters(), problem.rate)
    flows, losses = [], []
    start = time.perf_counter()
    for step in range(problem.steps + 1):
        if step % (problem.steps // SNAPSHOTS) == 0:
            flows.append(measure_gradient_flow(model, **held, step=step).as_dict())
        loss = model(**problem.batch(BATCH)).loss
        optimizer.zero_grad()
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        losses.append(float(loss.detach()))
    return {"flows": flows, "loss": statistics.mean(losses[-50:]), "seconds": time.perf_counter() - start}


def draw(found: dict[str, dict[str, dict]], path: Path) -> None:
    """Draw the curves before and after training, one column per problem, and two networks over training below."""
    figure = new_figure(13, 12)
    panels = figure.subplots(4, len(found), squeeze=False)
    for column, (name, networks) in enumerate(found.items()):
        for row, (moment, when) in enumerate(((0, "before training"), (-1, "after training"))):
            axes = panels[row, column]
            for network, result in networks.items():
                flow = GradientFlow(**result["flows"][moment])
                style = {"plain": ":", "GRU": "--", "LSTM,": "-.", "LSTM": "-"}[network.split()[0]]
                axes.plot(np.maximum(flow.shares("layer 1"), LEAST), style, label=network)
            axes.axhline(LOST, color="gray", linewidth=0.8)
            axes.set(yscale="log", ylim=(LEAST, 1e3), title=f"{PROBLEMS[name].title}: {when}")
            axes.set(xlabel="steps before the end", ylabel="gradient, share of the end's")
            axes.grid(alpha=0.3)
        for row, network in ((2, "plain RNN"), (3, "LSTM")):
            axes, flows = panels[row, column], [GradientFlow(**flow) for flow in networks[network]["flows"]]
            shares = np.log10(np.clip([flow.shares("layer 1") for flow in flows], LEAST, None)).T
            extent = (0, flows[-1].step, 0, len(shares))
            place = {"origin": "lower", "extent": extent, "aspect": "auto", "interpolation": "nearest"}
            image = axes.imshow(shares, vmin=-6, vmax=1, **place)
            axes.set(title=f"{network} over training", xlabel="training step", ylabel="steps before the end")
            figure.colorbar(image, ax=axes, label="log10 of the share")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncol=4)
    figure.savefig(path, dpi=90)


def table(problem: str, networks: dict[str, dict]) -> dict:
    """Return the table of one problem; its note is the docstring of the problem's class."""
    rows = []
    for network, result in networks.items():
        before, after = (GradientFlow(**result["flows"][moment]) for moment in (0, -1))
        half = len(after.curves["layer 1"]) // 2
        shares = [f"{flow.shares('layer 1')[half]:.1e}" for flow in (before, after)]
        rows.append([network, *shares, f"{result['loss']:.3f}", verdict(after)[0].removeprefix("layer 1: ")])
    note = " ".join((PROBLEMS[problem].__doc__ or "").split())
    columns = [
        "network",
        f"share left after {half} steps, before training",
        "after training",
        "loss",
        "verdict after training",
    ]
    return report.table(PROBLEMS[problem].title, columns, rows, note)


def main() -> None:
    parser = argparse.ArgumentParser(parents=[report.parser(__doc__, rounds=1)], add_help=False)
    parser.add_argument("--curve", nargs=2, metavar=("PROBLEM", "NETWORK"), help="one curve, as JSON in the last line")
    arguments = parser.parse_args()
    # The matrix products of one step are too small to profit from several threads.
    torch.set_num_threads(1)
    if arguments.curve:
        problem, network = arguments.curve
        result = learn(PROBLEMS[problem](arguments.data), **NETWORKS[network])
        print(*verdict(GradientFlow(**result["flows"][-1])), json.dumps(result), sep="\n")
        return
    found: dict[str, dict[str, dict]] = {}
    for name, kind in PROBLEMS.items():
        problem, found[name] = kind(arguments.data), {}
        for network, options in NETWORKS.items():
            found[name][network] = result = learn(problem, **options)
            said = verdict(GradientFlow(**result["flows"][-1]))[0]
            print(f"{name}, {network}: loss {result['loss']:.3f}, {result['seconds']:.0f} s; {said}", flush=True)
    tables = [table(problem, networks) for problem, networks in found.items()]
    report.FOLDER.mkdir(parents=True, exist_ok=True)
    draw(found, report.FOLDER / "gradient_flow.png")
    report.save("gradient_flow", "Gradient flow of recurrent networks", tables, NOTES)


NOTES = """![Gradient norms back through time](benchmarks/gradient_flow.png)

The curves show the norm of the loss's gradient with respect to the hidden state, some steps before the end of the
text, as a share of the norm at the end. Each network has one layer of 64 units and answers from the last hidden
state alone. It is trained with Adam at a learning rate of 2e-3 and one seed. Gradients are clipped at a norm of 1
unless the name says otherwise. Recurrent matrices start orthogonal, except in the first network, which has torch's
default uniform initialization. The grey line is a share of 1 %. Below it, the verdict reports the gradient as lost."""


if __name__ == "__main__":
    main()
