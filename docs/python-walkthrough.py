"""From a model of one's own to a figure of what its updates leak, in cells.

Run as a script, or cell by cell in an editor that knows `# %%`. Needs Pillow, and the binary:

    BENCH=target/release/bench python docs/python-walkthrough.py [FIGURE.png]
"""

# %% A model, and the private photographs of two clients
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

import flbench


class MyNet(nn.Module):
    """Two convolutions with sigmoids for 16x16 colour images of 10 classes."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 12, 5, stride=2, padding=2),
            nn.Sigmoid(),
            nn.Conv2d(12, 12, 5, padding=2),
            nn.Sigmoid(),
        )
        self.head = nn.Linear(12 * 64, 10)

    def forward(self, x):
        return self.head(self.body(x).flatten(1))


torch.manual_seed(0)
net = MyNet()
with torch.no_grad():
    for parameter in net.parameters():
        parameter.uniform_(-0.5, 0.5)

photos = sorted((Path(__file__).parent / "../datasets/assets/photos").glob("*-test-*.png"))[:2]
small = [Image.open(p).convert("RGB").resize((16, 16), Image.Resampling.BOX) for p in photos]
pixels = np.stack([np.asarray(p, dtype=np.float32).transpose(2, 0, 1) / 255 for p in small])
x, y = (torch.from_numpy(pixels) - 0.5) / 0.5, torch.tensor([7, 2])
folder = Path(tempfile.mkdtemp(prefix="walkthrough-"))
rows = [("truth", pixels)]

# %% Distributed SGD: the client sends the gradient of one batch
gradient = flbench.capture(net, (x[:1], y[:1]), to=folder / "gradient", normalization=(0.5, 0.5))
alone = flbench.attack(gradient, "idlg", {"iterations": 80}, truth=pixels[:1])
print("a gradient:", alone.labels, [round(s["psnr"], 1) for s in alone.scores])

# %% Federated averaging: the client trains, and sends its weights
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.5)
recorder = flbench.Recorder(
    net, optimizer, to=folder / "weights", normalization=(0.5, 0.5), labels=y
)
with recorder:
    for _ in range(2):
        for n in range(2):
            optimizer.zero_grad()
            functional.cross_entropy(net(x[n : n + 1]), y[n : n + 1]).backward()
            optimizer.step()
print((folder / "weights" / "capture.json").read_text())
settings = {"iterations": 400, "labels": "known", "unroll": True}
trained = flbench.attack(recorder.path, "dlg", settings, truth=pixels)
print("weights after two epochs:", [round(s["psnr"], 1) for s in trained.scores])
rows.append(("weights", trained.images))

# %% The same, with noise that the client adds to what it sends
optimizer = torch.optim.SGD(net.parameters(), lr=0.2)
recorder = flbench.Recorder(
    net,
    optimizer,
    to=folder / "noise",
    holds="delta",
    normalization=(0.5, 0.5),
    labels=y,
    defenses=[{"name": "gaussian-noise", "std": 0.001}],
)
with recorder:
    optimizer.zero_grad()
    functional.cross_entropy(net(x), y).backward()
    optimizer.step()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.001)
noised = flbench.attack(
    recorder.path, "adaptive-matching", {"iterations": 1000, "labels": "known"}, truth=pixels
)
print("one step with noise:", [round(s["psnr"], 1) for s in noised.scores])
rows.append(("noise", noised.images))

# %% A figure: the truth, and what was read out of each update
strips = [np.concatenate(list(images), axis=2) for _, images in rows]
grid = np.concatenate(strips, axis=1).transpose(1, 2, 0)
figure = Image.fromarray(np.rint(grid.clip(0, 1) * 255).astype(np.uint8))
place = Path(sys.argv[1]) if len(sys.argv) > 1 else folder / "figure.png"
figure.resize((figure.width * 8, figure.height * 8), Image.Resampling.NEAREST).save(place)
print("rows:", ", ".join(name for name, _ in rows), "->", place)
