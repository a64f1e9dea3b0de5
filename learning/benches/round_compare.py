"""Training throughput beside plain PyTorch: the same network, batches, optimiser and number of images, same machine, same run, interleaved.

Run: cargo build --release -p cli --bin bench
     python learning/benches/round_compare.py --data DIR [--repeats 3]

Needs torch 2.11 and MNIST below DIR. Two cases of seed 003's network (241,546 parameters, dropout 0.5), SGD with momentum, batch 32:
one client with 6,000 images, and rounds of 20 clients with 300 and with 60 images each. PyTorch trains
its clients one after another, as a plain federated loop does, once with one thread and once with as many as there are cores; the
ratio is against the faster. `bench` runs one thread a lot and as many lots as there are cores. Times are of the local training and
the averaging, without loading and evaluation.
"""

import argparse
import csv
import gzip
import os
import pathlib
import subprocess
import tempfile
import time

import torch
from torch import nn

from training_compare import network

ROOT = pathlib.Path(__file__).resolve().parents[2]


def images(data, count):
    raw = gzip.open(data / "mnist" / "train-images-idx3-ubyte.gz").read()
    x = torch.frombuffer(bytearray(raw[16 : 16 + 784 * count]), dtype=torch.uint8).reshape(-1, 1, 28, 28).float() / 255
    raw = gzip.open(data / "mnist" / "train-labels-idx1-ubyte.gz").read()
    return (x - 0.1307) / 0.3081, torch.frombuffer(bytearray(raw[8 : 8 + count]), dtype=torch.uint8).long()


def pytorch(x, y, clients, threads):
    """Seconds of one round: every client one epoch from the same weights, then the mean."""
    torch.set_num_threads(threads)
    start = network().state_dict()
    loss, held = nn.CrossEntropyLoss(), len(x) // clients
    begin, total = time.perf_counter(), None
    for c in range(clients):
        model = network()
        model.load_state_dict(start)
        model.train()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
        mine, theirs = x[c * held : (c + 1) * held], y[c * held : (c + 1) * held]
        order = torch.randperm(held)
        for rows in order.split(32):
            optimizer.zero_grad()
            loss(model(mine[rows]), theirs[rows]).backward()
            optimizer.step()
        weights = model.state_dict()
        total = weights if total is None else {k: total[k] + weights[k] for k in total}
    _ = {k: v / clients for k, v in total.items()}
    return time.perf_counter() - begin


def bench(binary, data, clients, each):
    """Seconds of the second round (the first also reads the data)."""
    with tempfile.TemporaryDirectory() as out:
        regime = "federated" if clients > 1 else "centralised"
        sets = [f"clients.total={clients}", f"clients.examples={each}", "clients.dropout=0.0", "evaluation.every=9", "evaluation.examples=10"]
        sets += ["robustness={ noise=[], blur=[], fgsm=[], pgd=[] }"]
        command = [binary, "train", "mnist-cnn", "--regime", regime, "--rounds", "3", "--defense", "none", "--data", data, "--device", "cpu", "--out", out]
        for value in sets:
            command += ["--set", value]
        subprocess.run(command, check=True, capture_output=True)
        with open(pathlib.Path(out) / "records.csv") as file:
            return min(float(row["seconds"]) for row in list(csv.DictReader(file))[2:])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    binary = os.environ.get("BENCH", str(ROOT / "target" / "release" / "bench"))
    cores = os.cpu_count()
    print(f"| case | bench, images/s | PyTorch 1 thread | PyTorch {cores} threads | ratio to the faster |")
    print("| --- | --- | --- | --- | --- |")
    for clients, each in [(1, 6000), (20, 300), (20, 60)]:
        x, y = images(pathlib.Path(args.data), clients * each)
        ours, one, all_cores = [], [], []
        for _ in range(args.repeats):
            ours.append(bench(binary, args.data, clients, each))
            one.append(pytorch(x, y, clients, 1))
            all_cores.append(pytorch(x, y, clients, cores))
        rate = [len(x) / min(t) for t in (ours, one, all_cores)]
        print(f"| {clients} x {each} | {rate[0]:.0f} | {rate[1]:.0f} | {rate[2]:.0f} | {rate[0] / max(rate[1:]):.2f} |", flush=True)
