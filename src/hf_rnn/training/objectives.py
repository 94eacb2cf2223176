# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""What a classifier can learn beside its labels, from texts without labels too (Sachan et al. 2019).

Shapes: B labelled rows, U unlabelled ones, N = B + U.
"""

from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

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


__all__ = ["OBJECTIVES", "Objectives", "divergence", "entropy"]
