"""Data that cannot be kept is named in the run that used it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jupyter_mlops.tracking import freezing

from .conftest import Notebook

FIT = "from sklearn.linear_model import Ridge\nmodel = Ridge().fit(frame, target)"
FRAME = "import numpy as np, pandas as pd\nframe = pd.DataFrame(np.ones((200_000, 3)), columns=list('abc'))\ntarget = np.ones(200_000)"


@pytest.fixture
def full_disk(notebook: Notebook) -> Iterator[None]:
    """The folder of the objects is a file: nothing can be put there."""
    folder = notebook.session.settings.home / "objects"
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("")
    yield
    notebook.session._troubles.clear()


@pytest.mark.usefixtures("full_disk")
def test_an_input_that_could_not_be_kept_is_named_in_its_run(notebook: Notebook) -> None:
    notebook.run(FRAME, FIT)
    (run,) = notebook.runs
    assert run.status == "FINISHED"
    lost = [text.partition(":")[0] for text in run.skipped if text.startswith("input ")]
    assert lost == ["input frame", "input target"]
    assert notebook.session.status()["trouble"]
    assert freezing.AT_ONCE < 200_000 * 3 * 8, "the frame goes through the background"
