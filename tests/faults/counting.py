"""How many faults a test made, told to whoever reads the report."""

from __future__ import annotations

from collections.abc import Callable

Recorder = Callable[[str, object], None]
"""pytest's `record_property`: a test of faults tells ("faults", how many) when it has ended well."""
