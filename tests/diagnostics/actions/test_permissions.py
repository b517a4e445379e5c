"""Who may do what, who is on record for it, and that nothing is done without."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from perdure.diagnostics.actions.desk import Desk
from perdure.diagnostics.actions.inputs import Inputs
from perdure.diagnostics.actions.permissions import READ_ONLY, Authorize, Permissions, everything
from perdure.diagnostics.actions.results import Verdict
from perdure.diagnostics.actions.table import ActionName, Target, TargetKind
from perdure.model.instance import State
from perdure.orchestrator import Orchestrator
from tests.diagnostics.actions.support import approved

SIGNAL = Inputs(signal="approval", value="top secret")


class Login:
    """A request of somebody."""

    def __init__(self, user: str) -> None:
        self.user = user


async def later(request: Any, action: ActionName, target: Target) -> str | None:
    return request.user if action is ActionName.CANCEL else None


def only_orders(request: Any, action: ActionName, target: Target) -> bool:
    return target.id.startswith("order-")


@pytest.fixture
def audit(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="perdure.diagnostics.audit")
    return caplog


def records(audit: pytest.LogCaptureFixture) -> list[tuple[str, str, str, str, str]]:
    found = [each for each in audit.records if each.name == "perdure.diagnostics.audit"]
    return [(each.who, each.action, each.target_kind, each.target, each.outcome) for each in found]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ActionName)
async def test_without_a_hook_nothing_is_allowed(
    perdure: Orchestrator, name: ActionName, audit: pytest.LogCaptureFixture
) -> None:
    await perdure.start(approved.with_options(instance_id="order-7"))

    result = await Desk(perdure).do(Login("anna"), name, "order-7", SIGNAL)

    assert result.verdict is Verdict.FORBIDDEN
    assert await perdure.state("order-7") is State.RUNNING
    assert [(who, outcome) for who, *_, outcome in records(audit)] == [("nobody", "forbidden")]


@pytest.mark.parametrize(
    ("authorize", "who"),
    [
        (lambda request, action, target: request.user, "anna"),
        (later, "anna"),
        (only_orders, "unknown"),
        (lambda request, action, target: True, "unknown"),
    ],
)
async def test_a_hook_allows_and_says_who(
    perdure: Orchestrator, authorize: Authorize, who: str, audit: pytest.LogCaptureFixture
) -> None:
    handle = await perdure.start(approved.with_options(instance_id="order-7"))

    result = await Desk(perdure, Permissions(authorize)).do(Login("anna"), ActionName.CANCEL, "order-7")

    assert result.is_done
    assert await handle.wait(timeout=20) is State.CANCELLED
    assert records(audit) == [(who, "cancel", "instance", "order-7", "done")]


@pytest.mark.parametrize("answer", [False, None, "", 0, 1, b"anna", [], object()])
async def test_whatever_else_a_hook_answers_is_a_refusal(perdure: Orchestrator, answer: Any) -> None:
    await perdure.start(approved.with_options(instance_id="order-7"))
    desk = Desk(perdure, Permissions(lambda request, action, target: answer))

    result = await desk.do(None, ActionName.TERMINATE, "order-7")

    assert result.verdict is Verdict.FORBIDDEN
    assert await perdure.state("order-7") is State.RUNNING


async def test_a_hook_that_raises_lets_nothing_happen(perdure: Orchestrator) -> None:
    await perdure.start(approved.with_options(instance_id="order-7"))

    def broken(request: Any, action: ActionName, target: Target) -> bool:
        raise LookupError("no such user")

    with pytest.raises(LookupError):
        await Desk(perdure, Permissions(broken)).do(None, ActionName.TERMINATE, "order-7")

    assert await perdure.state("order-7") is State.RUNNING


async def test_only_what_is_allowed_is_offered(perdure: Orchestrator, audit: pytest.LogCaptureFixture) -> None:
    handle = await perdure.start(approved.with_options(instance_id="order-7"))
    target, instance = Target(TargetKind.INSTANCE, "order-7"), await handle.info()

    to_anna = await Desk(perdure, Permissions(later)).offered(Login("anna"), target, instance)

    assert [action.name for action in to_anna] == ["cancel"]
    assert await Desk(perdure, READ_ONLY).offered(Login("anna"), target, instance) == []
    assert records(audit) == [], "looking is nothing to be put on record"


async def test_the_audit_log_has_what_failed_and_no_payload(
    perdure: Orchestrator, audit: pytest.LogCaptureFixture
) -> None:
    desk = Desk(perdure, everything("anna"))

    await desk.do(None, ActionName.SIGNAL, "no\nbody", Inputs(signal="top secret", value="top secret"))

    assert records(audit) == [("anna", "signal", "instance", "no\nbody", "not_found")]
    assert "top secret" not in str([vars(each) for each in audit.records])
    assert "\n" not in audit.records[0].getMessage(), "an id can't forge a line"
