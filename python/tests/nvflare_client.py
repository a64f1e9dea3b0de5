"""What a site of NVIDIA FLARE runs in the tests: one step of SGD on its one image."""

import nvflare.client as flare
import torch
from test_flower import make_net, step


def main():
    flare.init()
    partition = int(flare.get_site_name().rsplit("-", 1)[1]) - 1
    while flare.is_running():
        received = flare.receive()
        net = make_net()
        net.load_state_dict({n: torch.as_tensor(t) for n, t in received.params.items()})
        step(net, partition)
        params = net.state_dict()
        flare.send(flare.FLModel(params=params, meta={"NUM_STEPS_CURRENT_ROUND": 1}))


if __name__ == "__main__":
    main()
