import json
import random

import numpy as np
import pytest
import torch
from conftest import SigmoidNet, described, update_of, weights_of
from torch import nn
from torch.nn import functional

import flbench


def batch(channels=3, side=8, count=3, classes=5):
    return torch.rand(count, channels, side, side), torch.arange(count) % classes


def mlp_gradient(w1, b1, w2, b2, x, y):
    """The mean cross-entropy's gradient of a sigmoid MLP, by hand in float64."""
    h = 1 / (1 + np.exp(-(x @ w1.T + b1)))
    logits = h @ w2.T + b2
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    d = (p - np.eye(p.shape[1])[y]) / len(x)
    dh = (d @ w2) * h * (1 - h)
    return {"0.weight": dh.T @ x, "0.bias": dh.sum(0), "2.weight": d.T @ h, "2.bias": d.sum(0)}


def test_gradient_is_what_numpy_computes(tmp_path):
    net = nn.Sequential(nn.Linear(6, 5), nn.Sigmoid(), nn.Linear(5, 3))
    x, y = torch.rand(4, 6), torch.tensor([2, 0, 1, 2])
    folder = flbench.capture(net, (x, y), to=tmp_path / "c")
    w1, b1, w2, b2 = (p.detach().double().numpy() for p in net.parameters())
    wanted = mlp_gradient(w1, b1, w2, b2, x.double().numpy(), y.numpy())
    found = update_of(folder)
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        np.testing.assert_allclose(found[name].numpy(), gradient, rtol=1e-4, atol=1e-7)


def test_description(tmp_path, sigmoid_net):
    x, y = batch()
    normalization = ([0.4, 0.5, 0.6], [0.2, 0.3, 0.25])
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in normalization)
    folder = flbench.capture(
        sigmoid_net,
        ((x - mean) / std, y),
        to=tmp_path / "c",
        normalization=normalization,
        labels_known=True,
        defenses=[{"name": "gaussian-noise", "std": 0.01}],
    )
    said = described(folder)
    assert said.pop("made_by").startswith("flbench 0.1.0, torch 2.")
    assert said == {
        "schema": "bench-capture/1",
        "model": {"file": "model.pt2"},
        "update": "update.safetensors",
        "holds": "gradient",
        "examples": 3,
        "batch_norm": "train",
        "normalization": {"mean": normalization[0], "std": normalization[1]},
        "labels": [0, 1, 2],
        "defenses": [{"name": "gaussian-noise", "std": 0.01}],
    }


def test_labels_are_kept_back(tmp_path, sigmoid_net):
    folder = flbench.capture(sigmoid_net, batch(), to=tmp_path / "c")
    assert "labels" not in described(folder)


def test_model_of_the_file_computes_the_same_for_any_batch(tmp_path, sigmoid_net):
    folder = flbench.capture(sigmoid_net, batch(count=1), to=tmp_path / "c")
    program = torch.export.load(folder / "model.pt2").module()
    for count in (1, 2, 7):
        x = torch.rand(count, 3, 8, 8)
        torch.testing.assert_close(program(x), sigmoid_net(x))


def test_nothing_of_the_model_changes(tmp_path, norm_net):
    norm_net.train()
    norm_net.head.eval()
    norm_net.conv.weight.grad = torch.ones_like(norm_net.conv.weight)
    before = {name: t.clone() for name, t in norm_net.state_dict().items()}
    tensors = {name: id(t) for name, t in norm_net.named_buffers()}
    modes = [m.training for m in norm_net.modules()]
    drawn = batch(1, 4, 3, 3)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    flbench.capture(norm_net, drawn, to=tmp_path / "c")
    assert [m.training for m in norm_net.modules()] == modes
    assert {name: id(t) for name, t in norm_net.named_buffers()} == tensors
    for name, tensor in norm_net.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert torch.equal(norm_net.conv.weight.grad, torch.ones_like(norm_net.conv.weight))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.array_equal(np.random.get_state()[1], states[2])
    assert all(p.requires_grad for p in norm_net.parameters())


