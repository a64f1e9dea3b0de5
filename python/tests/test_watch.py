"""The parts of the frameworks' doors that need no framework."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import SigmoidNet, described, update_of, weights_of
from torch.nn import functional

import flbench
from flbench import _watch
from flbench.flower import recording_mod

X, Y = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(2)), torch.arange(4)


def step(net, optimizer):
    optimizer.zero_grad()
    functional.cross_entropy(net(X), Y).backward()
    optimizer.step()


def test_names_by_position():
    net = SigmoidNet()
    net.register_buffer("count", torch.zeros((), dtype=torch.int64))
    state = net.state_dict()
    arrays = [t.numpy().astype(np.float64) for t in state.values()]
    tensors = [torch.from_numpy(a) for a in arrays]
    found = _watch.named(net, tensors, [str(n) for n in range(len(tensors))])
    assert list(found) == list(state)
    assert found["count"].dtype == torch.int64 and found["head.bias"].dtype == torch.float32
    for name, tensor in state.items():
        assert torch.equal(found[name], tensor)
    without = [torch.from_numpy(a) for a, n in zip(arrays, state, strict=True) if n != "count"]
    assert list(_watch.named(net, without, None)) == [n for n, _ in net.named_parameters()]
    turned = dict(reversed(state.items()))
    by_name = _watch.named(net, list(turned.values()), list(turned))
    assert torch.equal(by_name["head.bias"], state["head.bias"])


def test_arrays_of_another_model():
    net = SigmoidNet()
    tensors = list(net.state_dict().values())
    with pytest.raises(ValueError, match="3 arrays are neither the model's 6"):
        _watch.named(net, tensors[:3], None)
    with pytest.raises(ValueError, match=r"`body.0.weight` has shape \[5\]"):
        _watch.named(net, tensors[::-1], None)


def test_only_the_models_training_is_watched(sigmoid_net):
    other = torch.nn.Linear(2, 2)
    theirs = torch.optim.SGD(other.parameters(), lr=9.0)
    own = torch.optim.SGD(sigmoid_net.parameters(), lr=0.1)
    with _watch.watch(sigmoid_net, None) as seen:
        step(sigmoid_net, own)
        other(torch.ones(3, 2)).sum().backward()
        theirs.step()
    step(sigmoid_net, own)
    assert [(s.settings.lr, s.sizes) for s in seen.steps] == [(0.1, [4])]
    assert seen.trainable == set(sigmoid_net.state_dict()) and seen.problems == []


def test_a_model_of_the_class_with_other_names_is_another(sigmoid_net):
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 5))
    teacher = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Sigmoid(), torch.nn.Linear(192, 5))
    with _watch.watch(net, None) as seen:
        teacher(X)
        step(net, torch.optim.SGD(net.parameters(), lr=0.1))
    assert [s.sizes for s in seen.steps] == [[4]]


def test_what_a_watched_training_cannot_say(sigmoid_net):
    old = torch.optim.SGD(sigmoid_net.parameters(), lr=0.1, momentum=0.5)
    step(sigmoid_net, old)
    with _watch.watch(sigmoid_net, None) as seen:
        step(sigmoid_net, old)
        step(sigmoid_net, torch.optim.SGD(sigmoid_net.parameters(), lr=0.1))
    carries, several = seen.problems
    assert "carries momentum" in carries and several == "several optimizers step the model"


class Message:
    """As much of a Flower message as a mod reads."""

    def __init__(self, arrays, kind="train", config=None, metrics=None, group="", error=False):
        as_array = {k: SimpleNamespace(numpy=lambda a=a: a) for k, a in arrays.items()}
        self.metadata = SimpleNamespace(message_type=kind, group_id=group)
        self.content = SimpleNamespace(
            array_records={"arrays": as_array},
            config_records={"config": config or {}},
            metric_records={"metrics": metrics or {}},
        )
        self.error = error

    def has_error(self):
        return self.error


def arrays_of(net):
    return {str(n): t.numpy().copy() for n, t in enumerate(net.state_dict().values())}


def client(net, **reply):
    def call_next(msg, ctxt):
        # As Flower's older clients do; and a tensor may share memory with an array.
        for array in msg.content.array_records.pop("arrays").values():
            array.numpy()[...] = 9
        step(net, torch.optim.SGD(net.parameters(), lr=0.25))
        return Message(arrays_of(net), **reply)

    return call_next


CONTEXT = SimpleNamespace(node_id=17, node_config={})


@pytest.mark.parametrize(
    "message, folder",
    [
        ({"config": {"server-round": 5}}, "round-5-node-17"),
        ({"group": "4"}, "round-4-node-17"),
        ({}, "round-1-node-17"),
    ],
)
def test_a_mod_names_rounds(tmp_path, sigmoid_net, message, folder):
    mod = recording_mod(SigmoidNet, to=tmp_path)
    sent = Message(arrays_of(sigmoid_net), **message)
    before = {name: t.clone() for name, t in sigmoid_net.state_dict().items()}
    reply = mod(sent, CONTEXT, client(sigmoid_net, metrics={"num-examples": 4}))
    assert isinstance(reply, Message)
    said = described(tmp_path / folder)
    assert said["examples"] == 4 and said["training"]["lr"] == 0.25
    after = sigmoid_net.state_dict()
    for name, found in update_of(tmp_path / folder).items():
        assert torch.equal(found, after[name])
        assert torch.equal(weights_of(tmp_path / folder)[name], before[name])


def test_a_mod_lets_other_messages_pass(tmp_path, sigmoid_net):
    mod = recording_mod(SigmoidNet, to=tmp_path)
    for sent, reply in (({"kind": "evaluate"}, {}), ({}, {"error": True})):
        given = Message(arrays_of(sigmoid_net), **sent)
        assert isinstance(mod(given, CONTEXT, client(sigmoid_net, **reply)), Message)
    assert list(tmp_path.iterdir()) == []


def test_a_mod_refuses_what_it_cannot_name(tmp_path, sigmoid_net):
    mod = recording_mod(SigmoidNet, to=tmp_path)
    with pytest.raises(flbench.CaptureError, match="the server's message: 1 arrays"):
        mod(Message({"0": np.ones(2)}), CONTEXT, client(sigmoid_net))
    empty = Message({})
    empty.content.array_records.clear()
    with pytest.raises(flbench.CaptureError, match="holds 0 records of arrays"):
        mod(empty, CONTEXT, client(sigmoid_net))
    # The client says 3 examples, and stepped over 4.
    given = Message(arrays_of(sigmoid_net))
    with pytest.raises(flbench.CaptureError, match="steps saw 4 examples, which are not 3"):
        mod(given, CONTEXT, client(sigmoid_net, metrics={"num-examples": 3}))


def test_a_mod_refuses_momentum_of_an_earlier_round(tmp_path, sigmoid_net):
    optimizer = torch.optim.SGD(sigmoid_net.parameters(), lr=0.1, momentum=0.5)

    def call_next(msg, ctxt):
        step(sigmoid_net, optimizer)
        return Message(arrays_of(sigmoid_net))

    mod = recording_mod(SigmoidNet, to=tmp_path)
    mod(Message(arrays_of(sigmoid_net)), CONTEXT, call_next)
    with pytest.raises(flbench.CaptureError, match="carries momentum"):
        mod(Message(arrays_of(sigmoid_net)), CONTEXT, call_next)


def test_a_training_out_of_sight_is_described(tmp_path, sigmoid_net):
    training = {"optimizer": "sgd", "lr": 0.1, "epochs": 2, "minibatch": 4}
    with pytest.raises(flbench.CaptureError, match="give `example` and `examples`, too"):
        recording_mod(SigmoidNet, to=tmp_path, training=training)
    with pytest.raises(flbench.CaptureError, match="write .weights. or .delta."):
        recording_mod(SigmoidNet, to=tmp_path, holds="gradient")
    mod = recording_mod(SigmoidNet, to=tmp_path, training=training, example=X, examples=8)
    mod(Message(arrays_of(sigmoid_net)), CONTEXT, client(sigmoid_net))
    said = described(tmp_path / "round-1-node-17")
    assert said["training"] == training and said["examples"] == 8
