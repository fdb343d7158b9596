"""The kinds of arguments that verbs take, each with its reading from one word of a command line or magic.

A word for DATA may be the name of a variable of the user's namespace (in a notebook) or of a file or folder; nothing else is looked up,
and nothing is evaluated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import cache, wraps
from inspect import signature
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from cyclopts import Parameter, Token

from ..errors import NotFound, UsageError

NAMES: ContextVar[Mapping[str, Any]] = ContextVar("NAMES", default={})  # noqa: B039  (nobody writes to the default)
"""The user's namespace while a magic is parsed; empty in a shell."""

FORM: ContextVar[str] = ContextVar("FORM", default="")
"""How the answer was asked for: "", --json or --csv. A verb that tells how it goes does so in that form."""

_DIGEST = re.compile(r"[0-9a-f]{6,64}")


@cache
def for_python(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The verb as Python calls it: where it takes a path, a text will do, as in every library."""
    form = signature(verb)

    @wraps(verb)
    def called(*args: Any, **kwargs: Any) -> Any:
        given = form.bind(*args, **kwargs)
        for name, several in _paths(verb).items():
            if name in given.arguments:
                value = given.arguments[name]
                given.arguments[name] = _as_path((value,) if several and isinstance(value, (str, Path)) else value)
        return verb(*given.args, **given.kwargs)

    return called


@cache
def _paths(verb: Callable[..., Any]) -> dict[str, bool]:
    """The parameters that are paths, and whether each takes several."""
    hints = get_type_hints(verb)
    return {name: get_origin(hint) is tuple for name, hint in hints.items() if name != "return" and Path in (hint, *get_args(hint))}


def _as_path(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return tuple(map(_as_path, value))
    return Path(value) if isinstance(value, str) else value


def is_digest(text: str) -> bool:
    """Whether a text can be a digest or the beginning of one: 6 to 64 lower-case hex digits."""
    return _DIGEST.fullmatch(text) is not None


def _data(_: object, tokens: Sequence[Token]) -> Any:
    word = tokens[0].value
    names = NAMES.get()
    if word in names:
        return names[word]
    if Path(word).expanduser().exists():
        return Path(word).expanduser()
    if is_digest(word):
        return word
    if names:
        raise NotFound("variable or file", word, "Name a variable of this notebook, or an existing file or folder.")
    raise NotFound("file or folder", word, "In a shell, DATA is a path; a variable can be named in a notebook, with `%mlops`.")


def _model(_: object, tokens: Sequence[Token]) -> Any:
    word = tokens[0].value
    return NAMES.get().get(word, word)


def _pair(_: object, tokens: Sequence[Token]) -> dict[str, str]:
    name, sign, value = tokens[0].value.partition("=")
    if not sign or not name.strip():
        raise UsageError(f"{tokens[0].value!r} is not a pair: write NAME=VALUE, for example stage=draft.")
    return {name.strip(): value.strip()}


def _values(kind: object, tokens: Sequence[Token]) -> dict[str, Any]:
    return {name: _value(word) for name, word in _pair(kind, tokens).items()}


def _given(kind: object, tokens: Sequence[Token]) -> dict[str, Any]:
    # A text stays one: the pipeline's own defaults say what is a number and what is not.
    names = NAMES.get()
    return {name: names.get(word, word) for token in tokens for name, word in _pair(kind, [token]).items()}


def _value(word: str) -> Any:
    names = NAMES.get()
    if word in names:
        return names[word]
    try:
        return json.loads(word)
    except ValueError:
        return word


Data = Annotated[Any, Parameter(converter=_data, n_tokens=1)]
"""A value to freeze: a variable, or the path of a file or folder."""

Model = Annotated[Any, Parameter(converter=_model, n_tokens=1)]
"""A model: a variable, or the name of a registered one or of a run."""

Values = Annotated[Mapping[str, Any], Parameter(converter=_values, n_tokens=1)]
"""Named values, NAME=VALUE in a command; VALUE is a number, a text, JSON, or in a notebook a variable."""

Given = Annotated[Mapping[str, Any] | None, Parameter(name=("--params", "-p"), converter=_given, n_tokens=-1, accepts_keys=False)]
"""Parameters by name: a dict in Python; -p NAME=VALUE in a command, again for each further one."""

Texts = Annotated[Mapping[str, str | None], Parameter(converter=_pair, n_tokens=1)]
"""Named texts, NAME=TEXT in a command."""
