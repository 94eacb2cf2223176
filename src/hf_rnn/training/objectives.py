# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Additional training objectives of a classifier, some of which use unlabelled texts (Sachan et al. 2019).

Shapes: B labelled rows, U unlabelled rows, N = B + U.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..tasks import TaskAnswers
from ..utils.errors import ConfigError

# Length of the random first step of virtual adversarial training, relative to the whole perturbation. At this length
# the divergence is still quadratic.
FIRST_STEP = 0.1


@dataclass
class Objectives:
    """Weights of the additional terms in the loss of a classifier; a term with weight 0 is not computed.

    Args:
        entropy_minimisation: Weight of the mean entropy of the predictions, over N rows (Grandvalet and Bengio 2004).
        adversarial: Weight of the cross-entropy at embeddings that are perturbed to increase the loss (the entropy term
            included), over B rows (Miyato et al. 2017, equation 1).
        virtual_adversarial: Weight of the divergence between the predictions and those at embeddings that are perturbed
            to change the predictions most, over N rows (Miyato et al. 2017, equation 4).
        perturbation: Norm of the perturbation of an embedded text, relative to the norm of the embedded text.
    """

    entropy_minimisation: float = 0.0
    adversarial: float = 0.0
    virtual_adversarial: float = 0.0
    perturbation: float = 0.1

    def __bool__(self) -> bool:
        return any((self.entropy_minimisation, self.adversarial, self.virtual_adversarial))

    @property
    def read_unlabelled(self) -> bool:
        """True if an objective uses texts without labels."""
        return bool(self.entropy_minimisation or self.virtual_adversarial)

    def loss(
        self,
        wrapped: Any,
        model: Any,
        labelled: dict[str, Tensor],
        unlabelled: dict[str, Tensor] | None,
        of_labels: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    ):
        """Compute the total loss of a training step.

        Args:
            wrapped: Model as wrapped by accelerate; it is called exactly once.
            model: Same model without the wrapper.
            labelled: Labelled batch from the collator, B rows.
            unlabelled: Unlabelled batch from the collator, U rows; None for no such rows.
            of_labels: Function that computes the loss of the labels from logits `[B, C]` and class indices `[B]`.

        Returns:
            The loss, a scalar, and the logits of the labelled rows, `[B, C]`.
        """
        ids, mask, labels = labelled["input_ids"], labelled["attention_mask"], labelled["labels"]
        B = len(ids)
        if unlabelled is not None:
            ids, mask = _stacked(ids, unlabelled["input_ids"]), _stacked(mask, unlabelled["attention_mask"])
        words = model.model.embed(ids)
        embedded = words.detach().requires_grad_()
        # Reading the state makes a GPU wait for the host, so it is read only if needed.
        random = _generator(embedded).get_rng_state() if self.virtual_adversarial else None
        moving = self.adversarial or self.virtual_adversarial
        read = model if moving else wrapped
        clean = read(inputs_embeds=embedded if moving else words, attention_mask=mask).logits.float()
        loss = of_labels(clean[:B], labels)
        if self.entropy_minimisation:
            loss = loss + self.entropy_minimisation * entropy(clean)
        if not moving:
            return loss, clean[:B]
        # The perturbation follows from the gradient at the embeddings. The same backward pass also computes the
        # gradients of the weights. A linear term adds them to the loss below, so this pass is not run backward twice.
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
        # DistributedDataParallel expects one forward pass per step, so all perturbed rows share it.
        parts = [torch.cat(part) for part in zip(*moved, strict=True)]
        logits = wrapped(inputs_embeds=parts[0], attention_mask=parts[1]).logits.float()
        carried = sum((slope * part).sum() for slope, part in zip(slopes, [words, *learning], strict=True))
        loss = loss.detach() + (carried - carried.detach())
        others = list(logits.split([len(part) for part, _ in moved]))
        if self.adversarial:
            loss = loss + self.adversarial * of_labels(others.pop(0), labels)
        if self.virtual_adversarial:
            loss = loss + self.virtual_adversarial * divergence(clean.detach(), others.pop(0))
        return loss, clean[:B].detach()

    def _worst_for_answers(self, model, embedded: Tensor, mask: Tensor, clean: Tensor, random) -> Tensor:
        """Return the perturbation `[N, T, E]` that changes the predictions `clean` most.

        `random` is the state of the random number generator before the pass that computed `clean`.
        """
        step = FIRST_STEP * self._of_length(torch.randn_like(embedded), embedded, mask)
        step.requires_grad_()
        # Both passes need the same dropout mask. Otherwise the divergence would measure dropout.
        with torch.random.fork_rng(devices=[embedded.device] if embedded.is_cuda else []):
            _generator(embedded).set_rng_state(random)
            moved = model(inputs_embeds=embedded + step, attention_mask=mask, return_dict=True).logits.float()
        (slope,) = torch.autograd.grad(divergence(clean, moved), [step])
        return self._of_length(slope, embedded, mask)

    def _of_length(self, direction: Tensor, embedded: Tensor, mask: Tensor) -> Tensor:
        """Scale a direction `[N, T, E]` to `perturbation` times the norm of each embedded row; 0 on padding."""
        direction = direction.float() * mask.unsqueeze(-1)
        norm = (embedded.detach() * mask.unsqueeze(-1)).float().flatten(1).norm(dim=1)
        scale = self.perturbation * norm / direction.flatten(1).norm(dim=1).clamp(min=1e-12)
        return (direction * scale[:, None, None]).to(embedded.dtype).detach()


