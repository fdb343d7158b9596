"""Time zones whose clocks change, of every kind there is, and what their clocks show, minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

ZONES = (
    "Europe/Copenhagen", "Europe/London", "Europe/Dublin", "Europe/Athens", "Europe/Chisinau", "Atlantic/Azores", "America/Nuuk",
    "America/New_York", "America/Chicago", "America/Los_Angeles", "America/Havana", "America/St_Johns", "America/Santiago",
    "Africa/Cairo", "Asia/Beirut", "Asia/Jerusalem", "Australia/Sydney", "Australia/Lord_Howe", "Pacific/Auckland", "Antarctica/Troll",
)  # fmt: skip
"""Gaps at midnight (Havana, Santiago, Cairo, Beirut), of half an hour (Lord Howe) and of two hours (Troll), either side of the equator."""
YEAR = 2026


@cache
def changes(zone: str) -> list[int]:
    """The moments of the year at which the zone's clock is set, to the minute."""
    begin, clock = datetime(YEAR, 1, 1, tzinfo=UTC), ZoneInfo(zone)
    found = []
    for hour in range(366 * 24):
        before, after = (begin + timedelta(hours=hour + more) for more in (0, 1))
        if before.astimezone(clock).utcoffset() != after.astimezone(clock).utcoffset():
            minutes = (before + timedelta(minutes=minute) for minute in range(1, 61))
            found.append(next(item for item in minutes if item.astimezone(clock).utcoffset() != before.astimezone(clock).utcoffset()))
    return [int(item.timestamp()) for item in found]


@cache
def shown(zone: str, begin: int, end: int) -> dict[int, datetime]:
    """What the clock shows at each whole minute from one moment to another."""
    clock = ZoneInfo(zone)
    return {moment: datetime.fromtimestamp(moment, clock).replace(tzinfo=None) for moment in range(begin, end, 60)}


def on_the_wall(zone: str, begin: int, end: int, times: set[tuple[int, int]]) -> list[int]:
    """When each (hour, minute) of each day is first shown, or first passed where the clock skips it."""
    walls = shown(zone, begin, end)
    first: dict[datetime, int] = {}
    for moment, wall in walls.items():
        first.setdefault(wall, moment)
    minute, last = min(first), max(first)
    found = set()
    while minute <= last:
        if (minute.hour, minute.minute) in times:
            found.add(first[minute] if minute in first else min(moment for wall, moment in first.items() if wall > minute))
        minute += timedelta(minutes=1)
    return sorted(found)
