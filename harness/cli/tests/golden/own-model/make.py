"""Files of a user with a PyTorch model of their own: a gradient, a picture, and programs that are refused.

Run: python make.py   (PyTorch 2.11; the transformer is learning/tests/golden/graphs/vit.pt2)
"""

import json
import pathlib
import sys
import zipfile

import numpy as np
import torch
from PIL import Image
from torch import nn

HERE = pathlib.Path(__file__).parent
GRAPHS = HERE.parents[4] / "learning/tests/golden/graphs"
sys.path.insert(0, str(GRAPHS))
import make as graphs  # noqa: E402

torch.set_default_dtype(torch.float32)


def picture(side=16):
    row, column = np.mgrid[0:side, 0:side]
    planes = [128 + 100 * np.sin(0.7 * row + c) * np.cos(0.5 * column - c) for c in range(3)]
    return np.stack(planes, -1).round().astype(np.uint8)


def gradient():
    net = torch.export.load(GRAPHS / "vit.pt2").module()
    pixels = picture()
    Image.fromarray(pixels).save(HERE / "truth.png")
    x = (torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.5
    nn.functional.cross_entropy(net(x), torch.tensor([3])).backward()
    # As a compiled model behind DistributedDataParallel names them.
    named = {f"_orig_mod.module.{name}": p.grad for name, p in net.named_parameters()}
    torch.save(named, HERE / "gradient.pt")
    first = next(iter(named))
    torch.save({k.removeprefix("_orig_mod.module.") if k == first else k: v for k, v in named.items()}, HERE / "mixed-names.pt")


class Small(nn.Module):
    """For 8x8 digits: a convolution, LayerNorm, a linear layer on each channel, a head."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.LayerNorm(16)
        self.rows, self.head = nn.Linear(16, 8), nn.Linear(32, 10)

    def forward(self, x):
        x = self.rows(self.norm(self.conv(x).flatten(2)))
        return self.head(nn.functional.gelu(x).flatten(1))


def flower():
    """Weights before and after a step as Flower keeps them: arrays in order, without names."""
    net = Small()
    arrays = lambda: [value.numpy().copy() for value in net.state_dict().values()]
    np.savez(HERE / "round-0.npz", *arrays())
    np.savez(HERE / "short.npz", *arrays()[:-1])
    x, optimiser = torch.randn(1, 1, 8, 8), torch.optim.SGD(net.parameters(), lr=0.1)
    nn.functional.cross_entropy(net(x), torch.tensor([7])).backward()
    optimiser.step()
    np.savez(HERE / "round-1.npz", *arrays())


class Sorted(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 2)

    def forward(self, x):
        return self.fc(torch.sort(torch.fft.rfft(x).real[:, :4].repeat(1, 2))[0])


def refused():
    graphs.export(Sorted(), torch.randn(2, 8), HERE / "unknown.pt2")
    with zipfile.ZipFile(GRAPHS / "mlp.pt2") as z:
        entries = {i.filename: z.read(i) for i in z.infolist()}
    with zipfile.ZipFile(HERE / "newer.pt2", "w", zipfile.ZIP_DEFLATED) as z:
        for name, content in entries.items():
            if name.endswith("model.json"):
                program = json.loads(content)
                program["schema_version"] = {"major": 9, "minor": 1}
                content = json.dumps(program).encode()
            z.writestr(name, content)


for seed in (1, 2):
    torch.manual_seed(seed)
    graphs.export(Small(), torch.randn(2, 1, 8, 8), HERE / f"digits-{seed}.pt2")
flower()
gradient()
refused()
