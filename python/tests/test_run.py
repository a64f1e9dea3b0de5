import json
import math
import os
import subprocess

import numpy as np
import pytest

import flbench
from flbench import _bench


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    _bench.call(
        [
            "run",
            "--dataset=photos",
            "--size=16",
            "--model=lenet-zhu",
            "--init=dlg-uniform",
            "--attack=idlg",
            "--set=iterations=20",
            "--trials=2",
            "--device=cpu",
            f"--out={out}",
        ],
        os.environ["BENCH"],
    )
    return out


def test_a_run(folder, bench):
    run = flbench.load(folder, bench)
    assert run.info["schema"]
    (record,) = run.records
    assert record["outcome"]["kind"] == "done" and len(record["images"]) == 2
    assert sorted(run.images) == [(record["id"], 0), (record["id"], 1)]
    for image in run.images.values():
        assert image.shape == (1, 3, 16, 16) and 0 <= image.min() <= image.max() <= 1


def test_the_table_holds_what_the_records_do(folder, bench):
    run = flbench.load(folder, bench)
    (record,) = run.records
    table = run.table
    psnr = table[(table.metric == "psnr") & (table.by == "attack")].sort_values("trial")
    wanted = [image["scores"]["psnr"] for image in record["images"]]
    assert psnr.value.tolist() == wanted and psnr.trial.tolist() == [0, 1]
    assert set(table.by) == {"attack", *(f"null:{name}" for name in record["baselines"])}
    # The word none is a value, and an empty field is none.
    assert set(table.defenses) == {"none"}
    assert table.federation.isna().all()
    assert set(table.columns) >= {"suite", "cell", "attack_params", "status", "metric", "value"}


def test_numbers_without_a_value(folder, bench, tmp_path):
    """Infinite scores are numbers, and a score that was measured as NaN is told by `status`."""
    copy = tmp_path / "run"
    subprocess.run(["cp", "-r", folder, copy], check=True)
    record = json.loads((copy / "cells.jsonl").read_text())
    record["images"][0]["scores"]["psnr"] = "inf"
    record["images"][1]["scores"]["psnr"] = "nan"
    record["notes"] = ["NA"]
    (copy / "cells.jsonl").write_text(json.dumps(record) + "\n")
    table = flbench.load(copy, bench).table
    psnr = table[(table.metric == "psnr") & (table.by == "attack")].sort_values("trial")
    assert psnr.value.iloc[0] == math.inf and math.isnan(psnr.value.iloc[1])
    assert psnr.status.tolist() == ["measured", "measured"]
    # Text is never taken for a missing value.
    assert set(table.notes) == {"NA"}


def test_a_torn_line_and_an_earlier_record_are_passed_over(folder, bench, tmp_path):
    line = (folder / "cells.jsonl").read_text().strip()
    earlier = json.loads(line)
    earlier["notes"] = ["of the first attempt"]
    (tmp_path / "run.json").write_text((folder / "run.json").read_text())
    (tmp_path / "cells.jsonl").write_text(f"{json.dumps(earlier)}\n{line}\n{line[:40]}")
    run = flbench.load(tmp_path, bench)
    assert [record["notes"] for record in run.records] == [json.loads(line)["notes"]]
    assert run.images == {}
    (tmp_path / "cells.jsonl").write_text(f"{line[:40]}\n{line}\n")
    with pytest.raises(ValueError, match=r"cells\.jsonl:1: is no record"):
        flbench.load(tmp_path, bench)


def test_folders_that_are_no_run(tmp_path, bench):
    with pytest.raises(FileNotFoundError, match=r"holds no run\.json"):
        flbench.load(tmp_path, bench)
    (tmp_path / "run.json").write_text("{}")
    run = flbench.load(tmp_path, bench)
    assert run.records == []
    with pytest.raises(flbench.BenchError):
        run.table  # noqa: B018


def test_images_are_those_of_the_pictures(folder, bench):
    from PIL import Image

    run = flbench.load(folder, bench)
    (record,) = run.records
    for scored in record["images"]:
        picture = np.asarray(Image.open(folder / scored["guess_png"])) / 255
        image = run.images[record["id"], scored["trial"]][scored["index"]]
        assert np.abs(picture.transpose(2, 0, 1) - image).max() <= 0.5 / 255 + 1e-6
