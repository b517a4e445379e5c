"""Where connections come from: a URL, or a pool of the user's."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Protocol

import asyncpg

from perdure.backends.sql.loops import Loop

LOCK_TIMEOUT = "100ms"  # as long as a commit may take; who takes longer is gone round (network/aside.py)
_DEAD_NETWORK_SECONDS = 10

SETTINGS: Mapping[str, str] = {
    "jit": "off",
    # Statements are as long as their plans are simple: planning them anew would take longer than carrying them out.
    "plan_cache_mode": "force_generic_plan",
    "lock_timeout": LOCK_TIMEOUT,
    "default_transaction_isolation": "read committed",
    # A process that stands still, or whose machine is gone, keeps no rows locked.
    "idle_in_transaction_session_timeout": "5s",
}
"""What statements count on, in each session."""


class Source(Protocol):
    """Its connections are taken, used and given back on a loop of its own choice."""

    @property
    def key(self) -> str:
        """Stores with the same key share their connections. Secrets are part of it."""
        ...

    @property
    def url(self) -> str:
        """Where they lead, without secrets."""
        ...

    def loop(self) -> Loop: ...

    async def take(self, settings: Mapping[str, str]) -> asyncpg.Connection:
        """With these settings of the server's besides. Raises asyncpg's errors, OSError or StoreError."""
        ...

    async def give_back(self, connection: asyncpg.Connection) -> None:
        """However it is. May raise anything."""
        ...


def notice_dead_network(connection: asyncpg.Connection) -> None:
    """Have the system cut a connection over which nothing comes through any more, long before leases lapse."""
    sock = connection._transport.get_extra_info("socket")
    if sock is None or sock.family == getattr(socket, "AF_UNIX", None):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _DEAD_NETWORK_SECONDS // 2),
        ("TCP_KEEPINTVL", 1),
        ("TCP_KEEPCNT", _DEAD_NETWORK_SECONDS // 2),
        ("TCP_USER_TIMEOUT", _DEAD_NETWORK_SECONDS * 1_000),
    ):
        option = getattr(socket, name, None)  # not every system has each
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
