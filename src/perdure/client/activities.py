"""What a client does with activities: it runs them by themselves, and ends those that were left to others."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar, overload

from perdure.activities.definition import Activity, activity_of
from perdure.backends.protocol import Backend
from perdure.client.attempts import Attempts
from perdure.client.handle import Handle
from perdure.client.reader import Reader

P = ParamSpec("P")
R = TypeVar("R")


class ActivityClient(Reader):
    """The part of `Client` that is about activities."""

    _attempts: Attempts

    # run by themselves

    @overload
    async def start_activity(self, activity: Activity[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Handle[R]: ...
    @overload
    async def start_activity(
        self, activity: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Handle[R]: ...
    @overload
    async def start_activity(self, activity: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Handle[R]: ...
    async def start_activity(self, activity: Any, /, *args: Any, **kwargs: Any) -> Handle[Any]:
        """Run an activity by itself, without a workflow of yours: a task of a task queue.

        Behind it is an instance, which has the id, the state and the result, on the activity's queue. Options ride on the
        activity: `start_activity(send.with_options(start_delay=60, idempotency_key="order-7"), "7")`. Raises, with nothing
        recorded: ArgumentsError, EncodeError, PayloadTooLarge, RegistrationError, ConfigurationError; InstanceAlreadyExists, as
        `if_exists` says.
        """
        return await self._start_activity(activity_of(activity), args, kwargs)

    @overload
    async def run_activity(self, activity: Activity[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    async def run_activity(
        self, activity: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    async def run_activity(self, activity: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    async def run_activity(self, activity: Any, /, *args: Any, **kwargs: Any) -> Any:
        """`start_activity`, and wait for its result. Cancelling this doesn't cancel the activity."""
        return await (await self._start_activity(activity_of(activity), args, kwargs)).result()

    # completed from outside

    async def complete_activity(self, token: str, value: object) -> None:
        """Give the result of an activity that leaves it to others; `token` is its `activity_context().token`.

        Raises LeaseLost if that attempt is over (whoever comes first ends it), EncodeError.
        """
        await self._attempts.complete(self._outside(), token, value)

    async def fail_activity(self, token: str, error: BaseException) -> None:
        """Let the attempt fail: its retry policy says whether there is another one, which has another token.

        PermanentError fails the activity for good, and CancelledError, if its cancellation was asked for, ends it as cancelled.
        Raises LeaseLost.
        """
        await self._attempts.fail(self._outside(), token, error)

    async def heartbeat_activity(self, token: str, *details: object) -> bool:
        """Say that such an activity is still worked on; whether its cancellation was asked for. Raises LeaseLost.

        Details are kept for the next attempt; without any those of before stay.
        """
        return await self._attempts.heartbeat(self._outside(), token, details)

    # inside

    async def _start_activity(
        self, activity: Activity[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Handle[Any]:
        raise NotImplementedError

    def _outside(self) -> Backend:
        raise NotImplementedError
