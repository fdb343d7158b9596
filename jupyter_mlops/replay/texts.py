"""Two texts that a cell showed, compared word for word but for what a listed cause explains."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..code.statements import Statement
from .causes import BY_NAME, CAUSES

RELATIVE, ABSOLUTE = 1e-9, 1e-12
"""Floats that differ by less are equal within tolerance: rounding of sums in another order, never a changed input."""

IDENTICAL, TOLERANCE, DIFFERENT, UNCOMPARED = "identical", "tolerance", "different", "uncompared"
_SHOWN = 160
_NUMBERS = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w])")
_DAY = re.compile(r"\b\d{4}[-/]\d{2}[-/]\d{2}\b")
_FLOAT = re.compile(r"[.eE]")
# Colours, and what IPython says of its own history file.
_NOISE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|ERROR! Session/line number was not unique in database[^\n]*\n?")
_BRACES = re.compile(r"\{[^{}\n]*\}")
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_SPAN = re.compile(r"(\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?)\s*([A-Za-zµμ]+)")
_LONG_UNIT = re.compile(r"days?|hours?|hrs?|min(?:ute)?s?|sec(?:ond)?s?")
_COARSE = 2
_FOLD = re.compile(r"^\[CV[^\n]*(?:\n|\Z)", re.MULTILINE)
# A bar is drawn as often as the pace allows, and some things are said on one machine alone.
_UNEVEN = ("progress bar", "first use")
_FEW_ORDERS = 3


@dataclass(frozen=True, slots=True)
class Compared:
    """How two values compare. `excused`: the reason is a listed one; `doubtful`: only the code says so, a second replay must confirm it.

    `words` are the differing words of replayed texts in doubt, by line and place in it; -1 stands for the whole line.
    `certain`: what differs is not what a cause behind the value touches.
    """

    verdict: str
    why: str = ""
    excused: bool = False
    doubtful: bool = False
    recorded: str = ""
    replayed: str = ""
    words: Mapping[tuple[int, int], str] = field(default_factory=dict)
    certain: bool = False


SAME = Compared(IDENTICAL)


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of two executions: causes that the code depends on, statements that show them, folders, durations in seconds."""

    causes: frozenset[str] = frozenset()
    statements: Sequence[tuple[Statement, frozenset[str]]] = ()
    folders: tuple[Sequence[str], Sequence[str]] = ((), ())
    seconds: tuple[float, float] = (0.0, 0.0)
    elapsed: tuple[float, float] = (0.0, 0.0)


PLAIN = Context()
Names = frozenset[str]
# What only gives a number another form.
_SHAPES = re.compile(r"(?:round|float|int|abs|str|format)\(")
_ASKS = re.compile(r"(?:^|[.(\s])(?:time|perf_counter|process_time|thread_time|monotonic|default_timer|now|utcnow|today)(?:_ns)?\(")


def compare_texts(recorded: str, replayed: str, context: Context = PLAIN) -> Compared:
    """Compare two texts; order within sets does not count."""
    if recorded == replayed:
        return SAME
    first, second = (_sets_in_order(_NOISE.sub("", text)) for text in (recorded, replayed))
    if first == second:
        return SAME
    used: list[str] = []
    first, second = _folders(first, second, context, used)
    first, second = _carriage_returns(first, second, used)
    first, second = _folds(first, second, used)
    first, second = _templates(first, second, context, used, _measures)
    sure = _masked(first, second, context, used)
    if sure[0] == sure[1]:
        # Identifiers that the code does not make are data until a second replay shows that they change each time.
        doubtful = "uuid" in used and "uuid" not in context.causes
        return Compared(
            UNCOMPARED, explained(used), excused=True, doubtful=doubtful, recorded=_line(recorded), replayed=_line(replayed)
        )
    if close_numbers(*sure) and "time" not in context.causes:
        shown = _first_line(*sure)
        return Compared(TOLERANCE, "equal but for the last digits of floats", recorded=shown[0], replayed=shown[1])
    # From here on the code alone tells what the difference may come from.
    first, second = _templates(first, second, context, used, _is_named_a_time)
    first, second = _masked(first, second, context, used)
    first, second = _nearly_masked(first, second, context, used)
    shown = _first_line(first, second)
    if first != second and close_numbers(*sure):
        return Compared(TOLERANCE, "equal but for the last digits of floats", recorded=shown[0], replayed=shown[1])
    if first == second or close_numbers(first, second):
        words, shown = _apart(*sure), _first_line(*sure)
        return Compared(UNCOMPARED, explained(used), excused=True, doubtful=True, recorded=shown[0], replayed=shown[1], words=words)
    if "hash order" in context.causes and _jumbled(first) == _jumbled(second):
        found = _disordered(first, second)
    else:
        found = _doubted(first, second, sure, context)
    return replace(found, recorded=shown[0], replayed=shown[1])


