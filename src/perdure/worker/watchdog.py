"""Notices that the worker's event loop is blocked, says by whom, and in the end lets others have the rest of its work.

It asks the loop for a sign twice a second, from the keeper's loop. What holds the GIL can't be noticed, let alone isolated,
in one process.

Past the limit, workflow code is stuck for good: its instance is marked so, and all other leases go back at once. If it
isn't workflow code (an `async` activity that doesn't await, say), nobody is to blame by name, and giving everything back
uncounted would let it block the next worker, for ever: so the heartbeats pause instead, and if the loop isn't free before the
lease ends, the worker counts as lost; after five such losses the activity fails with WorkerLost.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress

from perdure.clock import Clock
from perdure.errors import StoreError
from perdure.model.transition import MarkStuck
from perdure.worker.keeper import Keeper
from perdure.worker.seat import Seat
from perdure.worker.waiting import wait_for_event

_ASK_SECONDS = 0.5
_BLOCKED_SECONDS = 1.0


class Watchdog:
    """Watches the loop and thread on which it is made; `run` runs on the keeper's."""

    def __init__(
        self,
        keeper: Keeper,
        worker_key: int,
        *,
        applying: Callable[[], Seat | None],
        limit_seconds: float,
        clock: Clock,
        logger: logging.Logger,
    ) -> None:
        self._keeper = keeper
        self._worker_key = worker_key
        self._applying = applying
        self._limit = limit_seconds
        self._clock = clock
        self._logger = logger
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()

    async def run(self) -> None:
        """Until cancelled, or nothing is left to be watched."""
        while True:
            await asyncio.sleep(_ASK_SECONDS)
            answered = asyncio.Event()
            keepers_loop = asyncio.get_running_loop()
            asked_at = self._clock.monotonic()
            try:
                self._loop.call_soon_threadsafe(_answer, keepers_loop, answered)
            except RuntimeError:  # the loop is closed
                return
            if not await wait_for_event(answered, _BLOCKED_SECONDS) and not await self._watch_block(answered, asked_at):
                return

    async def _watch_block(self, answered: asyncio.Event, since: float) -> bool:
        """The loop is blocked: report it, each time twice as long after. False once the leases have been given back."""
        pause = _BLOCKED_SECONDS
        limit_at = since + self._limit
        while True:
            self._report(self._clock.monotonic() - since)
            left = limit_at - self._clock.monotonic()
            if await wait_for_event(answered, max(0.0, min(pause, left))):
                self._keeper.resume()
                return True
            if self._clock.monotonic() >= limit_at:
                if await self._is_given_up(self._clock.monotonic() - since):
                    return False
                limit_at = float("inf")
            pause *= 2

    def _report(self, seconds: float) -> None:
        frame = sys._current_frames().get(self._thread_id)
        stack = "".join(traceback.format_stack(frame)) if frame is not None else "  (its thread has ended)\n"
        self._log(
            logging.WARNING,
            f"the event loop of the worker has been blocked for {seconds:.1f} s by {self._culprit()}; nothing else "
            f"can run. It is here:\n{stack}",
        )

    def _culprit(self) -> str:
        applying = self._applying()
        if applying is not None:
            return f"workflow code of instance {applying.instance_id!r}"
        task = asyncio.current_task(self._loop)
        return "a callback" if task is None else f"task {task.get_name()!r}"

    async def _is_given_up(self, seconds: float) -> bool:
        """The limit is passed. Whether everything was given back."""
        applying = self._applying()
        if applying is None:
            self._log(
                logging.CRITICAL, f"blocked for {seconds:.0f} s by {self._culprit()}: no heartbeats until it ends"
            )
            self._keeper.pause(f"its event loop was blocked by {self._culprit()}")
            return False
        reason = f"its workflow code blocked a worker's event loop for {seconds:.0f} s"
        fate = "is marked stuck until it is resumed" if applying.is_there else "hasn't been started yet"
        self._log(logging.CRITICAL, f"{reason}: {applying.instance_id!r} {fate}, all other leases are given back")
        try:
            if applying.is_there:
                await self._keeper.twin.commit(
                    MarkStuck(
                        instance_key=applying.instance_key,
                        token=applying.token,
                        reason=f"RunawayWorkflow: {reason}",
                        retry_in=None,
                    )
                )
            await self._keeper.twin.stop_worker(self._worker_key)
        except StoreError as problem:
            self._log(logging.ERROR, f"the leases end with their time: {type(problem).__name__}: {problem}")
        self._keeper.lose("its event loop was blocked by workflow code")
        return True

    def _log(self, level: int, message: str) -> None:
        # In a thread of its own: the loop may be blocked in a log handler, whose lock the keeper mustn't wait for.
        threading.Thread(
            target=self._logger.log, args=(level, "%s", message), name="perdure-watchdog", daemon=True
        ).start()


def _answer(keepers_loop: asyncio.AbstractEventLoop, answered: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the keeper has ended meanwhile
        keepers_loop.call_soon_threadsafe(answered.set)
