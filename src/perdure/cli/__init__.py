"""The command line: `perdure worker`, `list`, `show`, `queues`, `queue`, `migrate`, `copy` and `lint`."""

from __future__ import annotations


def main() -> None:
    """Run the command that `sys.argv` asks for."""
    from perdure.cli.commands import perdure

    perdure(prog_name="perdure")
