"""Calls the `bench` binary."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from ._errors import BenchError


def find(bench: str | Path | None = None) -> str:
    """Returns the binary: the argument, else the variable BENCH, else `bench` on the PATH.

    Raises BenchError where there is none.
    """
    asked = bench or os.environ.get("BENCH")
    found = shutil.which(str(asked or "bench"))
    if found is None:
        what = f"{asked}: is no program" if asked else "no `bench` is on the PATH"
        raise BenchError(f"{what}; give bench=, or set BENCH to target/release/bench", 3)
    return found


def _environment() -> dict[str, str]:
    """Adds this Python's libtorch behind all others: the binary needs one of version 2.11."""
    if sys.platform != "linux" or not torch.__version__.startswith("2.11."):
        return dict(os.environ)
    asked = os.environ.get("LD_LIBRARY_PATH")
    own = str(Path(torch.__file__).parent / "lib")
    return os.environ | {"LD_LIBRARY_PATH": f"{asked}:{own}" if asked else own}


def call(arguments: Sequence[str], bench: str | Path | None = None) -> tuple[str, list[str]]:
    """Runs the binary and returns its standard output, and the lines of standard error.

    Raises BenchError with its one line where it refuses or fails.
    """
    program = find(bench)
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, env=_environment()
    )
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    if done.returncode != 0:
        said = [line for line in lines if line.startswith(("bench:", "error:"))] or lines[-1:]
        line = said[0].removeprefix("bench: ") if said else f"{program} ended without a word"
        raise BenchError(line, done.returncode)
    return done.stdout, lines
