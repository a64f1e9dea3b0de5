"""Captures what a federated-learning client sends, and has `bench` attack it."""

from ._attack import Result, attack
from ._capture import capture
from ._errors import BenchError, CaptureError
from ._recorder import Recorder
from ._run import Run, load

__all__ = ["BenchError", "CaptureError", "Recorder", "Result", "Run", "attack", "capture", "load"]
