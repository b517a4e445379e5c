"""What one run of one contestant brought: the raw material of every report."""

from __future__ import annotations

from typing import Any

import msgspec


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A run, or the reason why there is none."""

    case: str
    contestant: str
    round: int
    figures: dict[str, float] = {}
    """With `disk_sync_ms`, what a sync took on the disk right after: disks are shared, and latencies follow it."""
    settings: dict[str, Any] = {}
    scale: dict[str, int] = {}
    verified: dict[str, Any] = {}
    """What was looked at afterwards, and by whom."""
    skipped: str = ""
    """Why there are no figures."""


class Contestant(msgspec.Struct, frozen=True, kw_only=True):
    """Who takes part, as reports name it."""

    name: str
    store: str = ""
    """Of ours the kind of store; empty for a peer."""
    durability: str = ""
    beside: str = ""
    """Of a peer, the kind of store on which we promise as much."""
    differs: str = ""
    """What a reader has to know before comparing."""

    @property
    def is_peer(self) -> bool:
        return not self.store
