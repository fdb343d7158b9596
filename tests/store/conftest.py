"""What the tests of delivery share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from tests.delivery_desk import Desk, Kernel, migrated


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database, made once."""
    path = tmp_path_factory.mktemp("database") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def desk(project: Path, database: Path) -> Iterator[Desk]:
    """Delivery in this process, for an empty project."""
    migrated(database, project)
    made = Desk(project)
    yield made
    made.close()


@pytest.fixture
def writer(project: Path) -> Iterator[Kernel]:
    """A living session of the project."""
    made = Kernel(project)
    yield made
    made.journal.close()
