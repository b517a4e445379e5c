"""How much one execution may ask for."""

from __future__ import annotations

import msgspec

from perdure.errors import HistoryTooLong


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Past a warn mark `ctx.info.continue_as_new_suggested` is true; past a limit the instance is stuck.

    `drain_steps` bounds the callbacks that one event leads to, `refused_commands` those that a cancelled context
    refused: both end code that would run for ever.
    """

    history_events: int = 50_000
    history_bytes: int = 64 * 1024 * 1024
    warn_events: int = 10_000
    warn_bytes: int = 8 * 1024 * 1024
    drain_steps: int = 5_000_000
    drain_commands: int = 100_000
    refused_commands: int = 10_000


def check_length(events: int, size: int, limits: Limits) -> None:
    """Raises HistoryTooLong."""
    if events >= limits.history_events or size >= limits.history_bytes:
        raise HistoryTooLong(
            f"the history has {events:,} events and {size:,} bytes, over the limit of "
            f"{limits.history_events:,} and {limits.history_bytes:,}: raise the worker's limits, then resume the "
            "instance; better, let the workflow ctx.continue_as_new when ctx.info.continue_as_new_suggested is true"
        )
