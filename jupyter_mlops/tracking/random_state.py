"""The state of the random generators before a cell, exact enough to draw the same numbers again."""

from __future__ import annotations

import base64
import json
import random
import struct
import sys
from collections.abc import Mapping
from typing import Any

ARRIVED = "arrived"
"""The key that names the generators (`numpy torch`) whose state is that in which the cell's import made them, not that before the cell."""

_WORDS = struct.Struct("<625I")


class RandomStates:
    """Watches the global generators of `random`, NumPy and PyTorch, and generators that the user's names hold.

    States are texts that fit in JSON, by key: `random`, `numpy`, `torch`, `torch.cuda`, `name:rng` for a generator bound to `rng`, and
    `made:rng` for the state in which NumPy made it.
    """

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}
        self._had = {key for key, module in _MODULES.items() if module in sys.modules}

    def before(self, names: Mapping[str, Any] | None = None) -> dict[str, str]:
        """The states that changed since the last call: {} when no number was drawn. `names` are the values that the coming cell reads."""
        current = _current()
        for name, value in (names or {}).items():
            state = _generator_state(value)
            if state is not None:
                current[f"name:{name}"] = state
        changed = {key: _encode(key, state) for key, state in current.items() if self._last.get(key) != state}
        self._last.update(current)
        return changed

    def arrived(self) -> dict[str, str]:
        """The first states of NumPy's and PyTorch's generators, when the cell that just ended imported them: what its own unseeded draws
        began with."""
        found: dict[str, str] = {}
        for key, module in _MODULES.items():
            if key not in self._had and module in sys.modules:
                self._had.add(key)
                state = _FIRST[key]()
                if state is not None:
                    found[key] = _encode(key, state)
        return {**found, ARRIVED: " ".join(found)} if found else {}

    @staticmethod
    def made(names: Mapping[str, Any]) -> dict[str, str]:
        """The first states of the NumPy generators among the values that the cell bound, however many numbers it drew from them since."""
        numpy_random = sys.modules.get("numpy.random")
        if numpy_random is None:
            return {}
        kinds = (numpy_random.Generator, numpy_random.RandomState)
        made = {name: _first_state(value) for name, value in names.items() if isinstance(value, kinds)}
        return {f"made:{name}": _encode(name, state) for name, state in made.items() if state is not None}

    @staticmethod
    def restore(states: Mapping[str, str], names: Mapping[str, Any] | None = None) -> tuple[str, ...]:
        """Puts the generators back into `states`; `names` are values that hold generators. Returns the keys that could not be restored."""
        missing = []
        for key, text in states.items():
            if key == ARRIVED:
                continue
            try:
                _restore(key, text, names or {})
            except (ImportError, AttributeError, KeyError, TypeError, ValueError, RuntimeError):
                missing.append(key)
        return tuple(missing)


def _current() -> dict[str, Any]:
    states: dict[str, Any] = {"random": random.getstate()}
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None and hasattr(numpy_random, "get_state"):
        states["numpy"] = _plain(numpy_random.get_state(legacy=False))
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_rng_state"):
        states["torch"] = torch.get_rng_state().numpy().tobytes()
        # Asking a GPU that was never used would start its driver.
        if torch.cuda.is_initialized():
            states["torch.cuda"] = tuple(state.numpy().tobytes() for state in torch.cuda.get_rng_state_all())
    return states


def _generator_state(value: Any) -> Any:
    if isinstance(value, random.Random):
        return value.getstate() if type(value) is random.Random else None
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        if isinstance(value, numpy_random.Generator):
            return _plain(value.bit_generator.state)
        if isinstance(value, numpy_random.RandomState):
            return _plain(value.get_state(legacy=False))
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "Generator") and isinstance(value, torch.Generator):
        return value.get_state().cpu().numpy().tobytes()
    return None


def _first_numpy_state() -> Any:
    # NumPy seeds its global generator from the system's entropy as it is imported.
    return _first_state(getattr(sys.modules["numpy.random"].mtrand, "_rand", None))


def _first_torch_state() -> Any:
    # PyTorch seeds its global generator from the system's entropy, and keeps the seed: this one, or the one that the cell gave it.
    torch: Any = sys.modules["torch"]
    try:
        return torch.Generator().manual_seed(torch.initial_seed()).get_state().numpy().tobytes()
    except (AttributeError, RuntimeError):
        return None


_MODULES = {"numpy": "numpy.random", "torch": "torch"}
_FIRST = {"numpy": _first_numpy_state, "torch": _first_torch_state}


def _first_state(generator: Any) -> Any:
    """The state in which NumPy made a generator: it keeps the entropy that it took then. None where it does not."""
    numpy_random: Any = sys.modules["numpy.random"]
    legacy = isinstance(generator, numpy_random.RandomState)
    try:
        bits = generator._bit_generator if legacy else generator.bit_generator
        seed = bits.seed_seq
        first = type(bits)(numpy_random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key, pool_size=seed.pool_size))
    except (AttributeError, TypeError, ValueError):
        return None
    state = _plain(first.state)
    return {**state, "has_gauss": 0, "gauss": 0.0} if legacy else state


def _plain(value: Any) -> Any:
    """Arrays as bytes, so that states compare at once."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return ("array", value.dtype.str, value.tobytes()) if getattr(value, "shape", ()) else value


def _encode(key: str, state: Any) -> str:
    if isinstance(state, bytes):
        return _base64(state)
    if isinstance(state, tuple) and len(state) == 3 and isinstance(state[1], tuple):
        version, words, gauss = state
        return json.dumps([version, _base64(_WORDS.pack(*words)), gauss])
    return json.dumps(state, default=_json)


def _json(value: Any) -> Any:
    return _base64(value) if isinstance(value, bytes) else value.item()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _restore(key: str, text: str, names: Mapping[str, Any]) -> None:
    state: Any = json.loads(text) if text.startswith(("[", "{")) else base64.b64decode(text)
    if key == "random":
        random.setstate(_python_state(state))
    elif key == "numpy":
        import numpy

        numpy.random.set_state(_arrays(state))
    elif key == "torch":
        import torch

        torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))
    elif key == "torch.cuda":
        import torch

        torch.cuda.set_rng_state_all([torch.frombuffer(bytearray(base64.b64decode(item)), dtype=torch.uint8) for item in state])
    else:
        _restore_generator(names[key.removeprefix("name:")], state)


def _restore_generator(generator: Any, state: Any) -> None:
    if isinstance(generator, random.Random):
        generator.setstate(_python_state(state))
    elif isinstance(state, bytes):
        import torch

        generator.set_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))
    elif hasattr(generator, "bit_generator"):
        generator.bit_generator.state = _arrays(state)
    else:
        generator.set_state(_arrays(state))


def _python_state(state: Any) -> tuple[Any, ...]:
    version, words, gauss = state
    return version, _WORDS.unpack(base64.b64decode(words)), gauss


def _arrays(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _arrays(item) for key, item in value.items()}
    if isinstance(value, list) and value[:1] == ["array"]:
        import numpy

        return numpy.frombuffer(base64.b64decode(value[2]), dtype=value[1]).copy()
    return value
