"""P2: exceptions of activities in workflow code; A4: bad calls, which are refused where they are made."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from perdure.activities.definition import activity
from perdure.app import App
from perdure.errors import ActivityError, ArgumentsError, ConfigurationError, EncodeError, InvalidName
from perdure.workflows.context import Context
from perdure.workflows.definition import workflow
from perdure.workflows.signal import Signal
from tests.engine.harness import Run, act

number = Signal("number", int)


@dataclass
class Order:
    id: str


@activity
async def charge(order: Order, note: str = "none") -> None: ...


@workflow
async def catches(ctx: Context) -> list[Any]:
    try:
        await act(ctx, "a")
    except ValueError as problem:
        return ["ValueError", str(problem), type(problem).__name__]
    except ActivityError as problem:
        return ["ActivityError", problem.type, problem.is_type("LookupError"), str(problem)]
    return []


class PaymentDeclined(ValueError):
    """A loaded type."""


@pytest.mark.parametrize(
    ("error", "caught"),
    [
        (ValueError("no"), ["ValueError", "no", "ValueError"]),
        (PaymentDeclined("no"), ["ValueError", "no", "PaymentDeclined"]),
        (UnicodeDecodeError("utf-8", b"", 0, 1, "bad"), ["ValueError"]),
    ],
    ids=lambda each: type(each).__name__,
)
def test_an_activitys_exception_is_raised_at_the_await(error: Exception, caught: list[Any], evicting: bool) -> None:
    """P2: builtins and loaded types."""
    run = Run(catches, evicting=evicting)
    run.fail("a", error)
    assert run.result[: len(caught)] == caught


def test_an_exception_of_an_unknown_type_is_an_activity_error(evicting: bool) -> None:
    """P2: with its type's name and bases."""

    class Unknown(Exception): ...

    run = Run(catches, evicting=evicting)
    run.fail("a", Unknown("what"))
    assert run.result[0] == "ActivityError"
    assert run.result[1].endswith("Unknown")
    assert run.result[2:] == [False, "what"]


def test_a_registered_type_is_built_though_its_module_isnt_loaded(evicting: bool) -> None:
    """P2: App(exceptions=…)."""
    hidden: type[Exception] = type("Hidden", (Exception,), {"__module__": "not.loaded"})

    @workflow
    async def catches_hidden(ctx: Context) -> str:
        try:
            await act(ctx, "a")
        except hidden as problem:
            return f"caught {problem.args}"
        return ""

    run = Run(catches_hidden, evicting=evicting, app=App(workflows=[catches_hidden], exceptions=[hidden]))
    run.fail("a", hidden("x", 1))
    assert run.result == "caught ('x', 1)"


def test_a_failed_activity_that_isnt_caught_fails_the_workflow(evicting: bool) -> None:
    """W10."""

    @workflow
    async def fails(ctx: Context) -> None:
        await act(ctx, "a")

    run = Run(fails, evicting=evicting)
    run.fail("a", KeyError("k"))
    assert (run.end, run.failure.type_name) == ("FAILED", "KeyError")


@workflow
async def child(ctx: Context, value: int) -> int:
    return value


BAD_CALLS: dict[str, Any] = {
    "too many arguments": (lambda ctx: ctx.execute_activity(charge, Order("o"), "n", 3), ArgumentsError),
    "unknown keyword": (lambda ctx: ctx.execute_activity(charge, Order("o"), colour=1), ArgumentsError),
    "wrong type": (lambda ctx: ctx.execute_activity(charge, "not an order"), ArgumentsError),
    "not finite": (lambda ctx: act(ctx, "a", float("nan")), EncodeError),
    "can't be encoded": (lambda ctx: act(ctx, "a", object()), EncodeError),
    "not an activity": (lambda ctx: ctx.execute_activity(3), ConfigurationError),
    "not a workflow": (lambda ctx: ctx.execute_sub_workflow(3), ConfigurationError),
    "sub-workflow's arguments": (lambda ctx: ctx.execute_sub_workflow(child, "x"), ArgumentsError),
    "start signal": (
        lambda ctx: ctx.execute_sub_workflow(child.with_options(start_signal=number(1)), 1),
        ConfigurationError,
    ),
    "signal's value": (lambda ctx: ctx.signal_workflow("other", number, "x"), EncodeError),
    "signal's address": (lambda ctx: ctx.signal_workflow("", number, 1), InvalidName),
    "timer of nan": (lambda ctx: ctx.schedule_timer(float("nan")), ValueError),
    "continue-as-new's arguments": (lambda ctx: ctx.continue_as_new(child, "x"), ArgumentsError),
    "published key": (lambda ctx: ctx.publish("", 1), InvalidName),
    "published value": (lambda ctx: ctx.publish("k", object()), EncodeError),
    "async side effect": (lambda ctx: ctx.side_effect(asyncio.sleep, 1), ConfigurationError),
    "patch id": (lambda ctx: ctx.patched(""), InvalidName),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_a_bad_call_is_refused_and_nothing_recorded(name: str, evicting: bool) -> None:
    """A4, P3: where it is made."""
    call, error = BAD_CALLS[name]

    @workflow
    async def calls(ctx: Context) -> str:
        try:
            call(ctx)
        except error:
            return str(await act(ctx, "afterwards"))
        return "not refused"

    run = Run(calls, evicting=evicting)
    run.to_end()
    assert run.result == "AFTERWARDS"
    assert run.kinds() == ["ExecutionStarted", "ActivityScheduled", "ActivityCompleted", "ExecutionCompleted"]
