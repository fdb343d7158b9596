"""What the tests of the server's routes share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.surfaces.jupyter import Jupyter, serving


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """A Jupyter server for all tests; each makes a folder of its own below its root."""
    folder = tmp_path_factory.mktemp("jupyter").resolve()
    (folder / "root").mkdir()
    with serving(folder, folder / "root") as server:
        yield server
