"""DP-SGD by Opacus inside a recorder."""

import numpy as np
import pytest
import torch
from conftest import described, update_of
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import flbench

pytestmark = [
    pytest.mark.framework,
    pytest.mark.filterwarnings("ignore:Secure RNG turned off"),
    pytest.mark.filterwarnings("ignore:Full backward hook"),
    pytest.mark.filterwarnings("ignore:invalid value encountered"),
]


def private(net, x, y, batch_size, poisson, **settings):
    """Opacus' model, optimizer and batches for a client with the examples `x`."""
    from opacus import PrivacyEngine

    loader = DataLoader(TensorDataset(x, y), batch_size=batch_size)
    return PrivacyEngine().make_private(
        module=net,
        optimizer=torch.optim.SGD(net.parameters(), lr=0.5),
        data_loader=loader,
        poisson_sampling=poisson,
        **settings,
    )


def train(model, optimizer, batches):
    for x, y in batches:
        optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()


def attacked(net, folder, noise, clip, bench):
    x, y = torch.rand(1, 3, 8, 8), torch.tensor([2])
    model, optimizer, loader = private(
        net, x, y, 1, False, noise_multiplier=noise, max_grad_norm=clip
    )
    with flbench.Recorder(model, optimizer, to=folder) as recorder:
        train(model, optimizer, loader)
    found = flbench.attack(recorder.path, "idlg", {"iterations": 80}, bench=bench)
    psnr = -10 * np.log10(np.mean((found.images - x.numpy()) ** 2))
    print(f"noise multiplier {noise}, clip {clip}: PSNR {psnr:.1f} dB")
    return psnr


def test_noise_is_what_hides_an_example(tmp_path, sigmoid_net, bench):
    state = {name: t.clone() for name, t in sigmoid_net.state_dict().items()}
    leaks = attacked(sigmoid_net, tmp_path / "little", 1e-6, 10.0, bench)
    twin = type(sigmoid_net)()
    twin.load_state_dict(state)
    hides = attacked(twin, tmp_path / "much", 1.0, 1.0, bench)
    assert leaks > 40 and hides < 15
    said = described(tmp_path / "much")
    assert said["notes"] == [
        "DP-SGD by Opacus: every example's gradient is clipped to 1.0, noise multiplier 1.0, "
        "expected batch size 1"
    ]
    assert "defenses" not in said
    assert sorted(update_of(tmp_path / "much")) == sorted(state)


def test_batches_that_were_sampled(tmp_path, sigmoid_net):
    x, y = torch.rand(12, 3, 8, 8), torch.arange(12) % 5
    model, optimizer, loader = private(
        sigmoid_net, x, y, 3, True, noise_multiplier=0.5, max_grad_norm=1.0
    )
    with flbench.Recorder(model, optimizer, to=tmp_path / "c") as recorder:
        train(model, optimizer, loader)
    said = described(recorder.path)
    assert len(recorder.seen.steps) == 4
    assert said["examples"] == len(recorder.seen.seen) == said["training"]["minibatch"]
    # As many steps as were taken: each is read as one over all examples.
    assert said["training"]["epochs"] == 4
    assert "were sampled" in said["notes"][1]


def test_steps_in_virtual_batches_are_counted_once(tmp_path, sigmoid_net):
    from opacus.utils.batch_memory_manager import BatchMemoryManager

    x, y = torch.rand(8, 3, 8, 8), torch.arange(8) % 5
    model, optimizer, loader = private(
        sigmoid_net, x, y, 4, False, noise_multiplier=0.5, max_grad_norm=1.0
    )
    with flbench.Recorder(model, optimizer, to=tmp_path / "c") as recorder:
        with BatchMemoryManager(
            data_loader=loader, max_physical_batch_size=2, optimizer=optimizer
        ) as small:
            train(model, optimizer, small)
    said = described(recorder.path)
    assert said["examples"] == 8
    assert said["training"]["minibatch"] == 4 and said["training"]["epochs"] == 1
