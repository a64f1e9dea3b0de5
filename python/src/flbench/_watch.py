"""Watches whichever training happens in this process, where a framework calls it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_post_hook

from . import _optimizer, _pixels, _steps


class Watched(_steps.Observed):
    """What was seen, and of which optimizer and parameters."""

    def __init__(self, template: nn.Module, normalization: _pixels.Normalization) -> None:
        """Watches modules of the template's class and with its names."""
        super().__init__(normalization)
        self.kind, self.names = type(template), list(template.state_dict())
        self.optimizers: dict[int, Any] = {}
        self.trainable: set[str] | None = None
        self.nets: dict[int, nn.Module] = {}

    def called(self, module: nn.Module, args: tuple) -> None:
        """Notes a pass of a module that is the template's like."""
        if type(module) is self.kind and list(module.state_dict()) == self.names:
            self.nets[id(module)] = module
            self.forward(module, args, {})

    def stepped(self, optimizer: Any) -> None:
        """Notes a step of an optimizer that holds parameters of the module that was called."""
        if _optimizer.inner(optimizer) is not optimizer or not self.nets:
            return
        held = _optimizer.parameters(optimizer)
        own = {
            name
            for net in self.nets.values()
            for name, p in net.named_parameters()
            if p.requires_grad and id(p) in held
        }
        if own:
            self.trainable = (self.trainable or set()) | own
            self.optimizers[id(optimizer)] = optimizer
            self.step(optimizer)


@contextmanager
def watch(template: nn.Module, normalization: _pixels.Normalization) -> Iterator[Watched]:
    """Watches every model of the template's class, and every optimizer, inside the block."""
    seen = Watched(template, normalization)
    hooks = [
        register_module_forward_pre_hook(seen.called),
        register_optimizer_step_post_hook(lambda optimizer, *_: seen.stepped(optimizer)),
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def problems(seen: Watched) -> list[str]:
    """Says what of the training a capture cannot hold."""
    if len(seen.optimizers) > 1:
        return [f"{len(seen.optimizers)} optimizers step the model"]
    return []


def named(
    template: nn.Module, arrays: list[torch.Tensor], keys: list[str] | None
) -> dict[str, torch.Tensor]:
    """Gives arrays their names: by `keys`, or by position in `state_dict()` or `parameters()`.

    Raises ValueError where they are of another model.
    """
    state = template.state_dict()
    parameters = [name for name, _ in template.named_parameters()]
    if keys is not None and set(keys) <= set(state) and set(parameters) <= set(keys):
        order = keys
    elif len(arrays) == len(state):
        order = list(state)
    elif len(arrays) == len(parameters):
        order = parameters
    else:
        raise ValueError(
            f"{len(arrays)} arrays are neither the model's {len(state)} of state_dict() nor its "
            f"{len(parameters)} parameters"
        )
    for name, array in zip(order, arrays, strict=True):
        if array.shape != state[name].shape:
            raise ValueError(
                f"the array for `{name}` has shape {list(array.shape)}, the model's has "
                f"{list(state[name].shape)}"
            )
    return {n: a.to(state[n].dtype) for n, a in zip(order, arrays, strict=True)}
