"""Each action on real instances, what it says when it can't be done, and on what it is offered."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perdure.app import App
from perdure.client.client import Client
from perdure.diagnostics.actions.desk import Desk
from perdure.diagnostics.actions.inputs import Inputs
from perdure.diagnostics.actions.permissions import everything
from perdure.diagnostics.actions.results import Result, Verdict
from perdure.diagnostics.actions.table import ActionName, Target, TargetKind
from perdure.errors import WorkflowTerminated
from perdure.model.inspection import QueueLimits
from perdure.model.instance import State
from perdure.model.schedule import Schedule
from perdure.orchestrator import Orchestrator
from perdure.worker.worker import Worker
from tests.diagnostics.actions.support import (
    NASTY,
    Bank,
    approval,
    approved,
    changed_app,
    checkout,
    giving_back,
    until_begun,
    until_state,
    until_waiting,
)
from tests.worker.support import until_async

BREAKING = (ActionName.SIGNAL, ActionName.CANCEL, ActionName.TERMINATE, ActionName.SUSPEND, ActionName.REMOVE)
HOURLY = Schedule("hourly", every=timedelta(hours=1))


async def do(desk: Desk, name: ActionName, target: str, **inputs: object) -> Result:
    return await desk.do(None, name, target, Inputs(**inputs))  # type: ignore[arg-type]


async def offered(desk: Desk, client: Client, instance_id: str) -> set[str]:
    target = Target(TargetKind.INSTANCE, instance_id)
    return {action.name for action in await desk.offered(None, target, await client.info(instance_id))}


class TestOneInstance:
    @pytest.mark.parametrize("instance_id", ["order-7", NASTY])
    async def test_a_signal_with_a_value_of_json_arrives(
        self, perdure: Orchestrator, desk: Desk, instance_id: str
    ) -> None:
        handle = await perdure.start(approved.with_options(instance_id=instance_id))

        result = await do(desk, ActionName.SIGNAL, instance_id, signal="approval", value="otto")

        assert result.is_done
        assert await handle.result(timeout=20) == "approved by otto"

    async def test_a_second_signal_of_the_same_key_is_the_first(self, perdure: Orchestrator, desk: Desk) -> None:
        handle = await perdure.start(approved)
        await desk.do(None, ActionName.SUSPEND, handle.instance_id)

        for name in ("otto", "emil"):
            await do(desk, ActionName.SIGNAL, handle.instance_id, signal="approval", value=name, idempotency_key="once")
        await desk.do(None, ActionName.RESUME, handle.instance_id)

        assert await handle.result(timeout=20) == "approved by otto"
        kinds = [type(each.event).__name__ async for each in handle.history()]
        assert kinds.count("SignalReceived") == 1

    async def test_a_signal_without_a_name_is_refused(self, perdure: Orchestrator, desk: Desk) -> None:
        handle = await perdure.start(approved)

        result = await do(desk, ActionName.SIGNAL, handle.instance_id)

        assert (result.verdict, "name" in result.message) == (Verdict.INVALID, True)

    async def test_cancel_asks_and_terminate_ends(self, perdure: Orchestrator, desk: Desk) -> None:
        asked, ended = await perdure.start(approved), await perdure.start(approved)

        assert (await do(desk, ActionName.CANCEL, asked.instance_id, reason="late")).is_done
        assert (await do(desk, ActionName.TERMINATE, ended.instance_id, reason="wrong")).is_done

        assert await asked.wait(timeout=20) is State.CANCELLED
        with pytest.raises(WorkflowTerminated, match="wrong"):
            await ended.result(timeout=20)

    async def test_suspend_holds_it_until_resume(self, perdure: Orchestrator, desk: Desk) -> None:
        handle = await perdure.start(approved)

        assert (await do(desk, ActionName.SUSPEND, handle.instance_id)).is_done
        await do(desk, ActionName.SIGNAL, handle.instance_id, signal="approval", value="otto")
        assert (await handle.info()).suspended
        assert (await do(desk, ActionName.RESUME, handle.instance_id)).is_done

        assert await handle.result(timeout=20) == "approved by otto"

    async def test_resume_pushes_a_stuck_one_on(self, desk: Desk, perdure: Orchestrator, bank: Bank) -> None:
        store = perdure.backend
        handle = await perdure.start(approved.with_options(instance_id="7", queue="apart"))
        async with Worker(store, App(workflows=[approved]), queues=["apart"]):
            await until_begun(perdure, "7")
        async with Worker(store, changed_app(), queues=["apart"]):
            await handle.signal(approval, "otto")
            await until_async(lambda: _is_stuck(perdure, "7"))
        assert "resume" in await offered(desk, perdure, "7")

        async with Worker(store, App(workflows=[approved]), queues=["apart"]):
            assert (await do(desk, ActionName.RESUME, "7")).is_done
            assert await handle.result(timeout=20) == "approved by otto"

    async def test_an_activity_that_waits_for_an_hour_is_retried_now(
        self, perdure: Orchestrator, desk: Desk, bank: Bank
    ) -> None:
        bank.broken.add("refund")
        handle = await perdure.start(giving_back, "7")
        await until_waiting(perdure, handle.instance_id, attempt=2)
        (pending,) = await perdure.activities(handle.instance_id)

        wrong = await do(desk, ActionName.RETRY_ACTIVITY, handle.instance_id, number=99)
        bank.broken.clear()
        right = await do(desk, ActionName.RETRY_ACTIVITY, handle.instance_id, number=pending.number)

        assert (wrong.verdict, right.verdict) == (Verdict.CONFLICT, Verdict.DONE)
        assert f"{pending.number} ({pending.name})" in wrong.message
        assert await handle.result(timeout=20) == "refund 7"

    async def test_without_a_number_all_activities_that_wait_are_retried(
        self, perdure: Orchestrator, desk: Desk, bank: Bank
    ) -> None:
        bank.broken.add("refund")
        handle = await perdure.start(giving_back, "7")
        await until_waiting(perdure, handle.instance_id, attempt=2)

        assert (await do(desk, ActionName.RETRY_ACTIVITY, handle.instance_id)).is_done

        await until_waiting(perdure, handle.instance_id, attempt=3)

    async def test_rewind_lets_a_failed_one_go_on(self, perdure: Orchestrator, desk: Desk, bank: Bank) -> None:
        bank.broken.add("charge")
        handle = await perdure.start(checkout, "7")
        assert await handle.wait(timeout=20) is State.FAILED
        bank.broken.clear()

        assert (await do(desk, ActionName.REWIND, handle.instance_id)).is_done

        assert await handle.result(timeout=20) == "charge 7"

    async def test_rewind_says_that_it_needs_the_code(self, perdure: Orchestrator, bank: Bank) -> None:
        bank.broken.add("charge")
        handle = await perdure.start(checkout, "7")
        await handle.wait(timeout=20)
        async with Client(perdure.backend) as without_app:
            result = await do(Desk(without_app, everything("anna")), ActionName.REWIND, handle.instance_id)

        assert (result.verdict, "needs the code" in result.message) == (Verdict.INVALID, True)

    async def test_remove_takes_it_away_once_it_has_ended(self, perdure: Orchestrator, desk: Desk) -> None:
        handle = await perdure.start(checkout, "7")
        waiting = await perdure.start(approved)
        await handle.result(timeout=20)

        assert (await do(desk, ActionName.REMOVE, handle.instance_id)).is_done
        running = await do(desk, ActionName.REMOVE, waiting.instance_id)
        gone = await do(desk, ActionName.REMOVE, handle.instance_id)

        assert (running.verdict, gone.verdict) == (Verdict.CONFLICT, Verdict.NOT_FOUND)
        assert "terminate" in running.advice

    @pytest.mark.parametrize("target", ["", "a\0b", "ü" * 200])
    @pytest.mark.parametrize("name", ActionName)
    async def test_a_name_that_no_store_takes_is_refused(self, desk: Desk, name: ActionName, target: str) -> None:
        result = await do(desk, name, target, signal="approval")

        assert result.verdict is Verdict.INVALID

    @pytest.mark.parametrize("name", [name for name in ActionName if not name.endswith("_queue")])
    async def test_what_isnt_there_is_not_found(self, desk: Desk, name: ActionName) -> None:
        result = await do(desk, name, "nobody", signal="approval")

        assert (result.verdict, bool(result.advice)) == (Verdict.NOT_FOUND, True)

    @pytest.mark.parametrize("name", [ActionName.SIGNAL, ActionName.CANCEL, ActionName.SUSPEND, ActionName.TERMINATE])
    async def test_one_that_has_ended_takes_nothing_more(
        self, perdure: Orchestrator, desk: Desk, name: ActionName
    ) -> None:
        handle = await perdure.start(checkout, "7")
        await handle.result(timeout=20)

        assert (await do(desk, name, handle.instance_id, signal="approval")).verdict is Verdict.CONFLICT


class TestOthers:
    async def test_a_paused_queue_begins_nothing_until_it_is_resumed(self, perdure: Orchestrator, desk: Desk) -> None:
        assert (await do(desk, ActionName.PAUSE_QUEUE, "default")).is_done
        limits = (await perdure.queues.limits())["default"]
        handle = await perdure.start(checkout, "7")
        assert limits.paused

        assert (await do(desk, ActionName.RESUME_QUEUE, "default")).is_done

        assert await handle.result(timeout=20) == "charge 7"

    async def test_a_schedule_is_paused_resumed_and_triggered(self, perdure: Orchestrator, desk: Desk) -> None:
        schedule = await perdure.schedule(HOURLY, checkout, "7")

        async def is_paused() -> bool:
            return (await schedule.status()).is_paused

        async def is_active() -> bool:
            return not await is_paused()

        assert (await do(desk, ActionName.PAUSE_SCHEDULE, "hourly")).is_done
        await until_async(is_paused)
        assert (await do(desk, ActionName.RESUME_SCHEDULE, "hourly")).is_done
        await until_async(is_active)
        triggered = await do(desk, ActionName.TRIGGER_SCHEDULE, "hourly")

        assert triggered.instance_id is not None
        assert await perdure.result(triggered.instance_id, timeout=20) == "charge 7"

    async def test_a_schedules_keeper_is_spared_what_would_break_it(self, perdure: Orchestrator, desk: Desk) -> None:
        await perdure.schedule(HOURLY, checkout, "7")

        refused = [await do(desk, name, "schedule:hourly", signal="perdure:schedule", value=1) for name in BREAKING]

        assert await offered(desk, perdure, "schedule:hourly") == {"retry_activity"}
        assert {result.verdict for result in refused} == {Verdict.CONFLICT}
        assert (await perdure.schedules.handle("hourly").status()).started == 0

    async def test_what_is_offered_on_queues_and_schedules_follows_how_they_stand(
        self, perdure: Orchestrator, desk: Desk
    ) -> None:
        status = await (await perdure.schedule(HOURLY, checkout, "7")).status()
        queue, schedule = Target(TargetKind.QUEUE, "default"), Target(TargetKind.SCHEDULE, "hourly")

        on_open = await desk.offered(None, queue, QueueLimits())
        on_paused = await desk.offered(None, queue, QueueLimits(paused=True))
        on_schedule = await desk.offered(None, schedule, status)

        assert [action.name for action in on_open] == ["pause_queue"]
        assert [action.name for action in on_paused] == ["resume_queue"]
        assert [action.name for action in on_schedule] == ["pause_schedule", "trigger_schedule"]


async def test_what_is_offered_follows_how_an_instance_stands(perdure: Orchestrator, desk: Desk, bank: Bank) -> None:
    bank.broken.add("charge")
    running, completed, failed = [
        (await perdure.start(definition.with_options(instance_id=name), *arguments)).instance_id
        for definition, name, arguments in (
            (approved, "running", ()),
            (giving_back, "completed", ("7",)),
            (checkout, "failed", ("7",)),
        )
    ]
    await until_state(perdure, completed, State.COMPLETED)
    await until_state(perdure, failed, State.FAILED)

    assert await offered(desk, perdure, running) == {"signal", "cancel", "terminate", "suspend", "retry_activity"}
    assert await offered(desk, perdure, completed) == {"remove"}
    assert await offered(desk, perdure, failed) == {"remove", "rewind"}
    await perdure.suspend(running)
    assert await offered(desk, perdure, running) == {"signal", "cancel", "terminate", "resume", "retry_activity"}


async def _is_stuck(client: Client, instance_id: str) -> bool:
    return (await client.info(instance_id)).stuck is not None
