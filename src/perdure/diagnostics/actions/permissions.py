"""Who may do what. Nobody may do anything, unless the program says so."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from perdure.diagnostics.actions.table import ActionName, Target

Answer = bool | str | None
Authorize = Callable[[Any, ActionName, Target], Answer | Awaitable[Answer]]
"""Gets the request (Starlette's), the action and its target.

A str allows it, and says who it is, for the audit log; True allows it to nobody in particular; False, None and "" refuse it. A batch is
asked for as a whole, with a target of the kind `filter`, and then for each of its instances, when its request has been answered already.
"""

NOBODY_IN_PARTICULAR = "unknown"


class Permissions:
    """Who may do what: without `authorize`, everything is read-only, and no page shows an action."""

    __slots__ = ("_authorize",)

    def __init__(self, authorize: Authorize | None = None) -> None:
        self._authorize = authorize

    @property
    def is_read_only(self) -> bool:
        return self._authorize is None

    async def who(self, request: Any, action: ActionName, target: Target) -> str | None:
        """Who asks, if they may; None if they may not. What the hook raises goes through, and nothing is done."""
        if self._authorize is None:
            return None
        answer = self._authorize(request, action, target)
        if inspect.isawaitable(answer):
            answer = await answer
        if answer is True:
            return NOBODY_IN_PARTICULAR
        return answer if isinstance(answer, str) and answer else None


READ_ONLY = Permissions()


def everything(who: str) -> Permissions:
    """All is allowed, to whoever reaches the server; `who` stands in the audit log."""
    return Permissions(lambda request, action, target: who)
