"""What the command line says of an instance that is stuck: why, and what to do about it."""

from __future__ import annotations

import click

from perdure.cli.shown import at, printable
from perdure.model.instance import Instance
from perdure.observability.advice import advice_for


def reason_of(instance: Instance) -> str:
    """On one line, for a column."""
    return "" if instance.stuck is None else " ".join(instance.stuck.reason.split())


def print_stuck(instance: Instance) -> None:
    """The reason as it was told, and the advice; nothing for one that isn't stuck."""
    stuck = instance.stuck
    if stuck is None:
        return
    following = "it waits for resume" if stuck.retry_at is None else f"the next one is at {at(stuck.retry_at)}"
    click.echo(f"\nIt is stuck, attempts so far: {stuck.attempts}; {following}.\n")
    for line in stuck.reason.splitlines():
        click.echo(f"  {printable(line)}")
    advice = advice_for(stuck, instance.instance_id)
    click.echo(f"\nWhat to do: {advice.cause}\n")
    for step in advice.steps:
        click.echo(f"- {printable(step)}")