def explained(causes: Iterable[str]) -> str:
    """Why something was not compared: the names of its causes and what they mean."""
    return "; ".join(f"{name}: {BY_NAME[name].why}" for name in dict.fromkeys(causes))


def close(a: float, b: float, relative: float = RELATIVE) -> bool:
    """Whether two floats are equal within tolerance; NaN equals NaN."""
    return math.isclose(a, b, rel_tol=relative, abs_tol=ABSOLUTE) or (math.isnan(a) and math.isnan(b))


def close_numbers(a: str, b: str) -> bool:
    """Whether two texts are the same but for floats that are equal within tolerance; a whole number that differs is another."""
    if _NUMBERS.sub("#", a) != _NUMBERS.sub("#", b):
        return False
    pairs = zip(_NUMBERS.findall(a), _NUMBERS.findall(b), strict=True)
    return all(x == y or (bool(_FLOAT.search(x + y)) and close(float(x), float(y))) for x, y in pairs)


def short(text: str) -> str:
    """A text on one line, for a reader."""
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _line(text: str) -> str:
    return short(next((line for line in text.splitlines() if line.strip()), ""))


def _first_line(a: str, b: str) -> tuple[str, str]:
    """The first lines that differ; the part around the difference where they are long."""
    first, second = a.splitlines(), b.splitlines()
    for x, y in zip(first, second, strict=False):
        if x != y:
            start = next((place for place, pair in enumerate(zip(x, y, strict=False)) if pair[0] != pair[1]), min(len(x), len(y)))
            start = max(0, start - _SHOWN // 2) if max(len(x), len(y)) > _SHOWN else 0
            return short(x[start:]), short(y[start:])
    longer = min(len(first), len(second))
    return short(" ".join(first[longer : longer + 1])) or "(nothing more)", short(" ".join(second[longer : longer + 1])) or "(nothing more)"


def _folders(a: str, b: str, context: Context, used: list[str]) -> tuple[str, str]:
    texts = []
    for text, folders in zip((a, b), context.folders, strict=True):
        for folder in sorted(folders, key=len, reverse=True):
            if len(folder) > 1:
                text = re.sub(rf"{re.escape(folder)}(?![\w.-])", "«folder»", text)
        texts.append(text)
    if "«folder»" in texts[0] and "«folder»" in texts[1] and texts != [a, b]:
        used.append("folder")
        return texts[0], texts[1]
    return a, b


def _carriage_returns(a: str, b: str, used: list[str]) -> tuple[str, str]:
    """What stays on a terminal's line that was written over and over."""
    if "\r" not in a and "\r" not in b:
        return a, b
    kept = tuple("\n".join(_last(line) for line in text.replace("\r\n", "\n").split("\n")) for text in (a, b))
    used.append("progress bar")
    return kept[0], kept[1]


def _last(line: str) -> str:
    return next((part for part in reversed(line.split("\r")) if part.strip()), "")


def _folds(a: str, b: str, used: list[str]) -> tuple[str, str]:
    """The lines of a cross-validation in alphabetical order and without their times: several workers end them in any order."""
    if not (_FOLD.search(a) and _FOLD.search(b)):
        return a, b
    used.append("time")
    lines = [sorted(_without_times(line.rstrip("\n")) for line in _FOLD.findall(text)) for text in (a, b)]
    first, second = ("\n".join([_FOLD.sub("", text), *told]) for text, told in zip((a, b), lines, strict=True))
    return first, second


def _without_times(line: str) -> str:
    return re.sub(r"\.{3,}", "...", re.sub(r"total(?: time)?= *[\d.]+ ?[a-z]+", "total time", line))


def _templates(a: str, b: str, context: Context, used: list[str], tells: Callable[[ast.expr, Names], bool]) -> tuple[str, str]:
    """Lines printed by a statement that says itself which of their parts come from the clock: those of which `tells` says so."""
    measured = frozenset(
        name
        for statement, _ in context.statements
        for name, expression in statement.computed.items()
        if (tree := _parsed(expression)) is not None and _measures(tree, frozenset())
    )
    plans = [(plan, ["time"]) for statement, causes in context.statements for plan in _plans(statement, causes, measured, tells)]
    first, second = a.split("\n"), b.split("\n")
    if not plans or len(first) != len(second):
        return a, b
    for place, (x, y) in enumerate(zip(first, second, strict=True)):
        for plan, causes in plans if x != y else ():
            matches = plan.fullmatch(x), plan.fullmatch(y)
            if all(matches):
                first[place], second[place] = (_marked(match) for match in matches if match)
                used.extend(causes)
                break
    return "\n".join(first), "\n".join(second)


def _marked(match: re.Match[str]) -> str:
    text = match[0]
    for name in reversed(match.groupdict()):
        if name.startswith("free"):
            text = f"{text[: match.start(name)]}«time»{text[match.end(name) :]}"
    return text


def _plans(
    statement: Statement, causes: frozenset[str], measured: Names, tells: Callable[[ast.expr, Names], bool]
) -> Iterable[re.Pattern[str]]:
    """One pattern for each `print` of a statement in which the clock's own expressions are told apart from all others."""
    if "time" not in causes or not any(call.rpartition(".")[2] == "print" for call in statement.calls):
        return
    try:
        tree = ast.parse(statement.source)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print" and not node.keywords:
            plan = _plan(node.args, lambda value: tells(value, measured))
            if plan is not None:
                yield plan


def _plan(arguments: Sequence[ast.expr], tells: Callable[[ast.expr], bool]) -> re.Pattern[str] | None:
    pieces: list[str] = []
    count = [0, 0]

    def slot(value: ast.expr) -> str:
        tainted = tells(value)
        count[tainted] += 1
        return f"(?P<{'free' if tainted else 'kept'}{count[tainted]}>.*?)"

    for argument in arguments:
        parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
        text = ""
        for part in parts:
            if isinstance(part, ast.Constant):
                text += re.escape(str(part.value))
            else:
                text += slot(part.value if isinstance(part, ast.FormattedValue) else part)
        pieces.append(text)
    return re.compile(" ".join(pieces)) if count[1] else None


def _parsed(expression: str) -> ast.expr | None:
    try:
        return ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _measures(node: ast.expr, measured: Names) -> bool:
    """Whether an expression is nothing but a reading of the clock: it calls nothing else, and was not made from anything else."""
    calls = [f"{ast.unparse(item.func)}(" for item in ast.walk(node) if isinstance(item, ast.Call)]
    asked = [call for call in calls if _ASKS.search(call)]
    others = [call for call in calls if not _SHAPES.fullmatch(call) and call not in asked]
    return not others and (bool(asked) or (isinstance(node, ast.Name) and node.id in measured))


def _is_named_a_time(node: ast.expr, measured: Names) -> bool:
    """Whether an expression measures, or is named as a duration: another name of the statement may be a result."""
    named = r"\b(?:elapsed|duration|took|seconds|secs|t_?(?:total|fit|train|end|elapsed)|\w*_(?:time|seconds|elapsed)|runtime)\b"
    return _measures(node, measured) or bool(re.search(named, ast.unparse(node)))


def _masked(a: str, b: str, context: Context, used: list[str]) -> tuple[str, str]:
    for cause in CAUSES:
        if a == b:
            break
        depends = cause.name in context.causes
        if cause.pattern is not None:
            a, b = _mask(cause.pattern, a, b, cause.name, used, _plausible(cause.name, depends, context))
    return a, b


def _nearly_masked(a: str, b: str, context: Context, used: list[str]) -> tuple[str, str]:
    """Without what only looks as if it came from a cause that the code depends on."""
    for cause in CAUSES:
        if cause.near is not None and cause.name in context.causes:
            a, b = _mask(cause.near, a, b, cause.name, used, _plausible(cause.name, True, context))
    return a, b


def _plausible(cause: str, depends: bool, context: Context) -> Callable[[int, str], bool]:
    """Whether a matched text can come from the cause: nothing that a cell measures lasts longer than its session."""
    if cause != "time":
        return lambda side, text: True
    limits = context.elapsed if depends else context.seconds
    near = {(datetime.now() + timedelta(days=days)).strftime("%Y%m%d") for days in (-1, 0, 1)}

    def fits(side: int, text: str) -> bool:
        # A day that is not today's was not read from a clock here: it is data.
        if not depends and side == 1 and any(re.sub(r"\D", "", day) not in near for day in _DAY.findall(text)):
            return False
        longest = max((_seconds(number, unit) for number, unit in _SPAN.findall(text)), default=0.0)
        return longest <= 16 * limits[side] + 1.0

    return fits


def _seconds(number: str, unit: str) -> float:
    unit = unit.lower()
    short_unit = unit if unit in _SECONDS else "ms" if unit.startswith("milli") else "us" if unit.startswith("micro") else ""
    if _LONG_UNIT.fullmatch(unit):
        short_unit = unit[:1]
    return float(number.replace(",", "")) * _SECONDS.get(short_unit, 0.0)


def _mask(pattern: re.Pattern[str], a: str, b: str, cause: str, used: list[str], fits: Callable[[int, str], bool]) -> tuple[str, str]:
    """Both texts without what the pattern matches, if each side has as many matches; a difference there is the cause's."""
    found = [[match for match in pattern.finditer(text) if match[0] and fits(side, match[0])] for side, text in enumerate((a, b))]
    alike = bool(found[0]) and len(found[0]) == len(found[1])
    if not alike and (cause not in _UNEVEN or not (found[0] or found[1])):
        return a, b
    if [match[0] for match in found[0]] == [match[0] for match in found[1]]:
        return a, b
    used.append(cause)
    mark = "" if cause == "first use" else f"«{cause}»"
    masked = [_without(text, matches, mark) for text, matches in zip((a, b), found, strict=True)]
    if cause == "progress bar":
        # How often a bar is drawn depends on the pace as well.
        masked = [re.sub(r"(?:«progress bar»\s*)+", "«progress bar»\n", text) for text in masked]
    return masked[0], masked[1]


def _without(text: str, matches: Sequence[re.Match[str]], mark: str) -> str:
    pieces, place = [], 0
    for match in matches:
        pieces += [text[place : match.start()], mark]
        place = match.end()
    return "".join([*pieces, text[place:]])


def _apart(a: str, b: str) -> dict[tuple[int, int], str]:
    """The words of the second text that differ, by line and place in it; whole lines where their words do not correspond."""
    lines = a.split("\n"), b.split("\n")
    if len(lines[0]) != len(lines[1]):
        return {(0, -1): b}
    found: dict[tuple[int, int], str] = {}
    for number, (x, y) in enumerate(zip(*lines, strict=True)):
        first, second = x.split(), y.split()
        if len(first) == len(second):
            found |= {(number, place): word for place, (other, word) in enumerate(zip(first, second, strict=True)) if other != word}
        else:
            found[number, -1] = y
    return found


def _disordered(a: str, b: str) -> Compared:
    """Texts that hold the same in another order. Few members often have the same order twice, so that no second replay could tell."""
    moved = sum(x != y for x, y in zip(_members(a), _members(b), strict=True))
    lines = {(number, -1): y for number, (x, y) in enumerate(zip(a.split("\n"), b.split("\n"), strict=False)) if x != y}
    doubtful = moved > _FEW_ORDERS
    return Compared(UNCOMPARED, explained(["hash order"]), excused=True, doubtful=doubtful, words=lines if doubtful else {})


def _doubted(a: str, b: str, sure: tuple[str, str], context: Context) -> Compared:
    """Texts that differ by single words in a cell that depends on a cause: in doubt, word by word."""
    causes = sorted(context.causes - {"folder", "interrupted"})
    first, second = a.split(), b.split()
    if not causes or len(first) != len(second) or (causes == ["time"] and _told_apart(a, b)):
        return Compared(DIFFERENT)
    return Compared(UNCOMPARED, explained(causes), excused=True, doubtful=True, words=_apart(*sure))


def _told_apart(a: str, b: str) -> bool:
    """Whether some line differs although its time was found and taken out: what is left there is no time."""
    return any(x != y and "«time»" in x for x, y in zip(a.split("\n"), b.split("\n"), strict=False))


def settled(doubted: Compared, again: Compared) -> bool:
    """Whether a second replay, compared with the same record, clears a doubt: each word in question differs once more, or is too coarse
    to tell and stands in a line with one that does."""
    varied = {place for place, word in doubted.words.items() if again.words.get(place) != word}
    lines = {line for line, _ in varied}
    return all(place in varied or (_digits(word) <= _COARSE and place[0] in lines) for place, word in doubted.words.items())


def _digits(word: str) -> int:
    """How many digits a number is told with; what is no number tells enough."""
    return len(re.sub(r"\D", "", word).lstrip("0")) if re.fullmatch(r"[^A-Za-z]*\d[^A-Za-z]*", word) else _COARSE + 1


def _sets_in_order(text: str) -> str:
    """The members of each set that is written out, in alphabetical order; dicts and other braces stay as they are."""
    if "{" not in text:
        return text
    return _BRACES.sub(lambda match: _ordered(match[0]), text)


def _ordered(braces: str) -> str:
    try:
        tree = ast.parse(braces.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return braces
    if not isinstance(tree, ast.Set):
        return braces
    return "{" + ", ".join(sorted(ast.unparse(item) for item in tree.elts)) + "}"


def _jumbled(text: str) -> list[str]:
    return sorted(_members(text))


def _members(text: str) -> list[str]:
    return re.findall(r"[^\s,\[\](){}]+", text)
