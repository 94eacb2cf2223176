# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""What a classifier can learn beside its labels, from texts without labels too (Sachan et al. 2019).

Shapes: B labelled rows, U unlabelled ones, N = B + U.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..tasks import TaskAnswers
from ..utils.errors import UserError

# Length of the first, random step of virtual adversarial training, as a share of the whole one: there the divergence
# is still quadratic.
FIRST_STEP = 0.1


@dataclass
class Objectives:
    """Weights of what is added to the loss of the labels; 0 leaves it out.

    Args:
        entropy_minimisation: mean entropy of the answers, N rows (Grandvalet and Bengio 2004).
        adversarial: loss of the labels with the embedded texts moved to where their loss, entropy included, is
            greatest, B rows (Miyato et al. 2017, equation 1).
        virtual_adversarial: divergence of the answers from those with the embedded texts moved to where they change
            most, N rows (the same, equation 4).
        perturbation: how far an embedded text is moved, as a share of its own norm.
    """

    entropy_minimisation: float = 0.0
    adversarial: float = 0.0
    virtual_adversarial: float = 0.0
    perturbation: float = 0.1

    def __bool__(self) -> bool:
        return any((self.entropy_minimisation, self.adversarial, self.virtual_adversarial))

    @property
    def read_unlabelled(self) -> bool:
        """Whether there is something to learn from texts without labels."""
        return bool(self.entropy_minimisation or self.virtual_adversarial)

    def loss(self, wrapped: Any, model: Any, labelled: dict[str, Tensor], unlabelled: dict[str, Tensor] | None):
        """The whole loss of a step.

        Args:
            wrapped: the model as a launcher wrapped it; it is called once.
            model: the same without that.
            labelled, unlabelled: as the collator gives them, the latter without labels.

        Returns:
            The loss, a scalar, and the logits of the labelled rows, `[B, C]`.
        """
        ids, mask, labels = labelled["input_ids"], labelled["attention_mask"], labelled["labels"]
        B = len(ids)
        if unlabelled is not None:
            ids, mask = _stacked(ids, unlabelled["input_ids"]), _stacked(mask, unlabelled["attention_mask"])
        words = model.model.embed(ids)
        embedded = words.detach().requires_grad_()
        # Only where it is needed: a GPU waits for the host to read it.
        random = _generator(embedded).get_rng_state() if self.virtual_adversarial else None
        moving = self.adversarial or self.virtual_adversarial
        read = model if moving else wrapped
        clean = read(inputs_embeds=embedded if moving else words, attention_mask=mask).logits.float()
        loss = F.cross_entropy(clean[:B], labels)
        if self.entropy_minimisation:
            loss = loss + self.entropy_minimisation * entropy(clean)
        if not moving:
            return loss, clean[:B]
        # Where to move the texts follows from the gradients of this pass. Those of the weights come with them, and are
        # carried over into the loss, or the same pass would be gone back through twice.
        table = model.get_input_embeddings().weight
        learning = [parameter for parameter in model.parameters() if parameter.requires_grad and parameter is not table]
        slopes = torch.autograd.grad(loss, [embedded, *learning])
        moved = []
        if self.adversarial:
            moved.append((words[:B] + self._of_length(slopes[0][:B], words[:B], mask[:B]), mask[:B]))
        if self.virtual_adversarial:
            moved.append(
                (words + self._worst_for_answers(model, embedded.detach(), mask, clean.detach(), random), mask)
            )
        # One pass through all of them: data parallelism counts on one.
        parts = [torch.cat(part) for part in zip(*moved, strict=True)]
        logits = wrapped(inputs_embeds=parts[0], attention_mask=parts[1]).logits.float()
        carried = sum((slope * part).sum() for slope, part in zip(slopes, [words, *learning], strict=True))
        loss = loss.detach() + (carried - carried.detach())
        others = list(logits.split([len(part) for part, _ in moved]))
        if self.adversarial:
            loss = loss + self.adversarial * F.cross_entropy(others.pop(0), labels)
        if self.virtual_adversarial:
            loss = loss + self.virtual_adversarial * divergence(clean.detach(), others.pop(0))
        return loss, clean[:B].detach()

    def _worst_for_answers(self, model, embedded: Tensor, mask: Tensor, clean: Tensor, random) -> Tensor:
        """Where the answers change most from `clean`, given when the generator of random numbers stood at `random`."""
        step = FIRST_STEP * self._of_length(torch.randn_like(embedded), embedded, mask)
        step.requires_grad_()
        # The same units have to be dropped on both sides, or the difference would be that of the dropout.
        with torch.random.fork_rng(devices=[embedded.device] if embedded.is_cuda else []):
            _generator(embedded).set_rng_state(random)
            moved = model(inputs_embeds=embedded + step, attention_mask=mask, return_dict=True).logits.float()
        (slope,) = torch.autograd.grad(divergence(clean, moved), [step])
        return self._of_length(slope, embedded, mask)

    def _of_length(self, direction: Tensor, embedded: Tensor, mask: Tensor) -> Tensor:
        """The direction `[N, T, E]` scaled so that each row has its part of the row's own norm; 0 on padding."""
        direction = direction.float() * mask.unsqueeze(-1)
        norm = (embedded.detach() * mask.unsqueeze(-1)).float().flatten(1).norm(dim=1)
        scale = self.perturbation * norm / direction.flatten(1).norm(dim=1).clamp(min=1e-12)
        return (direction * scale[:, None, None]).to(embedded.dtype).detach()


