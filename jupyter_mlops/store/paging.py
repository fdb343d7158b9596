"""Pages and totals of a search that MLflow can only walk: its page tokens tell a place, so that any page is one request.

How many runs there are MLflow does not say; the end is found by asking whether there is a run at a place, beginning where it was last time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mlflow.utils.search_utils import SearchUtils

_FIRST_STEP = 512
NOTEBOOK = "mlflow.source.name"
"""The tag by which MLflow knows the notebook of a run."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which runs: those that match `where`, of an experiment and of a notebook (the path as runs have it), as sorted, from `offset` on."""

    where: str = ""
    sort: str = ""
    limit: int = 50
    offset: int = 0
    experiment: str | None = None
    notebook: str | None = None

    @property
    def of_notebook(self) -> str:
        """The notebook as a filter of MLflow's, in which a text cannot hold both kinds of quotes."""
        if self.notebook is None:
            return ""
        if "'" in self.notebook and '"' in self.notebook:
            return f"tags.`{NOTEBOOK}` LIKE '{self.notebook.replace(chr(39), '_')}'"
        quote = '"' if "'" in self.notebook else "'"
        return f"tags.`{NOTEBOOK}` = {quote}{self.notebook}{quote}"


def both(*clauses: str) -> str:
    """One filter of several, of which some may be empty."""
    return " AND ".join(clause for clause in clauses if clause.strip())


def other_than(run_id: str) -> str:
    """The filter that leaves out one run."""
    return f"attributes.run_id != '{run_id}'"


def token(place: int) -> str | None:
    """The token of the page that begins at a place, from 0."""
    return SearchUtils.create_page_token(place).decode() if place else None  # type: ignore[no-untyped-call]  # MLflow leaves it untyped


def total(exists: Callable[[int], bool], at_least: int, guess: int | None) -> int:
    """How many there are, of which `at_least` are known, when `exists(n)` tells whether there are more than n. Near a good guess it takes
    two or three questions."""
    low, high, step = at_least, None, _FIRST_STEP
    if guess is not None:
        step = 1
        if guess > low:
            if exists(guess - 1):
                low = guess
            else:
                high = guess - 1
                while (nearer := max(low, high - step)) > low and not exists(nearer - 1):
                    high, step = nearer - 1, 2 * step
                low = nearer
    while high is None:
        if exists(low + step - 1):
            low, step = low + step, 2 * step
        else:
            high = low + step - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if exists(middle - 1) else (low, middle - 1)
    return low
