"""Images a second of local training beside the same loop in plain PyTorch: one thread each, processor time, same machine, same run.

Run: cargo build --release -p learning --example training
     python learning/benches/training_compare.py [--rounds 3]

Needs torch 2.11. The network is mnist-cnn (241,546 parameters, dropout 0.5), SGD with momentum 0.5, batch 32. PyTorch trains one client;
so many one after another take as long an image. Both sides' best of six epochs a round, the best of the rounds.
"""

import argparse
import os
import pathlib
import subprocess
import time

import torch
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBTORCH = {**os.environ, "LD_LIBRARY_PATH": str(pathlib.Path(torch.__file__).parent / "lib")}


def network():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3), nn.ReLU(),
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(1152, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def pytorch(batch, steps):
    torch.set_num_threads(1)
    x, y = torch.rand(batch * steps, 1, 28, 28), torch.randint(10, (batch * steps,))
    model, loss, best = network(), nn.CrossEntropyLoss(), float("inf")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.5)
    for _ in range(6):
        start = time.thread_time()
        for rows in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            loss(model((x[rows] - 0.13) / 0.31), y[rows]).backward()
            optimizer.step()
        best = min(best, time.thread_time() - start)
    return len(x) / best


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    binary = os.environ.get("TRAINING", str(ROOT / "target" / "release" / "examples" / "training"))
    print("| clients | batch | ours, images/s | PyTorch | ratio |\n| --- | --- | --- | --- | --- |")
    for clients, batch in [(1, 32), (5, 32), (20, 32), (20, 8)]:
        steps = max(2, 1280 // (clients * batch))
        command = [binary, "mnist-cnn", "1", "28", str(clients), str(batch), str(steps)]
        ours, theirs = 0.0, 0.0
        for _ in range(args.rounds):
            ours = max(ours, float(subprocess.run(command, check=True, capture_output=True, text=True, env=LIBTORCH).stdout))
            theirs = max(theirs, pytorch(batch, max(steps, 20)))
        print(f"| {clients} | {batch} | {ours:.0f} | {theirs:.0f} | {ours / theirs:.2f} |", flush=True)
