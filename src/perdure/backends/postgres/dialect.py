"""PostgreSQL's dialect, and how a plan is written by one statement.

All rows of a kind come as one array for each column (`unnest`), all kinds are parts of one statement, and each part depends on the
first ones, which lock what is to change, in the order of keys, and see whether it is as it was read. So a batch is one round trip,
and all or nothing without a transaction block. Text is compared as bytes (`collate "C"`), as on all stores.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from perdure.backends.sql.dialect import Dialect, on_conflict_nothing, on_conflict_update
from perdure.backends.sql.lines import Table
from perdure.backends.sql.plan import WAITS, Kind, Plan, type_of

_NAME = 'text collate "C"'

POSTGRES = Dialect(
    title="PostgreSQL",
    one_of_texts="= any(?::text[])",
    one_of_keys="= any(?::bigint[])",
    of_versions="(?::text[] is null or version = any(?::text[]))",
    has_tag="tags::jsonb ->> ? = ?",
    contains="strpos(instance_id, ?) > 0",
    texts=list,
    keys=list,
    upsert=on_conflict_update,
    insert_once=on_conflict_nothing,
    revision=", revision",
    skip_locked=" for update skip locked",
    revised=", revision = revision + 1",
    int="bigint",
    real="double precision",
    name=_NAME,
    text=_NAME,
    id="bytea",
    data="bytea",
    revision_column=", revision bigint not null",
    oldest_first=" order by at",
    also=(
        "create index perdure_instances_come on perdure_instances (queue, wake_at) where phase = 1",
        "create index perdure_activities_come on perdure_activities (queue, due_at) where phase = 1",
        """create table perdure_store (id bigint primary key check (id = 1), generation bigint not null)""",
        "insert into perdure_store values (1, 1)",
        # Rows come and go all the time: small leftovers, swept often.
        *(
            f"""alter table perdure_{table} set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
                autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0)"""
            for table in ("instances", "activities", "pending", "receipts")
        ),
        "alter table perdure_instances set (fillfactor = 80)",
    ),
)

_TYPES = {"int": "bigint", "real": "double precision", "text": "text", "bytes": "bytea"}

_PLACEHOLDER = re.compile(r"\?")


def placed(template: str, *, first: int = 1) -> str:
    """The text with numbered placeholders."""
    numbers = iter(range(first, template.count("?") + first))
    return _PLACEHOLDER.sub(lambda _: f"${next(numbers)}", template)


@cache
def writing(
    kinds: tuple[Kind, ...],
    lines: tuple[Table, ...],
    *,
    has_instances: bool,
    has_activities: bool,
    has_buckets: bool,
) -> str:
    """The statement that writes rows of these kinds; gives the generation it found, and what was as it was read.

    Parameters: (key, revision) of instances, of activities and of buckets, as far as there are any, the generation, the lines,
    then the columns of each kind: see `parameters_of`.
    """
    parts: list[str] = []
    fine = ["(select generation from perdure_store) = ?"]
    found = ["null::bigint[]", "null::bigint[]"]
    if has_instances:
        parts.append(_locked("instances"))
        fine.append("(select count(*) from locked_instances) = (select count(*) from given_instances)")
        found[0] = "array(select key from locked_instances)"
    if has_activities:
        parts.append(_locked("activities"))
        fine.append("(select count(*) from locked_activities) = (select count(*) from given_activities)")
        found[1] = "array(select key from locked_activities)"
    if has_buckets:
        parts.append(
            """given_buckets as materialized (select * from unnest(?::text[], ?::bigint[]) as g(queue, revision)),
            locked_buckets as materialized (select b.queue, b.revision from perdure_buckets b
                where b.queue in (select queue from given_buckets) order by b.queue for update)"""
        )
        fine.append(
            """not exists (select 1 from given_buckets g left join locked_buckets b using (queue)
                where g.revision is distinct from b.revision)"""
        )
    fine += [f"not ({WAITS[table]})" for table in lines]
    parts.append(f"fine as materialized (select 1 where {' and '.join(fine)})")
    parts += [f"w{number} as ({_write(kind)})" for number, kind in enumerate(kinds)]
    return placed(
        f"with {', '.join(parts)} select exists (select 1 from fine), "
        f"(select generation from perdure_store), {found[0]}, {found[1]}"
    )


def parameters_of(plan: Plan, kinds: Sequence[Kind], generation: int) -> list[Any]:
    """In the order of `writing`."""
    values: list[Any] = []
    for given in (plan.instances, plan.activities, plan.buckets):
        if given:
            values += zip(*given, strict=True)
    values.append(generation)
    for _, queue, since, now in plan.lines:
        values += (queue, since, queue, since, now)
    for kind in kinds:
        values += zip(*plan.rows[kind], strict=True)
    return values


def _locked(table: str) -> str:
    return f"""given_{table} as materialized (select * from unnest(?::bigint[], ?::bigint[]) as g(key, revision)),
        locked_{table} as materialized (select t.key from perdure_{table} t join given_{table} g
            on t.key = g.key and t.revision = g.revision order by t.key for update of t)"""


def _write(kind: Kind) -> str:
    names = ", ".join(kind.columns)
    arrays = ", ".join(f"?::{_TYPES[type_of(column)]}[]" for column in kind.columns)
    rows = f"unnest({arrays}) as v({names})"
    keys = kind.columns[: kind.keys]
    same = " and ".join(f"t.{key} = v.{key}" for key in keys)
    if kind.what == "delete":
        return f"delete from {kind.table} t using {rows}, fine where {same}"
    changes = ", ".join(f"{column} = v.{column}" for column in kind.columns[kind.keys :])
    if kind.what == "update":
        return f"update {kind.table} t set {changes}{kind.also} from {rows}, fine where {same}"
    insert = f"insert into {kind.table} ({names}) select v.* from {rows}, fine"
    if kind.what == "insert":
        return insert
    changes = changes.replace("= v.", "= excluded.")
    return f"{insert} on conflict ({', '.join(keys)}) do update set {changes}"
