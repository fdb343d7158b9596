"""All faults, as many as are asked for: `python -m tests.faults` makes them, prints what came of them and writes RESULTS.md.

    python -m tests.faults [FILE ...] [--few]

FILE is the name of a file here without test_ and .py. The tests make fewer of each by default, as in CI; so does --few. It takes about an
hour, on a machine that may do other work meanwhile.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
MANY: Mapping[str, Mapping[str, str]] = {
    "journal_faults": {"MLOPS_FAULTS": "500"},
    "snapshot_faults": {"MLOPS_FAULTS": "500"},
    "kernel_faults": {"MLOPS_FAULTS": "500"},
    "engine_faults": {"MLOPS_FAULTS": "250"},
    "pipeline_faults": {"MLOPS_FAULTS": "50"},
    "prediction_faults": {"MLOPS_FAULTS": "50"},
    "registry_faults": {"MLOPS_FAULTS": "50"},
    "serving_faults": {"MLOPS_SERVING_FAULTS": "10"},
}
"""What is set for each file so that it makes all."""
SECONDS = 3600
"""The longest that one test may take."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one test: its name in words, how many faults it made over all its cases, how many cases failed."""

    what: str
    faults: int
    cases: int
    failed: int
    seconds: float

    @property
    def line(self) -> str:
        """A line of the table."""
        outcome = "as promised" if not self.failed else f"{self.failed} of {self.cases} failed"
        return f"| {self.what} | {self.faults:,} | {outcome} | {self.seconds:.0f} |"


def main() -> None:
    """Make them, print, write. Exit status 1 when something did not come out as promised."""
    names = sorted(path.stem.removeprefix("test_") for path in HERE.glob("test_*.py"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILE", help=", ".join(names))
    parser.add_argument("--few", action="store_true", help="as many as in CI")
    options = parser.parse_args()
    if unknown := set(options.files) - set(names):
        parser.error(f"there is no file {', '.join(sorted(unknown))} here; there are {', '.join(names)}")
    found: list[Outcome] = []
    for name in options.files or names:
        told = made(name, {} if options.few else MANY.get(name, {}))
        print(f"\n{name}\n{table(told)}", flush=True)
        found += told
    if not (options.files or options.few):
        RESULTS.write_text(document(found), encoding="utf-8")
        print(f"written: {RESULTS.name}")
    sys.exit(any(item.failed for item in found))


def made(name: str, variables: Mapping[str, str]) -> list[Outcome]:
    """The outcomes of one file's tests."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        # Only the older form of the report has room for the numbers.
        words = ["-m", "pytest", "-q", f"--timeout={SECONDS}", "-o", "junit_family=legacy", f"--junitxml={report}"]
        words.append(str(HERE / f"test_{name}.py"))
        subprocess.run([sys.executable, *words], cwd=HERE.parents[1], env={**os.environ, **variables}, check=False)
        cases = list(ElementTree.parse(report).iter("testcase"))
    tests: dict[str, list[ElementTree.Element]] = {}
    for case in cases:
        tests.setdefault(case.attrib["name"].partition("[")[0], []).append(case)
    return [
        Outcome(
            what=test.removeprefix("test_").replace("_", " "),
            faults=sum(map(_faults, given)),
            cases=len(given),
            failed=sum(any(case.find(kind) is not None for kind in ("failure", "error", "skipped")) for case in given),
            seconds=sum(float(case.attrib["time"]) for case in given),
        )
        for test, given in tests.items()
    ]


def _faults(case: ElementTree.Element) -> int:
    """How many faults a case told of; one that told of none is one."""
    told = (item.attrib["value"] for item in case.iter("property") if item.attrib["name"] == "faults")
    return int(next(told, 1))


def table(outcomes: list[Outcome]) -> str:
    """The outcomes as a table."""
    return "\n".join(["| what is done | times | outcome | seconds |", "|---|---:|---|---:|", *(item.line for item in outcomes)])


def document(outcomes: list[Outcome]) -> str:
    """The whole of RESULTS.md."""
    bad = sum(bool(item.failed) for item in outcomes)
    verdict = f"{sum(item.faults for item in outcomes):,} faults; {'all came out as promised' if not bad else f'{bad} tests failed'}."
    return "\n\n".join([
        "# Faults",
        "Written by `python -m tests.faults`. A line is a test; what it must show is in its name, and its file is read for the details.",
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores. {verdict}",
        table(outcomes),
    ]) + "\n"  # fmt: skip


if __name__ == "__main__":
    main()
