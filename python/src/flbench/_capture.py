"""The gradient of one batch."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from . import _batch_norm, _folder, _pixels
from ._dropout import draws
from ._errors import CaptureError
from ._export import export
from ._undisturbed import undisturbed
from ._unwrap import unwrap

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def capture(
    model: nn.Module,
    batch: tuple[torch.Tensor, torch.Tensor],
    loss: Loss | None = None,
    *,
    to: str | Path,
    example: torch.Tensor | None = None,
    normalization: _pixels.Normalization = None,
    labels_known: bool = False,
    batch_norm: str | None = None,
    defenses: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Writes the gradient of one batch, as a client of distributed SGD sends it, into a folder.

    Args:
        model: maps one tensor `[B, ...]` to logits `[B, K]`; wrappers (DataParallel, DDP,
            torch.compile, Opacus) are looked through. Modes, buffers, `.grad` and random states are
            left as they were; parameters that ask for no gradient are left out.
        batch: what is fed to the model, `[B, C, H, W]` or `[B, F]`, and its labels `[B]`.
        loss: of logits and labels, a scalar; by default the mean cross-entropy, which bench
            assumes.
        to: the folder; absent, empty, or that of an earlier capture, which is replaced.
        example: a batch to trace the model with, where it differs from `batch`.
        normalization: mean and standard deviation, a number or one a channel, that `[0, 1]` pixels
            were normalised with before the model; None where the batch is such pixels.
        labels_known: whether the adversary may know the labels; they are written then.
        batch_norm: "train" or "eval" for the pass, where it is not the mode that the layers are in.
        defenses: what was done to the update elsewhere, as `bench list defenses` spells it.

    Returns:
        The folder, for `flbench.attack` or `bench attack FOLDER`.

    Raises:
        CaptureError: BatchNorm layers in two modes, pixels outside `[0, 1]`, a loss that is no
            scalar, a gradient with NaN, a model that torch.export cannot follow, a folder with
            other files.
    """
    x, y = batch
    _folder.check(to)
    if problem := _pixels.out_of_range(x, normalization):
        raise CaptureError(problem)
    net, notes = unwrap(model), _notes(loss)
    exported = export(net, x if example is None else example)
    with undisturbed(net), torch.enable_grad():
        if batch_norm is not None:
            _batch_norm.put(net, batch_norm)
        mode = batch_norm or _batch_norm.mode(net)
        notes += draws(net)
        gradient = _gradient(net, (loss or functional.cross_entropy)(net(x), y))
    said = {
        "holds": "gradient",
        "examples": int(x.shape[0]),
        "batch_norm": mode,
        "normalization": _pixels.described(normalization),
        "labels": _labels(y) if labels_known else None,
        "defenses": [dict(defense) for defense in defenses],
        "notes": notes,
    }
    named = exported.parameters.items()
    update = {name: gradient[own] for name, own in named if own in gradient}
    return _folder.write(to, exported.data, update, said)


def _gradient(net: nn.Module, value: torch.Tensor) -> dict[str, torch.Tensor]:
    if value.dim() != 0:
        raise CaptureError(f"the loss has shape {list(value.shape)}; reduce it to a scalar")
    asked = {name: p for name, p in net.named_parameters() if p.requires_grad}
    if not asked:
        raise CaptureError("no parameter asks for a gradient")
    found = torch.autograd.grad(value, list(asked.values()), allow_unused=True)
    return {name: g for name, g in zip(asked, found, strict=True) if g is not None}


def _labels(y: torch.Tensor) -> list[int]:
    if y.dim() != 1 or y.is_floating_point():
        raise CaptureError(f"labels of shape {list(y.shape)} are no class indices [B]")
    return [int(label) for label in y]


def _notes(loss: Loss | None) -> list[str]:
    plain = loss is None or loss is functional.cross_entropy or _mean_cross_entropy(loss)
    return [] if plain else ["the loss is the client's own; a mean cross-entropy is assumed"]


def _mean_cross_entropy(loss: Loss) -> bool:
    return (
        isinstance(loss, nn.CrossEntropyLoss)
        and loss.reduction == "mean"
        and loss.weight is None
        and loss.label_smoothing == 0
    )
