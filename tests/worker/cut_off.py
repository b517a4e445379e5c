"""A real store whose server goes away for a while: every call fails, and what is under way loses its answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, cast

from perdure.backends.answers import Answer, answer_of
from perdure.backends.protocol import Backend
from perdure.errors import StoreUnavailable
from perdure.model.transition import Transition


class Cable:
    """What a store and its twins share: it is cut, and mended, for all of them at once, from any thread."""

    def __init__(self) -> None:
        self.is_cut = False
        self.refused = 0
        """Calls that failed since the cut."""
        self._lock = threading.Lock()
        self._under_way: set[asyncio.Future[Any]] = set()

    def cut(self) -> None:
        with self._lock:
            self.is_cut, self.refused = True, 0
            for call in self._under_way:
                call.get_loop().call_soon_threadsafe(call.cancel)

    def mend(self) -> None:
        self.is_cut = False

    async def through(self, ask: Callable[[], Any]) -> Any:
        with self._lock:
            if self.is_cut:
                self.refused += 1
                raise StoreUnavailable("the server is away")
            call = asyncio.ensure_future(ask())
            self._under_way.add(call)
        try:
            return await call
        except asyncio.CancelledError:
            if self.is_cut and call.cancelled():
                raise StoreUnavailable("the connection broke") from None
            raise
        finally:
            with self._lock:
                self._under_way.discard(call)


def cut_off(backend: Backend, cable: Cable) -> Backend:
    """The open store, as far as the cable leads there."""
    return cast("Backend", _CutOff(backend, cable))


class _CutOff:
    def __init__(self, backend: Backend, cable: Cable) -> None:
        self._backend = backend
        self._cable = cable

    def submit(self, transition: Transition[Any]) -> Answer[Any]:
        return answer_of(asyncio.ensure_future(self._cable.through(lambda: self._backend.commit(transition))))

    def twin(self) -> Backend:
        return cut_off(self._backend.twin(), self._cable)

    async def close(self) -> None:
        """What it has in this process goes, whether the server hears of it or not."""
        await self._backend.close()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._backend, name)
        if not asyncio.iscoroutinefunction(method):
            return method
        return lambda *args, **named: self._cable.through(lambda: method(*args, **named))
