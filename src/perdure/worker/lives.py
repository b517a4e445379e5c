"""A worker's lives, one after the other; an uncertain one runs out beside its successor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from perdure.errors import StoreError
from perdure.observability.logging import text_of
from perdure.worker.backoff import HOPELESS
from perdure.worker.beginning import begin_life
from perdure.worker.life import Life, LifeEnd
from perdure.worker.possessions import Possessions

_SECONDS_BETWEEN = 0.2
"""A store that fails again and again is no reason for a new key each time."""


class Lives:
    """`begun` is called when a life serves, the first time when the worker has started."""

    def __init__(self, has: Possessions, begun: Callable[[], None]) -> None:
        self._has = has
        self._begun = begun
        self._has_begun = False
        self._problem: Exception | None = None
        self.serving: Life | None = None
        """The life that takes new work, while there is one."""

    async def run(self) -> None:
        """Until the worker has stopped. Raises StoreSealed, SchemaMismatch, and what made the first life impossible."""
        async with asyncio.TaskGroup() as group:
            while self._problem is None and not self._has.stop.is_requested:
                served: asyncio.Future[LifeEnd] = asyncio.get_running_loop().create_future()
                group.create_task(self._live(served))
                if await served is not LifeEnd.STOPPED:
                    await self._has.stop.wait_at_most(_SECONDS_BETWEEN)
        if self._problem is not None:
            raise self._problem

    async def _live(self, served: asyncio.Future[LifeEnd]) -> None:
        life: Life | None = None

        def note(end: LifeEnd) -> None:
            if self.serving is life:
                self.serving = None
            if not served.done():
                served.set_result(end)

        try:
            life = await begin_life(self._has)
            if life is not None:
                await life.run(self._note_begun, note)
        except StoreError as problem:
            if self._has_begun and not isinstance(problem, HOPELESS):
                self._has.logger.warning("the worker couldn't start again, it goes on trying: %s", text_of(problem))
            else:
                self._fail(problem)
        except Exception as problem:
            self._fail(problem)
        finally:
            note(LifeEnd.LOST)

    def _note_begun(self, life: Life) -> None:
        self.serving = life
        self._has_begun = True
        self._begun()

    def _fail(self, problem: Exception) -> None:
        """Nothing will work any more: lives that run out end too."""
        self._problem = self._problem or problem
        self._has.stop.hurry()
