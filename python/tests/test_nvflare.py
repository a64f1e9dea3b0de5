"""A filter of NVIDIA FLARE, by itself and in a simulated job."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import described, update_of, weights_of
from test_flower import image, make_net, step

import flbench

pytestmark = pytest.mark.framework
TRAINING = {"optimizer": "sgd", "lr": 0.5, "epochs": 1, "minibatch": 1}


def make_filter(chain, to, **more):
    from nvflare.apis.filter import FilterContextKey

    from flbench.nvflare import CaptureFilter

    given = {"input_shape": [3, 8, 8], "examples": 1, "training": TRAINING} | more
    made = CaptureFilter("test_flower:make_net", str(to), **given)
    made.set_prop(FilterContextKey.CHAIN_TYPE, chain)
    return made


def context():
    from nvflare.apis.fl_context import FLContext, FLContextManager

    manager = FLContextManager(identity_name="site-1", job_id="job")
    fl_ctx = manager.new_context()
    assert isinstance(fl_ctx, FLContext)
    return manager, fl_ctx


def shareable(kind, named, number=3):
    from nvflare.apis.dxo import DXO

    made = DXO(kind, data={n: t.numpy().copy() for n, t in named.items()}).to_shareable()
    made.set_header("current_round", number)
    return made


@pytest.mark.parametrize("kind", ["WEIGHTS", "WEIGHT_DIFF"])
def test_the_filter(tmp_path, bench, kind):
    from nvflare.apis.dxo import from_shareable

    net = make_net()
    before = {n: t.clone() for n, t in net.state_dict().items()}
    step(net, 0)
    diff = {n: t - before[n] for n, t in net.state_dict().items()}
    sent = net.state_dict() if kind == "WEIGHTS" else diff
    manager, fl_ctx = context()
    make_filter("task_data", tmp_path).process(shareable("WEIGHTS", before), fl_ctx)
    result = make_filter("task_result", tmp_path).process(
        shareable(kind, sent), manager.new_context()
    )
    for name, array in from_shareable(result).data.items():
        assert np.array_equal(array, sent[name].numpy())
    folder = tmp_path / "round-3-site-1"
    said = described(folder)
    assert said["holds"] == {"WEIGHTS": "weights", "WEIGHT_DIFF": "delta"}[kind]
    assert said["training"] == TRAINING and said["batch_norm"] == "train"
    for name, found in update_of(folder).items():
        assert torch.equal(found, sent[name])
        assert torch.equal(weights_of(folder)[name], before[name])
    attacked = flbench.attack(folder, "idlg", {"iterations": 80}, bench=bench)
    truth, label = image(0)
    assert -10 * np.log10(np.mean((attacked.images - truth.numpy()) ** 2)) > 40
    assert attacked.labels == label.tolist()


def test_what_the_filter_refuses(tmp_path):
    state = make_net().state_dict()
    with pytest.raises(flbench.CaptureError, match="task data, too"):
        make_filter("task_result", tmp_path).process(shareable("WEIGHTS", state), context()[1])
    wrong = {"some.weight": torch.zeros(2)}
    with pytest.raises(flbench.CaptureError, match="1 arrays are neither"):
        make_filter("task_data", tmp_path).process(shareable("WEIGHTS", wrong), context()[1])
    with pytest.raises(flbench.CaptureError, match="package.module:name"):
        from flbench.nvflare import CaptureFilter

        made = CaptureFilter("test_flower", str(tmp_path), [3, 8, 8], 1, TRAINING)
        made.process(shareable("WEIGHTS", state), context()[1])


def run_job(to, workspace):
    """Two rounds of two sites; runs in a process of its own, as FLARE ends by ending it."""
    from nvflare.app_opt.pt.job_config.fed_avg import FedAvgJob
    from nvflare.job_config.defs import FilterType
    from nvflare.job_config.script_runner import ScriptRunner

    from flbench.nvflare import CaptureFilter

    script = str(Path(__file__).with_name("nvflare_client.py"))
    job = FedAvgJob(initial_model=make_net(), n_clients=2, num_rounds=2, name="capture")
    for site in ("site-1", "site-2"):
        job.to(ScriptRunner(script=script), site)
        for kind in (FilterType.TASK_DATA, FilterType.TASK_RESULT):
            made = CaptureFilter("test_flower:make_net", to, [3, 8, 8], 1, TRAINING)
            job.to(made, site, filter_type=kind, tasks=["train"])
    job.simulator_run(workspace, threads=2)


def test_two_rounds_of_a_simulated_job(tmp_path, bench):
    here = str(Path(__file__).parent)
    code = f"import test_nvflare as t; t.run_job({str(tmp_path / 'c')!r}, {str(tmp_path / 'w')!r})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=here,
        env=os.environ | {"PYTHONPATH": here},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    folders = sorted(p.name for p in (tmp_path / "c").glob("*"))
    wanted = sorted(f"round-{r}-site-{n}" for r in (0, 1) for n in (1, 2))
    assert folders == wanted, done.stdout[-3000:] + done.stderr[-3000:]
    for folder in sorted((tmp_path / "c").iterdir()):
        found = flbench.attack(folder, "idlg", {"iterations": 80}, bench=bench)
        truth, label = image(int(folder.name[-1]) - 1)
        psnr = -10 * np.log10(np.mean((found.images - truth.numpy()) ** 2))
        print(folder.name, "PSNR", psnr)
        assert psnr > 40 and found.labels == label.tolist()
