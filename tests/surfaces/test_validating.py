"""The verb `validate`, in a shell, in a notebook and in Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import jupyter_mlops as mlops
from jupyter_mlops.surfaces import cli
from jupyter_mlops.surfaces.display import to_html, to_text


def prices(rows: int = 100) -> pd.DataFrame:
    return pd.DataFrame({"item": [f"i{number}" for number in range(rows)], "price": [float(number % 50) for number in range(rows)]})


@pytest.fixture
def data(project: Path) -> Path:
    """Good data, bad data, and a schema that was learned from the good."""
    prices().to_csv(project / "good.csv", index=False)
    bad = prices()
    bad.loc[[4, 9], "price"] = 9999.0
    bad.loc[7, "item"] = None
    bad.to_csv(project / "bad.csv", index=False)
    return project


def test_a_schema_is_learned_and_data_is_held_against_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["validate", "good.csv", "--learn", "--out", "schemas/prices.yaml"]) == 0
    shown = capsys.readouterr().out
    assert "passed: 14 checks of schemas/prices.yaml, on 100 rows x 2 columns" in shown
    assert "schemas/prices.yaml was learned from good.csv" in shown
    assert cli.run(["validate", "bad.csv", "--schema", "schemas/prices.yaml"]) == 1
    shown = capsys.readouterr().out
    assert "failed: 2 findings in 14 checks of schemas/prices.yaml" in shown
    assert "missing   item     1 of 100 values is missing (1%), none may be." in shown
    assert "2 of 100 values (2%) are not from 0 to" in shown
    assert "4, 9" in shown
    assert cli.run(["validate", "bad.csv", "--schema", "schemas/prices.yaml", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [(item["check"], item["column"], item["rows"]) for item in told["findings"]] == [
        ("missing", "item", [7]),
        ("range", "price", [4, 9]),
    ]


def test_a_notebook_names_variables_and_digests(data: Path, kernel: Any) -> None:
    kernel.run("%load_ext jupyter_mlops\nimport pandas as pd\nbatch = pd.read_csv('bad.csv')\nreference = pd.read_csv('good.csv')")
    shown = kernel.run("%mlops validate batch --reference reference").result
    assert "failed" in shown["text/plain"]
    assert "batch" in shown["text/plain"]
    assert "learned from reference" in shown["text/plain"]
    assert "<table" in shown["text/html"]
    frozen = json.loads(kernel.run("%mlops snapshot reference --json").result["text/plain"])["digest"]
    told = json.loads(kernel.run(f"%mlops validate batch --reference {frozen[:12]} --json").result["text/plain"])
    assert (told["verdict"], [item["check"] for item in told["findings"]]) == ("failed", ["missing", "range"])


def test_python_takes_frames_and_what_is_shown_is_escaped(data: Path) -> None:
    passed = mlops.validate(prices(), reference=prices())
    assert (passed.verdict, passed.rows) == ("passed", 100)
    found = mlops.validate(prices().rename(columns={"price": "<b>price"}).assign(**{"<b>price": None}))
    assert "&lt;b&gt;price" in to_html(found)
    assert "It has no values at all." in to_text(found)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("good.csv --learn", "say which with --out schema.yaml"),
        ("good.csv --out a.yaml", "give --learn too"),
        ("good.csv --learn --out a.json", "give --out a name that ends with .yaml"),
        ("good.csv --learn --out a.yaml --schema b.yaml", "either given or learned"),
        ("good.csv --schema nosuch.yaml", "There is no schema 'nosuch.yaml'"),
        ("good.csv --reference abcdef123456", "There is no snapshot 'abcdef123456'"),
        ("nosuch.csv", "There is no file or folder 'nosuch.csv'"),
    ],
)
def test_used_wrongly_it_says_what_to_do(words: str, error: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["validate", *words.split()]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert error in told
