"""What differs between SQL databases, as a value: fragments that templates of statements name in braces.

A template is valid SQL in the common subset, with `?` for parameters and `{…}` for these fragments. A connection's own
`Session` turns templates into its database's text, once each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

as_json = msgspec.json.Encoder().encode


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How one database says things."""

    title: str
    one_of_texts: str
    """What follows a column that must be one of a list of texts; one parameter, made by `texts`."""
    one_of_keys: str
    """The same for integers; made by `keys`."""
    of_versions: str
    """A clause on `version`; its parameter, made by `texts`, is given twice."""
    has_tag: str
    """A clause on `tags`, a JSON text: parameters are a tag's name and its value."""
    contains: str
    """A clause on `instance_id`: the parameter is a part of it."""
    any_version: object = None
    """What is given to `of_versions` in the place of a list, for all."""
    texts: Callable[[Sequence[str]], object]
    keys: Callable[[Sequence[int]], object]
    upsert: Callable[[str, tuple[str, ...], int], str]
    """A statement that inserts or replaces a row: its table, its columns, how many of these are the key."""
    insert_once: Callable[[str, tuple[str, ...]], str]
    """A statement that inserts a row if there is none of its key."""
    revision: str = ""
    """The column of revisions, behind those of a row, where there is one."""
    skip_locked: str = ""
    """What follows a select whose rows are about to be changed, so that several don't wait for each other."""
    revised: str = ""
    """An assignment behind others in an update behind the units' backs."""
    by_deadline: str = ""
    """A hint to use the index of deadlines."""
    oldest_first: str = ""
    """The order of `at` where one of those that wait is looked for and any will do, if there is an index for it."""
    int: str
    real: str
    name: str
    text: str
    id: str
    data: str
    clustered: str = ""
    """What follows a table whose rows are kept in its primary key."""
    revision_column: str = ""
    has_partial_indexes: bool = True
    also: tuple[str, ...] = ()
    """What else belongs to a new schema."""
    finish: Callable[[str], str] = str
    """What else a statement needs."""
    fragments: frozenset[str] = frozenset(
        {
            "one_of_texts",
            "one_of_keys",
            "of_versions",
            "has_tag",
            "contains",
            "revision",
            "skip_locked",
            "revised",
            "by_deadline",
            "oldest_first",
            "int",
            "real",
            "name",
            "text",
            "id",
            "data",
            "clustered",
            "revision_column",
        }
    )

    def fill(self, template: str) -> str:
        """The template with its fragments."""
        for name in self.fragments:
            template = template.replace(f"{{{name}}}", getattr(self, name))
        return self.finish(template)


def on_conflict_update(table: str, columns: tuple[str, ...], keys: int) -> str:
    """As SQLite and PostgreSQL say it."""
    changes = ", ".join(f"{column} = excluded.{column}" for column in columns[keys:])
    return f"{insert(table, columns)} on conflict ({', '.join(columns[:keys])}) do update set {changes}"


def on_conflict_nothing(table: str, columns: tuple[str, ...]) -> str:
    """As SQLite and PostgreSQL say it."""
    return f"{insert(table, columns)} on conflict do nothing"


def insert(table: str, columns: tuple[str, ...]) -> str:
    """A statement that inserts a row."""
    return f"insert into {table} ({', '.join(columns)}) values ({', '.join('?' * len(columns))})"


def json_of(values: Sequence[str] | Sequence[int]) -> str:
    """A list as one parameter."""
    return as_json(sorted(values)).decode()
