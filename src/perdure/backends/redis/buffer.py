"""What a batch will write, and reads that show it already: Redis has no transaction that could be read inside.

Everything that is written goes through here, as puts into hashes, entries of sorted sets, rows of lists, and keys that are
dropped; what came and went within a batch is never sent. `COMMIT` (scripts.py) then writes it in one step, if nothing has
changed on which it was decided: that is `expected`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from perdure.backends.network.link import Conflict
from perdure.backends.redis.scripts import COMMIT, FINISH, Client, Command, read
from perdure.clock import Micros

ABSENT = b""
"""Expected of a field that isn't to be there."""

_PAGE = 256
_LOWEST, _HIGHEST = -1, 9_007_199_254_740_991


class Span(msgspec.Struct, frozen=True):
    """Members of a sorted set by score, both ends included; the first `limit`, or all."""

    key: bytes
    low: int = _LOWEST
    high: int = _HIGHEST
    limit: int | None = None


class Buffer:
    """Belongs to one thread."""

    def __init__(self) -> None:
        self.client: Client = None
        """Set while there is one."""
        self.hashes: dict[bytes, dict[bytes, bytes | None]] = {}
        self.zsets: dict[bytes, dict[bytes, int | None]] = {}
        self.lists: dict[bytes, list[bytes]] = {}
        self.dropped: set[bytes] = set()
        self.expected: dict[bytes, dict[bytes, bytes]] = {}
        """Of fields of hashes, the first eight bytes."""
        self.empty: dict[bytes, tuple[bytes, Micros]] = {}
        """Of queues that were taken for empty, the keys of what is ready and of what waits, and the time of that."""

        self.shown: dict[bytes, set[bytes]] = {}
        self.hidden: dict[bytes, set[bytes]] = {}
        """Members that stand elsewhere as long as the batch lasts: read where they were (shown) and not where they are."""

        self._first: dict[bytes, int] = {}
        """The lowest score that is stored in these sets, as `glance` has found it."""

    def __bool__(self) -> bool:
        return bool(self.hashes or self.zsets or self.lists or self.dropped)

    def clear(self) -> None:
        for some in (
            self.hashes,
            self.zsets,
            self.lists,
            self.dropped,
            self.expected,
            self.empty,
            self.shown,
            self.hidden,
            self._first,
        ):
            some.clear()

    # --- writes

    def put(self, key: bytes, field: bytes, value: bytes | None) -> None:
        """None takes it away."""
        some = self.hashes.get(key)
        if some is None:
            some = self.hashes[key] = {}
        some[field] = value

    def place(self, key: bytes, member: bytes, score: int | None) -> None:
        """None takes it away."""
        some = self.zsets.get(key)
        if some is None:
            some = self.zsets[key] = {}
        some[member] = score

    def push(self, key: bytes, value: bytes) -> None:
        self.lists.setdefault(key, []).append(value)

    def drop(self, key: bytes) -> None:
        """The whole key goes, with what this batch has put there."""
        self.hashes.pop(key, None)
        self.zsets.pop(key, None)
        self.lists.pop(key, None)
        self.dropped.add(key)

    def expect(self, key: bytes, field: bytes, value: bytes) -> None:
        """What was read there first, in this batch."""
        some = self.expected.get(key)
        if some is None:
            some = self.expected[key] = {}
        some.setdefault(field, value)

    # --- reads

    def get(self, key: bytes, field: bytes) -> bytes | None:
        return self.get_many(key, (field,))[0]

    def get_many(self, key: bytes, fields: Sequence[bytes]) -> list[bytes | None]:
        unwritten = self.hashes.get(key, {})
        wanted = [field for field in fields if field not in unwritten]
        found = dict(unwritten)
        if wanted and key not in self.dropped:
            found.update(zip(wanted, read(self.client, [("HMGET", key, *wanted)])[0], strict=True))
        return [found.get(field) for field in fields]

    def get_all(self, key: bytes) -> dict[bytes, bytes]:
        return self.get_whole([key])[0]

    def get_whole(self, keys: Sequence[bytes]) -> list[dict[bytes, bytes]]:
        stored = read(self.client, [("HGETALL", key) for key in keys])
        found: list[dict[bytes, bytes]] = []
        for key, some in zip(keys, stored, strict=True):
            values = {**({} if key in self.dropped else as_dict(some)), **self.hashes.get(key, {})}
            found.append({field: value for field, value in values.items() if value is not None})
        return found

    def score(self, key: bytes, member: bytes) -> int | None:
        unwritten = self.zsets.get(key, {})
        if member in unwritten:
            return unwritten[member]
        found = read(self.client, [("ZMSCORE", key, member)])[0][0]
        return None if found is None else int(float(found))

    def count(self, key: bytes) -> int:
        unwritten = self.zsets.get(key)
        if not unwritten:
            return int(read(self.client, [("ZCARD", key)])[0])
        count, stored = read(self.client, [("ZCARD", key), ("ZMSCORE", key, *unwritten)])
        for before, after in zip(stored, unwritten.values(), strict=True):
            count += (after is not None) - (before is not None)
        return int(count)

    def members(self, span: Span) -> list[bytes]:
        """In the order of their scores."""
        if span.high < self._first.get(span.key, span.high):
            return [member for _, member in self._merged(span, ())]
        return [member for _, member in self.read([span])[0]]

    def glance(self, keys: Sequence[bytes]) -> list[int | None]:
        """The lowest stored score of each, so that `members` needn't ask for those where nothing is due."""
        commands = [("ZRANGEBYSCORE", key, "-inf", "+inf", "WITHSCORES", "LIMIT", 0, 1) for key in keys]
        found = [int(float(stored[1])) if stored else None for stored in read(self.client, commands)]
        self._first.update(
            (key, _HIGHEST + 1 if score is None else score) for key, score in zip(keys, found, strict=True)
        )
        return found

    def read(self, spans: Sequence[Span], more: Sequence[Command] = ()) -> list[Any]:
        """Scores and members of each span, in order, and what other commands give, all of one moment."""
        commands = [self._ranged(span) for span in spans]
        found = read(self.client, [*commands, *more])
        for place, span in enumerate(spans):
            found[place] = self._merged(span, found[place])
        return found

    def _ranged(self, span: Span) -> Command:
        most: tuple[Any, ...] = ()
        if span.limit is not None:
            more = len(self.zsets.get(span.key, ())) + len(self.hidden.get(span.key, ()))
            most = ("LIMIT", 0, span.limit + more)
        return ("ZRANGEBYSCORE", span.key, span.low, span.high, "WITHSCORES", *most)

    def _merged(self, span: Span, stored: Any) -> list[tuple[int, bytes]]:
        unwritten = self._unwritten(span.key)
        pairs = zip(stored[::2], stored[1::2], strict=True)
        if not unwritten:
            return [(int(float(score)), member) for member, score in pairs]
        scored = [(int(float(score)), member) for member, score in pairs if member not in unwritten]
        scored += [
            (score, member)
            for member, score in unwritten.items()
            if score is not None and span.low <= score <= span.high
        ]
        return sorted(scored)[: span.limit]

    def _unwritten(self, key: bytes) -> dict[bytes, int | None]:
        """What is otherwise than it is stored."""
        written = self.zsets.get(key, {})
        shown, hidden = self.shown.get(key, ()), self.hidden.get(key, ())
        if not shown and not hidden:
            return written
        return {**dict.fromkeys(shown, 0), **dict.fromkeys(hidden), **written}

    def in_order(self, key: bytes, first_page: Iterable[bytes] | None = None) -> Iterator[bytes]:
        """All members of a set without scores, in the order of their bytes, a page at a time."""
        unwritten = self._unwritten(key)
        added = sorted((member for member, score in unwritten.items() if score is not None), reverse=True)
        for member in pages(self.client, key, first_page):
            if member in unwritten:
                continue
            while added and added[-1] < member:
                yield added.pop()
            yield member
        yield from reversed(added)

    def prefixed(self, key: bytes, *prefixes: bytes) -> list[bytes]:
        """Members that begin with one of these; of eight bytes, a number."""
        found: set[bytes] = set()
        for some in read(self.client, [_beginning_with(key, prefix) for prefix in prefixes]):
            found.update(some)
        for member, score in self.zsets.get(key, {}).items():
            if member.startswith(prefixes):
                (found.discard if score is None else found.add)(member)
        return sorted(found)

    # --- the end of a batch

    def send(self, header: bytes, unfinished: bytes, generation: bytes) -> None:
        """Write it all, in one step. Raises Conflict."""
        numbers: dict[bytes, int] = {header: 1, unfinished: 2}

        def number(key: bytes) -> int:
            return numbers.setdefault(key, len(numbers) + 1)

        arguments: list[Any] = [generation, len(self.expected), len(self.empty)]
        for key, fields in self.expected.items():
            arguments += (number(key), len(fields), *fields, *fields.values())
        for ready, (waiting, now) in self.empty.items():
            arguments += (number(ready), number(waiting), now)
        for name, key, rest in self._commands():
            arguments += (name, number(key), len(rest), *rest)
        said = COMMIT.run(self.client, list(numbers), arguments)
        if said == b"unfinished":
            FINISH.run(self.client, [header, unfinished], [])
        elif said != b"written":
            raise Conflict(f"others have changed {said.decode()} meanwhile")

    def _commands(self) -> Iterator[tuple[str, bytes, list[Any]]]:
        for key in self.dropped:
            yield "UNLINK", key, []
        for key, rows in self.lists.items():
            yield "RPUSH", key, rows
        for key, values in self.hashes.items():
            put = [part for field, value in values.items() if value is not None for part in (field, value)]
            if put:
                yield "HSET", key, put
            gone = [field for field, value in values.items() if value is None]
            if gone:
                yield "HDEL", key, gone
        for key, members in self.zsets.items():
            placed = [part for member, score in members.items() if score is not None for part in (score, member)]
            if placed:
                yield "ZADD", key, placed
            left = [member for member, score in members.items() if score is None]
            if left:
                yield "ZREM", key, left


def pages(client: Client, key: bytes, first_page: Iterable[bytes] | None = None) -> Iterator[bytes]:
    """The stored members of a set without scores, in the order of their bytes."""
    page = None if first_page is None else list(first_page)
    low = b"-"
    while True:
        if page is None:
            (page,) = read(client, [first_of(key, low)])
        yield from page
        if len(page) < _PAGE:
            return
        low, page = b"(" + page[-1], None


def _beginning_with(key: bytes, prefix: bytes) -> Command:
    after = (int.from_bytes(prefix) + 1).to_bytes(len(prefix))
    return ("ZRANGEBYLEX", key, b"[" + prefix, b"(" + after)


def first_of(key: bytes, low: bytes = b"-") -> Command:
    """A page of a set without scores."""
    return ("ZRANGEBYLEX", key, low, "+", "LIMIT", 0, _PAGE)


def as_dict(found: Any) -> dict[bytes, bytes]:
    """What HGETALL gave, by itself or within a script."""
    return found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))
