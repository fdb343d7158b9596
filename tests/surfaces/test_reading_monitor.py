"""What the panel's section Monitor asks: which models are watched, and how one does, with when people were told of what."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from jupyter_mlops.errors import NotFound, UsageError
from jupyter_mlops.records import to_json
from jupyter_mlops.surfaces.routes import reading_monitor as reading
from jupyter_mlops.surfaces.routes.table import READING
from tests.browser.watched import HOURS, ROWS, Watched, watched
from tests.delivered import with_database


@pytest.fixture
def model(project: Path) -> Watched:
    return watched(with_database(project))


def test_a_model_is_watched_from_its_first_prediction_to_the_truth(model: Watched, project: Path) -> None:
    [listed] = reading.monitored()
    assert (listed.name, listed.version, listed.predictions, listed.alerts) == ("flights", 1, HOURS * ROWS, ())
    assert listed.first is not None
    assert listed.last is not None
    assert listed.last - listed.first == pytest.approx((HOURS - 1) * 3600, abs=60)

    # Looking tells nobody; what a scheduled look told has its time from then on.
    found = reading.monitor("flights")
    alarming = {alert.details["about"] for alert in found.monitoring.alerts}
    assert alarming == {"a", "prediction"}
    assert [alert.details["told"] for alert in found.monitoring.alerts] == [False, False]
    assert (found.told, found.champion, found.predictions) == ((), None, {"1": HOURS * ROWS})
    model.warn()
    told_at = time.time()
    found = reading.monitor("flights")
    assert [alert.details["told"] for alert in found.monitoring.alerts] == [True, True]
    assert all(abs(alert.at - told_at) < 30 for alert in found.monitoring.alerts)
    assert {(alert.kind, alert.details["about"]) for alert in found.told} == {("drift", "a"), ("drift", "prediction")}
    assert [alert.what[:2] for alert in reading.monitored()[0].alerts if alert.what.startswith("a:")] == ["a:"]

    # All predictions are shown over all of their time, not from the beginning of time.
    model.tell_truth()
    whole = reading.monitor("flights", since="all")
    assert whole.monitoring.start == pytest.approx(listed.first, abs=1)
    assert len(whole.monitoring.series["psi a"]) >= 10
    assert len(whole.monitoring.series["accuracy"]) >= 10
    assert {alert.kind for alert in whole.monitoring.alerts} == {"drift", "decay"}
    assert reading.monitor("flights", since="2h").monitoring.rows < ROWS * 3
    assert to_json(whole)["monitoring"]["labelled"] == HOURS * ROWS

    with pytest.raises(UsageError, match="choose one such as 24h"):
        reading.monitor("flights", since="yesterday")
    with pytest.raises(NotFound):
        reading.monitor("nosuch")


def test_a_project_without_models_has_none_to_watch(project: Path) -> None:
    with_database(project)
    assert reading.monitored() == ()


def test_the_table_of_routes_names_both() -> None:
    assert READING["monitored"].function == "reading_monitor:monitored"
    assert READING["monitor"].function == "reading_monitor:monitor"
    assert READING["monitor"].required == ("name",)
