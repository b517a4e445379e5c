"""The audit finds what is planted: else a green chaos run would say nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from perdure.clock import to_datetime
from perdure.model.event import (
    ActivityCompleted,
    ActivityScheduled,
    Event,
    ExecutionCompleted,
    ExecutionStarted,
    TimerFired,
    TimerSet,
)
from perdure.model.instance import Instance, State
from tests.chaos.audit import events_problems, instance_problems, receipt_problems, told_problems
from tests.chaos.leases import Leases
from tests.chaos.logs import log_problems
from tests.chaos.program import Receipt
from tests.chaos.waits import waits_after_deaths
from tests.chaos.witness import (
    Announced,
    AnyLine,
    Asked,
    AttemptBegan,
    Beaten,
    GivesUp,
    HandsFree,
    Killed,
    Kind,
    Leased,
    Seen,
    ServerBack,
    ServerGoes,
    Signalled,
    SignsOff,
    Thing,
    Told,
    Witness,
    Written,
    in_order,
    read_witness,
)

ACTIVITY = Thing(Kind.ACTIVITY, 7, "order-1")
INSTANCE = Thing(Kind.INSTANCE, 1, "order-1")

A, B = "worker-1", "worker-2"
LIVES = (
    Seen(A, Announced(at=0.0, worker=1, asked_at=0.0, lease_seconds=4.0)),
    Seen(B, Announced(at=0.0, worker=2, asked_at=0.0, lease_seconds=60.0)),
)


def leased(process: str, token: int, at: float, thing: Thing = ACTIVITY) -> Seen:
    return Seen(process, Leased(at=at, thing=thing, token=token, worker=1 if process == A else 2, asked_at=at - 0.5))


def wrote(process: str, token: int, at: float, thing: Thing = ACTIVITY, **more: Any) -> Seen:
    return Seen(process, Written(at=at, thing=thing, token=token, asked_at=at - 0.01, **{"ends": True, **more}))


def leases_of(*seen: Seen) -> Leases:
    return Leases(in_order([*LIVES, *seen]))


def problems_of(*seen: Seen) -> list[str]:
    return list(leases_of(*seen).problems())


# --- leases

BEFORE_THE_NEXT: dict[str, AnyLine] = {
    "given up": GivesUp(at=2.0, thing=ACTIVITY, token=10),
    "signed off": SignsOff(at=2.0, worker=1),
    "killed": Killed(at=2.0, process=A),
}


@pytest.mark.parametrize("end", BEFORE_THE_NEXT.values(), ids=BEFORE_THE_NEXT.keys())
def test_a_lease_that_has_ended_may_be_given_out_again(end: AnyLine) -> None:
    assert problems_of(leased(A, 10, 1.0), Seen(A, end), leased(B, 20, 3.0), wrote(B, 20, 3.5)) == []


def test_a_lease_that_has_lapsed_may_be_given_out_again() -> None:
    beat = Seen(A, Beaten(at=3.1, worker=1, asked_at=3.0))

    assert problems_of(leased(A, 10, 1.0), beat, leased(B, 20, 7.1)) == []


def test_a_lease_that_is_held_twice_at_a_time_is_found() -> None:
    (problem,) = problems_of(leased(A, 10, 1.0), leased(B, 20, 3.0))

    assert "token 10 of worker-1 (from 1.000) was still held, for 1.000 s, when token 20 of worker-2" in problem


def test_a_lease_that_a_heartbeat_kept_and_another_worker_got_is_found() -> None:
    beat = Seen(A, Beaten(at=3.1, worker=1, asked_at=3.0))

    assert "still held" in "".join(problems_of(leased(A, 10, 1.0), beat, leased(B, 20, 6.9)))


def test_a_lease_that_is_heard_of_when_its_time_is_over_is_held_by_nobody() -> None:
    late = [leased(B, 20, 5.0), leased(A, 10, 6.0)]

    assert problems_of(*late) == []
    assert "still held" in "".join(problems_of(*late, wrote(A, 10, 6.5)))


def test_a_lease_on_an_instance_that_is_held_twice_is_found() -> None:
    assert "instance 1" in "".join(problems_of(leased(A, 10, 1.0, INSTANCE), leased(B, 20, 3.0, INSTANCE)))


def test_one_token_for_two_workers_is_found() -> None:
    assert "worker-2 was given token 10" in "".join(problems_of(leased(A, 10, 1.0), leased(B, 10, 2.0)))


def test_two_results_of_one_activity_are_found() -> None:
    gave_up = Seen(A, GivesUp(at=1.4, thing=ACTIVITY, token=10))

    (problem,) = problems_of(leased(A, 10, 1.0), gave_up, wrote(A, 10, 1.5), leased(B, 20, 3.0), wrote(B, 20, 3.5))

    assert "its end was recorded 2 times" in problem


def test_a_write_under_a_lease_that_has_passed_on_is_found() -> None:
    late = problems_of(leased(A, 10, 1.0), leased(B, 20, 5.0), wrote(A, 10, 6.0))

    assert "wrote at 5.990, when token 20 of worker-2" in "".join(late)


def test_an_attempt_without_a_lease_is_found() -> None:
    began = AttemptBegan(at=2.0, thing=ACTIVITY, token=10, name="pay", attempt=1)

    assert "which it was never given" in "".join(problems_of(Seen(A, began)))
    assert "which it was never given" in "".join(problems_of(leased(A, 10, 1.0), Seen(B, began)))


def test_an_attempt_that_begins_after_its_lease_or_twice_is_found() -> None:
    began = [AttemptBegan(at=at, thing=ACTIVITY, token=10, name="pay", attempt=1) for at in (2.0, 4.5)]

    problems = "".join(problems_of(leased(A, 10, 1.0), *(Seen(A, each) for each in began)))

    assert "began at 4.500, when the lease of token 10" in problems
    assert "was begun 2 times" in problems


# --- waits


def longest_wait(*seen: Seen) -> float | None:
    all_seen = in_order([*LIVES, *seen])
    waits = waits_after_deaths(all_seen, Leases(all_seen))
    return max((wait.seconds for wait in waits), default=None)


def test_what_a_killed_worker_ran_waits_from_its_death() -> None:
    assert longest_wait(leased(A, 10, 1.0), Seen(A, Killed(at=2.0, process=A)), leased(B, 20, 9.0)) == 7.0


def test_an_instance_whose_task_was_out_waits_from_the_death() -> None:
    death = Seen(A, Killed(at=2.0, process=A))

    assert longest_wait(leased(A, 10, 1.0, INSTANCE), death, leased(B, 20, 9.0, INSTANCE)) == 7.0


def test_an_instance_whose_checkpoint_was_on_its_way_waits_from_what_arrives_next() -> None:
    asked = Seen(A, Asked(at=1.5, thing=INSTANCE, token=10))
    death, taken = Seen(A, Killed(at=2.0, process=A)), leased(B, 20, 9.0, INSTANCE)
    signal = Seen("parent", Signalled(at=6.0, instance_id="order-1", asked_at=5.9))

    assert longest_wait(leased(A, 10, 1.0, INSTANCE), asked, death, taken) is None
    assert longest_wait(leased(A, 10, 1.0, INSTANCE), asked, death, taken, signal) == 3.0


def test_a_timer_that_a_checkpoint_on_its_way_may_have_seen_to_is_left_out() -> None:
    slept = wrote(A, 10, 1.5, INSTANCE, ends=False, next_timer_at=1.4)
    again, asked = leased(A, 10, 1.5, INSTANCE), Seen(A, Asked(at=1.6, thing=INSTANCE, token=10))
    death, taken = Seen(A, Killed(at=2.0, process=A)), leased(B, 20, 9.0, INSTANCE)

    assert longest_wait(leased(A, 10, 1.0, INSTANCE), slept, again, asked, death, taken) is None


def test_an_instance_that_was_only_in_memory_waits_from_what_arrives_next() -> None:
    idle = [
        leased(A, 10, 1.0, INSTANCE),
        wrote(A, 10, 1.5, INSTANCE, ends=False),
        Seen(A, Killed(at=2.0, process=A)),
        leased(B, 20, 9.0, INSTANCE),
    ]

    assert longest_wait(*idle) is None
    assert longest_wait(*idle, Seen("parent", Signalled(at=6.0, instance_id="order-1", asked_at=5.9))) == 3.0


def test_what_the_server_was_away_is_taken_off_a_wait() -> None:
    seen = [leased(A, 10, 1.0), Seen(A, Killed(at=2.0, process=A)), leased(B, 20, 9.0)]
    away = [Seen("parent", ServerGoes(at=3.0)), Seen("parent", ServerBack(at=5.0))]

    assert longest_wait(*seen, *away) == 5.0


def test_a_wait_is_needless_until_the_last_time_that_somebody_had_his_hands_free() -> None:
    seen = [leased(A, 10, 1.0), Seen(A, Killed(at=2.0, process=A)), leased(B, 20, 9.0)]
    free = [Seen(B, HandsFree(at=at + 0.1, asked_at=at, kind=Kind.ACTIVITY)) for at in (1.5, 7.0, 9.5)]
    of_others = Seen(B, HandsFree(at=8.5, asked_at=8.0, kind=Kind.INSTANCE))

    its_own = Seen(B, HandsFree(at=9.0, asked_at=8.5, kind=Kind.ACTIVITY))

    assert needless_wait(*seen) == 0.0
    assert needless_wait(*seen, *free, of_others, its_own) == 5.0


def needless_wait(*seen: Seen) -> float:
    all_seen = in_order([*LIVES, *seen])
    (wait,) = waits_after_deaths(all_seen, Leases(all_seen))
    return wait.needless_seconds


def test_an_instance_that_slept_waits_from_its_timer() -> None:
    slept = wrote(A, 10, 1.5, INSTANCE, ends=False, next_timer_at=8.0)

    assert longest_wait(
        leased(A, 10, 1.0, INSTANCE), slept, Seen(A, Killed(at=2.0, process=A)), leased(B, 20, 9.0, INSTANCE)
    ) == pytest.approx(1.0)


# --- instances and histories


def instance(instance_id: str, state: State = State.COMPLETED) -> Instance:
    return Instance(
        instance_id=instance_id,
        execution_id="0" * 32,
        execution_number=1,
        workflow="order",
        queue="default",
        state=state,
        created_at=to_datetime(0),
        updated_at=to_datetime(0),
        ended_at=None,
        priority=0,
        tags={},
        version=None,
        deadline_at=None,
        parent=None,
        history_length=3,
        history_bytes=100,
        suspended=False,
        stuck=None,
        worker=None,
        due_at=None,
    )


def test_missing_strange_and_unfinished_instances_are_found() -> None:
    problems = list(
        instance_problems([instance("order-1", State.RUNNING), instance("order-9")], {"order-1": 1, "order-2": 2})
    )

    assert problems[:2] == ["order-2 is missing", "order-9 is there, and nobody started it"]
    assert problems[2].startswith("order-1 is running")


def test_a_wrong_result_that_a_client_was_told_is_found() -> None:
    told = [Seen("parent", Told(instance_id="order-1", result=result)) for result in (1, 2)]

    assert list(told_problems(told, {"order-1": 1})) == ["order-1: a client was told 2, not 1"]


def result_of(token: int) -> Event:
    return ActivityCompleted(at=0, number=1, result=msgspec.json.encode(Receipt(1, ACTIVITY.key, token)))


STARTED = ExecutionStarted(at=0, workflow="order", arguments=b"[]", python="3.11")
PAY = ActivityScheduled(number=1, name="pay", arguments=b"[]", digest=b"", queue="default")
SLEEP = TimerSet(number=2, due_at=0)
SLEPT = TimerFired(at=0, number=2)
END = ExecutionCompleted(result=b"1")

SOUND: list[Event] = [STARTED, PAY, SLEEP, result_of(10), SLEPT, END]
UNSOUND: dict[str, tuple[list[Event], str]] = {
    "a result twice": ([STARTED, PAY, SLEEP, result_of(10), result_of(10), SLEPT, END], "its result 2 times"),
    "no result": ([STARTED, PAY, SLEEP, SLEPT, END], "its result 0 times"),
    "a result of nothing": ([STARTED, SLEEP, result_of(10), SLEPT, END], "ActivityScheduled 1 is there 0 times"),
    "a timer twice": ([STARTED, SLEEP, SLEPT, SLEPT, END], "its result 2 times"),
    "two ends": ([STARTED, END, END], "2 ends"),
    "no end": ([STARTED], "0 ends"),
}


def test_a_sound_history_is_left_alone() -> None:
    assert list(events_problems(SOUND)) == []


@pytest.mark.parametrize(("events", "said"), UNSOUND.values(), ids=UNSOUND.keys())
def test_an_unsound_history_is_found(events: list[Event], said: str) -> None:
    assert said in "".join(events_problems(events))


def test_the_result_of_an_attempt_that_was_not_the_last_is_found() -> None:
    attempts = [
        AttemptBegan(at=1.0, thing=ACTIVITY, token=10, name="pay", attempt=1),
        AttemptBegan(at=6.0, thing=ACTIVITY, token=20, name="pay", attempt=1),
    ]
    leases = leases_of(leased(A, 10, 0.9), leased(B, 20, 5.9), Seen(A, attempts[0]), Seen(B, attempts[1]))

    assert list(receipt_problems("order-1", [result_of(20)], leases)) == []
    assert "that of token 10, the last attempt had 20" in "".join(receipt_problems("order-1", [result_of(10)], leases))


# --- witness and logs


def test_what_was_witnessed_is_read_in_order_of_time(tmp_path: Path) -> None:
    lines: dict[str, AnyLine] = {A: Killed(at=2.0, process=B), B: SignsOff(at=1.0, worker=2)}
    for process, line in lines.items():
        witness = Witness(tmp_path / f"{process}.jsonl")
        witness.saw(line)
        witness.close()

    assert read_witness(tmp_path) == [Seen(B, lines[B]), Seen(A, lines[A])]


def test_floods_and_tracebacks_in_the_log_are_found(tmp_path: Path) -> None:
    said = "2026-01-01 00:00:00,000 WARNING perdure.worker: claiming tasks failed for the {} time\n"
    (tmp_path / "quiet.log").write_text(said.format(1) + said.format(2).replace("WARNING", "INFO"))
    (tmp_path / "flood.log").write_text("".join(said.format(number) for number in range(30)))
    (tmp_path / "fault.log").write_text("Traceback (most recent call last):\n  …\nKeyError: 7\n")

    fault, flood = log_problems(tmp_path, most_lines=2)

    assert "KeyError: 7" in fault
    assert "30 x claiming tasks failed for the # time" in flood
