"""MySQL's and MariaDB's dialect: the same but for the name of the collation that compares text as bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec.structs import replace

from perdure.backends.sql.dialect import Dialect, insert

_KEY = re.compile(r"(?<!primary )(?<!duplicate )\bkey\b")


def _quoted(template: str) -> str:
    """`key` is a reserved word here."""
    return _KEY.sub("`key`", template)


def _replace_row(table: str, columns: tuple[str, ...], keys: int) -> str:
    """Each of the two has a word for the new values that the other doesn't know, or warns of; this both know."""
    assert len(columns) > keys
    return insert(table, columns).replace("insert", "replace", 1)


def _insert_once(table: str, columns: tuple[str, ...]) -> str:
    return f"{insert(table, columns)} on duplicate key update {columns[0]} = {columns[0]}"


def _listed(values: Sequence[str] | Sequence[int]) -> tuple[object, ...]:
    """The driver writes a tuple as a list in parentheses, which may not be empty."""
    return tuple(values) or (None,)


MYSQL = Dialect(
    title="MySQL",
    one_of_texts="in ?",
    one_of_keys="in ?",
    # As bytes, for to others of its comparisons an empty text is the same as a blank one.
    of_versions="(version in ? or _binary'' in ?)",
    any_version=("",),
    has_tag="json_contains(tags, json_object(?, ?))",
    contains="locate(?, instance_id) > 0",
    texts=_listed,
    keys=_listed,
    upsert=_replace_row,
    insert_once=_insert_once,
    revision=", revision",
    skip_locked=" for update skip locked",
    revised=", revision = revision + 1",
    int="bigint",
    real="double",
    name="varchar(255) character set utf8mb4 collate utf8mb4_0900_bin",
    text="longtext character set utf8mb4 collate utf8mb4_0900_bin",
    id="varbinary(64)",
    data="longblob",
    revision_column=", revision bigint not null",
    has_partial_indexes=False,
    finish=_quoted,
    also=(
        "create table perdure_store (id bigint primary key, generation bigint not null)",
        "replace into perdure_store values (1, 1)",
        "create table perdure_notices (id bigint auto_increment primary key, notice longblob not null)",
    ),
)

MARIADB = replace(
    MYSQL,
    title="MariaDB",
    name="varchar(255) character set utf8mb4 collate utf8mb4_nopad_bin",
    text="longtext character set utf8mb4 collate utf8mb4_nopad_bin",
)
