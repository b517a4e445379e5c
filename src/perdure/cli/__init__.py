"""The command line: `perdure --help`."""

from __future__ import annotations


def main() -> None:
    """Run the command that `sys.argv` asks for."""
    from perdure.cli.commands import perdure

    perdure(prog_name="perdure")
