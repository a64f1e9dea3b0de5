"""Captures what one client of a federated-learning round sends, in plain PyTorch: a gradient, and the weights before and
after a step. Nothing of bench is used, nothing is trained. The files beside this script were written by it
(torch 2.11.0, safetensors 0.8.0, Pillow):

    python capture.py
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

here = Path(__file__).parent
LABEL, LR = 7, 1.0


class LeNet(nn.Module):
    """The network of "Deep Leakage from Gradients", for 16x16 colour images of 10 classes."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 12, 5, stride=2, padding=2), nn.Sigmoid(),
            nn.Conv2d(12, 12, 5, stride=2, padding=2), nn.Sigmoid(),
            nn.Conv2d(12, 12, 5, stride=1, padding=2), nn.Sigmoid(),
        )
        self.fc = nn.Sequential(nn.Linear(192, 10))

    def forward(self, x):
        return self.fc(self.body((x - 0.5) / 0.5).flatten(1))


torch.manual_seed(1)
model = LeNet()
with torch.no_grad():
    for parameter in model.parameters():
        parameter.uniform_(-0.5, 0.5)

# The client's private image, in [0, 1].
photo = Image.open(here / "../../../../../datasets/assets/photos/00-test-astronaut.png").convert("RGB")
photo = photo.resize((16, 16), Image.Resampling.BOX)
photo.save(here / "truth.png")
x = torch.from_numpy(np.asarray(photo, dtype=np.float32) / 255).permute(2, 0, 1).unsqueeze(0)
y = torch.tensor([LABEL])

# What a client of distributed SGD sends: the gradient, by the names of the parameters.
loss = nn.functional.cross_entropy(model(x), y)
gradient = torch.autograd.grad(loss, list(model.parameters()))
save_file({name: g for (name, _), g in zip(model.named_parameters(), gradient)}, here / "gradient.safetensors")

# What a client of FedAvg sends: its weights. The server has those before.
torch.save(model.state_dict(), here / "before.pt")
optimizer = torch.optim.SGD(model.parameters(), lr=LR)
optimizer.zero_grad()
nn.functional.cross_entropy(model(x), y).backward()
optimizer.step()
torch.save(model.state_dict(), here / "after.pt")
