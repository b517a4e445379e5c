"""Bars: of histories written by hand, and of a real one."""

from __future__ import annotations

from perdure.clock import to_datetime
from perdure.diagnostics.look import Look
from perdure.diagnostics.views.timeline import Bar, BarKind, BarState, Timeline, read_timeline, timeline_of
from perdure.model import event as e
from perdure.model.failure import plain_failure
from perdure.model.inspection import HistoryEvent, PendingActivity
from perdure.orchestrator import Orchestrator
from tests.diagnostics.views.programs import errand, go, pressing, until_quiet
from tests.worker.support import until_async

NOW = to_datetime(1_000)
STARTED = e.ExecutionStarted(at=10, workflow="flow", arguments=b"[]", python="3.12")
FAILURE = plain_failure("OutOfOrder", "for good")


def shown(*events: e.Event, pending: tuple[PendingActivity, ...] = (), first: int = 0, most: int = 500) -> Timeline:
    history = [HistoryEvent(place, event) for place, event in enumerate(events)]
    return timeline_of(history, now=NOW, pending=pending, first=first, most=most)


def only(timeline: Timeline, kind: BarKind) -> Bar:
    (found,) = [bar for bar in timeline.bars if bar.kind is kind]
    return found


def scheduled(number: int) -> e.ActivityScheduled:
    return e.ActivityScheduled(number=number, name="press", arguments=b"[]", digest=b"", queue="east")


def times(bar: Bar) -> tuple[int, int | None]:
    begin = int(bar.begin.timestamp() * 1_000_000)
    return begin, None if bar.end is None else int(bar.end.timestamp() * 1_000_000)


def test_a_command_begins_with_the_event_that_led_to_it() -> None:
    bar = only(shown(STARTED, scheduled(1), e.ActivityCompleted(at=20, number=1, result=b"1")), BarKind.ACTIVITY)

    assert times(bar) == (10, 20)
    assert (bar.label, bar.queue, bar.state, bar.positions) == ("press", "east", BarState.COMPLETED, (1, 2))


def test_a_completed_activity_tells_its_attempts() -> None:
    completed = e.ActivityCompleted(at=20, number=1, result=b"1", attempts=3)

    bar = only(shown(STARTED, scheduled(1), completed), BarKind.ACTIVITY)

    assert (bar.state, bar.attempts) == (BarState.COMPLETED, 3)


def test_a_failed_activity_tells_its_attempts_and_why() -> None:
    failed = e.ActivityFailed(at=20, number=1, failure=FAILURE, attempts=3)

    bar = only(shown(STARTED, scheduled(1), failed), BarKind.ACTIVITY)

    assert (bar.state, bar.attempts, bar.detail) == (BarState.FAILED, 3, "OutOfOrder: for good")


def test_an_activity_that_is_given_up_ends_and_one_that_is_told_waits_for_its_end() -> None:
    events = (STARTED, scheduled(1), scheduled(2), e.CancelRequested(at=20), e.ActivityCancelled(number=1))
    told = e.ActivityCancelled(number=2, told=True)

    dropped, waiting = [bar for bar in shown(*events, told).bars if bar.kind is BarKind.ACTIVITY]
    ended = shown(*events, told, e.ActivityFailed(at=30, number=2, failure=FAILURE, cancelled=True)).bars[2]

    assert (dropped.state, times(dropped)) == (BarState.CANCELLED, (10, 20))
    assert (waiting.state, waiting.end, waiting.detail) == (BarState.OPEN, None, "asked to cancel")
    assert (ended.state, times(ended), ended.positions) == (BarState.CANCELLED, (10, 30), (2, 5, 6))


def test_timers_fire_are_cancelled_or_wait() -> None:
    timers = [e.TimerSet(number=number, due_at=number * 100) for number in (1, 2, 3)]

    fired, cancelled, waiting = shown(
        STARTED, *timers, e.TimerFired(at=100, number=1), e.TimerCancelled(number=2)
    ).bars[1:]

    assert (fired.state, times(fired)) == (BarState.COMPLETED, (10, 100))
    assert (cancelled.state, times(cancelled)) == (BarState.CANCELLED, (10, 100))
    assert (waiting.state, waiting.end) == (BarState.OPEN, None)
    assert waiting.detail == "due 1970-01-01 00:00:00 UTC"


def test_sub_workflows_and_signals_name_the_other_instance() -> None:
    started = e.SubWorkflowScheduled(
        number=1, workflow="pick", instance_id="below", arguments=b"[]", digest=b"", queue="east"
    )
    sent = e.SignalSent(number=2, instance_id="beside", name="go", payload=b"1", digest=b"")

    timeline = shown(
        STARTED,
        started,
        sent,
        e.SignalRefused(at=20, number=2, failure=FAILURE),
        e.SubWorkflowFailed(at=30, number=1, failure=FAILURE, refused=True),
    )

    below, beside = only(timeline, BarKind.SUB_WORKFLOW), only(timeline, BarKind.SIGNAL_SENT)
    assert (below.label, below.instance_id, below.state, times(below)) == ("pick", "below", BarState.FAILED, (10, 30))
    assert (beside.label, beside.instance_id, beside.state) == ("go", "beside", BarState.FAILED)


def test_updates_last_until_they_are_answered() -> None:
    accepted = e.UpdateAccepted(at=20, update_id=b"u", name="approve", arguments=b"[]")
    answered = e.UpdateCompleted(number=4, update_id=b"u", failure=FAILURE)

    bar = only(shown(STARTED, accepted, e.ContinueSuggested(at=30), answered), BarKind.UPDATE)

    assert (bar.label, bar.state, times(bar), bar.positions) == ("approve", BarState.FAILED, (20, 30), (1, 3))


