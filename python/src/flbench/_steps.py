"""What was seen of a local training, and what a capture says of it."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from . import _batch_norm, _optimizer, _pixels
from ._dropout import draws
from ._errors import CaptureError


@dataclass
class Step:
    """One optimizer step: settings, and examples of the forward passes since the one before."""

    settings: _optimizer.Settings
    sizes: list[int]


@dataclass
class Observed:
    """Watches forward passes and steps of one training."""

    normalization: _pixels.Normalization = None
    steps: list[Step] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)
    seen: set[bytes] = field(default_factory=set)
    modes: set[str] = field(default_factory=set)
    drawn: dict[str, None] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    example: torch.Tensor | None = None

    def forward(self, net: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
        """Notes the batch `[B, ...]` of a pass that gradients follow from."""
        tensors = [a for a in (*args, *kwargs.values()) if isinstance(a, torch.Tensor)]
        if not torch.is_grad_enabled() or not tensors or tensors[0].dim() == 0:
            return
        x = tensors[0].detach()
        self.pending.append(x.shape[0])
        self.modes.add(_batch_norm.mode(net))
        self.drawn |= dict.fromkeys(draws(net))
        self.seen.update(_digests(x))
        if self.example is None and x.shape[0] > 0:
            self.example = x[:2].cpu().clone()
        doubt = _pixels.out_of_range(x, self.normalization)
        if doubt and not self.doubts:
            self.doubts.append(doubt)

    def step(self, optimizer: Any) -> None:
        """Notes a step, with the settings that it used."""
        self.steps.append(Step(_optimizer.read(optimizer), self.pending))
        self.pending = []


def _digests(x: torch.Tensor) -> list[bytes]:
    rows = x.cpu().contiguous().flatten(1) if x.dim() > 1 else x.cpu().contiguous().unsqueeze(1)
    rows = rows.view(torch.uint8) if rows.numel() else rows
    return [hashlib.blake2b(row.numpy().tobytes(), digest_size=16).digest() for row in rows]


@dataclass
class Account:
    """What a capture says of a training, and what it cannot say."""

    examples: int | None = None
    training: dict[str, Any] | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def account(seen: Observed, examples: int | None, minibatch: int | None) -> Account:
    """Turns what was seen, and what the caller says, into `examples` and `training`.

    Raises CaptureError where no step was taken, or where what the caller says and what was seen
    contradict each other.
    """
    if not seen.steps:
        raise CaptureError("the optimizer took no step: there is no training to record")
    found = Account()
    settings = [step.settings for step in seen.steps]
    found.problems += _once(p for s in settings for p in s.problems)
    found.notes += [*_once(n for s in settings for n in s.notes), *seen.drawn]
    if any(s.rule != settings[0].rule for s in settings):
        found.problems.append("settings of the optimizer other than the rate change between steps")
    if any(s.lr is not None and s.lr <= 0 for s in settings):
        found.problems.append("a step was taken at a learning rate of 0")
    if any(len(step.sizes) > 1 for step in seen.steps):
        found.notes.append("several forward passes a step are read as one batch of their examples")
    sizes = [sum(step.sizes) if step.sizes else None for step in seen.steps]
    private = any(s.private for s in settings)
    dealt = _dealt(sizes, len(seen.seen), examples, minibatch, private)
    found.examples, epochs, found_minibatch, note = dealt
    found.notes += note
    rates = [s.lr for s in settings]
    if settings[0].rule and all(rates):
        found.training = settings[0].rule | {
            "lr": rates[0],
            "epochs": epochs,
            "minibatch": found_minibatch,
        }
        if any(rate != rates[0] for rate in rates):
            found.training["lr_schedule"] = rates
    return found


def _once(lines: Any) -> list[str]:
    return list(dict.fromkeys(lines))


def _dealt(
    sizes: list[int | None],
    distinct: int,
    examples: int | None,
    minibatch: int | None,
    private: bool,
) -> tuple[int, int, int, list[str]]:
    """Gives examples, epochs, minibatch, and notes: every epoch deals all examples once."""
    steps = len(sizes)
    if None in sizes:
        if examples is None or minibatch is None:
            raise CaptureError(
                f"{steps} steps were taken, but no forward pass of the model was seen before each; "
                "call the model that the recorder was given, or give `examples` and `minibatch`"
            )
        per_epoch = -(-examples // minibatch)
        if steps % per_epoch:
            raise CaptureError(
                f"{steps} steps are no whole epochs: {examples} examples in batches of {minibatch} "
                f"make {per_epoch} steps an epoch; correct `examples` or `minibatch`"
            )
        return examples, steps // per_epoch, minibatch, []
    count = examples or distinct
    batch = minibatch or min(max(sizes), count)
    epoch = [batch] * (count // batch) + ([count % batch] if count % batch else [])
    epochs = steps // len(epoch)
    if sizes == epoch * epochs:
        few = f"of {count} examples only {distinct} differ from each other"
        return count, epochs, batch, [few] if distinct < count else []
    if private and minibatch is None:
        drawn = f"batches of {min(sizes)} to {max(sizes)} examples were sampled"
        return count, steps, count, [f"{drawn}; each step is read as one over all {count}"]
    shown = ", ".join(map(str, sizes[:8])) + (", ..." if steps > 8 else "")
    raise CaptureError(
        f"steps saw {shown} examples, which are not {count} examples in batches of {batch}; "
        "give `examples` (augmented or repeated inputs cannot be counted) and `minibatch`, or let "
        "every epoch visit each example once"
    )
