"""One instance, whole."""

from __future__ import annotations

import pytest

from perdure.diagnostics.look import Look
from perdure.diagnostics.views.run import read_run
from perdure.errors import InstanceNotFound
from perdure.model.instance import State
from perdure.orchestrator import Orchestrator
from tests.diagnostics.views.programs import breaking, counting, errand, go, lingering, pressing, until_quiet
from tests.worker.support import until_async


async def test_a_result_stands_beside_its_input(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(errand.with_options(instance_id="errand"), "milk")
    await handle.signal(go, "!")
    await handle.result()

    run = await read_run(look, "errand")

    assert run.input == look.payload(b'["milk"]')
    assert run.ending is not None
    assert (run.ending.state, run.ending.result) == (State.COMPLETED, look.payload(b'"MILK!"'))
    assert [child.instance_id for child in run.children] == ["errand/pick"]
    assert not run.has_more_children
    assert run.activities == ()


async def test_a_sub_workflow_knows_its_parent_as_long_as_that_is_there(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(errand.with_options(instance_id="errand"), "milk")
    await handle.signal(go, "!")
    await handle.result()

    below = await read_run(look, "errand/pick")
    await handle.remove()
    alone = await read_run(look, "errand/pick")

    assert below.parent is not None
    assert below.parent.instance_id == "errand"
    assert alone.parent is None
    assert alone.facts.parent_id == "errand"


async def test_a_failure_comes_with_its_tracebacks(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(breaking)
    await handle.wait()

    run = await read_run(look, handle.instance_id)

    assert run.ending is not None
    failure = run.ending.failure
    assert failure is not None
    assert (run.ending.state, failure.type_name, failure.message) == (State.FAILED, "OutOfOrder", "for good")
    assert 'raise OutOfOrder("for good")' in failure.traceback


async def test_an_earlier_execution_can_be_looked_at(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(counting, 0)
    await handle.result()

    run = await read_run(look, handle.instance_id)
    first = await read_run(look, handle.instance_id, execution_id=run.chain[0].execution_id)

    assert [(link.number, link.state, link.is_current, link.is_shown) for link in run.chain] == [
        (1, State.CONTINUED_AS_NEW, False, False),
        (2, State.CONTINUED_AS_NEW, False, False),
        (3, State.COMPLETED, True, True),
    ]
    assert run.chain_length == 3
    assert run.input == look.payload(b"[2]")
    assert first.input == look.payload(b"[0]")
    assert first.ending is not None
    assert first.ending.state is State.CONTINUED_AS_NEW
    assert [link.is_shown for link in first.chain] == [True, False, False]


@pytest.mark.parametrize("execution_id", ["0" * 32, "nonsense", "", "' or 1=1"])
async def test_an_execution_that_is_not_its_own_is_not_found(
    perdure: Orchestrator, look: Look, execution_id: str
) -> None:
    handle = await perdure.start(counting, 2)
    await handle.result()

    with pytest.raises(InstanceNotFound, match="has no execution"):
        await read_run(look, handle.instance_id, execution_id=execution_id)


async def test_a_retrying_activity_shows_its_failure_and_its_heartbeat(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(pressing, 3)

    async def has_failed() -> bool:
        return any(each.last_failure is not None for each in await perdure.activities(handle.instance_id))

    await until_async(has_failed)

    (step,) = (await read_run(look, handle.instance_id)).activities

    assert (step.name, step.standing, step.attempt, step.worker) == ("press", "retrying", 2, None)
    assert step.last_failure is not None
    assert (step.last_failure.type_name, step.last_failure.message) == ("OutOfOrder", "after 3 times")
    assert step.last_failure.cause is not None
    assert step.last_failure.cause.type_name == "KeyError"
    assert step.heartbeat is not None
    assert '"pressed": 3' in step.heartbeat.text


async def test_a_running_activity_names_its_worker(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(lingering)

    async def is_running() -> bool:
        return any(each.worker is not None for each in await perdure.activities(handle.instance_id))

    await until_async(is_running)

    run = await read_run(look, handle.instance_id)

    assert run.ending is None
    assert [(each.name, each.standing) for each in run.activities] == [("wait_for_ever", "running")]
    assert run.activities[0].worker is not None


async def test_an_instance_that_no_worker_has_taken_shows_its_input(perdure: Orchestrator, look: Look) -> None:
    await perdure.start(counting.with_options(instance_id="far", queue="nobody"), 7)

    run = await read_run(look, "far")

    assert run.input == look.payload(b"[7]")
    assert run.ending is None
    assert run.chain[0].history_length == 0


async def test_the_reason_of_a_termination_is_told(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(lingering)
    await until_quiet(perdure, handle.instance_id, 2)
    await handle.terminate("enough")

    run = await read_run(look, handle.instance_id)

    assert run.ending is not None
    assert (run.ending.state, run.ending.reason) == (State.TERMINATED, "enough")


async def test_a_fork_names_where_it_comes_from(perdure: Orchestrator, look: Look) -> None:
    handle = await perdure.start(errand.with_options(instance_id="errand"), "milk")
    await until_quiet(perdure, "errand", 9)
    await handle.fork(at_event=4, new_id="fork")

    run = await read_run(look, "fork")

    assert (run.forked_from, run.forked_at) == ("errand", 7)
    assert (await read_run(look, "errand")).forked_from == ""


async def test_nobody_is_not_found(look: Look) -> None:
    with pytest.raises(InstanceNotFound):
        await read_run(look, "nobody")
