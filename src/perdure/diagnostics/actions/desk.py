"""The desk: where actions are asked for, allowed or refused, carried out and put on record."""

from __future__ import annotations

from typing import Any

from perdure.client.client import Client
from perdure.diagnostics.actions import audit
from perdure.diagnostics.actions.inputs import NO_INPUTS, Inputs
from perdure.diagnostics.actions.permissions import READ_ONLY, Permissions
from perdure.diagnostics.actions.results import Result, Verdict, conflict, result_of
from perdure.diagnostics.actions.table import ACTIONS, Action, ActionName, Target, TargetKind, actions_on
from perdure.errors import PerdureError
from perdure.model.inspection import QueueLimits
from perdure.model.instance import Instance
from perdure.model.names import OWN_NAMES, check_name
from perdure.workflows.scheduling import ScheduleStatus


class Desk:
    """Does what may be done, with the client, which must be open; one that has an App can rewind."""

    def __init__(self, client: Client, permissions: Permissions = READ_ONLY) -> None:
        self._client = client
        self._permissions = permissions

    @property
    def client(self) -> Client:
        return self._client

    @property
    def is_read_only(self) -> bool:
        """Nobody may do anything."""
        return self._permissions.is_read_only

    async def offered(
        self, request: Any, target: Target, subject: Instance | QueueLimits | ScheduleStatus
    ) -> list[Action]:
        """What makes sense on the target as it stands, and who asks may do. Nothing is put on record."""
        return [
            action
            for action in actions_on(target.kind, subject)
            if await self._permissions.who(request, action.name, target) is not None
        ]

    async def do(self, request: Any, name: ActionName, target_id: str, inputs: Inputs = NO_INPUTS) -> Result:
        """Carry out an action on one target, if who asks may. Raises nothing but what has no name."""
        action = ACTIONS[name]
        target = Target(action.kind, target_id)
        who = await self.who(request, name, target)
        return refusal(name, target) if who is None else await self._carry_out(who, action, target, inputs)

    async def who(self, request: Any, name: ActionName, target: Target) -> str | None:
        """Who asks, if they may; a refusal is put on record."""
        who = await self._permissions.who(request, name, target)
        if who is None:
            audit.record(None, name, target, Verdict.FORBIDDEN)
        return who

    async def _carry_out(self, who: str, action: Action, target: Target, inputs: Inputs) -> Result:
        outcome = audit.BROKE_OFF
        try:
            check_name(target.id, f"{_ARTICLES[target.kind]} {target.kind}'s name")
            result = await self._hold_off(action, target) or await action.run(self._client, target.id, inputs)
            outcome = str(result.verdict)
        except PerdureError as problem:
            result = result_of(problem)
            outcome = str(result.verdict)
        finally:
            audit.record(who, action.name, target, outcome)
        return result

    async def _hold_off(self, action: Action, target: Target) -> Result | None:
        """What has no button on an instance of perdure's own, such as a schedule's keeper, would break it. Of others the store knows."""
        if target.kind is not TargetKind.INSTANCE:
            return None
        instance = await self._client.info(target.id)
        if not instance.workflow.startswith(OWN_NAMES) or action.suits(instance):
            return None
        return conflict(
            f"{target.id!r} is kept by perdure itself ({instance.workflow}, {instance.state}): {action.name} isn't for it",
            "Schedules have actions of their own.",
        )


_ARTICLES = {TargetKind.INSTANCE: "an", TargetKind.QUEUE: "a", TargetKind.SCHEDULE: "a"}


def refusal(name: ActionName, target: Target) -> Result:
    return Result(
        verdict=Verdict.FORBIDDEN,
        message=f"{name} isn't allowed on {target.kind} {target.id!r}",
        advice="Actions are off unless the program that serves this allows them, to you: ask who runs it.",
    )
