"""Makes the files beside this script: the weights of a small network and one client's gradient, as people keep them. Nothing of bench
is used. Needs torch 2.11, numpy 2, safetensors and Pillow; run it in this folder.
"""

import argparse
import collections
import os
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

WIDTHS, CLASSES, LABEL = [9, 5, 4, 4, 4, 4, 4], 3, 2

torch.manual_seed(1)
layers = [nn.Linear(a, b) for a, b in zip(WIDTHS, WIDTHS[1:] + [CLASSES])]
parts = [part for layer in layers for part in (layer, nn.ReLU())][:-1]
model = nn.Sequential(nn.Flatten(), *parts)
with torch.no_grad():
    for parameter in model.parameters():
        parameter.uniform_(-0.4, 0.7)
x = torch.randint(0, 256, (1, 1, 3, 3)) / 255
Image.fromarray((x[0, 0] * 255).round().to(torch.uint8).numpy()).save("truth.png")
loss = nn.functional.cross_entropy(model((x - 0.5) / 0.5), torch.tensor([LABEL]))
gradients = torch.autograd.grad(loss, list(model.parameters()))
assert all(g.abs().max() > 1e-4 for g in gradients)

ours = [f"fc{i + 1}.{leaf}" for i in range(len(layers)) for leaf in ("weight", "bias")]
# As nn.Sequential names them, under one attribute: layers.10 comes before layers.2 in the alphabet.
theirs = [f"layers.{2 * i}.{leaf}" for i in range(len(layers)) for leaf in ("weight", "bias")]
values = [p.detach().clone() for p in model.parameters()]
named = lambda names, tensors: collections.OrderedDict(zip(names, tensors))
weights, gradient = named(ours, values), named(ours, gradients)


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil-ran",)


torch.save(weights, "weights.pt")
torch.save(gradient, "gradient.pt")
torch.save(
    {
        "args": argparse.Namespace(lr=0.1),
        "epoch": 3,
        "rng": torch.zeros(16, dtype=torch.uint8),
        "loss": torch.tensor(0.3),
        "net": weights,
    },
    "checkpoint.pt",
)
torch.save({"net": weights, "x": Evil()}, "evil.pt")
torch.save({"net": weights, "model": named(ours, [v + 1 for v in values])}, "two.pt")
torch.save(list(gradients), "list.pt")
torch.save(named(ours, [g.bfloat16() for g in gradients]), "bfloat16.pt")
torch.save(named(ours, [v.T.contiguous() if v.dim() == 2 else v for v in values]), "keras.pt")
torch.save(named(theirs, values), "theirs.pt")
save_file(dict(named(theirs, values)), "theirs.safetensors")
save_file(dict(named(theirs, gradients)), "theirs-gradient.safetensors")
byte = torch.zeros(5, dtype=torch.uint8)
save_file({**gradient, "steps": byte}, "beside.safetensors")
save_file({**gradient, "fc1.bias": byte}, "quantised.safetensors")
save_file({**gradient, "extra": byte, "steps": torch.tensor([1])}, "cut.safetensors")
os.truncate("cut.safetensors", os.path.getsize("cut.safetensors") - 10)
np.savez("short.npz", *[g.numpy() for i, g in enumerate(gradients) if i != 1])
np.savez("half.npz", *[g.numpy().astype("f2") for g in gradients])
np.savez("words.npz", **{name: g.numpy() for name, g in gradient.items()}, client="seven")
np.savez("objects.npz", np.array([g.numpy() for g in gradients], dtype=object))
Path("arrays").mkdir(exist_ok=True)
for i, g in enumerate(gradients):
    np.save(f"arrays/arr_{i}.npy", g.numpy())