class Rolls(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.drop = nn.Linear(4, 3), nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(self.fc(x))


def test_random_states_are_put_back_where_the_pass_draws(tmp_path):
    net, drawn = Rolls().train(), (torch.rand(2, 4), torch.tensor([0, 1]))
    state = torch.get_rng_state()
    folder = flbench.capture(net, drawn, to=tmp_path / "c")
    assert torch.equal(torch.get_rng_state(), state)
    assert described(folder)["notes"] == ["dropout drew in drop; its draws are not in the capture"]
    quiet = flbench.capture(net.eval(), drawn, to=tmp_path / "d")
    assert "notes" not in described(quiet)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_batch_norm_follows_the_modules(tmp_path, norm_net, mode):
    norm_net.train(mode == "train")
    with torch.no_grad():
        norm_net.norm.running_mean.fill_(3.0)
    x, y = batch(1, 4, 3, 3)
    folder = flbench.capture(norm_net, (x, y), to=tmp_path / "c")
    assert described(folder)["batch_norm"] == mode
    loss = functional.cross_entropy(norm_net(x), y)
    wanted = torch.autograd.grad(loss, norm_net.conv.weight)[0]
    torch.testing.assert_close(update_of(folder)["conv.weight"], wanted)


def test_batch_norm_can_be_said(tmp_path, norm_net):
    norm_net.train()
    x, y = batch(1, 4, 3, 3)
    folder = flbench.capture(norm_net, (x, y), to=tmp_path / "c", batch_norm="eval")
    assert described(folder)["batch_norm"] == "eval"
    assert norm_net.norm.training
    norm_net.eval()
    wanted = torch.autograd.grad(functional.cross_entropy(norm_net(x), y), norm_net.conv.weight)
    torch.testing.assert_close(update_of(folder)["conv.weight"], wanted[0])


def test_mixed_batch_norm_is_refused_by_name(tmp_path, norm_net):
    norm_net.train()
    norm_net.norm2.eval()
    with pytest.raises(flbench.CaptureError, match="norm in train and norm2 in eval"):
        flbench.capture(norm_net, batch(1, 4, 3, 3), to=tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_frozen_and_unused_parameters_are_left_out(tmp_path, sigmoid_net):
    sigmoid_net.body[0].weight.requires_grad_(False)
    sigmoid_net.spare = nn.Linear(2, 2)
    folder = flbench.capture(sigmoid_net, batch(), to=tmp_path / "c")
    assert sorted(update_of(folder)) == [
        "body.0.bias",
        "body.2.bias",
        "body.2.weight",
        "head.bias",
        "head.weight",
    ]
    assert not weights_of(folder)["body.0.weight"].requires_grad


def test_a_tied_tensor_has_the_name_of_the_file(tmp_path, sigmoid_net, bench):
    plain = update_of(flbench.capture(sigmoid_net, batch(), to=tmp_path / "a"))
    torch.manual_seed(7)
    sigmoid_net.again = sigmoid_net.head
    folder = flbench.capture(sigmoid_net, batch(), to=tmp_path / "b")
    assert "again.weight" in update_of(folder) and "head.weight" not in update_of(folder)
    assert plain["head.weight"].shape == update_of(folder)["again.weight"].shape
    # bench takes nothing for frozen.
    found = flbench.attack(folder, "idlg", {"iterations": 1}, bench=bench)
    assert not [note for note in found.notes if "frozen" in note]


@pytest.mark.parametrize(
    "wrap", ["data-parallel", "compile", pytest.param("opacus", marks=pytest.mark.framework)]
)
def test_wrappers_are_looked_through(tmp_path, sigmoid_net, wrap):
    plain = flbench.capture(sigmoid_net, batch(), to=tmp_path / "plain")
    if wrap == "opacus":
        from opacus import GradSampleModule

        model = GradSampleModule(sigmoid_net)
    else:
        model = {"data-parallel": nn.DataParallel, "compile": torch.compile}[wrap](sigmoid_net)
    torch.manual_seed(7)
    folder = flbench.capture(model, batch(), to=tmp_path / wrap)
    assert update_of(folder).keys() == update_of(plain).keys() == weights_of(folder).keys()
    assert all("_module" not in name and "_orig" not in name for name in update_of(folder))
    if wrap == "opacus":
        # Its hooks are back: gradients of examples are still taken.
        functional.cross_entropy(model(batch()[0]), batch()[1]).backward()
        assert sigmoid_net.head.weight.grad_sample.shape == (3, 5, 192)


def test_a_module_called_module_is_no_wrapper(tmp_path):
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = nn.Linear(4, 3)

        def forward(self, x):
            return self.module(x)

    folder = flbench.capture(Own(), (torch.rand(2, 4), torch.tensor([0, 1])), to=tmp_path / "c")
    assert sorted(update_of(folder)) == ["module.bias", "module.weight"]


def test_normalization_that_was_forgotten_is_refused(tmp_path, sigmoid_net):
    x, y = batch()
    with pytest.raises(
        flbench.CaptureError, match=r"pixels run from -[\d.]+ to .* give the \(mean"
    ):
        flbench.capture(sigmoid_net, ((x - 0.5) / 0.5, y), to=tmp_path / "c")
    with pytest.raises(flbench.CaptureError, match="2 means and 2 deviations for 3 channels"):
        flbench.capture(sigmoid_net, (x, y), to=tmp_path / "c", normalization=([0.1, 0.2], [1, 1]))
    with pytest.raises(flbench.CaptureError, match="deviation of 0.0"):
        flbench.capture(sigmoid_net, (x, y), to=tmp_path / "c", normalization=(0.5, 0))


def test_losses(tmp_path, sigmoid_net):
    x, y = batch()
    for loss in (nn.CrossEntropyLoss(), functional.cross_entropy):
        assert "notes" not in described(flbench.capture(sigmoid_net, (x, y), loss, to=tmp_path))
    smooth = nn.CrossEntropyLoss(label_smoothing=0.1)
    folder = flbench.capture(sigmoid_net, (x, y), smooth, to=tmp_path)
    assert described(folder)["notes"] == [
        "the loss is the client's own; a mean cross-entropy is assumed"
    ]
    wanted = torch.autograd.grad(smooth(sigmoid_net(x), y), sigmoid_net.head.bias)[0]
    torch.testing.assert_close(update_of(folder)["head.bias"], wanted)
    with pytest.raises(flbench.CaptureError, match=r"shape \[3\]"):
        flbench.capture(sigmoid_net, (x, y), nn.CrossEntropyLoss(reduction="none"), to=tmp_path)


def test_folders(tmp_path, sigmoid_net):
    first = flbench.capture(sigmoid_net, batch(), to=tmp_path / "c")
    flbench.capture(sigmoid_net, batch(count=2), to=tmp_path / "c")
    assert described(first)["examples"] == 2
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("mine")
    with pytest.raises(flbench.CaptureError, match=r"thesis\.tex"):
        flbench.capture(sigmoid_net, batch(), to=tmp_path / "other")


def test_a_failed_capture_leaves_no_description(tmp_path, sigmoid_net):
    flbench.capture(sigmoid_net, batch(), to=tmp_path / "c")
    with torch.no_grad():
        sigmoid_net.head.bias[0] = float("nan")
    with pytest.raises(flbench.CaptureError, match="NaN"):
        flbench.capture(sigmoid_net, batch(), to=tmp_path / "c")
    assert json.loads((tmp_path / "c" / "capture.json").read_text())["examples"] == 3


class Branches(SigmoidNet):
    def forward(self, x):
        return super().forward(x if x.sum() > 0 else -x)


def test_a_model_that_cannot_be_exported_is_refused(tmp_path):
    net = Branches().train()
    with pytest.raises(flbench.CaptureError, match=r"torch\.export cannot follow the model"):
        flbench.capture(net, batch(), to=tmp_path / "c")
    assert net.training


def test_a_model_is_exported_in_eval_mode(tmp_path, norm_net):
    norm_net.train()
    folder = flbench.capture(norm_net, batch(1, 4, 3, 3), to=tmp_path / "c")
    x = torch.rand(5, 1, 4, 4)
    found = torch.export.load(folder / "model.pt2").module()(x)
    torch.testing.assert_close(found, norm_net.eval()(x))


def test_batch_norm_that_is_frozen_in_a_model_in_train_mode(tmp_path, norm_net):
    norm_net.train()
    norm_net.norm.eval()
    norm_net.norm2.eval()
    folder = flbench.capture(norm_net, batch(1, 4, 3, 3), to=tmp_path / "c")
    assert described(folder)["batch_norm"] == "eval"


def test_a_folder_of_others_is_refused_before_computing(tmp_path, sigmoid_net):
    (tmp_path / "thesis.tex").write_text("mine")

    def never(logits, labels):
        raise AssertionError("the loss was computed")

    with pytest.raises(flbench.CaptureError, match=r"thesis\.tex"):
        flbench.capture(sigmoid_net, batch(), never, to=tmp_path)
