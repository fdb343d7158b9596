"""How data differs from a reference: pure statistics. `Profile.of(frame)` once, then `compare(profile, frame)` as often as data comes."""

from .comparing import compare, judge
from .profiles import Profile
from .tallies import Tally

__all__ = ["Profile", "Tally", "compare", "judge"]
