"""Commands for those who write workflows."""

from __future__ import annotations

from typing import Any

import click

from perdure.cli.options import examples


@click.command(epilog=examples("perdure lint src", "perdure lint --explain PRD201"))
@click.argument("paths", metavar="PATH…", nargs=-1, type=click.Path(exists=True))
@click.option(
    "--format", "output_format", type=click.Choice(["text", "json", "sarif"]), default="text", show_default=True
)
@click.option("--select", metavar="CODE", multiple=True, help="Only rules that begin so; may be repeated.")
@click.option("--ignore", metavar="CODE", multiple=True, help="No rules that begin so; may be repeated.")
@click.option("--every-async", is_flag=True, help="Take every async function for a workflow.")
@click.option("--explain", metavar="CODE", help="Say what a rule finds, why, and what to write instead.")
def lint(paths: tuple[str, ...], explain: str | None, **options: Any) -> None:
    """Find what workflow code must not do.

    PATHs are files and folders. Workflows are looked at, and the functions of their project that they call. Exit code 1
    if something is found.
    """
    from perdure.cli import linting

    if explain is not None:
        linting.explain(explain)
    elif paths:
        linting.lint_paths(paths, **options)
    else:
        raise click.UsageError("name files or folders, as in perdure lint src")


@click.command(
    epilog=examples(
        'eval "$(perdure completion bash)"', "perdure completion fish > ~/.config/fish/completions/perdure.fish"
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands and ids.

    Evaluate it where the shell begins, ~/.bashrc or ~/.zshrc. Ids come from the store that PERDURE_STORE or --store names.
    """
    from perdure.cli import completing

    completing.print_script(ctx.find_root().command, shell)


ALL = (lint, completion)
