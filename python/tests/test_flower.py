"""Two rounds of two Flower clients in a simulation, and what bench makes of what they send."""

import os

import numpy as np
import pytest
import torch
from conftest import SigmoidNet, described, update_of, weights_of
from torch.nn import functional

import flbench
from flbench.flower import recording_mod

pytestmark = pytest.mark.framework


def image(partition):
    """The private image of a client, and its label."""
    seeded = torch.Generator().manual_seed(100 + partition)
    return torch.rand(1, 3, 8, 8, generator=seeded), torch.tensor([partition + 1])


def make_net():
    net = SigmoidNet()
    seeded = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=seeded) - 0.5)
    return net


def step(net, partition, rate=0.5):
    x, y = image(partition)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)
    functional.cross_entropy(net(x), y).backward()
    optimizer.step()


def message_app(mod):
    from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp

    app = ClientApp()

    @app.train(mods=[mod])
    def train(msg, context):
        net = make_net()
        net.load_state_dict(msg.content["arrays"].to_torch_state_dict())
        step(net, context.node_config["partition-id"])
        content = {
            "arrays": ArrayRecord(net.state_dict()),
            "metrics": MetricRecord({"num-examples": 1}),
        }
        return Message(content=RecordDict(content), reply_to=msg)

    return app


def message_server():
    from flwr.app import ArrayRecord
    from flwr.serverapp import ServerApp
    from flwr.serverapp.strategy import FedAvg

    app = ServerApp()

    @app.main()
    def main(grid, context):
        strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=2, min_available_nodes=2)
        arrays = ArrayRecord(make_net().state_dict())
        strategy.start(grid=grid, initial_arrays=arrays, num_rounds=2)

    return app


def numpy_app(mod):
    from flwr.client import NumPyClient
    from flwr.clientapp import ClientApp

    class Client(NumPyClient):
        def __init__(self, partition):
            self.partition = partition

        def fit(self, parameters, config):
            net = make_net()
            named = zip(net.state_dict(), map(torch.from_numpy, parameters), strict=True)
            net.load_state_dict({name: array.clone() for name, array in named})
            step(net, self.partition)
            return [t.numpy() for t in net.state_dict().values()], 1, {}

    def client_fn(context):
        return Client(context.node_config["partition-id"]).to_client()

    return ClientApp(client_fn=client_fn, mods=[mod])


def numpy_server():
    from flwr.common import ndarrays_to_parameters
    from flwr.server import ServerAppComponents, ServerConfig
    from flwr.server.strategy import FedAvg
    from flwr.serverapp import ServerApp

    def server_fn(context):
        arrays = [t.numpy() for t in make_net().state_dict().values()]
        strategy = FedAvg(
            fraction_evaluate=0.0,
            min_fit_clients=2,
            min_available_clients=2,
            initial_parameters=ndarrays_to_parameters(arrays),
        )
        return ServerAppComponents(strategy=strategy, config=ServerConfig(num_rounds=2))

    return ServerApp(server_fn=server_fn)


APPS = {"messages": (message_app, message_server), "numpy": (numpy_app, numpy_server)}


@pytest.mark.parametrize("api", APPS)
def test_two_rounds_of_a_simulation(tmp_path, bench, api):
    os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
    from flwr.simulation import run_simulation

    holds = {"messages": "weights", "numpy": "delta"}[api]
    mod = recording_mod(make_net, to=tmp_path, holds=holds)
    client_app, server_app = APPS[api]
    run_simulation(
        server_app=server_app(),
        client_app=client_app(mod),
        num_supernodes=2,
        backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0}},
    )
    folders = sorted(p.name for p in tmp_path.iterdir())
    assert folders == [f"round-{r}-node-{n}" for r in (1, 2) for n in (0, 1)]
    # Round 1 starts from the server's weights, round 2 from the mean of what round 1 gave.
    nets = [make_net(), make_net()]
    for partition, net in enumerate(nets):
        step(net, partition)
    mean = {n: (t + nets[1].state_dict()[n]) / 2 for n, t in nets[0].state_dict().items()}
    starts = {1: make_net().state_dict(), 2: mean}
    for number in (1, 2):
        for partition in (0, 1):
            folder = tmp_path / f"round-{number}-node-{partition}"
            said = described(folder)
            assert said["holds"] == holds and said["examples"] == 1
            assert said["training"] == {
                "optimizer": "sgd",
                "lr": 0.5,
                "momentum": 0.0,
                "weight_decay": 0.0,
                "epochs": 1,
                "minibatch": 1,
            }
            net = make_net()
            net.load_state_dict(starts[number])
            step(net, partition)
            for name, found in update_of(folder).items():
                before, after = starts[number][name], net.state_dict()[name]
                held = weights_of(folder)[name].detach()
                torch.testing.assert_close(held, before, rtol=0, atol=1e-6)
                wanted = after - before if holds == "delta" else after
                torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)
            attacked = flbench.attack(folder, "idlg", {"iterations": 80}, bench=bench)
            truth, label = image(partition)
            error = np.mean((attacked.images - truth.numpy()) ** 2)
            print(folder.name, "PSNR", -10 * np.log10(error))
            assert -10 * np.log10(error) > 40
            assert attacked.labels == label.tolist()
