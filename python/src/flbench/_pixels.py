"""What a client did to pixels before its network saw them."""

from collections.abc import Sequence

import torch

from ._errors import CaptureError

Normalization = tuple[float | Sequence[float], float | Sequence[float]] | None


def described(normalization: Normalization) -> dict[str, list[float]]:
    """Returns mean and standard deviation as lists: one value, or one a channel."""
    if normalization is None:
        return {"mean": [0.0], "std": [1.0]}
    mean, std = (_list(part) for part in normalization)
    if any(not value > 0 for value in std):
        raise CaptureError(f"normalization: a standard deviation of {min(std)}; give one above 0")
    return {"mean": mean, "std": std}


def out_of_range(x: torch.Tensor, normalization: Normalization) -> str | None:
    """Says what is wrong where images `[B, C, H, W]`, normalised back, lie outside `[0, 1]`."""
    if x.dim() != 4 or not x.is_floating_point() or x.numel() == 0:
        return None
    both = described(normalization)
    mean, std = (torch.tensor(both[k], device=x.device).view(1, -1, 1, 1) for k in ("mean", "std"))
    if any(len(values) not in (1, x.shape[1]) for values in both.values()):
        raise CaptureError(
            f"normalization: gives {len(both['mean'])} means and {len(both['std'])} deviations for "
            f"{x.shape[1]} channels; give one, or one a channel"
        )
    pixels = x.detach() * std + mean
    low, high = pixels.min().item(), pixels.max().item()
    if low >= -0.01 and high <= 1.01:
        return None
    return (
        f"pixels run from {low:.3g} to {high:.3g} after normalization={normalization} is undone, "
        "not from 0 to 1; give the (mean, std) that was applied to pixels in [0, 1]"
    )


def _list(part: float | Sequence[float] | torch.Tensor) -> list[float]:
    values = part if isinstance(part, (Sequence, torch.Tensor)) else [part]
    return [float(value) for value in values]
