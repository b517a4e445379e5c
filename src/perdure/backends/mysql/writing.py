"""How a plan is written: by a few statements, each of many rows, that are sent as one.

First comes a share of the *latch*, a row that only who seals the store locks for himself: so he waits for those who have begun to
write, and they for him. Then the *guards*, a statement for each table in which rows are to be changed. It locks these, in the order
of keys, and inserts what can't be inserted if one isn't as it was read: the statements that follow aren't carried out then, and the
error, which is that of a key that is there already, is a conflict. So nothing need be asked before, and a batch is one round trip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from perdure.backends.sql.plan import KINDS, WAITS, Kind, Plan, type_of

_MOST_ROWS = 500
_MOST_CHARACTERS = 1_000_000

# Else a small table might be read whole, and the rows of others be waited for.
_BY_KEY = "force index (primary)"
_IF = "insert into perdure_store select 1, 0 from"
_SHARE_LATCH = f"{_IF} perdure_schema where version > 0 having count(*) = 0 lock in share mode"
_IF_SETTLED = f"{_IF} perdure_store where generation <> ?"
_IF_REVISED = f"{_IF} {{0}} {_BY_KEY} where {{1}} in ? and ({{1}}, revision) in ? having count(*) <> ? for update"
_IF_WAITING = {table: f"{_IF} dual where {condition}" for table, condition in WAITS.items()}
_IF_THERE = f"{_IF} perdure_buckets where queue in ? having count(*) <> 0 for update"

_LISTS = frozenset(["insert", "upsert"])
_EMPTY = {"int": "0", "real": "0e0", "text": "''", "bytes": "_binary''"}

# Nobody ever changes these rows, so whoever keeps a share for long delays nothing but a seal.
SHARE_LATCH = "select version from perdure_schema lock in share mode"
TAKE_LATCH = "select version from perdure_schema for update"

Text = Callable[[str], str]
"""Makes a template the driver's."""
Literal = Callable[[Any], str]
"""The driver's own way of writing a value."""


def statements_of(plan: Plan, generation: int, text: Text, literal: Literal, *, row: str) -> Iterator[str]:
    """In the order in which they are to be sent; `row` is what a row of a table of values begins with."""
    for template, *values in _guards(plan, generation):
        yield text(template) % tuple(map(literal, values))
    for kind in KINDS:
        rows = plan.rows.get(kind)
        if rows:
            around, before = text(_template(kind)), "" if kind.what in _LISTS else row
            for some in _portions(map(literal, rows)):
                yield around % (before + f",{before}".join(some))


def _guards(plan: Plan, generation: int) -> Iterator[tuple[Any, ...]]:
    yield (_SHARE_LATCH,)
    yield _IF_SETTLED, generation  # by a statement of its own: who had to wait must see what has changed meanwhile
    yield from _revised("perdure_instances", "key", plan.instances)
    yield from _revised("perdure_activities", "key", plan.activities)
    buckets = sorted(plan.buckets)
    yield from _revised("perdure_buckets", "queue", [each for each in buckets if each[1] is not None])
    if new := tuple(queue for queue, revision in buckets if revision is None):
        yield _IF_THERE, new
    for table, queue, since, now in plan.lines:
        yield _IF_WAITING[table], queue, since, queue, since, now


def _revised(table: str, key: str, rows: Sequence[tuple[Any, Any]]) -> Iterator[tuple[Any, ...]]:
    template = _IF_REVISED.format(table, key)
    for start in range(0, len(rows), _MOST_ROWS):
        some = tuple(rows[start : start + _MOST_ROWS])
        yield template, tuple(key for key, _ in some), some, len(some)


def _portions(rows: Iterable[str]) -> Iterator[list[str]]:
    """Of a size that is good for a statement."""
    some: list[str] = []
    characters = 0
    for row in rows:
        if some and (len(some) == _MOST_ROWS or characters + len(row) > _MOST_CHARACTERS):
            yield some
            some, characters = [], 0
        some.append(row)
        characters += len(row)
    yield some


@cache
def _template(kind: Kind) -> str:
    """With one place, for all rows."""
    table, columns = kind.table, kind.columns
    if kind.what in _LISTS:
        verb = "insert" if kind.what == "insert" else "replace"
        return f"{verb} into {table} ({', '.join(columns)}) values ?"
    # The first select says names and types: a column that begins with nulls would be text.
    named = ", ".join(f"{_EMPTY[type_of(column)]} as {column}" for column in columns)
    same = " and ".join(f"t.{key} = v.{key}" for key in columns[: kind.keys])
    found = f"(select {named} from dual where 1 = 0 union all values ?) v straight_join {table} t {_BY_KEY} on {same}"
    if kind.what == "delete":
        return f"delete t from {found}"
    changes = ", ".join(f"t.{column} = v.{column}" for column in columns[kind.keys :])
    return f"update {found} set {changes}{kind.also}"
