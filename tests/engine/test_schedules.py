"""The workflow behind schedules, by hand: when it starts what, and what it does about runs that overlap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perdure.app import App
from perdure.clock import to_datetime
from perdure.errors import RegistrationError
from perdure.model.checkpoint import SendCancel, StartSubWorkflow
from perdure.model.event import ExecutionContinued
from perdure.model.options import ParentClose
from perdure.model.schedule import Schedule
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.runtime import StoredCall
from perdure.workflows.scheduling import (
    CHANGE,
    STATUS,
    Plan,
    ScheduledRun,
    ScheduleStatus,
    SetPaused,
    SetPlan,
    Standing,
    Target,
    keep_schedule,
)
from tests.engine.harness import EPOCH, SECOND, Run


@workflow
async def other(ctx: Context) -> None: ...


APP = App(workflows=[other])
CALL = StoredCall("job", b"[7]", b"digest", "v1", None)


def plan(**schedule: Any) -> Plan:
    """Due each second, unless said otherwise."""
    if "cron" not in schedule:
        schedule.setdefault("every", timedelta(seconds=1))
    return Plan(
        schedule=Schedule("tick", **schedule), target=Target(call=CALL, queue="jobs", priority=3, timeout=None, tags={})
    )


class Kept:
    """A schedule, its runs, and what it shows."""

    def __init__(self, evicting: bool, standing: Standing | None = None, **schedule: Any) -> None:
        self.run = Run(keep_schedule, plan(**schedule), standing, app=APP, evicting=evicting)

    @property
    def starts(self) -> list[StartSubWorkflow]:
        return [each for done in self.run.checkpoints for each in done.messages if isinstance(each, StartSubWorkflow)]

    @property
    def started_at(self) -> list[float]:
        """Seconds after the schedule was made, at which its runs were due."""
        return [(each.started.due_at - EPOCH) / SECOND for each in self.starts if each.started.due_at is not None]

    @property
    def cancels(self) -> list[str]:
        return [
            each.instance_id for done in self.run.checkpoints for each in done.messages if isinstance(each, SendCancel)
        ]

    @property
    def status(self) -> ScheduleStatus:
        status: ScheduleStatus = APP.payloads.decode(self.run.published[STATUS], ScheduleStatus)
        return status

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.run.fire()

    def end_run(self, number: int = -1) -> None:
        self.run.complete_child(self.starts[number].number)


def test_a_run_has_the_time_when_it_was_due_in_its_id_and_its_facts(evicting: bool) -> None:
    kept = Kept(evicting)
    kept.tick()
    [start] = kept.starts
    due = to_datetime(EPOCH + SECOND)
    assert start.instance_id == f"tick@{due.isoformat().replace('+00:00', 'Z')}"
    assert start.started.due_at == EPOCH + SECOND
    assert (start.workflow, start.started.arguments, start.digest) == ("job", b"[7]", b"digest")
    assert (start.queue, start.priority, start.version) == ("jobs", 3, "v1")
    assert start.parent_close is ParentClose.ABANDON
    assert kept.status.recent == (
        ScheduledRun(instance_id=start.instance_id, due_at=due, started_at=due, state="running"),
    )


def test_each_time_starts_one_run(evicting: bool) -> None:
    kept = Kept(evicting)
    for _ in range(5):
        kept.tick()
        kept.end_run()
    assert kept.started_at == [1, 2, 3, 4, 5]
    assert kept.status.started == 5
    assert {run.state for run in kept.status.recent} == {"completed"}
    kept.run.assert_replays()


def test_skip_leaves_out_what_comes_due_during_a_run(evicting: bool) -> None:
    kept = Kept(evicting)
    kept.tick()
    kept.run.wait(3.5)
    kept.end_run()
    assert (kept.started_at, kept.status.skipped) == ([1], 3)
    kept.tick()
    assert kept.started_at == [1, 5]


def test_skip_starts_the_last_of_several_that_came_due_while_nobody_worked(evicting: bool) -> None:
    kept = Kept(evicting)
    kept.run.wait(4.2)
    assert (kept.started_at, kept.status.skipped) == ([4], 3)


def test_queue_leaves_out_nothing(evicting: bool) -> None:
    kept = Kept(evicting, overlap="queue")
    kept.tick()
    kept.run.wait(2.5)
    for _ in range(3):
        kept.end_run()
    assert kept.started_at == [1, 2, 3]
    assert (kept.status.skipped, kept.status.waiting) == (0, 0)


def test_cancel_asks_the_run_to_cancel_and_waits_for_its_end(evicting: bool) -> None:
    kept = Kept(evicting, overlap="cancel")
    kept.tick()
    kept.tick()
    [first] = kept.starts
    assert kept.cancels == [first.instance_id]
    kept.tick()
    assert kept.cancels == [first.instance_id], "it is asked once"
    kept.run.fail_child(first.number, "cancelled", cancelled=True)
    assert (kept.started_at, kept.status.skipped) == ([1, 3], 1)
    assert [run.state for run in kept.status.recent] == ["running", "cancelled"]


def test_allow_starts_all(evicting: bool) -> None:
    kept = Kept(evicting, overlap="allow")
    kept.tick()
    kept.run.wait(2)
    assert kept.started_at == [1, 2, 3]
    assert {run.state for run in kept.status.recent} == {"started"}


def test_what_is_older_than_catch_up_is_missed(evicting: bool) -> None:
    kept = Kept(evicting, overlap="allow", catch_up=timedelta(seconds=2))
    kept.run.wait(10)
    assert kept.started_at == [8, 9, 10]
    assert kept.status.missed == 7


@pytest.mark.parametrize("overlap", ["skip", "queue", "cancel", "allow"])
def test_a_long_outage_is_looked_at_in_pieces(overlap: str) -> None:
    """3,500 times came due, 500 of them are too old."""
    kept = Kept(False, overlap=overlap, catch_up=timedelta(seconds=3000))
    kept.run.wait(3500)
    status = kept.status
    assert status.missed == 499
    if overlap == "allow":
        assert kept.started_at == list(range(500, 3501))
    elif overlap == "queue":
        for _ in range(3001):
            kept.end_run()
        assert kept.started_at == list(range(500, 3501))
    else:
        assert (kept.started_at, status.skipped) == ([3500], 3000)


def test_an_outage_of_years_is_over_at_once() -> None:
    kept = Kept(False)
    kept.run.wait(10 * 365 * 86_400)
    assert kept.started_at == [10 * 365 * 86_400]
    assert len(kept.run.history) < 600


def test_a_paused_schedule_starts_nothing_and_does_not_catch_up(evicting: bool) -> None:
    kept = Kept(evicting)
    kept.run.signal(CHANGE, SetPaused(True))
    assert kept.status.is_paused
    assert kept.status.next_due_at is None
    kept.run.wait(3.5)
    kept.run.signal(CHANGE, SetPaused(False))
    assert kept.started_at == []
    kept.tick()
    assert kept.started_at == [4]


def test_another_plan_holds_from_now_on(evicting: bool) -> None:
    kept = Kept(evicting)
    kept.tick()
    kept.end_run()
    kept.run.signal(CHANGE, SetPlan(plan(every=timedelta(seconds=10))))
    kept.tick()
    assert kept.started_at == [1, 10]


def test_it_ends_when_nothing_is_due_any_more(evicting: bool) -> None:
    kept = Kept(evicting, end_at=datetime.fromtimestamp(EPOCH / SECOND + 2.5, UTC))
    kept.tick()
    kept.end_run()
    kept.tick()
    assert kept.run.end == "running"
    kept.end_run()
    assert kept.run.end == "COMPLETED"


def test_its_history_stays_short_and_nothing_gets_lost_on_the_way() -> None:
    kept = Kept(False, overlap="queue")
    rounds = 0
    while kept.run.end == "running":
        kept.tick()
        kept.end_run()
        rounds += 1
    assert 100 < rounds < 1000
    continued = kept.run.history[-1]
    assert isinstance(continued, ExecutionContinued)
    (after, standing), _ = APP.payloads.call(keep_schedule.function, skip=1).decode(continued.arguments)
    assert (after, standing.started) == (plan(overlap="queue"), rounds)
    following = Kept(False, standing, overlap="queue")
    following.run.wait(rounds + 1.5)
    assert following.started_at == [rounds + 1]


def test_a_run_that_fails_is_shown(evicting: bool) -> None:
    kept = Kept(evicting)
    kept.tick()
    kept.run.fail_child(kept.starts[0].number)
    assert [run.state for run in kept.status.recent] == ["failed"]


def test_a_cancelled_schedule_leaves_its_run_alone(evicting: bool) -> None:
    kept = Kept(evicting)
    kept.tick()
    kept.run.cancel()
    assert (kept.run.end, kept.cancels) == ("CANCELLED", [])


def test_names_of_perdures_own_workflows_are_taken() -> None:
    """User names colliding with system workflows."""
    with pytest.raises(RegistrationError, match="begins with 'perdure:'"):
        App(workflows=[workflow(name="perdure:schedule")(other.function)])
