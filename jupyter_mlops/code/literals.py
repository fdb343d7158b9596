"""Literal values in source, and which calls they are parameters of."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator
from typing import Any

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
    ast.Not: operator.not_,
}
_LONGEST = 10_000
_NEVER = (ast.Call, ast.Name, ast.Attribute, ast.Subscript, ast.Lambda, ast.Compare, ast.ListComp, ast.IfExp)


def words(text: str) -> frozenset[str]:
    """The words of a text as a set of names."""
    return frozenset(text.split())


# Names under which notebooks import modules: their functions are known by their own names.
MODULES = words(
    "F bs4 builtins bz2 collections cv2 datetime duckdb fastai functools gc glob gzip heapq imblearn importlib itertools jax jnp joblib "
    "json keras lgb lightgbm logging math mlflow msno multiprocessing nltk nn np numpy optuna os pa pandas pathlib pd pickle pl platform "
    "polars pprint pq psutil pyarrow random re requests scipy shutil skimage sklearn skops sm smf spacy sqlalchemy sqlite3 statistics "
    "statsmodels subprocess sys tempfile tensorflow tf threading timeit torch torchaudio torchtext torchvision transformers urllib "
    "wandb warnings xgb xgboost yaml zipfile"
)
PLOTTING = words(
    "alt altair ax axarr axes axs bokeh cufflinks fig figure folium go iplot matplotlib mpl msno plotly plt px pylab seaborn shap sns "
    "sweetviz wordcloud"
)
MODULE_NAMES = MODULES | PLOTTING
_ASIDE = words(
    "add_argument annotate bar barh boxplot breakpoint catplot compile countplot describe display dump dumps exit figure "
    "filterwarnings findall format fromisoformat getLogger get_logger heatmap help hist imshow info input legend lineplot lmplot load "
    "loads makedirs match mkdir open option_context pairplot parse parse_args plot plot_model plot_tree pprint print read readlines "
    "regplot save savefig savetxt scatter scatterplot set_option set_page_config set_printoptions set_style set_theme "
    "show simplefilter sleep strftime strptime style sub subplots suptitle text_input title to_clipboard to_csv "
    "to_datetime to_excel to_feather to_html to_json to_latex to_markdown to_parquet to_pickle to_sql to_string tqdm trange use view "
    "violinplot warn write writer xlabel xlim xticks ylabel ylim yticks"
)
_ASIDE_PREFIXES = ("read_", "plot_", "scan_", "print_", "display_", "show_", "draw_", "set_tick", "set_x", "set_y", "set_title", "tick_")


class NotLiteral(ValueError):
    """An expression whose value is not written in the source."""


def literal(node: ast.expr) -> Any:
    """The value of an expression of constants only: numbers with operators, text, containers of those. Raises `NotLiteral` for others.

    Values that would be long to compute or to keep (`9**9**9`, `"a" * 10**9`) are no literals.
    """
    match node:
        case ast.Constant(value=value) if value is not Ellipsis:
            return value
        case ast.UnaryOp(op=op, operand=operand):
            return _computed(_UNARY[type(op)], literal(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            one, other = literal(left), literal(right)
            _bounded(op, one, other)
            return _computed(_BINARY[type(op)], one, other)
        case ast.List(elts=items):
            return [literal(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(literal(item) for item in items)
        case ast.Set(elts=items):
            return _computed(set, [literal(item) for item in items])
        case ast.Dict(keys=keys, values=values):
            return _computed(dict, [(literal(_present(key)), literal(value)) for key, value in zip(keys, values, strict=True)])
        case ast.JoinedStr(values=values) if all(isinstance(item, ast.Constant) for item in values):
            return "".join(str(literal(item)) for item in values)
    raise NotLiteral(type(node).__name__)


def is_literal(node: ast.expr) -> bool:
    """Whether `literal` gives a value."""
    if isinstance(node, _NEVER):
        return False
    try:
        literal(node)
    except NotLiteral:
        return False
    return True


def _computed(function: Callable[..., Any], *values: Any) -> Any:
    try:
        return function(*values)
    except (TypeError, ValueError, ArithmeticError, KeyError, MemoryError) as error:
        raise NotLiteral(str(error)) from error


def _present(key: ast.expr | None) -> ast.expr:
    if key is None:
        raise NotLiteral("unpacking")
    return key


def _bounded(op: ast.operator, one: Any, other: Any) -> None:
    numbers = isinstance(one, (int, float, complex)) and isinstance(other, (int, float, complex))
    if isinstance(op, (ast.Pow, ast.LShift)):
        small = numbers and abs(other) <= 1_000 and abs(one) <= 10**12
    elif isinstance(op, ast.Mod):
        small = numbers
    elif isinstance(op, ast.Mult) and not numbers:
        length, times = (len(one), other) if hasattr(one, "__len__") else (len(other) if hasattr(other, "__len__") else _LONGEST, one)
        small = isinstance(times, int) and length * times <= _LONGEST
    else:
        small = True
    if not small:
        raise NotLiteral("too long")


def dotted(node: ast.expr) -> str:
    """The name of what is called, as written, calls and subscripts left empty: `clf.fit`, `models[].fit`, `make().fit`; "" if none."""
    parts: list[str] = []
    while True:
        match node:
            case ast.Name(id=name):
                return name + "".join(reversed(parts))
            case ast.Attribute(value=value, attr=attr):
                parts.append("." + attr)
                node = value
            case ast.Call(func=value):
                parts.append("()")
                node = value
            case ast.Subscript(value=value):
                parts.append("[]")
                node = value
            case _:
                return "".join(reversed(parts)).lstrip(".")


def function_name(called: str) -> str:
    """The name that a function's parameters are recorded under.

    `pd.DataFrame.sample` is `DataFrame.sample`, `sklearn.model_selection.train_test_split` is `train_test_split`; methods of variables and
    functions of plotting modules keep their first name.
    """
    root, *rest = called.split(".")
    if root not in MODULES or not rest:
        return called
    for number, part in enumerate(rest):
        if part[:1].isupper():
            return ".".join(rest[number:])
    return rest[-1]


def feeds(function: str) -> bool:
    """Whether a function's literals can matter to a result: False for plotting, reading and parsing, printing and display.

    `function` is as in `Statement.calls` or `Statement.keywords`.
    """
    last = function.rsplit(".", 1)[-1].strip("()[]")
    parts = function.replace("()", "").replace("[]", "").split(".")
    if parts[0] in PLOTTING or "plot" in parts[:-1] or "style" in parts[:-1]:
        return False
    return not (last in _ASIDE or last.startswith(_ASIDE_PREFIXES) or last.endswith("plot"))


def draws(function: str) -> bool:
    """Whether a call, written as in `Statement.calls`, makes or changes a picture: what it gives holds none of the data that it drew."""
    parts = function.replace("()", "").replace("[]", "").split(".")
    return parts[0] in PLOTTING or "plot" in parts or parts[-1].endswith("plot") or parts[-1] == "hist"


def keyword_literals(calls: Iterator[ast.Call]) -> Iterator[tuple[str, str, Any]]:
    """(function, keyword, value) of each literal keyword; literal entries of a `**{...}` or `dict(...)` count as keywords of the call."""
    for call in calls:
        name = function_name(dotted(call.func))
        for item in call.keywords:
            if item.arg is not None and is_literal(item.value):
                yield name, item.arg, literal(item.value)
            elif item.arg is None and isinstance(item.value, ast.Dict):
                for key, value in zip(item.value.keys, item.value.values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(key.value, str) and is_literal(value):
                        yield name, key.value, literal(value)
