"""Kernels that wait for their step: never many, taken once, given back, and only for steps that would find no difference."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_mlops.pipelines.kernels.ahead import AHEAD
from jupyter_mlops.pipelines.kernels.warm import WarmKernels


@pytest.fixture
def kernels() -> Iterator[WarmKernels]:
    """A server with nothing but what kernels need."""
    with WarmKernels(()) as server:
        yield server


def waiting(kernels: WarmKernels, number: int, gone: Set[int] = frozenset()) -> set[int]:
    """The processes of the kernels that the server has made, once there are so many and none that should be gone; zombies do not count."""

    async def look() -> set[int]:
        for _ in range(1200):
            found = {child.pid for child in psutil.Process(kernels._process.pid).children() if _lives(child)}
            if len(found) == number and not found & gone:
                return found
            await asyncio.sleep(0.05)
        return found

    return asyncio.run(look())


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def begun(kernels: WarmKernels, **options: Any) -> Any:
    manager = kernels.manager("python3", options.pop("modules", ()))
    await manager.start_kernel(**options)
    return manager


def test_two_wait_at_most_each_is_taken_once_and_the_rest_is_given_back(kernels: WarmKernels, tmp_path: Path) -> None:
    kernels.expect(5)
    before = waiting(kernels, AHEAD)
    assert len(before) == AHEAD

    async def take() -> set[int]:
        managers = [await begun(kernels, cwd=str(tmp_path)) for _ in range(3)]
        taken = {manager.provisioner.pid for manager in managers}
        for manager in managers:
            await manager.shutdown_kernel(now=True)
        return taken

    taken = asyncio.run(take())
    assert len(taken) == 3
    assert before < taken
    assert waiting(kernels, 2, taken).isdisjoint(taken)
    kernels.expect(0)
    assert waiting(kernels, 0) == set()
    assert {path.name for path in kernels.folder.iterdir()} == {"socket", "server.log"}


@pytest.mark.parametrize(
    ("more", "fits"),
    [
        ({"ANYTHING": "1"}, True),
        ({"HOME": "/nowhere"}, False),
        ({"IPYTHONDIR": "/nowhere"}, False),
        ({"OMP_NUM_THREADS": "1"}, False),
        ({"PYTHONHASHSEED": "3"}, False),
    ],
    ids=str,
)
def test_a_step_whose_settings_ipython_or_python_reads_early_takes_none(
    kernels: WarmKernels, tmp_path: Path, more: dict[str, str], fits: bool
) -> None:
    kernels.expect(1)
    waiting(kernels, 1)
    spare = kernels.take({**os.environ, **more})
    assert (spare is not None) == fits
    if spare is not None:
        spare.close()


def test_a_kernel_without_the_modules_that_a_step_needs_gives_way_to_one_that_has_them(kernels: WarmKernels) -> None:
    kernels.expect(2)
    old = waiting(kernels, 2)
    assert kernels.take(os.environ, ["colorsys"]) is None
    assert waiting(kernels, 1, old).isdisjoint(old)
    spare = kernels.take(os.environ, ["colorsys"])
    assert spare is not None
    spare.close()


def test_one_that_died_as_it_waited_is_replaced_unseen(kernels: WarmKernels, tmp_path: Path) -> None:
    kernels.expect(1)
    (pid,) = waiting(kernels, 1)
    os.kill(pid, signal.SIGKILL)
    waiting(kernels, 0)

    async def answer() -> str:
        manager = await begun(kernels, cwd=str(tmp_path))
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(60)
        client.stop_channels()
        await manager.shutdown_kernel(now=True)
        return str(client.greeting["implementation"])

    assert asyncio.run(answer()) == "ipython"
