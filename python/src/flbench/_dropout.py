"""What a network draws in a pass."""

from torch import nn
from torch.nn.modules.dropout import _DropoutNd


def draws(net: nn.Module) -> list[str]:
    """Says, a line each, which layers drop values in the mode that they are in."""
    layers = [n for n, m in net.named_modules() if isinstance(m, _DropoutNd)]
    active = [n for n in layers if (m := net.get_submodule(n)).training and m.p > 0]
    return [f"dropout drew in {name}; its draws are not in the capture" for name in active]
