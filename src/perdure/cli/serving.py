"""`ui`: the diagnostics pages, served from this process."""

from __future__ import annotations

from typing import Any

import click

from perdure.cli.options import app_option, examples, store_option


@click.command(epilog=examples("perdure ui sqlite:///shop.db", "perdure ui --app shop.main:app --allow-actions"))
@click.argument("url", metavar="[URL]", required=False)
@store_option
@app_option
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8484, show_default=True, help="0 takes a free one.")
@click.option(
    "--allow-host", "names", metavar="NAME", multiple=True, help="A further name it is reached by; may be repeated."
)
@click.option("--allow-actions", is_flag=True, help="Let everybody who reaches the pages cancel, signal, remove …")
def ui(url: str | None, store: str | None, app_target: str | None, **options: Any) -> None:
    """Serve the diagnostics pages of a store.

    They show what runs, why it is stuck, and what can be done. They are for this machine alone, unless --host says
    otherwise, and nothing can be changed with them without --allow-actions. With --app they show the lines of code that
    instances wait in, and open payloads that its codecs have closed. To have them behind your own login, mount them in
    your own program.
    """
    from perdure.cli import hosting

    hosting.serve(url or store, app_target, **options)
