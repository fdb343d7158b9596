from __future__ import annotations

import ast

import pytest

from jupyter_mlops.code.literals import NotLiteral, dotted, feeds, function_name, literal


@pytest.mark.parametrize(
    "text", ["9**9**9", "1 << 10**9", "'a' * 10**9", "[0] * 10**9", "x", "f()", "...", "{[]}", "{**a}", "1 / 0", "'%1000000d' % 1", "-'a'"]
)
def test_what_is_no_literal_is_refused(text: str) -> None:
    with pytest.raises(NotLiteral):
        literal(ast.parse(text, mode="eval").body)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-1", -1),
        ("2**10", 1024),
        ("1e-3", 0.001),
        ("60*60*24", 86400),
        ("(1, [2], {'a': None})", (1, [2], {"a": None})),
        ("1 + 2j", 1 + 2j),
        ("b'x'", b"x"),
        ("not True", False),
    ],
)
def test_literals_have_the_value_that_python_gives(text: str, value: object) -> None:
    assert literal(ast.parse(text, mode="eval").body) == value == eval(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [("clf.fit", "clf.fit"), ("a[0].b().c", "a[].b().c"), ("f", "f"), ("(a + b).c", "c"), ("'x'.join", "join"), ("(lambda: 0)", "")],
)
def test_the_name_of_what_is_called(text: str, name: str) -> None:
    assert dotted(ast.parse(text, mode="eval").body) == name


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("pd.DataFrame", "DataFrame"),
        ("pd.DataFrame.from_dict", "DataFrame.from_dict"),
        ("sklearn.model_selection.train_test_split", "train_test_split"),
        ("train_test_split", "train_test_split"),
        ("clf.fit", "clf.fit"),
        ("plt.plot", "plt.plot"),
        ("np", "np"),
    ],
)
def test_parameters_are_recorded_under_the_functions_own_name(called: str, name: str) -> None:
    assert function_name(called) == name


FEEDING = [
    "train_test_split",
    "SVC",
    "clf.fit",
    "df.sample",
    "df.fillna",
    "make_pipeline",
    "np.linspace",
    "cross_val_score",
    "model.compile_all",
    "xgb.train",
    "DataFrame",
    "gs.fit",
    "results",
]
ASIDE = [
    "plt.plot",
    "plt.subplots",
    "sns.heatmap",
    "df.plot",
    "df.plot.bar",
    "df.hist",
    "ax.set_title",
    "fig.savefig",
    "pd.read_csv",
    "read_csv",
    "print",
    "display",
    "json.loads",
    "to_csv",
    "df.to_csv",
    "parser.add_argument",
    "open",
    "pl.scan_csv",
    "px.scatter",
    "df.style.format",
    "plot_confusion_matrix",
    "df.boxplot",
    "plt.figure().add_subplot",
    "axes[].plot",
    "pd.to_datetime",
    "sns.lmplot",
]


@pytest.mark.parametrize(("function", "answer"), [*((name, True) for name in FEEDING), *((name, False) for name in ASIDE)])
def test_plotting_parsing_and_printing_feed_no_result(function: str, answer: bool) -> None:
    assert feeds(function) is answer
