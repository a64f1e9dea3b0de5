import numpy as np
import pytest
import torch
from conftest import described, psnr
from torch import nn
from torch.nn import functional

import flbench


@pytest.fixture
def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 32), nn.Sigmoid(), nn.Linear(32, 5))


def images(count, channels=3, side=8):
    return torch.rand(count, channels, side, side)


def score_psnr(guess, truth):
    """PSNR in dB of pixels in [0, 1], by numpy."""
    return -10 * np.log10(np.mean((guess.astype(float) - truth.astype(float)) ** 2))


def test_a_gradient_of_an_mlp_gives_its_image(tmp_path, mlp, bench):
    x, y = images(1), torch.tensor([3])
    normalization = ([0.5, 0.4, 0.3], [0.5, 0.25, 0.2])
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in normalization)
    fed = (x - mean) / std
    folder = flbench.capture(mlp, (fed, y), to=tmp_path / "c", normalization=normalization)
    found = flbench.attack(folder, "analytic", bench=bench)
    assert found.images.shape == (1, 3, 8, 8) and found.images.dtype == np.float32
    assert score_psnr(found.images, x.numpy()) > 60
    assert found.labels == [3] and found.scores is None and found.files == []


def test_a_gradient_of_a_convolutional_network(tmp_path, sigmoid_net, bench):
    x, y = images(1), torch.tensor([2])
    folder = flbench.capture(sigmoid_net, (x, y), to=tmp_path / "c")
    found = flbench.attack(
        folder, "idlg", {"iterations": 60}, truth=x.numpy(), bench=bench, out=tmp_path / "out"
    )
    assert score_psnr(found.images, x.numpy()) > 40
    assert found.labels == [2]
    assert found.objective[0] < 1e-6
    # bench scores against a truth of 8 bits.
    bits = np.rint(x.numpy() * 255) / 255
    assert found.scores[0]["psnr"] == pytest.approx(score_psnr(found.images, bits), abs=0.01)
    assert sorted(p.name for p in found.files) == [
        "reconstruction-0.png",
        "reconstruction.safetensors",
        "truth-beside-reconstruction.png",
    ]
    again = flbench.attack(folder, "idlg", {"iterations": 60}, bench=bench)
    assert np.array_equal(again.images, found.images)
    few = {"iterations": np.int64(5)}
    other = flbench.attack(folder, "idlg", few, seed=3, bench=bench)
    assert other.said["gradient_evaluations"] < found.said["gradient_evaluations"]
    assert not np.array_equal(other.images, found.images)


@pytest.mark.parametrize("holds", ["weights", "delta"])
def test_one_recorded_step_of_sgd(tmp_path, sigmoid_net, bench, holds):
    x, y = images(1), torch.tensor([4])
    optimizer = torch.optim.SGD(sigmoid_net.parameters(), lr=0.7)
    with flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c", holds=holds) as recorder:
        functional.cross_entropy(sigmoid_net(x), y).backward()
        optimizer.step()
    found = flbench.attack(recorder.path, "idlg", {"iterations": 60}, bench=bench)
    assert score_psnr(found.images, x.numpy()) > 40
    assert found.labels == [4]


def test_recorded_epochs_are_unrolled(tmp_path, sigmoid_net, bench):
    x, y = images(2), torch.tensor([1, 3])
    optimizer = torch.optim.SGD(sigmoid_net.parameters(), lr=0.3, momentum=0.5)
    recorder = flbench.Recorder(
        sigmoid_net, optimizer, to=tmp_path / "c", holds="delta", labels=[1, 3]
    )
    with recorder:
        for n in (0, 1, 0, 1):
            optimizer.zero_grad()
            functional.cross_entropy(sigmoid_net(x[n : n + 1]), y[n : n + 1]).backward()
            optimizer.step()
    settings = {"unroll": True, "iterations": 120, "labels": "known"}
    found = flbench.attack(recorder.path, "dlg", settings, truth=x.numpy(), bench=bench)
    assert score_psnr(found.images, x.numpy()) > 40


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_batch_norm_in_both_modes(tmp_path, norm_net, bench, mode):
    """The right batch explains the gradient in the mode that was captured, and in no other."""
    norm_net.train(mode == "train")
    x, y = images(2, 1, 4), torch.tensor([0, 2])
    folder = flbench.capture(norm_net, (x, y), to=tmp_path / "c", labels_known=True)
    settings = {"iterations": 150, "labels": "known"}
    found = flbench.attack(folder, "dlg", settings, truth=x.numpy(), bench=bench)
    text = (folder / "capture.json").read_text()
    other = {"train": "eval", "eval": "train"}[mode]
    (folder / "capture.json").write_text(text.replace(f'"{mode}"', f'"{other}"'))
    wrong = flbench.attack(folder, "dlg", settings, truth=x.numpy(), bench=bench)
    assert described(folder)["batch_norm"] == other
    assert found.objective[0] < 1e-3 * wrong.objective[0]


