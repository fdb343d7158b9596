from __future__ import annotations

import ast

import pytest

from jupyter_mlops.code.fits import fit_calls


@pytest.mark.parametrize(
    ("source", "known", "calls"),
    [
        ("a.fit(X)\nb.fit(X)", "", ["a.fit(X)", "b.fit(X)"]),
        ("for m in ms:\n    if m:\n        m.fit(X)\n    else:\n        other(m)", "other", ["m.fit(X)", "other(m)"]),
        ("s = SVC().fit(X).predict(sc.fit_transform(Y))", "", ["SVC().fit(X)", "sc.fit_transform(Y)"]),
        ("class K:\n    m.fit(X)", "", []),
        ("@register(m.fit(X))\ndef f():\n    m.fit(Y)", "", ["m.fit(X)"]),
        ("def f(a=m.fit(X)):\n    pass", "", ["m.fit(X)"]),
        ("while True:\n    loss.backward()\n    break", "", ["loss.backward()"]),
        ("match a:\n    case 1:\n        m.fit(X)", "", ["m.fit(X)"]),
        ("try:\n    pass\nexcept E:\n    m.fit(X)", "", ["m.fit(X)"]),
        ("await m.fit(X)", "", ["m.fit(X)"]),
    ],
)
def test_fit_calls_of_a_cell(source: str, known: str, calls: list[str]) -> None:
    assert [ast.unparse(call) for call in fit_calls(ast.parse(source), frozenset(known.split()))] == calls
