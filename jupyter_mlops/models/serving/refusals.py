"""What a service answers instead of a prediction: a status, and one sentence that says what to do."""

from __future__ import annotations


class Refusal(Exception):
    """A request that is not answered with a prediction. `status` is HTTP's, `code` MLflow's name for the error.

    `wait` is after how many seconds the same request may succeed (None: it never does).
    """

    def __init__(self, status: int, code: str, message: str, wait: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.wait = status, code, message, wait


def bad(message: str) -> Refusal:
    """A request that cannot be understood, or that does not fit the model (400)."""
    return Refusal(400, "BAD_REQUEST", message)


def too_large(message: str) -> Refusal:
    """A request beyond a limit (413)."""
    return Refusal(413, "BAD_REQUEST", message)


def overloaded() -> Refusal:
    """A request for which there is no room now (503)."""
    return Refusal(503, "TEMPORARILY_UNAVAILABLE", "The service has as many requests as it can answer in time: try again in a second.", 1)


def shown(value: object) -> str:
    """A value as an error shows it: short, on one line, and without walking through what may be deep or long."""
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return f"an object with {len(value)} entries"
    if isinstance(value, (str, bytes)):
        return repr(value[:60]) + ("..." if len(value) > 60 else "")
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)[:60]
