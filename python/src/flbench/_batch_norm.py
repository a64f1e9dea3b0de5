"""The mode of a network's BatchNorm."""

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ._errors import CaptureError


def layers(net: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yields the BatchNorm layers that keep running statistics, by name."""
    for name, module in net.named_modules():
        if isinstance(module, _BatchNorm) and module.running_mean is not None:
            yield name, module


def mode(net: nn.Module) -> str:
    """Returns "train" (statistics of the batch) or "eval" (running statistics).

    A network without BatchNorm has the mode of its root. Raises CaptureError where layers differ.
    """
    modes = {name: module.training for name, module in layers(net)}
    if len(set(modes.values())) > 1:
        train = [name for name, training in modes.items() if training]
        still = [name for name, training in modes.items() if not training]
        raise CaptureError(
            f"BatchNorm layers are in two modes: {', '.join(train)} in train and "
            f"{', '.join(still)} in eval; put all into one"
        )
    return "train" if next(iter(modes.values()), net.training) else "eval"


def put(net: nn.Module, to: str) -> None:
    """Puts every BatchNorm layer into the mode "train" or "eval"."""
    if to not in ("train", "eval"):
        raise CaptureError(f'batch_norm={to!r}: write "train" or "eval"')
    for _, module in layers(net):
        module.train(to == "train")
