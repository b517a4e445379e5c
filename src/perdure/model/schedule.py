"""Schedules: when a workflow is started again and again, and what becomes of a run that is still going on."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from perdure.clock import Micros, duration_micros, to_datetime, to_micros
from perdure.errors import ConfigurationError
from perdure.model.names import check_name

SHORTEST = timedelta(seconds=1)
LONGEST_ID = 200
"""In bytes: the ids of its runs have a time behind it."""

_SECOND: Micros = 1_000_000
_MINUTE = 60
_WITH_SECONDS = 6

_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class Overlap(enum.StrEnum):
    """What happens when a run is due while an earlier one is still going on."""

    SKIP = "skip"
    """It is left out. Of several that are due at once, after an outage, the last one runs."""
    QUEUE = "queue"
    """It waits for its turn; nothing is left out."""
    CANCEL = "cancel"
    """The earlier one is cancelled, and it runs when that has ended."""
    ALLOW = "allow"
    """It runs beside the others."""


@dataclass(frozen=True, slots=True, init=False)
class Schedule:
    """When a workflow is to be started: `Schedule("nightly", cron="30 2 * * *", timezone="Europe/Berlin")`.

    Either `cron`, with five fields or with seconds in front as the sixth, names such as `@daily` included, or `every`, from one
    second on, counted from `start_at` (by default from when the schedule was made). A cron line is read in `timezone`, as Debian's cron
    reads it: a fixed time that a clock change leaves out comes right after the gap, one that comes twice is due once. Nothing
    is due before `start_at` or after `end_at`. What is due while no worker runs is caught up on for `catch_up`.
    Raises ConfigurationError.
    """

    id: str
    cron: str | None
    every: timedelta | None
    timezone: str
    overlap: Overlap
    catch_up: timedelta
    start_at: datetime | None
    end_at: datetime | None

    def __init__(
        self,
        id: str,  # noqa: A002 - it reads as what it is
        *,
        cron: str | None = None,
        every: timedelta | None = None,
        timezone: str = "UTC",
        overlap: Overlap | str = Overlap.SKIP,
        catch_up: timedelta = timedelta(days=1),
        start_at: datetime | None = None,
        end_at: datetime | None = None,
    ) -> None:
        _check_id(id)
        _check_times(id, cron, every, catch_up)
        _check_aware(start_at=start_at, end_at=end_at)
        zone = _known_zone(timezone)
        if cron is not None:
            _check_cron(cron, zone)
        given = (id, cron, every, timezone, _known_overlap(overlap), catch_up, start_at, end_at)
        for field, value in zip(fields(self), given, strict=True):
            object.__setattr__(self, field.name, value)


def _check_id(given: str) -> None:
    check_name(given, "a schedule's id")
    if len(given.encode()) > LONGEST_ID:
        raise ConfigurationError(f"a schedule's id may have {LONGEST_ID} bytes: the ids of its runs are made of it")


def _check_times(given: str, cron: str | None, every: timedelta | None, catch_up: timedelta) -> None:
    if (cron is None) == (every is None):
        raise ConfigurationError(f"schedule {given!r} needs either cron= or every=")
    if every is not None and every < SHORTEST:
        raise ConfigurationError(f"every is {every}: it must be {SHORTEST.seconds} second or longer")
    if catch_up < timedelta(0):
        raise ConfigurationError(f"catch_up is {catch_up}: it can't be less than nothing")


def _check_aware(**instants: datetime | None) -> None:
    for name, instant in instants.items():
        if instant is not None and instant.tzinfo is None:
            raise ConfigurationError(f"{name} is {instant!r}, without a time zone: pass an aware datetime")


def _known_overlap(given: Overlap | str) -> Overlap:
    try:
        return Overlap(given)
    except ValueError:
        choices = ", ".join(repr(str(each)) for each in Overlap)
        raise ConfigurationError(f"overlap is {given!r}: it can be {choices}") from None


def _known_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as problem:
        raise ConfigurationError(
            f"timezone is {name!r}, which isn't known here: {problem}. It is a name such as 'Europe/Berlin'; the names come from the "
            f"system, or from the package tzdata"
        ) from None


def _check_cron(cron: str, zone: ZoneInfo) -> None:
    try:
        is_ever_due = next(CronSim(_read(cron)[0], datetime(2000, 1, 1, tzinfo=zone)), None) is not None
    except CronSimError as problem:
        raise ConfigurationError(
            f"cron is {cron!r}: {problem}. It has five fields (minute, hour, day of the month, month, day of the week), or six with "
            f"seconds in front"
        ) from None
    if not is_ever_due:
        raise ConfigurationError(f"cron is {cron!r}, and there is no such time")


def due_after(schedule: Schedule, anchor: Micros, after: Micros) -> Iterator[Micros]:
    """The times when it is due, in order, all later than `after`. `every` is counted from `anchor` unless `start_at` says otherwise."""
    begins = None if schedule.start_at is None else to_micros(schedule.start_at)
    ends = None if schedule.end_at is None else to_micros(schedule.end_at)
    if begins is not None:
        after = max(after, begins - 1)
    times = (
        _by_clock(schedule, after) if schedule.every is None else _by_interval(schedule.every, begins, anchor, after)
    )
    for due in times:
        if ends is not None and due > ends:
            return
        yield due


def _by_interval(every: timedelta, begins: Micros | None, anchor: Micros, after: Micros) -> Iterator[Micros]:
    step = duration_micros(every)
    # From `start_at` on the first is due at once, else after one interval.
    first = anchor + step if begins is None else begins
    due = first if after < first else first + ((after - first) // step + 1) * step
    while True:
        yield due
        due += step


def _by_clock(schedule: Schedule, after: Micros) -> Iterator[Micros]:
    assert schedule.cron is not None
    line, seconds = _read(schedule.cron)
    late = seconds * _SECOND
    here = to_datetime(after - late).astimezone(_zone(schedule.timezone))
    for found in CronSim(line, here):
        # In an hour that comes twice, what is asked after may be in the second one, and what is found in the first.
        if (due := to_micros(found) + late) > after:
            yield due


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _read(cron: str) -> tuple[str, int]:
    """A line, and how many seconds later it is due. With seconds in the line, cronsim would not mind clock changes."""
    fields = _NICKNAMES.get(cron.strip().lower(), cron).split()
    if len(fields) == _WITH_SECONDS and fields[0].isdecimal() and int(fields[0]) < _MINUTE:
        return " ".join(fields[1:]), int(fields[0])
    return " ".join(fields), 0
