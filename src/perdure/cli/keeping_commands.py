"""Commands that keep house: schema, removal, moving."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import click

from perdure.cli.options import (
    ENDS,
    age,
    examples,
    filter_options,
    filters_of,
    ids_argument,
    json_option,
    store_option,
    yes_option,
)

if TYPE_CHECKING:
    from perdure.client.filters import Filters


@click.command(
    epilog=examples(
        "perdure migrate --store sqlite:///shop.db",
        "perdure migrate --sql --store postgresql://db/shop | psql postgresql://admin@db/shop",
    )
)
@store_option
@click.option("--sql", is_flag=True, help="Print what would do it, for psql, mysql or sqlite3, and connect to nothing.")
@click.option("--from-version", type=click.IntRange(0), default=0, help="With --sql: the version that is there.")
@json_option
def migrate(store: str | None, sql: bool, from_version: int, as_json: bool) -> None:
    """Create the store, or bring its schema up to date.

    That is the schema of this version of perdure. Repeating it changes nothing.
    """
    from perdure.cli import migrating

    if sql:
        migrating.print_migration(store, from_version)
    else:
        migrating.migrate(store, as_json=as_json)


@click.command(epilog=examples("perdure prune --older-than 30d --state completed --dry-run"))
@store_option
@click.option(
    "--older-than", type=age, required=True, metavar="AGE", help="That ended so long ago, as in 30d, 12h or 0s."
)
@filter_options(*ENDS)
@click.option("--limit", type=click.IntRange(1), help="At most so many, those that ended first.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@json_option
def prune(
    store: str | None, older_than: timedelta, limit: int | None, dry_run: bool, as_json: bool, **filters: Any
) -> None:
    """Remove instances that have ended, by age and other filters.

    All that belongs to them goes with them; others may work on the store meanwhile. You aren't asked: try it with
    --dry-run. What was broken off goes on when it is run again.
    """
    from perdure.cli import removing

    removing.prune(
        store, older_than, cast("Filters", filters_of(filters)), limit=limit, dry_run=dry_run, as_json=as_json
    )


@click.command(epilog=examples("perdure remove order-7", "perdure remove order-7 order-8 --yes"))
@ids_argument(is_required=True)
@store_option
@click.option("--dry-run", is_flag=True, help="Only look whether they could be.")
@yes_option
@json_option
def remove(ids: tuple[str, ...], store: str | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Remove instances that have ended, by their ids.

    Those that run stay, and the exit code is 1 then. If it is more than one, you are asked.
    """
    from perdure.cli import removing

    if not removing.remove(store, ids, dry_run=dry_run, yes=yes, as_json=as_json):
        raise click.exceptions.Exit(1)


@click.command(epilog=examples("perdure copy sqlite:///old.db postgresql://db/shop --dry-run"))
@click.argument("source", metavar="SOURCE_URL")
@click.argument("target", metavar="TARGET_URL")
@click.option("--into-existing", is_flag=True, help="The target may have instances of its own.")
@click.option("--dry-run", is_flag=True, help="Only look whether it would begin, and count.")
@click.option("--unseal", is_flag=True, help="Abandon a copy that hasn't ended: open the source again.")
@json_option
def copy(source: str, target: str, into_existing: bool, dry_run: bool, unseal: bool, as_json: bool) -> None:
    """Move everything to another store.

    Running instances go on there; the source is sealed. What was broken off goes on when it is run again.
    """
    from perdure.cli import copying

    if unseal and (into_existing or dry_run or as_json):
        raise click.UsageError("--unseal goes with no other option")
    if unseal:
        copying.unseal(source, target)
    else:
        copying.copy(source, target, into_existing=into_existing, dry_run=dry_run, as_json=as_json)


ALL = (migrate, prune, remove, copy)
