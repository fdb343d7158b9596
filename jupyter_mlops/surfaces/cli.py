"""The command line, built from the verbs; the magics parse with the same application.

Exit status: 0 done, 1 the answer is no (something checked is not well), 2 wrong use or an error. An error is one sentence on stderr;
`--debug` shows its traceback.
"""

from __future__ import annotations

import csv
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TextIO

from .. import VERBS, __version__
from ..errors import MlopsError, UsageError

if TYPE_CHECKING:
    from cyclopts import App

FORMATS = ("--json", "--csv")
EPILOGUE = (
    "With every command: --json prints JSON, --debug an error's traceback; with runs, --csv prints CSV. mlops COMMAND --help says more. "
    "mlops --completion bash (zsh, fish) prints what lets a shell complete commands and options."
)
SHELLS = ("bash", "zsh", "fish")
INTERRUPTED = "Interrupted: what was kept before stays, nothing is half done; the same command begins again."


_WORDS = (
    (r"^Unused Tokens: \[(.*)\]\.$", r"There is a word too many: \1."),
    (r"unable to convert (\".*\") into int\.$", r"\1 is no whole number."),
    (r"unable to convert (\".*\") into float\.$", r"\1 is no number."),
)
"""Sentences of the parser, and how they are said here."""


@dataclass(frozen=True, slots=True)
class Words:
    """A command's words without the options that every verb has: `form` is "", --json or --csv."""

    tokens: tuple[str, ...]
    form: str = ""
    debug: bool = False


def run(arguments: Sequence[str]) -> int:
    """Run one command, print its answer, and give the exit status."""
    debug = "--debug" in arguments
    try:
        if arguments[:1] == ["--completion"]:
            print(completion(arguments[1:]))
            return 0
        words = common(arguments)
        found = answer(words)
        if found is None:
            return 0
        show(found, words.form, sys.stdout)
        return status(found)
    except KeyboardInterrupt:
        print(f"mlops: {INTERRUPTED}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output (head, less) has seen enough; Python must not complain about it while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except Exception as error:
        if debug:
            raise
        print(f"mlops: {sentence(error)}", file=sys.stderr)
        return error.exit_status if isinstance(error, MlopsError) else 2


def answer(words: Words, **options: Any) -> Any:
    """What a command gives; None where it has printed its help. `options` are those of a call of the application."""
    from .arguments import FORM

    token = FORM.set(words.form)
    try:
        return application()(words.tokens or ("--help",), **options)
    finally:
        FORM.reset(token)


def completion(shells: Sequence[str]) -> str:
    """The script that lets a shell complete commands and options: `eval "$(mlops --completion bash)"` in its start-up file."""
    if len(shells) != 1 or shells[0] not in SHELLS:
        raise UsageError(f"Name the shell to complete in: mlops --completion {', '.join(SHELLS[:-1])} or {SHELLS[-1]}.")
    return application().generate_completion(prog_name="mlops", shell=shells[0])  # type: ignore[arg-type]  # it is one of those


@cache
def application() -> App:
    """The cyclopts application: one command for each verb, its signature the options, its docstring the help."""
    from cyclopts import App, Parameter

    from . import commands

    app = App(
        name="mlops",
        help="Every result of a notebook becomes a durable, complete MLflow run.",
        help_epilogue=EPILOGUE,
        help_format="plaintext",
        default_parameter=Parameter(negative=(), show_default=False),
        version=__version__,
        exit_on_error=False,
        print_error=False,
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    for place, verb in enumerate(VERBS):
        app.command(getattr(commands, verb), name=verb, sort_key=place, version_flags=())
    return app


def common(arguments: Sequence[str]) -> Words:
    """Take out the options that every verb has; what follows `--` is left alone."""
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    mine, rest = arguments[:end], arguments[end:]
    forms = list(dict.fromkeys(word for word in mine if word in FORMATS))
    if len(forms) > 1:
        raise UsageError("Choose one of --json and --csv.")
    tokens = (*(word for word in mine if word not in (*FORMATS, "--debug")), *rest)
    if "--csv" in forms and tokens[:1] != ("runs",):
        raise UsageError("--csv is for `mlops runs`; other answers are no tables: use --json.")
    return Words(tokens, forms[0] if forms else "", "--debug" in mine)


def show(answer: Any, form: str, out: TextIO) -> None:
    """Print an answer as a terminal's tables, as JSON, or as CSV. What ends a stream of JSON lines is a line itself."""
    from ..records import PipelineRun
    from .answers import Page, plain

    if form == "--json":
        indent = None if isinstance(answer, (PipelineRun, Page)) else 2
        print(json.dumps(plain(answer), indent=indent, default=repr, ensure_ascii=False), file=out)
    elif form == "--csv":
        rows = answer.rows()
        writer = csv.DictWriter(out, list(rows[0]) if rows else ["id"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        from rich.console import Console

        from .display import to_terminal

        to_terminal(answer, Console(file=out, highlight=False, force_jupyter=False))
    out.flush()
    if isinstance(answer, Page):
        _serve(answer, out)


def status(answer: Any) -> int:
    """1 where the answer is no, 130 where Ctrl-C came before there was one, else 0."""
    from ..records import Check, Monitoring, PipelineRun, Promotion, Replay, Retraining, Validation
    from .answers import Report, Served

    match answer:
        case Report():
            return 0 if answer.ok else 1
        case Served():
            return 1 if any(firing.state == "failed" for firing in answer.firings) else 0
        case Replay():
            return 1 if answer.verdict == "different" else 0
        case Promotion():
            return 1 if answer.verdict == "refused" else 0
        case Check():
            return 0 if answer.verdict == "passed" else 1
        case Validation():
            return 1 if answer.verdict == "failed" else 0
        case Monitoring():
            return 1 if answer.verdict == "alert" else 0
        case Retraining():
            return 1 if answer.state in ("failed", "refused") else 0
        case PipelineRun() if answer.status == "cancelled":
            return 130
        case PipelineRun():
            held = (answer.release or {}).get("state") in ("refused", "failed", "unchecked")
            return 1 if held or answer.status != "done" or any(gate.state == "failed" for gate in answer.gates) else 0
    return 0


def sentence(error: BaseException) -> str:
    """An error as one line that a user can act on."""
    if isinstance(error, MlopsError):
        return " ".join(str(error).split())
    from cyclopts import CycloptsError

    if isinstance(error, CycloptsError):
        verb = f"mlops {error.command_chain[0]} --help" if error.command_chain else "mlops --help"
        told = " ".join(str(error).split())
        for theirs, ours in _WORDS:
            told = re.sub(theirs, ours, told)
        return f"{told} `{verb}` says how."
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be used ({error.strerror}): name another place, or see to its rights and its disk."
    return f"{type(error).__name__}: {' '.join(str(error).split())}; --debug shows where."


def _serve(page: Any, out: TextIO) -> None:
    """Keep a page's server until Ctrl-C, and end it with this process."""
    print("Ctrl-C ends it.", file=out, flush=True)
    try:
        page.process.wait()
    except KeyboardInterrupt:
        page.process.terminate()
        page.process.wait()
