"""Passes that leave a network and the random generators as they were."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

HOOKS = (
    "_forward_pre_hooks",
    "_forward_hooks",
    "_backward_hooks",
    "_backward_pre_hooks",
)


@contextmanager
def undisturbed(net: nn.Module) -> Iterator[None]:
    """Restores modes, buffers and random states when left; hooks of Opacus are off inside.

    Buffers are copies inside: what the caller holds is never written to.
    """
    modes = [(module, module.training) for module in net.modules()]
    buffers = [(m, name, b) for m in net.modules() for name, b in m._buffers.items()]
    hooks = [(m, name, getattr(m, name)) for m in net.modules() for name in HOOKS]
    states = _random_states()
    try:
        for module, name, buffer in buffers:
            module._buffers[name] = None if buffer is None else buffer.detach().clone()
        for module, name, hooked in hooks:
            setattr(module, name, _without_opacus(hooked))
        yield
    finally:
        for module, name, hooked in hooks:
            setattr(module, name, hooked)
        for module, name, buffer in buffers:
            module._buffers[name] = buffer
        for module, training in modes:
            module.training = training
        _restore(states)


@contextmanager
def holding(net: nn.Module, values: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Puts `values` behind the parameters and buffers of those names; puts the old ones back."""
    named = {**dict(net.named_parameters()), **dict(net.named_buffers())}
    own = [(named[name], named[name].data, value) for name, value in values.items()]
    try:
        for tensor, _, value in own:
            tensor.data = value
        yield
    finally:
        for tensor, data, _ in own:
            tensor.data = data


def _without_opacus(hooks: dict) -> dict:
    def foreign(hook: object) -> bool:
        inner = getattr(hook, "func", hook)
        return (getattr(inner, "__module__", None) or "").startswith("opacus")

    return type(hooks)((key, hook) for key, hook in hooks.items() if not foreign(hook))


def _random_states() -> tuple:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    return torch.get_rng_state(), cuda, random.getstate(), np.random.get_state()


def _restore(states: tuple) -> None:
    cpu, cuda, python, numpy = states
    torch.set_rng_state(cpu)
    if cuda is not None:
        torch.cuda.set_rng_state_all(cuda)
    random.setstate(python)
    np.random.set_state(numpy)
