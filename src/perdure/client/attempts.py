"""Activities whose attempt another process ends: who has its token speaks for it."""

from __future__ import annotations

from typing import Any

from perdure.activities.token import ActivityToken
from perdure.app import App
from perdure.backends.protocol import Tasks
from perdure.client.repeating import repeat, repeat_and_tell
from perdure.errors import LeaseLost
from perdure.model.transition import (
    ActivityResult,
    AttemptFailed,
    CompleteActivityTask,
    RecordHeartbeat,
    Rejected,
)
from perdure.serialization.failures import to_failure
from perdure.serialization.payloads import Payloads


class Attempts:
    """Ends and keeps alive attempts by their tokens. Each call raises LeaseLost if the attempt is over."""

    def __init__(self, app: App | None, payloads: Payloads) -> None:
        self._activities = {} if app is None else app.activities
        self._payloads = payloads

    async def complete(self, store: Tasks, text: str, value: object) -> None:
        """The result is written as the activity's own would be, where the App knows the activity."""
        token = ActivityToken.parse(text)
        await _end(store, token, ActivityResult(self._encode_result(token.name, value)))

    async def fail(self, store: Tasks, text: str, error: BaseException) -> None:
        await _end(store, ActivityToken.parse(text), AttemptFailed(to_failure(error, self._payloads)))

    async def heartbeat(self, store: Tasks, text: str, details: tuple[object, ...]) -> bool:
        """Whether the cancellation of the attempt was asked for."""
        token = ActivityToken.parse(text)
        beat = RecordHeartbeat(
            activity_key=token.activity_key, token=token.token, details=self._encode_details(details)
        )
        answer = await repeat(lambda: store.commit(beat))
        if not answer.is_held:
            raise _lost(token)
        return answer.cancel_requested

    def _encode_result(self, name: str, value: object) -> bytes:
        activity = self._activities.get(name)
        if activity is None:
            return self._payloads.encode(value)
        return self._payloads.call(activity.function, skip=activity.skip).encode_result(value)

    def _encode_details(self, details: tuple[object, ...]) -> bytes | None:
        if not details:
            return None
        if len(details) == 1:
            return self._payloads.encode(details[0])
        return self._payloads.encode(details, tuple[Any, ...])


async def _end(store: Tasks, token: ActivityToken, end: ActivityResult | AttemptFailed) -> None:
    transition = CompleteActivityTask(activity_key=token.activity_key, token=token.token, end=end)
    answer, is_repetition = await repeat_and_tell(lambda: store.commit(transition))
    if isinstance(answer, Rejected):
        raise _lost(token, is_repetition=is_repetition)


def _lost(token: ActivityToken, *, is_repetition: bool = False) -> LeaseLost:
    """`is_repetition`: the answer to the same request was lost a moment ago."""
    outcome = "perhaps by this very call, whose first answer was lost" if is_repetition else "nothing was recorded"
    return LeaseLost(
        f"this attempt of activity {token.name!r} of instance {token.instance_id!r} is over: it was completed, timed "
        f"out, is tried again under another token, nobody waits for it any more, or its worker stopped; {outcome}"
    )
