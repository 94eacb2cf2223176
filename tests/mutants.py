"""Breaks a copy of the package in many ways: `make mutants`, or `python tests/mutants.py FILE.py ...` for those of some
files of the package. Each break must make some test fail.

The first ones are those in which transformers' own suite is known to stay green; they apply to what the package has
today. A mutant that no test notices is printed, and the exit code is 1.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
UNIT = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", "--tb=line"]
CONFORMANCE = [*UNIT, "-c", "tests/conformance/pytest.ini", "tests/conformance"]


@dataclass
class Mutant:
    """One break: in a file, a text that stands there once becomes another. `tests` should notice."""

    name: str
    file: str
    old: str
    new: str
    tests: str


MUTANTS = [
    Mutant(
        "transformers' own initialisation, which knows no GRU and no RNN",
        "modeling_rnn.py",
        "if not isinstance(module, Recurrence):",
        "if True:",
        "tests/test_modeling_rnn.py",
    ),
    Mutant(
        "a plain tensor attribute, lost on the meta device",
        "modeling_rnn.py",
        "config.num_labels)\n\n    def forward(self, x: Tensor) -> Tensor:\n        x = self.dropout(x)\n",
        "config.num_labels)\n        self.scale = torch.ones(1)\n\n"
        "    def forward(self, x: Tensor) -> Tensor:\n        x = self.dropout(x) * self.scale\n",
        "conformance",
    ),
    Mutant(
        "loaded weights initialised again where a sibling is missing",
        "modeling_rnn.py",
        'if getattr(parameter, "_is_hf_initialized", False):',
        'if parameter.__dict__.pop("_is_hf_initialized", None) and False:',
        "tests/test_modeling_rnn.py",
    ),
    Mutant(
        "mask ignored by the recurrence",
        "modeling_rnn.py",
        "self._read(inputs_embeds, attention_mask, state",
        "self._read(inputs_embeds, None, state",
        "tests/test_modeling_rnn.py",
    ),
    Mutant(
        "mask ignored by the pooling",
        "modeling_rnn.py",
        "self.pooling(outputs, attention_mask)",
        "self.pooling(outputs, None)",
        "tests/test_modeling_rnn.py",
    ),
    Mutant(
        "backward direction reads the padding first",
        "recurrence.py",
        "reverse = torch.where(valid, lengths[:, None] - 1 - time, time)",
        "reverse = (T - 1 - time).expand_as(valid).contiguous()",
        "tests/test_recurrence.py",
    ),
    Mutant(
        "final state of the last step instead of the row's own",
        "recurrence.py",
        "last = (ragged.lengths - 1).clamp(min=0)[",
        "last = torch.full_like(ragged.lengths, out.shape[1] - 1)[",
        "tests/test_recurrence.py",
    ),
    Mutant(
        "cells run on after a row's end",
        "recurrence.py",
        "saturating = 1e4",
        "saturating = 0.0",
        "tests/test_recurrence.py",
    ),
    Mutant(
        "gradient of the permutation not inverted",
        "recurrence.py",
        "return _Permute.apply(grad, inverse, index), None, None",
        "return _Permute.apply(grad, index, inverse), None, None",
        "tests/test_recurrence.py",
    ),
    Mutant(
        "an unstable order of the tokens of a scattered row",
        "recurrence.py",
        "torch.sort((~mask).to(torch.uint8), dim=1, stable=True).indices",
        "torch.sort((~mask).to(torch.uint8) * T - time, dim=1).indices",
        "tests/test_recurrence.py",
    ),
    Mutant(
        "padding keeps what stands in it",
        "recurrence.py",
        "            x = x.masked_fill(~ragged.valid.unsqueeze(-1), 0)\n        D =",
        "        D =",
        "tests/test_recurrence.py",
    ),
    Mutant(
        "dropout drawn anew at each step",
        "recurrence.py",
        "x.new_ones(x.shape[0], 1, x.shape[2])",
        "torch.ones_like(x)",
        "tests/test_recurrence.py",
    ),
    Mutant(
        "weight dropout in evaluation too",
        "recurrence.py",
        "        if self.training and self.weight_dropout > 0:",
        "        if self.weight_dropout > 0:",
        "tests/test_recurrence.py",
    ),
    Mutant(
        "only the top layer's state is carried over",
        "recurrence.py",
        "rows = slice(index * D, (index + 1) * D)",
        "rows = slice((len(self.layers) - 1) * D, len(self.layers) * D)",
        "tests/test_recurrence.py",
    ),
    Mutant(
        "mean over the padded length",
        "modeling_rnn.py",
        "valid.sum(1, keepdim=True).clamp(min=1)",
        "valid.shape[1]",
        "tests/test_modeling_rnn.py",
    ),
    Mutant(
        "embedding dropout on places instead of words",
        "modeling_rnn.py",
        "embedded * F.embedding(input_ids, kept)",
        "embedded * F.dropout(embedded.new_ones(*input_ids.shape, 1), self.config.embedding_dropout)",
        "tests/test_modeling_rnn.py",
    ),
    Mutant(
        "the loss taken for divided by the steps of accumulation",
        "modeling_rnn.py",
        "accepts_loss_kwargs = False",
        "accepts_loss_kwargs = True",
        "tests/test_training.py",
    ),
    Mutant(
        "the mask reads ids instead of lengths",
        "data.py",
        "torch.from_numpy(attention_mask)",
        "torch.from_numpy((input_ids != 0).astype(np.int64))",
        "tests/test_data.py",
    ),
    Mutant(
        "a GRU's reset gate left out of its own gradient",
        "recurrence_cpu.py",
        ".mul_(1 - r)",
        "",
        "tests/test_recurrence.py",
    ),
    Mutant(
        "a block of steps does not get the gradient of those behind it",
        "recurrence_cpu.py",
        "torch.add(grad_out_t, carry, out=grad_h_t)",
        "torch.add(grad_out_t, carry if grad_h_t.data_ptr() != steps[-1][1].data_ptr() else 0, out=grad_h_t)",
        "tests/test_recurrence.py",
    ),
    Mutant(
        "the epoch does not reach the sampler",
        "callbacks.py",
        "self.listener.set_epoch(",
        "print(",
        "tests/test_truncated_bptt.py",
    ),
    Mutant(
        "rows are never mixed between the batches of a bucket",
        "batching.py",
        "if ordered[start] < SIMILAR * longest:",
        "if True:",
        "tests/test_batching.py",
    ),
    Mutant(
        "the collator pads on the left",
        "data.py",
        "ids[:length] =",
        "ids[len(ids) - length :] =",
        "tests/test_data.py",
    ),
    Mutant(
        "the tail of a long text is lost",
        "data.py",
        "ids[len(ids) - (max_length - head) :]",
        "ids[head:max_length]",
        "tests/test_data.py",
    ),
    Mutant(
        "the validation split drawn without regard to classes",
        "data.py",
        "random_state=data.seed, stratify=groups,",
        "random_state=data.seed, stratify=None,",
        "tests/test_data.py",
    ),
    Mutant(
        "absent classes left out of the macro mean",
        "metrics.py",
        'references, predictions, labels=range(len(labels)), average="macro"',
        'references, predictions, average="macro"',
        "tests/test_metrics.py",
    ),
    Mutant(
        "precision and recall the wrong way round",
        "metrics.py",
        "sk.precision_recall_fscore_support(\n        references, predictions,",
        "sk.precision_recall_fscore_support(\n        predictions, references,",
        "tests/test_metrics.py",
    ),
    Mutant(
        "answers in order of length",
        "prediction.py",
        "logits[places] =",
        "logits[np.sort(places)] =",
        "tests/test_prediction.py",
    ),
    Mutant(
        "several labels wanted at over half of a softmax",
        "tasks/text_classification.py",
        "(logits > 0).astype(int)",
        "(logits > 0.5).astype(int)",
        "tests/tasks",
    ),
    Mutant(
        "stale recurrent state in generation",
        "modeling_causal_rnn.py",
        "return RNNCache(state, T + (before.seen_tokens if before is not None else 0))",
        "return before or RNNCache(state, T)",
        "tests/test_modeling_causal_rnn.py",
    ),
    Mutant(
        "beams not reordered",
        "modeling_causal_rnn.py",
        "self.state = tuple(part.index_select(0, beam_idx.to(part.device)) for part in self.state)",
        "pass",
        "tests/test_modeling_causal_rnn.py",
    ),
    Mutant(
        "language-model head not tied",
        "modeling_causal_rnn.py",
        '_tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}',
        "_tied_weights_keys = {}",
        "tests/test_modeling_causal_rnn.py",
    ),
    Mutant(
        "the state is not part of a checkpoint",
        "truncated_bptt.py",
        "        if file.exists():",
        "        if False:",
        "tests/test_truncated_bptt.py",
    ),
    Mutant(
        "an epoch goes on from the last one's state",
        "truncated_bptt.py",
        "            self._carried = None",
        "            pass",
        "tests/test_truncated_bptt.py",
    ),
    Mutant(
        "the second direction reads from the beginning",
        "streams.py",
        "self._window(self.text[::-1], window)",
        "self._window(self.text, window)",
        "tests/test_streams.py",
    ),
    Mutant(
        "a stream is told the token that it reads",
        "streams.py",
        "text[places + 1]",
        "text[places]",
        "tests/test_streams.py",
    ),
    Mutant(
        "every metric is better when it is greater",
        "trainer.py",
        "args.greater_is_better = greater_is_better[name]",
        "args.greater_is_better = True",
        "tests/tasks/test_language_modeling.py",
    ),
    Mutant(
        "the gradients of the clean pass are lost",
        "objectives.py",
        "loss = loss.detach() + (carried - carried.detach())",
        "loss = loss.detach()",
        "tests/test_objectives.py",
    ),
    Mutant(
        "texts are moved to where the loss is smaller",
        "objectives.py",
        "return (direction * scale[:, None, None])",
        "return (-direction * scale[:, None, None])",
        "tests/test_objectives.py",
    ),
    Mutant(
        "the first steps of a moving average weigh as much as the others",
        "averaging.py",
        "max(1 - decay, 1 / (self.count + 1))",
        "1 - decay",
        "tests/test_averaging.py",
    ),
    Mutant(
        "the weights beside a mean are not part of a checkpoint",
        "trainer.py",
        "            self.average.save(self.model, output_dir)",
        "            pass",
        "tests/test_averaging.py",
    ),
    Mutant(
        "the mean of weights is that of the first model",
        "merging.py",
        "mean[key] += value",
        "mean[key] += mean[key]",
        "tests/test_merging.py",
    ),
    Mutant(
        "gradients go back through the whole text",
        "modeling_rnn.py",
        "with torch.no_grad():\n            early",
        "with torch.enable_grad():\n            early",
        "tests/test_modeling_rnn.py",
    ),
    Mutant(
        "words of another tokenizer take the vectors of their numbers",
        "pretrained.py",
        "origin = [ours[token] for token in shared], [theirs[token] for token in shared]",
        "origin = [ours[token] for token in shared], [min(ours[token], len(before) - 1) for token in shared]",
        "tests/test_fine_tuning.py",
    ),
    Mutant(
        "a checkpoint known by sizes alone",
        "checkpoints.py",
        "if _facts(checkpoint / name) != facts:",
        "if False:",
        "tests/test_checkpoints.py",
    ),
    Mutant(
        "the newest checkpoint, whole or not",
        "checkpoints.py",
        "if damage(path) is not None:\n            continue",
        "if False:\n            continue",
        "tests/test_checkpoints.py",
    ),
    Mutant(
        "a resumed log without the losses before the cut",
        "checkpoints.py",
        'self._tr_loss.fill_(sums["loss"])',
        "pass",
        "tests/test_resuming.py",
    ),
    Mutant(
        "a checkpoint before what is due at the end of an epoch",
        "checkpoints.py",
        "self.put_off, control.should_save = control.should_save, False",
        "pass",
        "tests/test_resuming.py",
    ),
    Mutant(
        "an exit code that says nothing of the signal",
        "stopping.py",
        "raise SystemExit(128 + self.agreed)",
        "raise SystemExit(1)",
        "tests/test_resuming.py",
    ),
    Mutant(
        "loading workers that a signal ends",
        "stopping.py",
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})",
        "return",
        "tests/test_resuming.py",
    ),
    Mutant(
        "processes that count as much as one another, whatever they read",
        "trainer.py",
        "return loss * self.items * (distributed.get_world_size() / self.all)",
        "return loss",
        "tests/processes/test_processes.py",
    ),
    Mutant(
        "rows left over by several processes dropped",
        "batching.py",
        "return [rows[rank::parts] for rank in range(parts)]",
        "return [rows[rank::parts][: len(rows) // parts] for rank in range(parts)]",
        "tests/processes/test_processes.py",
    ),
    Mutant(
        "parts of an answered file in the wrong order",
        "bulk_prediction.py",
        "_join(names, output)",
        "_join(names[::-1], output)",
        "tests/test_bulk_prediction.py",
    ),
    Mutant(
        "a stream in the same order each time",
        "streaming.py",
        "seed=self.seed + time",
        "seed=self.seed",
        "tests/test_streaming.py",
    ),
    Mutant(
        "a stream that all processes read whole",
        "streaming.py",
        "return rows if self.by_file else split_dataset_by_node(rows, self.rank, self.world_size)",
        "return rows",
        "tests/test_streaming.py",
    ),
    Mutant(
        "windows of a stream that miss a token between them",
        "streaming.py",
        "last = read[:, -1:].tolist()",
        "last = [[next(tokens)] for tokens in streams]",
        "tests/test_streaming.py",
    ),
]


def survives(mutant: Mutant) -> bool:
    """Whether all tests pass over the broken copy."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".venv", ".git", ".cache", "runs", "docs"))
        (copy / ".cache").symlink_to(ROOT / ".cache")
        file = copy / "src" / "hf_rnn" / mutant.file
        file.write_text(file.read_text().replace(mutant.old, mutant.new))
        environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "OMP_NUM_THREADS": "1"}
        command = CONFORMANCE if mutant.tests == "conformance" else [*UNIT, mutant.tests]
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise SystemExit(f"the tests for {mutant.name!r} did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.returncode == 0


def main(files: list[str]) -> int:
    """Tries the mutants of some files of the package, or all."""
    mutants = [mutant for mutant in MUTANTS if not files or mutant.file in files]
    for mutant in mutants:
        if (ROOT / "src" / "hf_rnn" / mutant.file).read_text().count(mutant.old) != 1:
            raise SystemExit(f"the mutant {mutant.name!r} does not apply: its text is not in {mutant.file} just once")
    # Failing tests catch everything: what is to notice the breaks must pass over the unbroken copy.
    for tests in dict.fromkeys(mutant.tests for mutant in mutants):
        if not survives(Mutant("the control", "__init__.py", "", "", tests)):
            raise SystemExit(f"{tests} fails over the package as it is: mend that first")
    survivors = 0
    with ThreadPoolExecutor(2) as pool:
        for mutant, survived in zip(mutants, pool.map(survives, mutants), strict=True):
            survivors += survived
            print(f"{'SURVIVED' if survived else 'caught':<10}{mutant.name} ({mutant.tests})", flush=True)
    print(f"{len(mutants) - survivors} of {len(mutants)} mutants caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
