"""`perdure`: all commands, by section. What one needs beyond click is imported when it runs, so that `--help` is quick."""

from __future__ import annotations

import click

from perdure.cli import (
    agents,
    developing_commands,
    history_commands,
    keeping_commands,
    looking_commands,
    running_commands,
    schedule_commands,
    serving,
    steering_commands,
)
from perdure.cli.options import Commands


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="perdure", message="%(package)s %(version)s")
def perdure() -> None:
    """Durable workflows: run them, see where they are, and help them on.

    Every command takes its store from --store or PERDURE_STORE, as in PERDURE_STORE=sqlite:///shop.db, and its App from --app or
    PERDURE_APP. Exit codes: 0 it is done, 1 it couldn't be done, 2 the command line is wrong; for how an instance ended: 3 failed,
    4 cancelled, 5 terminated, 6 still running; 130 after Ctrl-C.
    """


perdure.add_section("Run", [*running_commands.ALL, *schedule_commands.ALL])
perdure.add_section("Look", [*looking_commands.ALL, serving.ui, agents.mcp])
perdure.add_section("Steer", [*steering_commands.ALL, *history_commands.GOING_BACK, steering_commands.queue])
perdure.add_section("Keep house", keeping_commands.ALL)
perdure.add_section("Develop", [*history_commands.LOOKING_BACK, *developing_commands.ALL])
