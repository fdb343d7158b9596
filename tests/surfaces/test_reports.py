"""What a run leaves for continuous integration."""

from __future__ import annotations

from xml.etree import ElementTree

from jupyter_mlops.surfaces.reports import junit, markdown

from .hand_made import DONE, EVIL, EVIL_RUN, FAILED, FOLDER


def test_junit_has_a_case_for_each_step_and_each_gate() -> None:
    root = ElementTree.fromstring(junit(FAILED))
    assert root.attrib == {"name": "flight-delays", "time": "14.200", "tests": "8", "failures": "2", "skipped": "3"}
    suites = {suite.attrib["name"]: suite for suite in root}
    assert {name: (suite.attrib["tests"], suite.attrib["failures"], suite.attrib["skipped"]) for name, suite in suites.items()} == {
        "flight-delays steps": ("5", "1", "2"),
        "flight-delays gates": ("3", "1", "1"),
    }
    cases = {
        case.attrib["name"]: (case.attrib["time"], *[(child.tag, child.attrib.get("message")) for child in case])
        for case in root.iter("testcase")
    }
    assert cases == {
        "months": ("0.000",),
        "prepare": ("3.200", ("system-out", None)),
        "train": ("2.000", ("failure", "ValueError: no rows")),
        "evaluate": ("0.000", ("skipped", "train failed")),
        "release": ("0.000", ("skipped", "train failed")),
        "auc at least 0.6": ("0.000", ("failure", "no step gave auc")),
        "rows at most 200": ("0.000",),
        "no worse than champion": ("0.000", ("skipped", "only the registry of models can tell")),
    }
    assert root.findtext(".//failure") == (
        f"depth = 3\nmodel = Tree(depth).fit(X, y)\n\nTraceback (most recent call last)\nValueError: no rows\n\n{FOLDER}/train.ipynb"
    )


def test_junit_of_a_run_without_gates_has_no_suite_of_them() -> None:
    root = ElementTree.fromstring(junit(DONE))
    assert [suite.attrib["name"] for suite in root] == ["pair steps"]
    assert (root.attrib["failures"], root.attrib["skipped"]) == ("0", "0")


def test_the_summary_tells_the_outcome_the_steps_the_gates_and_what_failed() -> None:
    assert markdown(FAILED) == SUMMARY


SUMMARY = """\
## ❌ flight-delays: failed

1 cached, 1 done, 1 failed, 2 skipped in 14 s · run `ab12cd34` · `month` = `3`

|  | step | state | time | memory | metrics |
| --- | --- | --- | --- | --- | --- |
| ♻️ | months | cached |  |  |  |
| ✅ | prepare | done | 3.2 s | 412.0 MB | `rows` 120 |
| ❌ | train | failed, attempt 3 | 2 s |  |  |
| ⏭️ | evaluate | skipped |  |  |  |
| ⏭️ | release | skipped |  |  |  |

|  | gate | value |  |
| --- | --- | --- | --- |
| ❌ | auc at least 0.6 |  | no step gave auc |
| ✅ | rows at most 200 | 120.0 | passed |
| ❔ | no worse than champion |  | only the registry of models can tell |

```mermaid
flowchart LR
  n0["♻️ months"]
  n1["✅ prepare"]
  n2["❌ train"]
  n3["⏭️ evaluate"]
  n4["⏭️ release"]
  n0 --> n1
  n1 --> n2
  n2 --> n3
  n1 --> n3
  n2 --> n4
  n3 --> n4
```

### train failed in cell 4 of 7

```python
depth = 3
model = Tree(depth).fit(X, y)
```

```text
Traceback (most recent call last)
ValueError: no rows
```

Mend train.ipynb, then: mlops run pipeline.yaml (months and prepare are cached)
"""


def test_names_that_look_like_markup_are_only_names() -> None:
    text = markdown(EVIL_RUN)
    fenced = text.count(f"\n{EVIL}\n")
    coded = text.count(f"`` {EVIL} ``") + text.count(f"`` {EVIL.replace('|', chr(92) + '|')} ``")
    assert (fenced, coded) == (2, 3)
    assert text.count("<script>") == fenced + coded
    case = ElementTree.fromstring(junit(EVIL_RUN)).find(".//testcase")
    assert case is not None
    assert case.attrib["name"] == EVIL