OBJECTIVES = tuple(field.name for field in fields(Objectives))


class UnlabelledRows:
    """Sampler of unlabelled rows for the objectives that use them.

    Args:
        rows: Encoded rows with their `length`.
        collator: Function that makes a batch of rows.
        seed: Seed of the draws.
        process_index: Index of this process; each process draws different rows.
    """

    def __init__(self, rows: Any, collator: Callable[[list[dict]], dict], seed: int, process_index: int):
        self.rows, self.collator, self.seed = rows, collator, (seed, process_index)
        self.order = np.argsort(rows["length"], kind="stable")
        self.lengths = np.sort(rows["length"])
        # Last step for which rows were drawn, and the index of the draw within that step.
        self.part = (-1, 0)

    def batch(self, labelled: dict, step: int) -> dict:
        """Return an unlabelled batch with as many rows as the labelled one, and of similar length.

        The draw depends only on the seed, the process, the step and the number of draws in the step. A resumed run
        therefore reads the same rows. If there are fewer rows than in the labelled batch, all are returned.

        Args:
            labelled: Labelled batch.
            step: Number of optimizer steps before the current one.
        """
        B, T = labelled["input_ids"].shape
        self.part = (step, self.part[1] + 1 if self.part[0] == step else 0)
        random = np.random.default_rng([*self.seed, *self.part])
        middle = int(np.searchsorted(self.lengths, T))
        # Take consecutive rows in order of length. They start at the first row of length T, or up to 5 % of all rows
        # (at least B rows) before it.
        reach = max(B, len(self.rows) // 20)
        start = int(np.clip(middle - random.integers(0, reach + 1), 0, max(0, len(self.rows) - B)))
        collated = self.collator([self.rows[int(place)] for place in self.order[start : start + B]])
        collated.pop("labels", None)
        return collated


def check_objectives(args: Any, task: TaskAnswers, objectives: Objectives, unlabelled: Any) -> None:
    """Raise [`ConfigError`] if the task or another setting does not support the objectives or label smoothing.

    Args:
        args: Training arguments.
        task: Task to train.
        objectives: Objectives from the training arguments.
        unlabelled: Rows without labels; None for no such rows.

    Raises:
        ConfigError: The task is not single-label classification; objectives and label smoothing are both set; an
            adversarial objective is set with fp16; or no objective uses the unlabelled rows.
    """
    chosen = ", ".join(f"training.{name}={getattr(args, name)}" for name in OBJECTIVES[:3] if getattr(args, name))
    smoothed = f"training.label_smoothing_factor={args.label_smoothing_factor}" if args.label_smoothing_factor else ""
    if (chosen or smoothed) and task.problem_type != "single_label_classification":
        raise ConfigError(
            f"{chosen or smoothed} needs one label per text, and the problem type is {task.problem_type}: leave it out."
        )
    if chosen and smoothed:
        raise ConfigError(f"{smoothed} does not go with {chosen}: leave one of them out.")
    if args.fp16 and (objectives.adversarial or objectives.virtual_adversarial):
        # These objectives compute gradients within a step, which would need their own loss scale in fp16.
        raise ConfigError(f"training.fp16 does not go with {chosen}: write training.bf16=True, or leave it out.")
    if unlabelled is not None and not objectives.read_unlabelled:
        raise ConfigError(
            f"{len(unlabelled)} rows without labels would not be read: write training.virtual_adversarial=1 (or "
            "training.entropy_minimisation=1), or leave data.unlabelled_splits out."
        )


def entropy(logits: Tensor) -> Tensor:
    """Compute the mean entropy of predictions, in nats.

    Args:
        logits: Logits, `[N, C]`.
    """
    return -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1).mean()


def divergence(logits: Tensor, others: Tensor) -> Tensor:
    """Compute the mean Kullback-Leibler divergence KL(p || q) in nats, with p from `logits` and q from `others`.

    Args:
        logits: Logits of the reference predictions, `[N, C]`.
        others: Logits of the other predictions, `[N, C]`.
    """
    return F.kl_div(others.log_softmax(-1), logits.log_softmax(-1), reduction="batchmean", log_target=True)


def _generator(tensor: Tensor):
    """Return the torch module that controls the random numbers on the device of a tensor."""
    return torch.cuda if tensor.is_cuda else torch


def _stacked(above: Tensor, below: Tensor) -> Tensor:
    """Concatenate the rows of two batches; pad the narrower batch with zeros on the right."""
    T = max(above.shape[1], below.shape[1])
    return torch.cat([F.pad(part, (0, T - part.shape[1])) for part in (above, below)])


__all__ = ["OBJECTIVES", "Objectives", "UnlabelledRows", "check_objectives", "divergence", "entropy"]
