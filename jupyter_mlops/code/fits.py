"""Calls that fit a model."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence

from .literals import dotted, words
from .notebook_syntax import Magic, code_of, magic_of

FITTING_METHODS = words(
    "backward fine_tune fit fit_constrained fit_generator fit_one_cycle fit_predict fit_regularized fit_transform manual_backward "
    "partial_fit"
)
_FITTING_FUNCTIONS = words("cross_val_predict cross_val_score cross_validate learning_curve permutation_test_score validation_curve")
_BOOSTERS = frozenset({"cb", "catboost", "lgb", "lgbm", "lightgbm", "xgb", "xgboost"})
# Functions that give another form of a function that they are handed, and those that only look at it.
_WRAPPING = words("cache delayed jit lru_cache njit partial remote update_wrapper vectorize wraps")
_LOOKING = words(
    "callable dir display dump dumps getattr getsource getsourcelines hasattr help id isinstance issubclass len print register repr "
    "setattr signature str type vars"
)

_CONTEXTS = (ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.boolop)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
SCOPES = (*_FUNCTIONS, ast.ClassDef)
_LEAVES = (ast.Constant, ast.Name, ast.Pass)


def executed(
    nodes: Iterable[ast.AST], *, apart: tuple[type[ast.AST], ...] = _FUNCTIONS, code: Callable[[Magic], Sequence[ast.stmt]] = code_of
) -> Iterator[ast.AST]:
    """All nodes that run when these do, in the order of the text: not the bodies of functions (nor what else is set `apart`), but their
    decorators and defaults, and the code that magics run."""
    waiting = list(nodes)[::-1]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, apart):
            waiting += _run_when_defined(node)[::-1]
        elif isinstance(node, ast.Call) and (magic := magic_of(node)):
            waiting += code(magic)[::-1]
        else:
            waiting += children(node)[::-1]


def children(node: ast.AST) -> list[ast.AST]:
    """As `ast.iter_child_nodes`, several times as fast."""
    found: list[ast.AST] = []
    if isinstance(node, _LEAVES):
        return found
    values = node.__dict__
    for name in node._fields:
        value = values.get(name)
        if isinstance(value, list):
            found += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST) and not isinstance(value, _CONTEXTS):
            found.append(value)
    return found


def _run_when_defined(node: ast.AST) -> list[ast.AST]:
    match node:
        case ast.ClassDef():
            return [*node.decorator_list, *node.bases, *node.keywords]
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return [*node.decorator_list, *node.args.defaults, *(item for item in node.args.kw_defaults if item)]
        case ast.Lambda():
            return [*node.args.defaults, *(item for item in node.args.kw_defaults if item)]
    return []


def fit_calls(tree: ast.Module, known_fitting: Iterable[str] = ()) -> list[ast.Call]:
    """The calls that fit a model when the cell runs: also within loops, branches and comprehensions, not in functions, lambdas and classes.

    `known_fitting` are functions and classes known to fit (`Statement.fitting_defs`); a call that is handed one of them counts too.
    """
    return calls_that_fit(executed(tree.body, apart=SCOPES), frozenset(known_fitting))


def calls_that_fit(nodes: Iterable[ast.AST], known_fitting: frozenset[str]) -> list[ast.Call]:
    """As `fit_calls`, among nodes that `executed` gave."""
    methods = frozenset(name.rsplit(".", 1)[1] for name in known_fitting if "." in name)
    return [node for node in nodes if isinstance(node, ast.Call) and _fits(node, known_fitting, methods)]


def _fits(call: ast.Call, known: frozenset[str], known_methods: frozenset[str]) -> bool:
    name = dotted(call.func)
    root, _, last = name.rpartition(".")
    if last in _FITTING_FUNCTIONS or name in known:
        return True
    if isinstance(call.func, ast.Attribute):
        if last in FITTING_METHODS or last in known_methods:
            return True
        if last in {"train", "cv"} and root.split(".")[0] in _BOOSTERS:
            return True
        if last == "train" and "trainer" in root.lower():
            return True
    if last in _WRAPPING or last in _LOOKING:
        return False
    return any(_is_function_that_fits(item, known) for item in (*call.args, *(item.value for item in call.keywords)))


def _is_function_that_fits(node: ast.expr, known: frozenset[str]) -> bool:
    """Whether a call is handed a function that fits: itself, wrapped (`partial(train, X)`), or one call of it after another
    (`delayed(train)(depth) for depth in depths`)."""
    match node:
        case ast.Name(id=name):
            return name in known
        case ast.Call(func=function, args=[first, *_]) if dotted(function).rpartition(".")[2] in _WRAPPING:
            return _is_function_that_fits(first, known)
        case ast.Call(func=ast.Call() as wrapped):
            return _is_function_that_fits(wrapped, known)
        case ast.GeneratorExp(elt=item) | ast.ListComp(elt=item):
            return _is_function_that_fits(item, known)
    return False


def fitting_definitions(nodes: Iterable[ast.stmt], known_fitting: frozenset[str]) -> frozenset[str]:
    """Functions and classes defined by these statements that fit when called, directly or through each other; methods as `Class.method`."""
    bodies: dict[str, list[ast.stmt]] = {}
    for node in executed(nodes, apart=SCOPES):
        match node:
            case ast.FunctionDef(name=name, body=body) | ast.AsyncFunctionDef(name=name, body=body):
                bodies.setdefault(name, []).extend(body)
            case ast.ClassDef(name=owner):
                for item in node.body:
                    if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
                        bodies.setdefault(f"{owner}.{item.name}", []).extend(item.body)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda(body=value)):
                bodies.setdefault(name, []).append(ast.Expr(value))
    found: frozenset[str] = frozenset()
    while True:
        known = known_fitting | found
        more = frozenset(name for name, body in bodies.items() if name not in found and _body_fits(body, known))
        more |= {name.split(".")[0] for name in more if "." in name} - found
        if not more:
            return found
        found |= more


def _body_fits(body: list[ast.stmt], known: frozenset[str]) -> bool:
    return bool(calls_that_fit(executed(_with_inner_bodies(body), apart=SCOPES), known))


def _with_inner_bodies(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """The statements of a body and of the functions defined within it, which it may call."""
    yield from body
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from node.body
        elif isinstance(node, ast.Lambda):
            yield node.body
        waiting += children(node)
