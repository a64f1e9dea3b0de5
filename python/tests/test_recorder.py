import numpy as np
import pytest
import torch
from conftest import SigmoidNet, described, update_of, weights_of
from torch import nn
from torch.nn import functional

import flbench
from flbench import _optimizer, _steps

X, Y = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(6) % 5


def train(model, optimizer, order, scheduler=None):
    for indices in order:
        optimizer.zero_grad()
        functional.cross_entropy(model(X[indices]), Y[indices]).backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()


def sgd(model, **more):
    return torch.optim.SGD(model.parameters(), **({"lr": 0.1} | more))


EPOCH = [[0, 1], [2, 3], [4, 5]]


def test_one_step_is_what_numpy_computes(tmp_path):
    net = nn.Sequential(nn.Linear(4, 3))
    x, y = torch.rand(2, 4), torch.tensor([2, 0])
    w, b = (p.detach().double().numpy().copy() for p in net.parameters())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5, weight_decay=0.1)
    with flbench.Recorder(net, optimizer, to=tmp_path / "c") as recorder:
        functional.cross_entropy(net(x), y).backward()
        optimizer.step()
    logits = x.double().numpy() @ w.T + b
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    d = (p - np.eye(3)[y.numpy()]) / 2
    found = update_of(recorder.path)
    np.testing.assert_allclose(
        found["0.weight"].numpy(), w - 0.5 * (d.T @ x.double().numpy() + 0.1 * w), rtol=1e-5
    )
    np.testing.assert_allclose(found["0.bias"].numpy(), b - 0.5 * (d.sum(0) + 0.1 * b), rtol=1e-5)
    held = weights_of(recorder.path)
    np.testing.assert_allclose(held["0.weight"].detach().numpy(), w, rtol=1e-7)


def test_description_of_sgd(tmp_path, sigmoid_net):
    optimizer = sgd(sigmoid_net, momentum=0.9, weight_decay=1e-4)
    with flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c") as recorder:
        train(sigmoid_net, optimizer, EPOCH + [[5, 0], [1, 2], [3, 4]])
    said = described(recorder.path)
    assert said["holds"] == "weights" and said["examples"] == 6
    assert said["training"] == {
        "optimizer": "sgd",
        "lr": 0.1,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "epochs": 2,
        "minibatch": 2,
    }
    assert "notes" not in said


def test_description_of_adam(tmp_path, sigmoid_net):
    optimizer = torch.optim.Adam(sigmoid_net.parameters(), lr=1e-3, betas=(0.8, 0.99))
    with flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c") as recorder:
        train(sigmoid_net, optimizer, [[0, 1, 2, 3], [4, 5]])
    assert described(recorder.path)["training"] == {
        "optimizer": "adam",
        "lr": 1e-3,
        "betas": [0.8, 0.99],
        "weight_decay": 0.0,
        "epochs": 1,
        "minibatch": 4,
    }


@pytest.mark.parametrize("holds", ["weights", "delta"])
def test_tensors(tmp_path, norm_net, holds):
    norm_net.train()
    before = {n: t.clone() for n, t in norm_net.state_dict().items()}
    optimizer = sgd(norm_net)
    with flbench.Recorder(norm_net, optimizer, to=tmp_path / "c", holds=holds) as recorder:
        optimizer.zero_grad()
        functional.cross_entropy(norm_net(torch.rand(3, 1, 4, 4)), torch.arange(3)).backward()
        optimizer.step()
    after = {n: t for n, t in norm_net.state_dict().items() if t.is_floating_point()}
    found, held = update_of(recorder.path), weights_of(recorder.path)
    assert found.keys() == after.keys() and "norm.running_mean" in found
    for name, tensor in after.items():
        assert not torch.equal(tensor, before[name])
        assert torch.equal(held[name], before[name]), name
        wanted = tensor if holds == "weights" else tensor - before[name]
        assert torch.equal(found[name], wanted), name
    assert described(recorder.path)["batch_norm"] == "train"


def test_rates_of_a_scheduler(tmp_path, sigmoid_net):
    optimizer = sgd(sigmoid_net, lr=0.4)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    with flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c") as recorder:
        train(sigmoid_net, optimizer, EPOCH, scheduler)
    training = described(recorder.path)["training"]
    assert training["lr_schedule"] == pytest.approx([0.4, 0.2, 0.1])
    assert training["lr"] == 0.4
    with flbench.Recorder(sigmoid_net, sgd(sigmoid_net), to=tmp_path / "d") as recorder:
        train(sigmoid_net, recorder.optimizer, EPOCH)
    assert "lr_schedule" not in described(recorder.path)["training"]


