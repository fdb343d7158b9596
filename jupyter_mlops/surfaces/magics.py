"""`%mlops VERB ...` and `%%mlops track NAME`: the command line's parser in a notebook, where DATA and VALUE may name variables."""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import MlopsError, UsageError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from rich.console import Console

T = TypeVar("T")
_COLUMNS = 100


def load(shell: InteractiveShell) -> None:
    """Start tracking in this kernel and put the magics there."""
    from ..tracking import session
    from . import display, kernel_comm
    from .announce import Announcer

    live = session.start(shell)
    live.on_runs = Announcer(shell, live.settings)
    display.register(shell)
    line, cell = _magics(shell)
    shell.register_magic_function(line, "line", "mlops")
    shell.register_magic_function(cell, "cell", "mlops")
    kernel_comm.load(shell, live)


def unload(shell: InteractiveShell) -> None:
    """End tracking and take the magics away."""
    from ..tracking import session
    from . import display, kernel_comm

    kernel_comm.unload()
    live = session.current()
    if live is not None:
        live.close()
    display.unregister(shell)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("mlops", None)


def _magics(shell: InteractiveShell) -> tuple[Callable[[str], Any], Callable[[str, str], None]]:
    def mlops(line: str) -> Any:
        """%mlops VERB ...: the verbs of `mlops --help`; %mlops VERB --help explains one."""
        return _told(line, lambda: _answer(shell, line))

    def mlops_cell(line: str, cell: str) -> None:
        """%%mlops track NAME: everything that the cell computes becomes one run of that name."""
        with _told(line, lambda: _block(line)):
            result = shell.run_cell(cell, store_history=False)
            if result.error_in_exec is not None:
                # It was shown as the cell ran; it goes on so that the run fails, and a notebook that is run as a whole stops.
                _render(result.error_in_exec, [])
            result.raise_error()

    return mlops, mlops_cell


def _block(line: str) -> AbstractContextManager[Any]:
    from ..tracking.block import track

    words = _words(line)
    if len(words) != 2 or words[0] != "track" or words[1] in ("on", "off", "status"):
        raise UsageError("Write `%%mlops track NAME` on top of a cell, with one name for the run; other verbs take a single %.")
    return track(words[1])


def _answer(shell: InteractiveShell, line: str) -> Any:
    from . import cli
    from .arguments import NAMES

    words = cli.common(_words(line))
    token = NAMES.set(shell.user_ns)
    try:
        answer = cli.answer(words, console=_console(shell))
    finally:
        NAMES.reset(token)
    if words.form:
        out = io.StringIO()
        cli.show(answer, words.form, out)
        return _Printed(out.getvalue().rstrip("\n"))
    if isinstance(answer, AbstractContextManager):
        raise UsageError("A run is made of code: write `%%mlops track NAME` on top of a cell.")
    return answer


def _console(shell: InteractiveShell) -> Console | None:
    """Where help is printed: plain text in a notebook, whose outputs are kept; None is the terminal's own."""
    if not hasattr(shell, "kernel"):
        return None
    from rich.console import Console

    return Console(file=sys.stdout, width=_COLUMNS, color_system=None, force_terminal=False, force_jupyter=False)


class _Printed(str):
    """A text that a notebook shows as it is, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"The words of %mlops cannot be told apart ({error}): close the quotes.") from None


def _told(line: str, act: Callable[[], T]) -> T:
    """Do it. An error fails the cell as any error does, told in one sentence; --debug shows where it came from."""
    try:
        return act()
    except Exception as error:
        from cyclopts import CycloptsError

        from . import cli

        if "--debug" in line.split() or not isinstance(error, (MlopsError, CycloptsError)):
            raise
        told = error if isinstance(error, MlopsError) else UsageError(cli.sentence(error))
        _render(told, [f"mlops: {cli.sentence(told)}"])
        raise told from None


def _render(error: BaseException, lines: list[str]) -> None:
    """Let IPython show an error as these lines, without a traceback."""
    error._render_traceback_ = lambda: lines  # type: ignore[attr-defined]  # IPython asks every exception for this