OBJECTIVES = tuple(field.name for field in fields(Objectives))


class UnlabelledRows:
    """Rows without labels, drawn for the objectives that can learn from them.

    Args:
        rows: encoded, with their `length`.
        collator: makes a batch of rows.
        seed: of what is drawn.
        process_index: of this process; each draws rows of its own.
    """

    def __init__(self, rows: Any, collator: Callable[[list[dict]], dict], seed: int, process_index: int):
        self.rows, self.collator, self.seed = rows, collator, (seed, process_index)
        self.order = np.argsort(rows["length"], kind="stable")
        self.lengths = np.sort(rows["length"])
        # The last step for which rows were drawn, and how often for it.
        self.part = (-1, 0)

    def batch(self, labelled: dict, step: int) -> dict:
        """Return as many rows, about as long as the labelled ones. Which they are follows from the seed, the step and
        the part of the step alone, so that a resumed run reads the same.

        Args:
            labelled: a batch with labels.
            step: that is trained.
        """
        B, T = labelled["input_ids"].shape
        self.part = (step, self.part[1] + 1 if self.part[0] == step else 0)
        random = np.random.default_rng([*self.seed, *self.part])
        middle = int(np.searchsorted(self.lengths, T))
        # A stretch of neighbours by length, anywhere within a twentieth of all rows from those of the same length.
        reach = max(B, len(self.rows) // 20)
        start = int(np.clip(middle - random.integers(0, reach + 1), 0, max(0, len(self.rows) - B)))
        collated = self.collator([self.rows[int(place)] for place in self.order[start : start + B]])
        collated.pop("labels", None)
        return collated


def check_objectives(args: Any, task: TaskAnswers, objectives: Objectives, unlabelled: Any) -> None:
    """Raise [`UserError`] where the task, or another setting, does not go with what is learnt beside the labels."""
    chosen = ", ".join(f"training.{name}={getattr(args, name)}" for name in OBJECTIVES[:3] if getattr(args, name))
    smoothed = f"training.label_smoothing_factor={args.label_smoothing_factor}" if args.label_smoothing_factor else ""
    if (chosen or smoothed) and task.problem_type != "single_label_classification":
        raise UserError(
            f"{chosen or smoothed}: for one label a text alone, and this is {task.problem_type}: leave it out."
        )
    if chosen and smoothed:
        raise UserError(f"{smoothed} does not go with {chosen}: leave one of them out.")
    if args.fp16 and (objectives.adversarial or objectives.virtual_adversarial):
        # Their gradients are taken within a step, where fp16's would need a scale of their own.
        raise UserError(f"training.fp16 does not go with {chosen}: write --training.bf16 true, or leave it out.")
    if unlabelled is not None and not objectives.read_unlabelled:
        raise UserError(
            f"{len(unlabelled)} rows without labels would not be read: write --training.virtual_adversarial 1 (or "
            "entropy_minimisation), or leave data.unlabelled_splits out."
        )


def entropy(logits: Tensor) -> Tensor:
    """Mean entropy of the answers `[N, C]`, in nats."""
    return -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1).mean()


def divergence(logits: Tensor, others: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence of the answers of `others` from those of `logits`, `[N, C]` both, in nats."""
    return F.kl_div(others.log_softmax(-1), logits.log_softmax(-1), reduction="batchmean", log_target=True)


def _generator(tensor: Tensor):
    """The module of the random numbers that are drawn on the tensor's device."""
    return torch.cuda if tensor.is_cuda else torch


def _stacked(above: Tensor, below: Tensor) -> Tensor:
    """Rows of two batches, the narrower one padded with zeros on its right."""
    T = max(above.shape[1], below.shape[1])
    return torch.cat([F.pad(part, (0, T - part.shape[1])) for part in (above, below)])


__all__ = ["OBJECTIVES", "Objectives", "UnlabelledRows", "check_objectives", "divergence", "entropy"]
