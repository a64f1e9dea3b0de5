"""Errors of this package."""


class CaptureError(ValueError):
    """What shall be captured cannot be described to bench; the message names the remedy."""


class BenchError(RuntimeError):
    """The binary refused or failed.

    The message is its one line; `code` is its exit code (2 bad input, 3 files or machine refused).
    """

    def __init__(self, message: str, code: int) -> None:
        """Keeps the line and the exit code."""
        super().__init__(message)
        self.code = code
