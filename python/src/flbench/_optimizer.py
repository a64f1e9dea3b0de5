"""Settings of a `torch.optim` optimizer, as far as a capture can hold them."""

from dataclasses import dataclass, field
from typing import Any

import torch

# What the described rules do not do; the value is the one that changes nothing.
PLAIN: dict[str, dict[str, Any]] = {
    "sgd": {"dampening": 0, "nesterov": False, "maximize": False},
    "adam": {"eps": 1e-8, "amsgrad": False, "maximize": False, "decoupled_weight_decay": False},
}
RULES: dict[type, str] = {torch.optim.SGD: "sgd", torch.optim.Adam: "adam"}


@dataclass
class Settings:
    """Settings of one step.

    `rule` holds the keys of `training` without the rate, and is empty where the optimizer is none
    that a capture can describe. `problems` says what a capture cannot hold, a line each.
    """

    lr: float | None = None
    rule: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def private(self) -> bool:
        """Whether steps are those of DP-SGD, whose batches are sampled."""
        return bool(self.notes)


def inner(optimizer: Any) -> torch.optim.Optimizer:
    """Returns the optimizer inside Opacus' wrapper, which is the one that steps."""
    while isinstance(own := getattr(optimizer, "original_optimizer", None), torch.optim.Optimizer):
        optimizer = own
    return optimizer


def read(optimizer: Any) -> Settings:
    """Reads the settings that the next step will use."""
    own = inner(optimizer)
    kind = RULES.get(type(own))
    found = Settings(notes=_privacy(optimizer))
    if kind is None:
        name = type(own).__name__
        found.problems.append(f"the optimizer {name} is neither SGD nor Adam of torch.optim")
        return found
    first, *others = own.param_groups
    compared = ("lr", "momentum", "betas", "weight_decay", *PLAIN[kind])
    for key in compared:
        if any(group.get(key) != first.get(key) for group in others):
            found.problems.append(f"parameter groups differ in `{key}`")
    for key, plain in PLAIN[kind].items():
        if first.get(key, plain) != plain:
            found.problems.append(f"`{key}` of {type(own).__name__} is {first[key]}, not {plain}")
    found.lr = float(first["lr"])
    found.rule = {"optimizer": kind, "weight_decay": float(first["weight_decay"])}
    if kind == "sgd":
        found.rule["momentum"] = float(first["momentum"])
    else:
        found.rule["betas"] = [float(beta) for beta in first["betas"]]
    return found


def carried(optimizer: Any) -> list[str]:
    """Says whether the optimizer remembers earlier training, which a capture cannot hold."""
    keys = ("momentum_buffer", "exp_avg")
    states = inner(optimizer).state.values()
    if any(isinstance(state.get(key), torch.Tensor) for state in states for key in keys):
        return ["the optimizer carries momentum of earlier training; make a new one for the round"]
    return []


def parameters(optimizer: Any) -> set[int]:
    """Returns the identities of the parameters that the optimizer steps."""
    return {id(p) for group in inner(optimizer).param_groups for p in group["params"]}


def _privacy(optimizer: Any) -> list[str]:
    multiplier = getattr(optimizer, "noise_multiplier", None)
    clip = getattr(optimizer, "max_grad_norm", None)
    if multiplier is None or clip is None:
        return []
    expected = getattr(optimizer, "expected_batch_size", None)
    return [
        f"DP-SGD by Opacus: every example's gradient is clipped to {clip}, noise multiplier "
        f"{multiplier}, expected batch size {expected}"
    ]
