"""Instances by the hundred thousand, in SQL: through workflows they would take longer than all cases together.

The rows of one instance that went the real way, of whatever tables, are copied with other keys, ids and times: what stands there
is what the code of today writes. Keys are older than those of the real ones, so newer instances come after them in every index,
as they would in a store that had grown to this.
"""

from __future__ import annotations

from collections.abc import Sequence

INSTANCES = "perdure_instances"
_KEYS_APART = 1 << 12
"""Two microseconds, as keys hold them in their upper bits."""
_TIMES = ("created_at", "updated_at", "began_at", "ended_at")


def is_of_instances(table: str, columns: Sequence[str]) -> bool:
    """Whether its rows belong to instances."""
    return table.endswith(INSTANCES) or "instance_key" in columns


def copy(
    table: str,
    columns: Sequence[str],
    key: int,
    times: int,
    *,
    integer: str,
    numbered: str,
    random: str,
    quote: str = '"',
) -> str:
    """The statement that copies the rows of the instance with this key so many times, the oldest first."""
    own_key = "key" if table.endswith(INSTANCES) else "instance_key"
    other = {own_key: f"{quote}{own_key}{quote} - n * {_KEYS_APART}"}
    if table.endswith(INSTANCES):
        other |= {"instance_id": numbered, "execution_id": random, "request_id": random}
        other |= {at: f"{at} - n * 2" for at in _TIMES}
    names = [f"{quote}{column}{quote}" for column in columns]
    values = [other.get(column, name) for column, name in zip(columns, names, strict=True)]
    return (
        f"insert into {table} ({', '.join(names)}) "
        f"with recursive numbers(n) as (select cast({times} as {integer}) union all select n - 1 from numbers where n > 1) "
        f"select {', '.join(values)} from numbers "
        f"cross join (select * from {table} where {quote}{own_key}{quote} = {key}) as template"
    )
