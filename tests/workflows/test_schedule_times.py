"""When a schedule is due: clock changes, intervals, beginning and end; and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.clock import to_datetime, to_micros
from perdure.errors import ConfigurationError, InvalidName
from perdure.model.schedule import Overlap, Schedule, due_after


def due_in(schedule: Schedule, begin: str, end: str) -> list[str]:
    """Local times with their offset, of what is due from one local time to another."""
    zone = ZoneInfo(schedule.timezone)
    first, last = (datetime.fromisoformat(each).replace(tzinfo=zone) for each in (begin, end))
    found = []
    for due in due_after(schedule, to_micros(first), to_micros(first) - 1):
        if due >= to_micros(last):
            break
        found.append(to_datetime(due).astimezone(zone).strftime("%d %H:%M%z"))
    return found


@pytest.mark.parametrize(
    ("zone", "begin", "due"),
    [
        ("Europe/Berlin", "2026-03-28", ["28 02:30+0100", "29 03:00+0200", "30 02:30+0200"]),
        ("Europe/Berlin", "2026-10-24", ["24 02:30+0200", "25 02:30+0200", "26 02:30+0100"]),
        ("America/New_York", "2026-03-07", ["07 02:30-0500", "08 03:00-0400", "09 02:30-0400"]),
        ("America/New_York", "2026-10-31", ["31 02:30-0400", "01 02:30-0500", "02 02:30-0500"]),
        ("Australia/Sydney", "2026-10-03", ["03 02:30+1000", "04 03:00+1100", "05 02:30+1100"]),
        ("Australia/Sydney", "2026-04-04", ["04 02:30+1100", "05 02:30+1100", "06 02:30+1000"]),
    ],
)
@pytest.mark.parametrize("cron", ["30 2 * * *", "0 30 2 * * *"])
def test_a_fixed_time_is_due_once_on_the_days_of_the_clock_change(
    zone: str, begin: str, due: list[str], cron: str
) -> None:
    """Left out by the clock, it comes right after the gap; there twice, it is due the first time. With seconds as without."""
    end = (datetime.fromisoformat(begin) + timedelta(days=3)).isoformat()
    assert due_in(Schedule("nightly", cron=cron, timezone=zone), begin, end) == due


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23), ("Europe/Berlin", "2026-10-25", 25),
        ("America/New_York", "2026-03-08", 23), ("America/New_York", "2026-11-01", 25),
        ("Australia/Lord_Howe", "2026-10-04", 23.5), ("Australia/Lord_Howe", "2026-04-05", 24.5),
    ],
)  # fmt: skip
def test_what_is_due_all_the_time_is_due_as_often_as_time_passes(zone: str, day: str, hours: float) -> None:
    end = (datetime.fromisoformat(day) + timedelta(days=1)).isoformat()
    assert len(due_in(Schedule("often", cron="*/30 * * * *", timezone=zone), day, end)) == hours * 2


def test_the_second_of_two_equal_hours_does_not_lead_back_into_the_first() -> None:
    """What is due at 2:50, before the clock is set back, isn't due again for who asks at the second 2:40."""
    schedule = Schedule("once", cron="50 2 * * *", timezone="Europe/Berlin")
    second = to_micros(datetime(2026, 10, 25, 2, 40, tzinfo=ZoneInfo("Europe/Berlin"), fold=1))
    assert to_datetime(next(due_after(schedule, 0, second))) == datetime(2026, 10, 26, 1, 50, tzinfo=UTC)


@given(
    after=st.datetimes(min_value=datetime(2025, 1, 1), max_value=datetime(2028, 1, 1), timezones=st.just(UTC)),
    cron=st.sampled_from(["30 2 * * *", "*/15 * * * *", "59 23 L * *", "0 12 * * 1-5", "@weekly", "7 30 1 * * *"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]),
)
def test_times_only_go_on_and_none_is_left_out(after: datetime, cron: str, zone: str) -> None:
    """Who asks again after each one gets the same as who goes on."""
    schedule, asked = Schedule("any", cron=cron, timezone=zone), to_micros(after)
    in_a_row = list(islice(due_after(schedule, 0, asked), 6))
    assert all(one < other for one, other in pairwise([asked, *in_a_row]))
    one_by_one = []
    for _ in range(6):
        asked = next(due_after(schedule, 0, asked))
        one_by_one.append(asked)
    assert one_by_one == in_a_row


def test_an_interval_is_counted_from_when_it_was_made_or_from_its_beginning() -> None:
    made, hour = to_micros(datetime(2026, 1, 1, 10, 20, tzinfo=UTC)), timedelta(hours=1)
    schedule = Schedule("hourly", every=hour)
    assert list(islice(due_after(schedule, made, made), 2)) == [made + 3600_000_000, made + 7200_000_000]
    begin = datetime(2026, 1, 1, 12, tzinfo=UTC)
    schedule = Schedule("hourly", every=hour, start_at=begin, end_at=begin + 2 * hour)
    assert [to_datetime(due).hour for due in due_after(schedule, made, made)] == [12, 13, 14]
    assert [to_datetime(due).hour for due in due_after(schedule, made, to_micros(begin))] == [13, 14]


def test_a_line_begins_and_ends_as_well() -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    schedule = Schedule("daily", cron="@daily", start_at=begin, end_at=begin + timedelta(days=1))
    assert [to_datetime(due).day for due in due_after(schedule, 0, 0)] == [1, 2]


def test_seconds_stand_in_front() -> None:
    schedule = Schedule("every ten", cron="*/10 * * * * *")
    assert [due // 1_000_000 for due in islice(due_after(schedule, 0, 0), 3)] == [10, 20, 30]
    assert next(due_after(Schedule("late", cron="15 0 * * * *"), 0, 0)) == 15_000_000


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "needs either cron= or every="),
        ({"cron": "@daily", "every": timedelta(hours=1)}, "needs either cron= or every="),
        ({"cron": "61 * * * *"}, "Bad minute. It has five fields"),
        ({"cron": "* * *"}, "Wrong number of fields"),
        ({"cron": "0 0 30 2 *"}, "cron is '0 0 30 2 *'"),
        ({"every": timedelta(milliseconds=10)}, "must be 1 second or longer"),
        ({"cron": "@daily", "timezone": "Mars/Olympus"}, "timezone is 'Mars/Olympus', which isn't known here"),
        ({"cron": "@daily", "overlap": "maybe"}, "overlap is 'maybe': it can be 'skip', 'queue', 'cancel', 'allow'"),
        ({"cron": "@daily", "catch_up": timedelta(-1)}, "can't be less than nothing"),
        ({"cron": "@daily", "start_at": datetime(2026, 1, 1)}, "without a time zone"),
        ({"id": "x" * 201, "cron": "@daily"}, "200 bytes"),
    ],
)
def test_what_can_not_be_is_refused_at_once(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Schedule(**{"id": "wrong"} | given)
    assert says in str(caught.value)


def test_an_id_is_a_name() -> None:
    with pytest.raises(InvalidName):
        Schedule("", cron="@daily")


def test_an_overlap_may_be_given_by_its_name() -> None:
    assert Schedule("x", cron="@daily", overlap="queue").overlap is Overlap.QUEUE
