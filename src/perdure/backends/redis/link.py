"""Connections to Redis: one writes, one reads, one tells, one listens."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence

from perdure.backends.looking import Looking
from perdure.backends.network.link import Conflict
from perdure.backends.redis import faults, header, judging
from perdure.backends.redis.keys import Keys
from perdure.backends.redis.layout import Layout
from perdure.backends.redis.looking import RedisLooking
from perdure.backends.redis.looking_everywhere import LookingEverywhere
from perdure.backends.redis.options import RedisOptions
from perdure.backends.redis.scripts import Client, Script
from perdure.backends.redis.tables import RedisTables
from perdure.backends.unit.changes import Changes
from perdure.backends.unit.office import Office, Undelivered
from perdure.clock import Micros, random_id
from perdure.errors import StoreUnavailable

_ONCE_A_SECOND = 1.0
_TRIES = 100

_TIME = Script("return redis.call('TIME')")
"""Of the node that has the partition."""

Connect = Callable[[], Client]


class RedisConnection:
    """What the connections have in common."""

    def __init__(self, connect: Connect, place: str, options: RedisOptions, number: int = 0) -> None:
        self._connect = connect
        self._place = place
        self._options = options
        self._keys = Keys(options.prefix, number)
        self._client: Client = None

    def open(self) -> None:
        self._client = self._connect()
        self._client.execute_command("HGET", self._keys.header, "version")

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(Exception):  # it is of no use any more, whatever it says
                client.close()

    def is_lost(self, problem: BaseException) -> bool:
        return faults.is_lost(problem)

    def translated(self, problem: BaseException) -> BaseException:
        return faults.translated(problem, self._place)


class RedisLink(RedisConnection):
    """The connection that writes to a partition."""

    layout: Layout
    """Known once it is open."""
    why_locked = (
        "messages of this instance to others are on their way, and it can be removed when they have arrived; nothing was "
        "written. Repeat it."
    )

    def __init__(
        self,
        connect: Connect,
        place: str,
        options: RedisOptions,
        *,
        partitions: int,
        layout: Layout | None = None,
        number: int = 0,
    ) -> None:
        """`partitions` is how many a new store gets. The first link finds the layout, the others are given it."""
        super().__init__(connect, place, options, number)
        self.tables = RedisTables(self._keys, options.blob_threshold)
        self._new_partitions = partitions
        self._number = number
        self._is_prepared = False
        if layout is not None:
            self._take_place(layout)

    @property
    def office(self) -> Office | None:
        return self.tables.office

    def open(self) -> None:
        super().open()
        self.tables.buffer.client = self._client
        self.tables.roll_back()
        if not self._is_prepared:
            self._prepare()
            self._is_prepared = True

    def _prepare(self) -> None:
        client, keys, options = self._client, self._keys, self._options
        if self._number:
            header.create_header(client, keys, self.layout.count)
            return
        judging.judge(client, self._place)
        header.check(header.read_header(client, keys), self._place, migrate=options.migrate)
        found = header.create_header(client, keys, self._new_partitions)
        header.check(found, self._place, migrate=True)
        self._take_place(Layout(options.prefix, header.partitions_of(found, options.partitions, self._place)))
        self._try_commands()

    def _take_place(self, layout: Layout) -> None:
        self.layout = layout
        if layout.count > 1:
            self.tables.move_in(layout, self._number)

    def _try_commands(self) -> None:
        """Whether this user may run all that batches are written by: it must not turn out in the middle of one."""
        buffer, name = self.tables.buffer, f"tried:{random_id().hex()}"
        hashed, placed, pushed = (self._keys.key(f"{name}:{kind}") for kind in ("hash", "zset", "list"))

        def write() -> None:
            buffer.put(hashed, b"field", b"")
            buffer.place(placed, b"member", 0)
            buffer.push(pushed, b"")

        def remove() -> None:
            buffer.put(hashed, b"field", None)
            buffer.place(placed, b"member", None)
            buffer.drop(pushed)

        for gather in (write, remove):
            self._send_alone(gather)

    def _send_alone(self, gather: Callable[[], None]) -> None:
        """Again, if others have changed the generation meanwhile: they do while workers come and go."""
        for _ in range(_TRIES):
            gather()
            try:
                self.tables.send()
                return
            except Conflict:
                self.tables.roll_back()
        raise StoreUnavailable(f"{self._place}: workers come and go all the time. Repeat it.", is_unwritten=True)

    def commit(self, changes: Changes) -> None:
        if changes:
            self.tables.write(changes)
        self.tables.send()

    def roll_back(self) -> None:
        self.tables.roll_back()

    def is_conflict(self, problem: BaseException) -> bool:
        return isinstance(problem, Conflict)

    def is_locked(self, problem: BaseException) -> bool:
        return isinstance(problem, Undelivered)

    def locked(self, ids: Sequence[str], instance_keys: Sequence[int], activity_keys: Sequence[int]) -> set[str | int]:
        """Ids of instances with letters on their way: nothing else can be locked."""
        office = self.tables.office
        if office is None:
            return set()
        rows = self.tables.instances_by_id(ids)
        awaited = office.undelivered([row.key for row in rows])
        return {row.instance_id for row in rows if row.key in awaited}

    def now(self) -> Micros:
        seconds, micros = _TIME.run(self._client, [self._keys.header], [])
        return int(seconds) * 1_000_000 + int(micros)


class RedisLooker(RedisConnection):
    """The connection that reads."""

    def open(self) -> None:
        super().open()
        found = header.read_header(self._client, self._keys)
        self._layout = Layout(self._options.prefix, 1 if found is None else found.partitions)

    @property
    def looking(self) -> Looking:
        parts = [RedisLooking(self._client, keys) for keys in self._layout.keys]
        return parts[0] if len(parts) == 1 else LookingEverywhere(parts, self._layout)


class RedisHerald(RedisConnection):
    """The connection that tells other processes."""

    def notify(self, notice: bytes) -> None:
        self._client.publish(self._keys.bell, notice)


class RedisListener:
    """The connection that listens."""

    def __init__(self, connect: Connect, options: RedisOptions) -> None:
        self._connect = connect
        self._keys = Keys(options.prefix, 0)

    def listen(self, tell: Callable[[bytes | None], None], is_over: threading.Event) -> None:
        client = self._connect()
        try:
            with client.pubsub(ignore_subscribe_messages=False) as listening:
                listening.subscribe(self._keys.bell)
                while not is_over.is_set():
                    message = listening.get_message(timeout=_ONCE_A_SECOND)
                    if message is None:
                        continue
                    if message["type"] == "subscribe":
                        tell(None)
                    elif message["type"] == "message":
                        tell(message["data"])
        finally:
            client.close()
