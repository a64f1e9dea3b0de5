"""What a client of federated averaging sends."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import nn

from . import _batch_norm, _folder, _optimizer, _pixels, _steps
from ._errors import CaptureError
from ._export import export
from ._unwrap import averaged, unwrap


class Recorder:
    """Records a local training: weights before and after, and how they came about.

    Use it as a context manager round the training loop; the folder is written when the block is
    left without an error, and is then `path`.

    Args:
        model: the model that the loop calls, `[B, ...]` to logits `[B, K]`; wrappers are looked
            through. Parameters that ask for no gradient, or that the optimizer does not hold, are
            frozen: they are left out of the update.
        optimizer: `torch.optim.SGD` or `Adam`, also inside Opacus' wrapper.
        to: the folder; absent, empty, or that of an earlier capture, which is replaced.
        holds: "weights" (those after) or "delta" (after minus before).
        example: a batch to trace the model with, where the loop calls something else.
        examples: how many the client has; else the distinct inputs that were seen. Augmented
            inputs are all distinct: give it then.
        minibatch: examples a step; else the largest that was seen.
        normalization: mean and standard deviation, a number or one a channel, that `[0, 1]` pixels
            were normalised with before the model; None where it is fed such pixels.
        labels: of all examples in the order of the first epoch, where the adversary may know
            them.
        defenses: what was done to the update elsewhere, as `bench list defenses` spells it.
        strict: whether settings that a capture cannot hold are an error. Else they are notes, and
            `training` is left out where the rule of the optimizer is not known.

    Raises:
        CaptureError: on entering, an optimizer with settings that a capture cannot hold; on
            leaving, batches that are no epochs over the examples, rules that change between steps,
            BatchNorm layers in two modes, a model that torch.export cannot follow.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Any,
        *,
        to: str | Path,
        holds: str = "weights",
        example: torch.Tensor | None = None,
        examples: int | None = None,
        minibatch: int | None = None,
        normalization: _pixels.Normalization = None,
        labels: Sequence[int] | None = None,
        defenses: Sequence[Mapping[str, Any]] = (),
        strict: bool = True,
    ) -> None:
        """Keeps the settings; nothing is read before the block is entered."""
        if holds not in ("weights", "delta"):
            raise CaptureError(f'holds={holds!r}: write "weights" or "delta"')
        self.path = Path(to)
        self.model, self.optimizer, self.holds = model, optimizer, holds
        self.example, self.examples, self.minibatch = example, examples, minibatch
        self.normalization, self.strict = normalization, strict
        self.said = {
            "normalization": _pixels.described(normalization),
            "labels": None if labels is None else [int(label) for label in labels],
            "defenses": [dict(defense) for defense in defenses],
        }

    def __enter__(self) -> "Recorder":
        """Copies the weights and begins to watch."""
        _folder.check(self.path)
        self.net = unwrap(self.model)
        self.start = _optimizer.carried(self.optimizer) + averaged(self.model)
        refuse(_optimizer.read(self.optimizer).problems + self.start, self.strict)
        self.before = snapshot(self.net)
        stepped = _optimizer.parameters(self.optimizer)
        named = self.net.named_parameters()
        self.trainable = {n for n, p in named if p.requires_grad and id(p) in stepped}
        self.seen = _steps.Observed(self.normalization)
        own = _optimizer.inner(self.optimizer)
        self.hooks = [
            self.model.register_forward_pre_hook(
                lambda _, args, kwargs: self.seen.forward(self.net, args, kwargs),
                with_kwargs=True,
            ),
            own.register_step_post_hook(lambda *_: self.seen.step(self.optimizer)),
        ]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops watching; writes the folder where the block raised nothing."""
        for hook in self.hooks:
            hook.remove()
        if kind is not None:
            return
        found = _steps.account(self.seen, self.examples, self.minibatch)
        found.problems += self.start
        self.path = write_training(
            self.path,
            net=self.net,
            before=self.before,
            sent=sent(self.before, snapshot(self.net), self.holds),
            trainable=self.trainable,
            seen=self.seen,
            found=found,
            said=self.said | {"holds": self.holds},
            example=self.example,
            strict=self.strict,
        )


def refuse(problems: Sequence[str], strict: bool) -> None:
    """Raises CaptureError where a capture cannot hold something and `strict` asks for all."""
    if strict and problems:
        raise CaptureError(
            f"{'; '.join(problems)}: a capture cannot hold that; train with plain SGD or Adam, or "
            "give strict=False to have it noted"
        )


def snapshot(net: nn.Module) -> dict[str, torch.Tensor]:
    """Copies parameters and buffers, shared ones under one name, to the CPU."""
    named = [*net.named_parameters(), *net.named_buffers()]
    return {name: tensor.detach().cpu().clone() for name, tensor in named}


def sent(
    before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor], holds: str
) -> dict[str, torch.Tensor]:
    """Returns what a client sends: the weights after, or what was added to those before."""
    if holds == "weights":
        return dict(after)
    return {n: t - before[n] for n, t in after.items() if n in before and t.is_floating_point()}


def write_training(
    to: Path,
    *,
    net: nn.Module,
    before: Mapping[str, torch.Tensor],
    sent: Mapping[str, torch.Tensor],
    trainable: set[str],
    seen: _steps.Observed,
    found: _steps.Account,
    said: dict[str, Any],
    example: torch.Tensor | None,
    strict: bool,
) -> Path:
    """Writes the capture of a training: the weights before it, and what the client sent of it."""
    refuse(found.problems, strict)
    if len(seen.modes) > 1:
        raise CaptureError("BatchNorm was in train mode in some steps and in eval mode in others")
    example = seen.example if example is None else example
    if example is None:
        raise CaptureError("no batch was seen to trace the model with; give `example`")
    labels = said.get("labels")
    if labels is not None and found.examples != len(labels):
        raise CaptureError(f"{len(labels)} labels for {found.examples} examples; give one each")
    for doubt in seen.doubts:
        warnings.warn(doubt, stacklevel=3)
    exported = export(net, example, before, trainable)
    named = exported.parameters.items()
    update = {name: sent[own] for name, own in named if own in trainable}
    update |= {name: sent[own] for name, own in exported.buffers.items() if own in sent}
    described = {
        "holds": said["holds"],
        "examples": found.examples,
        "training": found.training,
        "batch_norm": next(iter(seen.modes), None) or _batch_norm.mode(net),
        **said,
        "notes": [*found.notes, *found.problems, *seen.doubts],
    }
    return _folder.write(to, exported.data, update, described)