def test_what_happens_in_a_moment_is_a_point() -> None:
    timeline = shown(
        STARTED,
        e.SideEffectRecorded(number=1, name="roll", result=b"4"),
        e.PatchMarked(number=0, patch_id="two-steps"),
        e.SignalReceived(at=20, name="go", payload=b"1"),
        e.CancelRequested(at=30, reason="enough"),
    )

    points = [(bar.kind, bar.label, times(bar)) for bar in timeline.bars[1:]]
    assert points == [
        (BarKind.SIDE_EFFECT, "roll", (10, 10)),
        (BarKind.PATCH, "two-steps", (10, 10)),
        (BarKind.SIGNAL, "go", (20, 20)),
        (BarKind.CANCEL, "cancel requested", (30, 30)),
    ]
    assert timeline.bars[-1].detail == "enough"


def test_the_end_drops_what_is_open() -> None:
    timeline = shown(STARTED, scheduled(1), e.SignalReceived(at=20, name="go", payload=b"1"), e.ExecutionCancelled())

    assert (timeline.is_open, timeline.end) == (False, to_datetime(20))
    assert (timeline.bars[0].state, times(timeline.bars[0])) == (BarState.CANCELLED, (10, 20))
    assert (timeline.bars[1].state, times(timeline.bars[1])) == (BarState.DROPPED, (10, 20))


def test_an_operator_ends_it_when_he_says_so() -> None:
    timeline = shown(STARTED, e.Terminated(at=50, reason="enough"))

    workflow = timeline.bars[0]
    assert (workflow.state, workflow.detail, times(workflow)) == (BarState.TERMINATED, "enough", (10, 50))


def test_being_stuck_is_one_stretch_until_it_goes_on() -> None:
    stuck = [e.MarkedStuck(at=at, reason=f"at {at}") for at in (20, 30)]
    went_on = e.SignalReceived(at=40, name="go", payload=b"1")

    before, after = shown(STARTED, *stuck), shown(STARTED, *stuck, went_on)

    bar = only(before, BarKind.STUCK)
    assert (bar.attempts, bar.detail, bar.positions, times(bar)) == (2, "at 30", (1, 2), (20, None))
    assert times(only(after, BarKind.STUCK)) == (20, 40)


def test_what_arrived_before_it_got_stuck_does_not_end_it_before_it_began() -> None:
    timeline = shown(
        STARTED,
        e.MarkedStuck(at=30, reason="no"),
        e.SignalReceived(at=25, name="go", payload=b"1"),
        e.SignalReceived(at=50, name="go", payload=b"1"),
    )

    assert times(only(timeline, BarKind.STUCK)) == (30, 50)


def test_being_suspended_ends_with_resume() -> None:
    timeline = shown(STARTED, e.Suspended(at=20), e.SignalReceived(at=25, name="go", payload=b"1"), e.Resumed(at=30))

    assert times(only(timeline, BarKind.SUSPENDED)) == (20, 30)


def test_pending_activities_tell_their_attempts() -> None:
    pending = PendingActivity(
        number=1, name="press", queue="east", attempt=4, due_at=NOW, worker=None, is_open=False,
        last_failure=FAILURE, heartbeat_details=None, lost=0,
    )  # fmt: skip

    bar = only(shown(STARTED, scheduled(1), pending=(pending,)), BarKind.ACTIVITY)

    assert (bar.state, bar.attempts, bar.detail) == (BarState.RETRYING, 4, "OutOfOrder: for good")


def test_a_window_tells_what_is_left_out() -> None:
    events: list[e.Event] = [STARTED, *(scheduled(number) for number in range(1, 100))]

    timeline = shown(*events, first=10, most=5)

    assert [bar.number for bar in timeline.bars] == [10, 11, 12, 13, 14]
    assert (timeline.first, timeline.total) == (10, 100)


def test_a_history_that_has_not_begun_has_no_bars() -> None:
    timeline = shown()

    assert (timeline.bars, timeline.begin, timeline.end, timeline.is_open) == ((), None, NOW, True)


async def test_a_real_run_has_a_bar_for_each_step(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(errand.with_options(instance_id="errand"), "milk")
    await until_quiet(perdure, "errand", 9)
    while_open = await read_timeline(look, "errand")
    await handle.signal(go, "!")
    await handle.result()

    timeline = await read_timeline(look, "errand")

    assert [(bar.kind, bar.state) for bar in timeline.bars] == [
        (BarKind.WORKFLOW, BarState.COMPLETED),
        (BarKind.ACTIVITY, BarState.COMPLETED),
        (BarKind.SUB_WORKFLOW, BarState.COMPLETED),
        (BarKind.SIDE_EFFECT, BarState.COMPLETED),
        (BarKind.TIMER, BarState.COMPLETED),
        (BarKind.TIMER, BarState.DROPPED),
        (BarKind.SIGNAL, BarState.COMPLETED),
    ]
    assert [bar.state for bar in while_open.bars][-1] is BarState.OPEN
    assert while_open.is_open
    assert not timeline.is_open
    begins = [bar.begin for bar in timeline.bars]
    assert begins == sorted(begins)


async def test_a_retrying_activity_is_shown_so(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(pressing, 3)

    async def is_retrying() -> bool:
        bars = (await read_timeline(look, handle.instance_id)).bars
        return any(bar.state is BarState.RETRYING and bar.attempts == 2 for bar in bars)

    await until_async(is_retrying)


async def test_kinds_are_chosen(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(errand, "milk")
    await handle.signal(go, "!")
    await handle.result()

    timeline = await read_timeline(look, handle.instance_id, kinds=[BarKind.TIMER])

    assert (len(timeline.bars), timeline.total) == (2, 2)
