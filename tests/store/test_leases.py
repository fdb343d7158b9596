"""Leases: one holder at a time, whatever happens to holders, clocks and the database."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from sqlalchemy import text

from jupyter_mlops.config import Settings
from jupyter_mlops.store import leases
from jupyter_mlops.store.leases import Lease, Leases, stands
from jupyter_mlops.store.shared import SharedState
from tests.processes import Processes, all_at_once

_LEASES = """
from jupyter_mlops.store.leases import Leases
from jupyter_mlops.store.shared import SharedState
held = Leases(SharedState(settings))
"""


def acquired(held: Leases, name: str = "work", owner: str = "me", seconds: float = 60.0) -> Lease:
    """A lease that is certainly free."""
    lease = held.acquire(name, owner, seconds)
    assert lease is not None
    return lease


def test_one_holder_at_a_time_and_ever_larger_tokens(state: SharedState) -> None:
    held, other = Leases(state), Leases(state)
    first = acquired(held)
    assert [other.acquire("work", "you"), held.acquire("work", "me")] == [None, None]
    assert [other.holder("work"), other.holder("rest")] == [first, None]
    held.release(first)
    assert other.holder("work") is None
    second = acquired(other, owner="you")
    assert (first.token, second.token) == (1, 2)
    assert held.renew(first) is False
    held.release(first)
    assert other.holder("work") == second


def test_a_lease_that_ran_out_can_be_renewed_until_another_takes_it(state: SharedState) -> None:
    held = Leases(state)
    lease = acquired(held, seconds=0.05)
    time.sleep(0.1)
    assert held.holder("work") is None
    assert held.renew(lease) is True
    time.sleep(0.1)
    taken = acquired(Leases(state), owner="you")
    assert (held.renew(lease), taken.token) == (False, 2)


def test_what_is_written_under_an_overtaken_lease_is_refused(state: SharedState) -> None:
    held = Leases(state)
    lease = acquired(held, seconds=0.05)
    time.sleep(0.1)
    with state.begin() as connection:
        assert stands(connection, lease)
    taken = acquired(held, owner="you")
    with state.begin() as connection:
        assert (stands(connection, lease), stands(connection, taken)) == (False, True)


def test_a_lease_is_renewed_while_its_block_runs_and_given_back_after_it(state: SharedState) -> None:
    held = Leases(state)
    lease = acquired(held, seconds=2.0)
    with held.kept(lease) as keeping:
        time.sleep(3)
        assert Leases(state).acquire("work", "you") is None
        assert not keeping.lost.is_set()
    assert acquired(Leases(state), owner="you").token == 2


def test_a_holder_learns_that_it_was_overtaken(state: SharedState) -> None:
    held = Leases(state)
    lease = acquired(held, seconds=0.6)
    with held.kept(lease) as keeping:
        with state.begin() as connection:
            connection.execute(text("UPDATE leases SET expires = 0"))
        acquired(Leases(state), owner="you")
        assert keeping.lost.wait(5)
    assert [Leases(state).acquire("work", "me"), Leases(state).holder("work").owner] == [None, "you"]  # type: ignore[union-attr]  # held


def test_many_processes_want_the_same_names_and_each_is_had_once_at_a_time(shared_settings: Settings) -> None:
    code = f"""{_LEASES}
import time
ready()
for round in range(6):
    for name in ("a", "b"):
        lease = held.acquire(name, str(number), 30)
        if lease is not None:
            began = time.time()
            time.sleep(0.02)
            tell([name, lease.token, began, time.time()])
            held.release(lease)
"""
    told = [item for items in all_at_once(code, shared_settings, 5) for item in items]
    for name in ("a", "b"):
        had = sorted((token, began, ended) for other, token, began, ended in told if other == name)
        assert [token for token, _, _ in had] == list(range(1, len(had) + 1))
        assert all(one[2] <= other[1] for one, other in pairwise(had))


def test_the_lease_of_a_killed_process_of_this_machine_is_free_at_once(shared_settings: Settings, state: SharedState) -> None:
    code = f"{_LEASES}\nready()\ntell(held.acquire('work', 'killed', 3600).token)\nsys.stdin.readline()"
    processes = Processes(code, shared_settings, 1)
    processes.go()
    assert processes.told(0) == 1
    held = Leases(state)
    assert held.acquire("work", "me") is None
    processes.all[0].kill()
    processes.all[0].wait()
    assert acquired(held).token == 2


def test_a_holder_elsewhere_that_stopped_renewing_is_overtaken_though_the_clock_was_set_back(
    state: SharedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "process", lambda: "another-machine 1 1")
    acquired(Leases(state), seconds=0.3)
    with state.begin() as connection:
        connection.execute(text("UPDATE leases SET renewed = renewed + 86400, expires = expires + 86400"))
    waiting = Leases(state)
    assert waiting.acquire("work", "you") is None
    time.sleep(0.4)
    assert acquired(waiting, owner="you").token == 2


def test_a_holder_elsewhere_that_renews_is_not_overtaken(state: SharedState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "process", lambda: "another-machine 1 1")
    held, waiting = Leases(state), Leases(state)
    lease = acquired(held, seconds=2.0)
    for _ in range(4):
        assert waiting.acquire("work", "you") is None
        time.sleep(0.6)
        assert held.renew(lease) is True
