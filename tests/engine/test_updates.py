"""Updates: validated, handled in a task of the workflow, answered once; refused ones leave no trace."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.errors import NonDeterminismError
from perdure.model.event import SignalReceived, UpdateAccepted, UpdateRequested
from perdure.model.reply import Known, NotHandled, NotKnown, Raised, Refused, Replied, Unfinished, published_key
from perdure.serialization.replies import decode_reply
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from tests.engine.harness import Run, act

ID = b"update 1"


class Order:
    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.items: list[str] = []
        self.is_open = True

    def items_so_far(self) -> list[str]:
        return self.items

    def check_add(self, item: str) -> None:
        if item in self.items:
            raise ValueError(f"{item} is there already")

    async def add(self, item: str) -> int:
        if item == "nothing":
            raise KeyError(item)
        if item != "quick":
            await act(self.ctx, "reserve", item)
        self.items.append(item)
        return len(self.items)

    def close(self) -> str:
        self.is_open = False
        return "closed"


@workflow
async def order(ctx: Context) -> list[str]:
    state = Order(ctx)
    ctx.on_query(state.items_so_far)
    ctx.on_update(state.add, validator=state.check_add)
    ctx.on_update(state.close)
    await ctx.wait_until(lambda: not state.is_open)
    return state.items


def published(run: Run, update_id: bytes = ID) -> object:
    return decode_reply(run.published[published_key(update_id)])


@pytest.mark.parametrize("evicting", [False, True])
def test_an_accepted_update_is_handled_and_answered(evicting: bool) -> None:
    run = Run(order, evicting=evicting)
    assert run.update("add", "pen") is None
    assert run.kinds()[-2:] == ["UpdateAccepted", "ActivityScheduled"]
    run.complete("reserve")
    assert run.kinds()[-2:] == ["ActivityCompleted", "UpdateCompleted"]
    assert run.replies == [(ID, Replied(b"1"))]
    assert published(run) == Replied(b"1")
    run.assert_replays()


@pytest.mark.parametrize("evicting", [False, True])
def test_a_plain_function_handles_at_once(evicting: bool) -> None:
    run = Run(order, evicting=evicting)
    assert run.update("close") == Replied(b'"closed"')
    assert run.kinds()[-3:] == ["UpdateAccepted", "UpdateCompleted", "ExecutionCompleted"]
    assert run.checkpoints[-1].published == {published_key(ID): b'\x92\x01\xc4\x08"closed"'}


def test_a_refused_update_leaves_no_trace() -> None:
    run, other = Run(order), Run(order)
    for each in (run, other):
        each.update("add", "quick", update_id=b"first")
    checkpoint = other.checkpoints[-1]
    refused = other.update("add", "quick")
    assert isinstance(refused, Refused)
    assert refused.failure.message == "quick is there already"
    assert other.history == run.history
    assert other.checkpoints[-1] is not checkpoint
    assert other.checkpoints[-1].consumed
    assert not other.checkpoints[-1].events
    assert not other.checkpoints[-1].published


def test_an_update_that_fits_no_handler_is_refused() -> None:
    run = Run(order)
    assert run.update("ad", "pen") == NotHandled(("add", "close"))
    assert isinstance(run.update("add", 3), Refused)
    assert isinstance(run.update("close", "now"), Refused)
    assert run.kinds() == ["ExecutionStarted"]


@pytest.mark.parametrize("evicting", [False, True])
def test_what_the_handler_raises_is_the_answer_and_fails_nobody_else(evicting: bool) -> None:
    run = Run(order, evicting=evicting)
    raised = run.update("add", "nothing")
    assert isinstance(raised, Raised)
    assert raised.failure.type_name == "KeyError"
    assert published(run) == raised
    assert run.end == "running"
    assert run.update("add", "quick", update_id=b"2") == Replied(b"1")


@pytest.mark.parametrize("evicting", [False, True])
def test_a_repeated_update_is_handled_once(evicting: bool) -> None:
    run = Run(order, evicting=evicting)
    run.update("add", "pen")
    assert run.update("add", "pen") == Known()
    assert run.update("", is_probe=True) == Known()
    run.complete("reserve")
    assert run.update("", is_probe=True) == Known()
    assert run.kinds().count("UpdateAccepted") == 1


def test_a_probe_tells_of_what_was_refused() -> None:
    run = Run(order)
    run.update("ad", "pen")
    assert run.update("", is_probe=True) == NotKnown()
    assert run.kinds() == ["ExecutionStarted"]


@pytest.mark.parametrize("evicting", [False, True])
def test_the_end_of_the_workflow_is_the_answer_to_what_still_runs(evicting: bool) -> None:
    run = Run(order, evicting=evicting)
    run.update("add", "pen")
    run.update("close", update_id=b"2")
    assert run.end == "COMPLETED"
    assert run.replies == [(b"2", Replied(b'"closed"')), (ID, Unfinished())]
    assert published(run) == Unfinished()


def test_continue_as_new_leaves_no_update_behind_without_an_answer() -> None:
    async def poll(ctx: Context) -> None:
        async def slow() -> None:
            await act(ctx, "slow")

        ctx.on_update(slow)
        await act(ctx, "a")
        ctx.continue_as_new(poll)

    run = Run(poll)
    run.update("slow")
    run.complete("a")
    assert run.end == "CONTINUED_AS_NEW"
    assert published(run) == Unfinished()


def test_what_the_end_leaves_unapplied_isnt_consumed() -> None:
    """The next execution finds it, or its sender hears of the end."""
    run = Run(order)
    close = UpdateRequested(at=run.now, update_id=b"1", name="close", arguments=b"[]")
    late = UpdateRequested(at=run.now, update_id=b"2", name="add", arguments=b'["quick"]')
    assert run.feed(close, late).consumed == (1,)


@pytest.mark.parametrize("evicting", [False, True])
def test_a_workflow_can_wait_for_its_updates(evicting: bool) -> None:
    @workflow
    async def polite(ctx: Context) -> list[str]:
        state = Order(ctx)
        ctx.on_update(state.add)
        await ctx.sleep(1)
        await ctx.wait_until(lambda: not ctx.open_updates)
        return state.items

    run = Run(polite, evicting=evicting)
    run.update("add", "pen")
    run.fire()
    assert run.end == "running"
    run.complete("reserve")
    assert run.result == ["pen"]


def test_updates_run_side_by_side_in_the_order_of_their_arrival() -> None:
    run = Run(order)
    for number, item in enumerate(("a", "b", "c")):
        run.update("add", item, update_id=b"%d" % number)
    for activity in reversed(list(run.activities)):
        run.complete(activity)
    accepted = [each.arguments for each in run.history if isinstance(each, UpdateAccepted)]
    assert accepted == [b'["a"]', b'["b"]', b'["c"]']
    assert [question for question, _ in run.replies] == [b"2", b"1", b"0"]
    run.assert_replays()


@pytest.mark.parametrize("evicting", [False, True])
def test_a_handlers_command_after_the_instances_cancel_fails_the_update(evicting: bool) -> None:
    """W7: a cancelled context takes no new command; the handler's task isn't cancelled itself."""

    @workflow
    async def stubborn(ctx: Context) -> str:
        state = Order(ctx)
        ctx.on_update(state.add)
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            await ctx.disconnected().sleep(10)
        return "cleaned"

    run = Run(stubborn, evicting=evicting)
    run.update("add", "pen")
    run.cancel()
    refused = run.update("add", "ink", update_id=b"2")
    assert isinstance(refused, Raised)
    assert refused.failure.type_name == "CancelledError"
    run.complete("reserve")
    assert run.replies[-1] == (ID, Replied(b"1"))
    run.fire()
    assert run.result == "cleaned"


def test_a_validator_that_wakes_a_task_ends_the_step() -> None:
    """What follows is applied to a state read from history."""

    @workflow
    async def meddled(ctx: Context) -> str:
        event = asyncio.Event()
        ctx.on_update(lambda: None, validator=event.set, name="wake")
        await event.wait()
        return "woken"

    run = Run(meddled)
    wake = UpdateRequested(at=run.now, update_id=b"1", name="wake", arguments=b"[]", reply_to=b"1")
    checkpoint = run.feed(wake, SignalReceived(at=run.now, name="go", payload=b"1"))
    assert checkpoint.consumed == (1,)
    assert run.execution.is_tainted
    assert isinstance(dict(run.replies)[b"1"], Refused)
    run.evict()
    run.feed(SignalReceived(at=run.now, name="go", payload=b"1"))
    assert run.end == "running"


def test_a_handler_that_has_gone_is_a_divergence() -> None:
    """E4: the instance waits for the code."""

    async def without(ctx: Context) -> list[Any]:
        await ctx.wait_until(lambda: False)
        return []

    run = Run(order)
    run.update("add", "pen")
    with pytest.raises(NonDeterminismError, match="update 'add' was accepted"):
        run.replayed(without)


def test_an_answer_is_given_as_it_was_whatever_todays_code_says() -> None:
    async def shorter(ctx: Context) -> list[Any]:
        ctx.on_update(lambda: "shut", name="close")
        await ctx.wait_until(lambda: False)
        return []

    async def longer(ctx: Context) -> list[Any]:
        ctx.on_update(lambda: "closed", name="close")
        await ctx.wait_until(lambda: False)
        return []

    run = Run(longer)
    run.update("close")
    run.replayed(shorter)
