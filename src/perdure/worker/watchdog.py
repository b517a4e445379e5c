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
from collections.abc import Callable, Mapping
from contextlib import suppress

from perdure.clock import Clock
from perdure.errors import StoreError
from perdure.model.transition import MarkStuck
from perdure.observability.advice import Advice, advice_for
from perdure.observability.logging import Log, text_of
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
        logger: Log,
    ) -> None:
        self._keeper = keeper
        self._worker_key = worker_key
        self._applying = applying
        self._limit = limit_seconds
        self._clock = clock
        self._logger = _Aside(logger)
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
        self._logger.log(
            logging.WARNING,
            "the event loop of the worker has been blocked for %.1f s by %s, nothing else can run. It is here:\n%s",
            seconds,
            self._culprit(),
            stack,
            extra=self._fields(),
        )

    def _culprit(self) -> str:
        applying = self._applying()
        if applying is not None:
            return f"workflow code of instance {applying.instance_id!r}"
        task = asyncio.current_task(self._loop)
        return "a callback" if task is None else f"task {task.get_name()!r}"

    def _fields(self) -> dict[str, object]:
        applying = self._applying()
        return {} if applying is None else applying.log_fields

    async def _is_given_up(self, seconds: float) -> bool:
        """The limit is passed. Whether everything was given back."""
        applying = self._applying()
        if applying is None:
            self._logger.log(
                logging.CRITICAL,
                "the event loop of the worker has been blocked for %.0f s by %s: no heartbeats until it ends, and then "
                "others take over what it holds",
                seconds,
                self._culprit(),
            )
            self._keeper.pause(f"its event loop was blocked by {self._culprit()}")
            return False
        reason = f"RunawayWorkflow: its workflow code blocked a worker's event loop for {seconds:.0f} s"
        self._tell_runaway(applying, seconds, advice_for(reason, applying.instance_id))
        try:
            if applying.is_there:
                await self._keeper.twin.commit(
                    MarkStuck(
                        instance_key=applying.instance_key,
                        token=applying.token,
                        reason=reason,
                        retry_in=None,
                    )
                )
            await self._keeper.twin.stop_worker(self._worker_key)
        except StoreError as problem:
            self._logger.log(
                logging.WARNING, "giving the leases back failed, they end with their time: %s", text_of(problem)
            )
        self._keeper.lose("its event loop was blocked by workflow code")
        return True

    def _tell_runaway(self, applying: Seat, seconds: float, advice: Advice) -> None:
        if not applying.is_there:  # nothing of it is in the store
            self._logger.log(
                logging.CRITICAL,
                "%s blocked the event loop of its worker for %.0f s and hasn't been started yet, all other leases are given back. %s",
                applying.instance_id,
                seconds,
                advice.cause,
                extra=applying.log_fields,
            )
            return
        self._logger.log(
            logging.CRITICAL,
            "%s is stuck and waits for resume: it blocked the event loop of its worker for %.0f s, all other leases are given "
            "back. %s",
            applying.instance_id,
            seconds,
            advice.text,
            extra={**applying.log_fields, "stuck": advice.kind, "stuck_attempts": applying.stuck_attempts + 1},
        )


class _Aside:
    """Logs in a thread of its own: the loop may be blocked in a log handler, whose lock the keeper mustn't wait for."""

    def __init__(self, logger: Log) -> None:
        self._inner = logger

    def log(self, level: int, message: str, *args: object, extra: Mapping[str, object] | None = None) -> None:
        said = {"extra": extra or {}}
        threading.Thread(
            target=self._inner.log, args=(level, message, *args), kwargs=said, name="perdure-watchdog", daemon=True
        ).start()


def _answer(keepers_loop: asyncio.AbstractEventLoop, answered: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the keeper has ended meanwhile
        keepers_loop.call_soon_threadsafe(answered.set)
