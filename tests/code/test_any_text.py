"""Properties: no text makes the analysis raise, and what it says of straight-line code is what happens when that runs."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlops.code.paths import mentioned
from jupyter_mlops.code.statements import analyse

# fmt: off
PIECES = [
    '%%time', '%%capture', '%%bash', '%time', '%timeit', '-o', '!', '!!', '?', '??', '=', ':=', '==', '(', ')', '[', ']', '{',
    '}', '{x}', '$x', ':', ';', ',', '.', '*', '**', '@', 'x', 'y', 'f', '1', "'a'", '"""', "f'{x}'", '\\', '#', 'lambda', 'def',
    'class', 'for', 'in', 'if', 'else', 'try', 'except', 'with', 'as', 'match', 'case', 'import', 'from', 'global', 'nonlocal',
    'await', 'async', 'yield', 'return', 'del', 'while', 'pass', 'None', '>>>', '...', 'In', " ", "\n", "\n    ", "\t", "\r\n",
    "\0", "\ud800", "é", "\f", "\u2028",
]
# fmt: on


@given(
    st.text() | st.lists(st.sampled_from(PIECES), max_size=25).map(" ".join) | st.lists(st.sampled_from(PIECES), max_size=25).map("".join)
)
@settings(max_examples=600, deadline=None)
def test_no_text_makes_it_raise(source: str) -> None:
    statements = analyse(source)
    assert isinstance(statements, tuple)
    for statement in statements:
        assert 1 <= statement.line <= statement.end_line <= source.count("\n") + source.count("\r") + 1
        assert statement.conditional <= statement.writes
    assert isinstance(mentioned(source, {"x": "data"}), set)


def test_text_that_nests_too_deep() -> None:
    for source in ("(" * 5000, "[" * 90 + "]" * 90, "x" + ".a" * 3000, "f(" * 80 + ")" * 80, "-" * 3000 + "1"):
        assert isinstance(analyse(source), tuple)
    (statement,) = analyse("total = " + " + ".join(f"x{number}" for number in range(900)))
    assert len(statement.reads) == 900


class Recorder(dict[str, Any]):
    """A namespace that tells what code read and bound in it."""

    def __init__(self) -> None:
        super().__init__({name: [1, 2, 3] for name in NAMES})
        self.read: set[str] = set()
        self.bound: set[str] = set()
        self.dropped: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        if name in self and name not in self.bound:
            self.read.add(name)
        return super().__getitem__(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self.bound.add(name)
        super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        self.dropped.add(name)
        super().__delitem__(name)


NAMES = "abcde"
NAME = st.sampled_from(NAMES)
VALUE = st.one_of(
    NAME,
    st.just("[1, 2]"),
    st.builds("{} + {}".format, NAME, NAME),
    st.builds("[{0} for {0} in {1}]".format, NAME, NAME),
    st.builds("[{0} for {0} in {1} if {2}]".format, NAME, NAME, NAME),
    st.builds("sorted({}, key=lambda {}: str(({}, {})))".format, NAME, NAME, NAME, NAME),
    st.builds("({} := {} + [0])".format, NAME, NAME),
    st.builds("{}[:]".format, NAME),
    st.builds("list(map(str, {}))".format, NAME),
    st.builds("[f'{{{}}}', *{}]".format, NAME, NAME),
    st.builds("({} if {} else {})".format, NAME, NAME, NAME),
)
STATEMENT = st.one_of(
    st.builds("{} = {}".format, NAME, VALUE),
    st.builds("{} = {} = {}".format, NAME, NAME, VALUE),
    st.builds("{}, {} = {}, {}".format, NAME, NAME, VALUE, VALUE),
    st.builds("{0}, *{1} = {2} + [1]".format, NAME, NAME, NAME),
    st.builds("{} += {}".format, NAME, NAME),
    st.builds("{}.append(0)".format, NAME),
    st.builds("{}[0:1] = {}".format, NAME, VALUE),
    st.builds("for {} in {}:\n    {} = {}".format, NAME, NAME, NAME, VALUE),
    st.builds("if {}:\n    {} = {}\nelse:\n    {} = {}".format, NAME, NAME, VALUE, NAME, VALUE),
    st.builds("class {}:\n    {} = {}\n    z = {}".format, st.just("K"), NAME, VALUE, NAME),
    st.builds("try:\n    {} = {}\nfinally:\n    {} = {}".format, NAME, VALUE, NAME, VALUE),
)


@given(STATEMENT)
@settings(max_examples=500, deadline=None)
def test_what_runs_is_what_was_said(source: str) -> None:
    (statement,) = analyse(source)
    space = Recorder()
    before = {name: list(value) for name, value in space.items()}
    objects = dict(space)
    try:
        exec(compile(source, "<cell>", "exec"), {"__name__": "cell"}, space)
    except (TypeError, IndexError, ValueError, NameError):
        # A class or comprehension looks names up as globals, which this namespace does not see.
        assert space.read <= statement.reads | statement.captures
        return
    assert space.read <= statement.reads | statement.captures
    assert space.bound == statement.writes or (space.bound <= statement.writes and statement.conditional)
    assert statement.writes - statement.conditional <= space.bound
    changed = {name for name, value in objects.items() if value != before[name]}
    reached = statement.mutates | {other for name in statement.mutates for other in statement.aliases.get(name, ())}
    assert changed <= reached