def test_frozen_parameters_are_left_out(tmp_path, sigmoid_net):
    sigmoid_net.body[0].bias.requires_grad_(False)
    optimizer = torch.optim.SGD(
        [p for n, p in sigmoid_net.named_parameters() if n != "body.2.bias"], lr=0.1
    )
    with flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c") as recorder:
        train(sigmoid_net, optimizer, EPOCH)
    assert sorted(update_of(recorder.path)) == [
        "body.0.weight",
        "body.2.weight",
        "head.bias",
        "head.weight",
    ]
    held = weights_of(recorder.path)
    frozen = [name for name, tensor in held.items() if not tensor.requires_grad]
    assert frozen == ["body.0.bias", "body.2.bias"]
    asks = {n: p.requires_grad for n, p in sigmoid_net.named_parameters()}
    assert [n for n, ask in asks.items() if not ask] == ["body.0.bias"]


REFUSED = {
    "`nesterov` of SGD is True": lambda ps: torch.optim.SGD(ps, 0.1, momentum=0.9, nesterov=True),
    "`dampening` of SGD is 0.5": lambda ps: torch.optim.SGD(ps, 0.1, momentum=0.9, dampening=0.5),
    "`maximize` of SGD is True": lambda ps: torch.optim.SGD(ps, 0.1, maximize=True),
    "`amsgrad` of Adam is True": lambda ps: torch.optim.Adam(ps, amsgrad=True),
    "`eps` of Adam is 1e-06": lambda ps: torch.optim.Adam(ps, eps=1e-6),
    "`decoupled_weight_decay` of Adam is True": lambda ps: torch.optim.Adam(
        ps, decoupled_weight_decay=True
    ),
    "the optimizer AdamW is neither": lambda ps: torch.optim.AdamW(ps),
    "the optimizer RMSprop is neither": lambda ps: torch.optim.RMSprop(ps),
    "parameter groups differ in `lr`": lambda ps: torch.optim.SGD(
        [{"params": ps[:2]}, {"params": ps[2:], "lr": 0.2}], lr=0.1
    ),
    "parameter groups differ in `weight_decay`": lambda ps: torch.optim.SGD(
        [{"params": ps[:2]}, {"params": ps[2:], "weight_decay": 0.2}], lr=0.1
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_settings_that_a_capture_cannot_hold(tmp_path, sigmoid_net, message):
    optimizer = REFUSED[message](list(sigmoid_net.parameters()))
    with pytest.raises(flbench.CaptureError, match=message):
        flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c").__enter__()
    recorder = flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c", strict=False)
    with recorder:
        train(sigmoid_net, optimizer, EPOCH)
    said = described(recorder.path)
    assert any(message in note for note in said["notes"])
    assert ("training" in said) == ("the optimizer" not in message)


def test_groups_with_one_setting_are_one(tmp_path, sigmoid_net):
    groups = [{"params": [p]} for p in sigmoid_net.parameters()]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    with flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c") as recorder:
        train(sigmoid_net, optimizer, EPOCH)
    assert described(recorder.path)["training"]["lr"] == 0.1


def test_momentum_of_an_earlier_round_is_refused(tmp_path, sigmoid_net):
    optimizer = sgd(sigmoid_net, momentum=0.9)
    train(sigmoid_net, optimizer, EPOCH)
    with pytest.raises(flbench.CaptureError, match="carries momentum"):
        flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c").__enter__()
    plain = sgd(sigmoid_net)
    train(sigmoid_net, plain, EPOCH)
    with flbench.Recorder(sigmoid_net, plain, to=tmp_path / "c"):
        train(sigmoid_net, plain, EPOCH)


def test_momentum_that_changes_is_refused(tmp_path, sigmoid_net):
    optimizer = sgd(sigmoid_net, momentum=0.9)
    with (
        pytest.raises(flbench.CaptureError, match="change between steps"),
        flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c"),
    ):
        train(sigmoid_net, optimizer, EPOCH)
        optimizer.param_groups[0]["momentum"] = 0.5
        train(sigmoid_net, optimizer, EPOCH)


def record(tmp_path, net, order, **given):
    optimizer = sgd(net)
    with flbench.Recorder(net, optimizer, to=tmp_path / "c", **given) as recorder:
        train(net, optimizer, order)
    said = described(recorder.path)
    return said["examples"], said["training"]["epochs"], said["training"]["minibatch"]


def test_epochs_follow_from_steps(tmp_path, sigmoid_net):
    assert record(tmp_path, sigmoid_net, [[0, 1, 2, 3, 4, 5]]) == (6, 1, 6)
    assert record(tmp_path, sigmoid_net, [[0, 1, 2, 3], [4, 5]] * 3) == (6, 3, 4)
    assert record(tmp_path, sigmoid_net, EPOCH * 2, examples=6, minibatch=2) == (6, 2, 2)


def test_what_was_seen_and_what_was_said_may_not_differ(tmp_path, sigmoid_net):
    for order, given in (
        (EPOCH, {"examples": 5}),
        (EPOCH, {"minibatch": 3}),
        (EPOCH, {"examples": 4, "minibatch": 2}),
        ([[0, 1], [2, 3], [0]], {}),
    ):
        with pytest.raises(flbench.CaptureError, match="steps saw 2, 2, [12] examples"):
            record(tmp_path, sigmoid_net, order, **given)


def test_augmented_examples_are_counted_by_the_caller(tmp_path, sigmoid_net):
    optimizer = sgd(sigmoid_net)
    with flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c", examples=2) as recorder:
        train(sigmoid_net, optimizer, EPOCH)
    assert described(recorder.path)["training"]["epochs"] == 3


def test_examples_that_recur_are_noted(tmp_path, sigmoid_net):
    optimizer = sgd(sigmoid_net)
    with flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c", examples=6) as recorder:
        train(sigmoid_net, optimizer, [[0, 1], [2, 0], [1, 2]])
    assert described(recorder.path)["notes"] == ["of 6 examples only 3 differ from each other"]


def test_steps_without_a_pass_are_counted_by_the_caller(tmp_path, sigmoid_net):
    optimizer = sgd(sigmoid_net)
    unseen = SigmoidNet.forward
    with (
        pytest.raises(flbench.CaptureError, match="no forward pass of the model was seen"),
        flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c"),
    ):
        functional.cross_entropy(unseen(sigmoid_net, X), Y).backward()
        optimizer.step()
    given = {"examples": 6, "minibatch": 4, "example": X}
    with (
        pytest.raises(flbench.CaptureError, match="1 steps are no whole epochs"),
        flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c", **given),
    ):
        functional.cross_entropy(unseen(sigmoid_net, X), Y).backward()
        optimizer.step()
    with flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c", **given) as recorder:
        for _ in range(4):
            functional.cross_entropy(unseen(sigmoid_net, X[:4]), Y[:4]).backward()
            optimizer.step()
    assert described(recorder.path)["training"]["epochs"] == 2


def test_validation_is_no_step(tmp_path, sigmoid_net):
    optimizer = sgd(sigmoid_net)
    with flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c") as recorder:
        train(sigmoid_net, optimizer, EPOCH)
        with torch.no_grad():
            sigmoid_net(torch.rand(5, 3, 8, 8))
        train(sigmoid_net, optimizer, EPOCH)
    assert described(recorder.path)["examples"] == 6


def test_accumulated_gradients_are_one_step(tmp_path, sigmoid_net):
    optimizer = sgd(sigmoid_net)
    with flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c") as recorder:
        for half in ([0, 1, 2], [3, 4, 5]):
            (functional.cross_entropy(sigmoid_net(X[half]), Y[half]) / 2).backward()
        optimizer.step()
    said = described(recorder.path)
    assert said["training"]["minibatch"] == 6 and said["training"]["epochs"] == 1
    assert said["notes"] == [
        "several forward passes a step are read as one batch of their examples"
    ]


def test_modes_that_change_are_refused(tmp_path, norm_net):
    optimizer = sgd(norm_net)
    with (
        pytest.raises(flbench.CaptureError, match="eval mode in others"),
        flbench.Recorder(norm_net, optimizer, to=tmp_path / "c"),
    ):
        for training in (True, False):
            norm_net.train(training)
            functional.cross_entropy(norm_net(X[:3, :1, :4, :4]), torch.arange(3)).backward()
            optimizer.step()


def test_a_block_that_raises_writes_nothing(tmp_path, sigmoid_net):
    optimizer = sgd(sigmoid_net)
    with (
        pytest.raises(ZeroDivisionError),
        flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c"),
    ):
        train(sigmoid_net, optimizer, EPOCH)
        1 / 0  # noqa: B018
    assert not (tmp_path / "c").exists()
    assert not sigmoid_net._forward_pre_hooks and not optimizer._optimizer_step_post_hooks
    with pytest.raises(flbench.CaptureError, match="took no step"):
        with flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c"):
            pass


def test_a_folder_of_others_is_refused_before_training(tmp_path, sigmoid_net):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(flbench.CaptureError, match=r"thesis\.tex"):
        flbench.Recorder(sigmoid_net, sgd(sigmoid_net), to=tmp_path).__enter__()


def test_normalization_that_was_forgotten_is_doubted(tmp_path, sigmoid_net):
    optimizer = sgd(sigmoid_net)
    recorder = flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c")
    with pytest.warns(UserWarning, match="pixels run from"), recorder:
        functional.cross_entropy(sigmoid_net(X * 4 - 2), Y).backward()
        optimizer.step()
    assert "pixels run from" in described(recorder.path)["notes"][0]


def test_training_goes_on_after_the_block(tmp_path, sigmoid_net):
    twin = SigmoidNet()
    twin.load_state_dict(sigmoid_net.state_dict())
    plain = sgd(twin)
    train(twin, plain, EPOCH * 2)
    optimizer = sgd(sigmoid_net)
    with flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c"):
        train(sigmoid_net, optimizer, EPOCH)
    train(sigmoid_net, optimizer, EPOCH)
    for own, other in zip(sigmoid_net.parameters(), twin.parameters(), strict=True):
        assert torch.equal(own, other)


def test_labels_are_those_of_all_examples(tmp_path, sigmoid_net):
    optimizer = sgd(sigmoid_net)
    with flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c", labels=Y) as recorder:
        train(sigmoid_net, optimizer, EPOCH)
    assert described(recorder.path)["labels"] == Y.tolist()
    with (
        pytest.raises(flbench.CaptureError, match="2 labels for 6 examples"),
        flbench.Recorder(sigmoid_net, sgd(sigmoid_net), to=tmp_path / "d", labels=[1, 2]) as again,
    ):
        train(sigmoid_net, again.optimizer, EPOCH)


def test_an_empty_batch_of_dp_sgd_is_a_step():
    settings = _optimizer.Settings(0.1, {"optimizer": "sgd"}, notes=["DP-SGD"])
    seen = _steps.Observed(steps=[_steps.Step(settings, [n]) for n in (0, 3, 2)])
    seen.seen = {bytes([n]) for n in range(5)}
    found = _steps.account(seen, None, None)
    assert found.examples == 5 and found.training["epochs"] == 3
    assert found.notes[1].startswith("batches of 0 to 3 examples were sampled")


def test_a_compiled_model_is_recorded(tmp_path, sigmoid_net):
    model = torch.compile(sigmoid_net, backend="eager")
    optimizer = sgd(model)
    with flbench.Recorder(model, optimizer, to=tmp_path / "c") as recorder:
        train(model, optimizer, EPOCH * 2)
    said = described(recorder.path)
    assert (said["examples"], said["training"]["epochs"]) == (6, 2)
    assert update_of(recorder.path).keys() == sigmoid_net.state_dict().keys()


def test_distributed_training(tmp_path, sigmoid_net, monkeypatch):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1
    )
    try:
        model = nn.parallel.DistributedDataParallel(sigmoid_net)
        optimizer = sgd(model)
        with flbench.Recorder(model, optimizer, to=tmp_path / "c") as recorder:
            train(model, optimizer, EPOCH)
        assert described(recorder.path)["examples"] == 6
        assert update_of(recorder.path).keys() == sigmoid_net.state_dict().keys()
        # Of several processes the batches of one are seen.
        monkeypatch.setattr(torch.distributed, "get_world_size", lambda group=None: 4)
        with pytest.raises(flbench.CaptureError, match="averaged over 4 processes"):
            flbench.Recorder(model, optimizer, to=tmp_path / "d").__enter__()
    finally:
        monkeypatch.undo()
        torch.distributed.destroy_process_group()


def test_dropout_is_noted(tmp_path):
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(192, 5))
    optimizer = sgd(net)
    with flbench.Recorder(net, optimizer, to=tmp_path / "c") as recorder:
        train(net, optimizer, EPOCH)
    said = described(recorder.path)
    assert said["notes"] == ["dropout drew in 1; its draws are not in the capture"]


def test_a_rate_of_zero_is_refused(tmp_path, sigmoid_net):
    """As a warm-up from 0 has it at its first step."""

    def warm_up(**more):
        optimizer = sgd(sigmoid_net)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: n / 3)
        with flbench.Recorder(sigmoid_net, optimizer, to=tmp_path / "c", **more) as recorder:
            train(sigmoid_net, optimizer, EPOCH, scheduler)
        return described(recorder.path)

    with pytest.raises(flbench.CaptureError, match="learning rate of 0"):
        warm_up()
    assert "training" not in warm_up(strict=False)