def test_rows_of_a_table(tmp_path, bench):
    net = nn.Sequential(nn.Linear(6, 8), nn.Sigmoid(), nn.Linear(8, 3))
    x = torch.rand(1, 6)
    folder = flbench.capture(net, (x, torch.tensor([1])), to=tmp_path / "c")
    found = flbench.attack(folder, "analytic", bench=bench)
    assert found.images.shape == (1, 6)
    assert psnr(torch.from_numpy(found.images), x) > 60
    with pytest.raises(ValueError, match="no pictures"):
        flbench.attack(folder, "analytic", truth=x.numpy(), bench=bench)


def test_refusals_are_one_line(tmp_path, sigmoid_net, bench):
    folder = flbench.capture(sigmoid_net, (images(1), torch.tensor([2])), to=tmp_path / "c")
    with pytest.raises(flbench.BenchError, match="atack") as refused:
        flbench.attack(folder, "atack", bench=bench)
    assert refused.value.code == 2 and "\n" not in str(refused.value)
    assert not str(refused.value).startswith("bench")
    text = (folder / "capture.json").read_text()
    (folder / "capture.json").write_text(text.replace('"examples"', '"example"'))
    with pytest.raises(flbench.BenchError, match="unknown field `example`"):
        flbench.attack(folder, "idlg", bench=bench)
    with pytest.raises(flbench.BenchError, match=r"no-such: is no program; give bench="):
        flbench.attack(folder, bench=tmp_path / "no-such")


def test_the_binary_is_looked_for(tmp_path, sigmoid_net, bench, monkeypatch):
    folder = flbench.capture(sigmoid_net, (images(1), torch.tensor([2])), to=tmp_path / "c")
    monkeypatch.setenv("BENCH", bench)
    assert len(flbench.attack(folder, "idlg", {"iterations": 1}).images) == 1
    monkeypatch.delenv("BENCH")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(flbench.BenchError, match="no `bench` is on the PATH"):
        flbench.attack(folder)
    (tmp_path / "bench").symlink_to(bench)
    assert len(flbench.attack(folder, "idlg", {"iterations": 1}).images) == 1


@pytest.mark.parametrize("low, high", [(-0.1, 1.0), (0.0, 1.1), (0.0, float("nan"))])
def test_a_truth_that_is_no_pixels(tmp_path, bench, low, high):
    truth = np.array([low, high] * 2, dtype=np.float32).reshape(1, 1, 2, 2)
    with pytest.raises(ValueError, match="give pixels in"):
        flbench.attack(tmp_path, truth=truth, bench=bench)


def recorded_steps(folder, net, optimizer, x, y):
    """Three steps whose rate halves."""
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    recorder = flbench.Recorder(net, optimizer, to=folder, labels=y)
    with recorder:
        for _ in range(3):
            optimizer.zero_grad()
            functional.cross_entropy(net(x), y).backward()
            optimizer.step()
            scheduler.step()
    return recorder.path


def test_momentum_decay_and_rates_of_sgd_are_followed(tmp_path, sigmoid_net, bench):
    x, y = images(1), torch.tensor([3])
    settings = {"lr": 0.3, "momentum": 0.9, "weight_decay": 0.1}
    optimizer = torch.optim.SGD(sigmoid_net.parameters(), **settings)
    folder = recorded_steps(tmp_path / "c", sigmoid_net, optimizer, x, y)
    found = flbench.attack(folder, "dlg", {"unroll": True, "iterations": 100}, bench=bench)
    assert score_psnr(found.images, x.numpy()) > 40
    # The declared training, run on what was found, gives the update that was captured.
    assert found.explained["cosine"] > 0.99999
    assert found.explained["size_ratio"] == pytest.approx(1, abs=1e-4)


def test_rates_of_adam_are_followed(tmp_path, sigmoid_net, bench):
    """Whatever is found, Adam's steps are as long as its rates say."""
    x, y = images(1), torch.tensor([3])
    optimizer = torch.optim.Adam(sigmoid_net.parameters(), lr=0.01)
    folder = recorded_steps(tmp_path / "c", sigmoid_net, optimizer, x, y)
    settings = {"unroll": True, "iterations": 200}
    found = flbench.attack(folder, "inverting-gradients", settings, bench=bench)
    assert found.explained["size_ratio"] == pytest.approx(1, abs=0.02)
