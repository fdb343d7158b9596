"""Random numbers drawn after a state is put back are the same ones."""

import json
import random
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from jupyter_mlops.tracking.random_state import RandomStates


def draw_global() -> list[float]:
    return [random.random(), random.gauss(0, 1), float(np.random.rand()), float(np.random.randn())]


def test_the_draws_of_a_cell_are_repeated() -> None:
    random.gauss(0, 1)
    np.random.randn()  # half of a pair of normal numbers is kept for the next call
    states = json.loads(json.dumps(RandomStates().before()))
    assert set(states) - {"torch"} == {"random", "numpy"}
    first = draw_global()
    assert draw_global() != first
    assert RandomStates.restore(states) == ()
    assert draw_global() == first


def test_only_what_changed_is_told() -> None:
    states = RandomStates()
    states.before()
    assert states.before() == {}
    random.random()
    assert set(states.before()) == {"random"}
    np.random.rand()
    assert set(states.before()) == {"numpy"}
    np.random.seed(7)
    assert set(states.before()) == {"numpy"}
    assert states.before() == {}


GENERATORS: dict[str, tuple[Callable[[], object], Callable[[object], float]]] = {
    "default_rng": (np.random.default_rng, lambda rng: rng.normal()),  # type: ignore[attr-defined]
    "PCG64DXSM": (lambda: np.random.Generator(np.random.PCG64DXSM()), lambda rng: rng.normal()),  # type: ignore[attr-defined]
    "MT19937": (lambda: np.random.Generator(np.random.MT19937()), lambda rng: rng.integers(1 << 40)),  # type: ignore[attr-defined]
    "Philox": (lambda: np.random.Generator(np.random.Philox()), lambda rng: rng.normal()),  # type: ignore[attr-defined]
    "SFC64": (lambda: np.random.Generator(np.random.SFC64()), lambda rng: rng.normal()),  # type: ignore[attr-defined]
    "RandomState": (np.random.RandomState, lambda rng: rng.randn()),  # type: ignore[attr-defined]
    "random.Random": (random.Random, lambda rng: rng.gauss(0, 1)),  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("kind", GENERATORS)
def test_a_generator_that_a_name_holds_is_repeated(kind: str) -> None:
    make, draw = GENERATORS[kind]
    rng = make()
    draw(rng)
    states = json.loads(json.dumps(RandomStates().before({"rng": rng, "frame": [1], "name": "text"})))
    first = [draw(rng) for _ in range(5)]
    other = make()
    assert RandomStates.restore({"name:rng": states["name:rng"]}, {"rng": other}) == ()
    assert [draw(other) for _ in range(5)] == first


def test_a_generator_that_is_not_there_is_named() -> None:
    states = RandomStates().before({"rng": np.random.default_rng(0)})
    assert RandomStates.restore({"name:rng": states["name:rng"]}) == ("name:rng",)


def test_the_cell_that_imports_numpy_can_be_repeated() -> None:
    code = """
from jupyter_mlops.tracking.random_state import RandomStates
import sys
assert "numpy" not in sys.modules
states = RandomStates()
assert set(states.before()) == {"random"}
import numpy as np
first = np.random.rand(3).tolist()
arrived = states.arrived()
assert set(arrived) == {"numpy", "arrived"} and states.arrived() == {}
RandomStates.restore(arrived)
assert np.random.rand(3).tolist() == first
"""
    subprocess.run([sys.executable, "-c", code], check=True)
