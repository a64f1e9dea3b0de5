"""Watches whichever training happens in this process, where a framework calls it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from . import _optimizer, _pixels, _steps


class Watched(_steps.Observed):
    """What was seen, and of which optimizer and parameters."""

    def __init__(self, template: nn.Module, normalization: _pixels.Normalization) -> None:
        """Watches modules of the template's class and with its names."""
        super().__init__(normalization)
        self.kind, self.names = type(template).__qualname__, list(template.state_dict())
        self.optimizers: dict[int, Any] = {}
        self.trainable: set[str] | None = None
        self.nets: dict[int, nn.Module] = {}
        self.problems: list[str] = []

    def called(self, module: nn.Module, args: tuple) -> None:
        """Notes a pass of a module that is the template's like."""
        # Names are compared last: this is called for every layer, too.
        if type(module).__qualname__ == self.kind and list(module.state_dict()) == self.names:
            self.nets[id(module)] = module
            self.forward(module, args, {})

    def about_to_step(self, optimizer: Any) -> None:
        """Notes what an optimizer of the module remembers before its first step."""
        own = self._own(optimizer)
        if not own or id(optimizer) in self.optimizers:
            return
        self.trainable = (self.trainable or set()) | own
        self.optimizers[id(optimizer)] = optimizer
        self.problems += _optimizer.carried(optimizer)
        if len(self.optimizers) == 2:
            self.problems.append("several optimizers step the model")

    def stepped(self, optimizer: Any) -> None:
        """Notes a step of an optimizer that holds parameters of the module that was called."""
        if self._own(optimizer):
            self.step(optimizer)

    def _own(self, optimizer: Any) -> set[str]:
        """Names of the module's parameters that the optimizer steps; none for wrappers."""
        if _optimizer.inner(optimizer) is not optimizer:
            return set()
        held = _optimizer.parameters(optimizer)
        named = (pair for net in self.nets.values() for pair in net.named_parameters())
        return {name for name, p in named if p.requires_grad and id(p) in held}


@contextmanager
def watch(template: nn.Module, normalization: _pixels.Normalization) -> Iterator[Watched]:
    """Watches every model of the template's class, and every optimizer, inside the block."""
    seen = Watched(template, normalization)
    hooks = [
        register_module_forward_pre_hook(seen.called),
        register_optimizer_step_pre_hook(lambda optimizer, *_: seen.about_to_step(optimizer)),
        register_optimizer_step_post_hook(lambda optimizer, *_: seen.stepped(optimizer)),
    ]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


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
