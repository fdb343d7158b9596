"""The listed reasons for which a result may differ from run to run although nothing changed: clocks, addresses, generators nobody recorded.

A reason explains a difference in two ways. By its pattern: only the text that the pattern matches is explained, the rest is still compared.
By its code: what a statement that asks the clock binds or shows, and whatever is computed from that, may differ as a whole; such a
difference is in doubt until a second replay differs there too (see `replay.replaying`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..code.statements import Statement, analyse
from ..records import CellEvent

_NUMBER = r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?"
_UNIT = r"(?:days?|hours?|hrs?|h|minutes?|mins?|min|m|seconds?|secs?|sec|s|milliseconds?|ms|microseconds?|us|[µμ]s|ns)"
_SPAN = rf"(?:{_NUMBER}\s*{_UNIT}\b\s*)+"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s?[AP]M)?"
_DATE = r"\d{4}-\d{2}-\d{2}"


@dataclass(frozen=True, slots=True)
class Cause:
    """A reason not to compare. `why` is told to the user; `example` shows what `pattern` (anywhere) or `near` (in the output of code that
    depends on the cause) explains; `code` finds the calls that bring it in."""

    name: str
    why: str
    example: str
    pattern: re.Pattern[str] | None = None
    near: re.Pattern[str] | None = None
    code: re.Pattern[str] | None = None


UNSEEDED = re.compile(
    r"\b(?:default_rng|RandomState|Random|SeedSequence|PCG64|PCG64DXSM|MT19937|Philox|SFC64)\(\s*(?:None|seed\s*=\s*None)?\s*\)"
)
"""The making of a random generator of its own without a seed."""


def _words(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{part})" for part in parts), re.MULTILINE)


CAUSES: tuple[Cause, ...] = (
    Cause(
        "progress bar",
        "a progress bar shows the pace of its run",
        "100%|██████████| 10/10 [00:01<00:00, 9.81it/s]",
        _words(
            # What the loop itself adds after the pace (", loss=0.5") is its result.
            r"\d+%\|[^|\n]*\|[^\n\[]*\[[^\]\n,]*(?:, *[\d.?]+ *[a-zA-Z]*/ *[a-zA-Z]+)?\]?",
            r"\d+%\|[^|\n]*\|[^\n\[]*$",
            r"\b\d+it \[[^\]\n,]*(?:, *[\d.?]+ *[a-zA-Z]*/ *[a-zA-Z]+)?\]?",
            r"\d+/\d+ \[[=>.\s]*\]\s*-[^\n]*?(?=(?: - [a-z_]\w*:)|$|\n)",
            r"[━╸╺][━╸╺ ]*(?:\d+/\d+(?!\d))?(?:[ •]*(?:\d+:\d\d(?::\d\d)?|-:--:--|\d+(?:\.\d+)?(?:it/s|(?:us|ms|s)\b(?:/\w+)?)))*",
            r"^\[Parallel\(n_jobs=-?\d+\)\]: [^\n]*",
            r"(?<= )\d+(?:\.\d+)?(?:us|ms|s)(?: \d+(?:\.\d+)?(?:us|ms|s)/(?:step|epoch|sample))?(?= - [a-z_]\w*:)",
        ),
    ),
    Cause(
        "first use",
        "a library says it only once on a machine, when it fills its caches",
        "Matplotlib is building the font cache; this may take a moment.",
        _words(
            r"^Matplotlib is building the font cache; this may take a moment\.\n?",
            # A replay has an MLflow store of its own, which needs no tables, and is always new.
            r"^[\d/]+ [\d:]+ INFO mlflow\.store\.db\.utils: [^\n]*\n?",
            r"^(?:[\d/]+ [\d:]+ )?INFO +\[?alembic[\w.]*\]?:? [^\n]*\n?",
            r"^[\d/]+ [\d:]+ INFO mlflow\.tracking\.fluent: Experiment with name [^\n]* does not exist\. [^\n]*\n?",
            r"^[^\n]*: SyntaxWarning: [^\n]*\n?(?:^[ \t]+[^\n]*\n?)?",
        ),
    ),
    Cause(
        "time",
        "a clock time or duration",
        "Wall time: 1.2 s",
        _words(
            r"(?i:cpu times?|wall time|total time|elapsed(?: time)?|time elapsed|run ?time|time taken|took)\s*[:=]?\s*"
            rf"(?:user |sys |total )?"
            rf"{_SPAN}(?:,? *(?:user|sys|total):? *{_SPAN})*(?:,? *total: {_SPAN})?",
            rf"{_SPAN}±\s*{_SPAN}per loop[^\n]*",
            rf"\d+ loops?, best of \d+: {_SPAN}per loop",
            r"The slowest run took [^\n]*",
            rf"\b{_NUMBER}\s*(?:s|ms|us|µs|sec|seconds?)/(?:it|step|epoch|iter|sample|batch)\b",
            rf"\b{_NUMBER}\s*(?:it|its|steps?|samples?|batch|batches)/s(?:ec)?\b",
            rf"overhead of testing was {_NUMBER} seconds",
            rf"\b(?:total|remaining)(?: time)?[:=]\s*{_SPAN}",
            # As text, HTML and LaTeX of a statsmodels summary.
            r"(?<=Date:)(?:\s|</?t[hd]>|\\?[}&{]|\\textbf)+(?:\w{3}, \d{2} \w{3} \d{4}|\d{4}-\d{2}-\d{2} \d{2}:\d{2})\s*",
            r"(?<=Time:)(?:\s|</?t[hd]>|\\?[}&{]|\\textbf)+\d{2}:\d{2}:\d{2}\s*",
            rf"Auto-choosing (?:row|col)-wise multi-threading, the overhead of testing was {_NUMBER} seconds?\.?"
            r"(?:\nYou can set `force_(?:row|col)_wise=true` to remove the overhead\.)?"
            r"(?:\nAnd if memory is not enough, you can set `force_col_wise=true`\.)?",
            rf"^(?:\[[A-Z] )?(?:{_DATE}|\d{{4}}/\d{{2}}/\d{{2}})[ T]\d{{2}}:\d{{2}}:\d{{2}}(?:[.,]\d+)?(?=[ \]:\-|])",
            # How scikit-learn shows a fitted search: the times of `cv_results_`, keys in full or shortened, and that of the last fit.
            r"'(?:me|st)(?:\.\.\.me|(?:an|d)_(?:fit|score)_time)': array\(\[[^\]]*\]\)",
            r"refit_time_: float[^\0]{0,800}?<td>[-+.\de]+</td>",
        ),
        _words(
            rf"{_DATE}(?:[ T]{_CLOCK}(?:[+-]\d{{2}}:?\d{{2}}|Z)?)?",
            r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\w*,? +\w{3} +\d{1,2}[ ,][^\n]{0,20}\d{4}",
            r"\bdatetime\.\w+\([\d, ]+\)",
            rf"\b{_CLOCK}",
            rf"\b{_SPAN}",
            r"\b1[4-9]\d{8}(?:\.\d+)?\b",
        ),
        _words(
            r"\btime\.(?:time|ctime|localtime|gmtime|strftime|asctime)\b",
            r"(?<![\w.])time\(\)",
            r"\b(?:perf_counter|monotonic|process_time|thread_time|time|perf_counter|monotonic|process_time)_ns\b",
            r"\b(?:perf_counter|process_time|thread_time|monotonic|default_timer)\b",
            r"\b(?:now|today|utcnow)\(",
            r"[\"'](?:now|today)[\"']",
            r"\btimeit\b|%%?time\b|%%?timeit\b|%%?prun\b|\bgetmtime\b|\bst_[mac]time\b",
            r"\b(?:cross_validate|refit_time_|cv_results_|return_times)\b|\b(?:mean_|std_)?(?:fit|score)_times?\b",
        ),
    ),
    Cause(
        "object address",
        "the address of an object",
        "<__main__.Net object at 0x7f12ab34cd50>",
        _words(r"\bat 0x[0-9a-fA-F]{6,16}\b", r"(?<=[\s(=:])0x[57][0-9a-fA-F]{8,15}(?=>)", r"\.\.\.x?[57][0-9a-f]{9,13}(?=>)"),
        None,
        re.compile(r"(?<![\w.])id\("),
    ),
    Cause(
        "uuid",
        "an identifier made anew in each run",
        "9f1c2d3e-4b5a-4c6d-8e7f-0a1b2c3d4e5f",
        re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[14][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b"),
        None,
        _words(r"\buuid[14]\b", r"\bmlflow\.(?:start_run|log_model|\w+\.log_model|active_run|last_active_run|register_model)\b"),
    ),
    Cause(
        "temporary file",
        "the name of a temporary file",
        "/tmp/tmpk3x9_2ab/model.pkl",
        re.compile(r"/tmp\w*/tmp[a-z0-9_]{6,10}\b"),
        re.compile(r"\btmp[a-z0-9_]{6,10}\b"),
        re.compile(r"\b(?:mkdtemp|mkstemp|mktemp|TemporaryDirectory|NamedTemporaryFile|TemporaryFile)\b"),
    ),
    Cause(
        "place in a file",
        "where a warning came from: the path or the kernel's own name of the code",
        "/tmp/ipykernel_4711/123456789.py:3: UserWarning: no labels",
        _words(
            r"(?:/[^\s:\"'<>]*)?/ipykernel_\d+/\d+\.py(?::\d+)?",
            r"(?:/[^\s:\"'<>]+)+/(?:site|dist)-packages(?=/)",
            r"(?:/[^\s:\"'<>]+)+/lib/python3\.\d+(?=/)",
            r"<ipython-input-\d+-[0-9a-f]+>(?::\d+)?",
        ),
    ),
    Cause(
        "folder",
        "the replay runs in a folder of its own",
        "/home/ada/flights/data.csv",
        None,
        None,
        re.compile(r"\b(?:getcwd|cwd|abspath|realpath|resolve|absolute)\(|%pwd|!pwd"),
    ),
    Cause(
        "process",
        "the id of a process or thread",
        "worker 48213 is ready",
        None,
        None,
        re.compile(r"\b(?:getpid|getppid|get_ident|current_process|native_id)\b"),
    ),
    Cause(
        "memory",
        "how much memory or processor the process used",
        "peak memory: 123.45 MiB, increment: 0.12 MiB",
        _words(rf"peak memory: {_NUMBER} MiB, increment: {_NUMBER} MiB"),
        None,
        re.compile(r"\b(?:psutil|getrusage|tracemalloc|memory_info|cpu_percent|virtual_memory|getallocatedblocks|memit)\b"),
    ),
    Cause(
        "unrecorded generator",
        "a random generator that nobody could have recorded",
        "rng = np.random.default_rng(); rng.normal()",
        None,
        None,
        _words(
            UNSEEDED.pattern,
            r"\bSystemRandom\b",
            r"\burandom\(|\bgetrandom\(|\bsecrets\.\w+|\b(?:token_hex|token_bytes|token_urlsafe|randbits)\(",
            r"\btorch\.(?:seed|initial_seed)\(\s*\)",
            r"\brandom\.seed\(\s*(?:None)?\s*\)",
            r"\bFaker\(|\btf\.random\b|\bkeras\.random\b|\bcupy\.random\b",
            r"(?i:\busing sample\b|\border by random\(\))",
            r"\buuid[14]\b",
        ),
    ),
    Cause(
        "hash order",
        "the order of a set of texts changes with each process",
        "list(set(['b', 'a']))",
        None,
        None,
        re.compile(
            r"(?<![\w.])(?:set|frozenset|hash)\(|\{[^{}:]*\bfor\b[^{}:]*\}|\{\s*['\"][^{}:]*\}|\.(?:union|intersection|difference)\("
        ),
    ),
    Cause(
        "live state",
        "the state of a network, a database or this machine",
        "requests.get(url).json()",
        None,
        None,
        re.compile(r"\b(?:gethostname|platform\.\w+|getuser|cpu_count|getloadavg|disk_usage|nvidia-smi)\b|\bos\.environ\b|\bgetenv\b"),
    ),
    Cause("this package's own output", "what the tracking itself shows is about its own state, which a replay has not", "%mlops runs"),
    Cause("interrupted", "the cell was interrupted by hand, at a moment that nobody can repeat", "KeyboardInterrupt"),
)

BY_NAME: Mapping[str, Cause] = {cause.name: cause for cause in CAUSES}


def brought_in(source: str) -> frozenset[str]:
    """The names of the causes that a piece of code brings in by itself."""
    return frozenset(cause.name for cause in CAUSES if cause.code is not None and cause.code.search(source))


@dataclass(slots=True)
class Dependence:
    """Which causes the values and outputs of a history may depend on, by its code alone."""

    bound: dict[tuple[int, str], frozenset[str]] = field(default_factory=dict)
    shown: dict[int, frozenset[str]] = field(default_factory=dict)
    statements: dict[int, tuple[tuple[Statement, frozenset[str]], ...]] = field(default_factory=dict)

    def of(self, seq: int, name: str) -> frozenset[str]:
        """The causes behind a name as execution `seq` left it."""
        return self.bound.get((seq, name), frozenset())

    def of_result(self, seqs: Iterable[int], name: str) -> frozenset[str]:
        """The causes behind a metric or model of a run with these executions: of the variable it was named after, else of all they show."""
        root = re.split(r"[.\[(/ ]", name, maxsplit=1)[0]
        for seq in sorted(seqs, reverse=True):
            if (seq, root) in self.bound:
                return self.bound[seq, root]
        return frozenset().union(*(self.shown.get(seq, frozenset()) for seq in seqs))


def dependence(events: Sequence[CellEvent]) -> Dependence:
    """Follows the causes through the names that the statements of a history read and bind, in the order of execution."""
    found = Dependence()
    names: dict[str, frozenset[str]] = {}
    captures: dict[str, frozenset[str]] = {}
    for event in events:
        whole = brought_in(event.source) if event.source.lstrip().startswith("%%") else frozenset()
        told = []
        for statement in analyse(event.source):
            causes = whole | _causes(statement, names, captures)
            told.append((statement, causes))
            _bind(statement, causes, names, captures)
        found.statements[event.seq] = tuple(told)
        found.shown[event.seq] = frozenset().union(whole, *(causes for _, causes in told))
        for name in {*event.writes, *event.mutates, *(name for statement, _ in told for name in statement.writes | statement.mutates)}:
            found.bound[event.seq, name] = names.get(name, whole)
    return found


def _causes(statement: Statement, names: Mapping[str, frozenset[str]], captures: Mapping[str, frozenset[str]]) -> frozenset[str]:
    read = statement.reads | statement.mutates
    read |= frozenset().union(*(captures.get(name, frozenset()) for name in read))
    if statement.defines:
        read |= statement.captures
    causes = brought_in(statement.source).union(*(names.get(name, frozenset()) for name in read))
    return causes | {"live state"} if statement.network else causes


def _bind(statement: Statement, causes: frozenset[str], names: dict[str, frozenset[str]], captures: dict[str, frozenset[str]]) -> None:
    for name in statement.writes:
        names[name] = causes | (names.get(name, frozenset()) if name in statement.conditional else frozenset())
    for name in statement.mutates | statement.may_mutate:
        names[name] = names.get(name, frozenset()) | causes
    for name in statement.defines:
        captures[name] = statement.captures
