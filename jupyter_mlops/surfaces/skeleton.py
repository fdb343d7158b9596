"""What `init` lays out for a project that has none yet: a pipeline that runs as it is, and a check of it before every commit."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from ..store.notebook_json import as_json, code_cell, notebook, text_cell

PIPELINES = ("pipeline.yaml", "pipeline.yml")
HOOKS = ".pre-commit-config.yaml"
PIPELINE = """\
# Runs as it is: `mlops run pipeline.yaml`; a second time nothing is done, since nothing has changed.
# Replace the steps by your own: `mlops step NOTEBOOK --result NAME --out steps/NAME.ipynb` cuts one out of a notebook.
name: {name}
params: {{rows: 1000}} # mlops run pipeline.yaml -p rows=5000
steps:
  prepare: {{notebook: steps/prepare.ipynb, params: {{rows: "{{rows}}"}}}}
  train: {{notebook: steps/train.ipynb, inputs: {{table: prepare.table}}}}
# schedule: {{cron: "0 6 * * 1", timezone: Europe/Copenhagen}} # `mlops schedule add pipeline.yaml`, `mlops scheduler`
# release: {{model: train.model, name: {name}, gates: [{{metric: auc, at_least: 0.7}}], to: champion}} # registers it, serves it
"""
HOOK = """\
  - repo: local
    hooks:
      - id: mlops-pipeline
        name: the pipeline can be run
        entry: mlops run {pipeline} --dry-run
        language: system
        pass_filenames: false
        files: (\\.ipynb|\\.ya?ml|\\.py)$
"""
PREPARE = (
    ("text", "# Prepare\n\nMakes the table that is learned from. In a project of your own it reads a file, whose path is a parameter."),
    ("parameters", "rows: int = 1000  # how many"),
    ("code", "import pandas as pd\nfrom sklearn.datasets import make_classification"),
    ("code", 'X, y = make_classification(rows, 5, random_state=0)\ntable = pd.DataFrame(X, columns=list("abcde")).assign(target=y)'),
    ("outputs", '{"table": table}'),
)
TRAIN = (
    ("text", "# Train\n\nLearns from one half of the table, and measures on the other."),
    ("parameters", 'table: str = "table.parquet"  # what prepare.ipynb gives\nC: float = 1.0  # regularisation'),
    ("code", "import pandas as pd\nfrom sklearn.linear_model import LogisticRegression\nfrom sklearn.metrics import roc_auc_score"),
    ("code", 'rows = pd.read_parquet(table)\nX, y = rows.drop(columns="target"), rows["target"]\nhalf = len(rows) // 2'),
    ("code", "model = LogisticRegression(C=C).fit(X[:half], y[:half])\nauc = roc_auc_score(y[half:], model.predict_proba(X[half:])[:, 1])"),
    ("outputs", '{"model": model, "auc": auc}'),
)


def pipeline_files(folder: Path) -> dict[str, bytes]:
    """The files of the pipeline by their paths; {} where the folder has a pipeline, or files of these names, already."""
    slug = re.sub(r"[^\w-]+", "-", folder.resolve().name, flags=re.ASCII).strip("-_") or "pipeline"
    files = {
        PIPELINES[0]: PIPELINE.format(name=json.dumps(slug)).encode(),
        "steps/prepare.ipynb": _notebook(PREPARE),
        "steps/train.ipynb": _notebook(TRAIN),
    }
    return {} if any((folder / name).exists() for name in (*PIPELINES, *files)) else files


def hooked(text: str, pipeline: str) -> str | None:
    """The text of a pre-commit configuration ("" for none) with the check of the pipeline; None where it cannot simply be added."""
    import yaml

    hook = HOOK.format(pipeline=pipeline)
    if not text.strip():
        return f"repos:\n{hook}"
    entries = re.findall(r"^( *)- repo:", text, re.MULTILINE)
    indent = entries[-1] if entries else "  "
    more = f"{text.rstrip()}\n{textwrap.indent(textwrap.dedent(hook), indent)}"
    try:
        before, after, added = (yaml.safe_load(item) for item in (text, more, hook))
        return more if after == {**before, "repos": [*before["repos"], *added]} else None
    except (yaml.YAMLError, TypeError, KeyError):
        return None


def _notebook(cells: Sequence[tuple[str, str]]) -> bytes:
    made = []
    for number, (kind, source) in enumerate(cells):
        identifier = f"cell-{number:02}"
        tags = {"tags": [kind]} if kind != "code" else {}
        made.append(text_cell(identifier, source) if kind == "text" else code_cell(identifier, source, metadata=tags))
    return as_json(notebook(made))
