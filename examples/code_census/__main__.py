"""The command line of the census."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import logging
import sys
import sysconfig
import warnings
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

from examples.code_census.activities import FileCounter, find_packages
from examples.code_census.keys import key_presses
from examples.code_census.model import Census
from examples.code_census.progress import progress_display, watch
from examples.code_census.report import report
from examples.code_census.workflows import census, count_package, paused
from perdure import App, Client, Handle, InstanceNotRunning, Orchestrator, PerdureError

PARSERS = 4
"""Files being parsed at a time. It is work for the processor, so more would only be in each other's way."""


def census_app(execution_log: Path | None = None) -> App:
    return App(workflows=[census, count_package], activities=[find_packages, FileCounter(execution_log)])


async def take_census(arguments: argparse.Namespace) -> Census:
    """Start the census, or find the one that was interrupted, and wait for its end."""
    app = census_app(arguments.count_executions)
    start = census.with_options(instance_id=arguments.instance_id, if_exists="use")
    async with Orchestrator(arguments.store, app, max_activities=PARSERS) as perdure:
        handle = await perdure.start(start, arguments.folder)
        keys = {"p": partial(hold, handle, True), "r": partial(hold, handle, False)}
        with key_presses(keys) as has_keys:
            if has_keys:
                print("p pauses, r resumes; Ctrl-C stops, and the same command goes on.", file=sys.stderr)
            with progress_display() as display:
                await watch(perdure, handle, display)
        return await handle.result()


async def hold(handle: Handle[Census], is_paused: bool) -> None:
    with suppress(InstanceNotRunning):
        await handle.signal(paused, is_paused)


async def tell(arguments: argparse.Namespace) -> None:
    """Pause or resume a census that another process works on."""
    async with Client(arguments.store) as client:
        await client.signal(arguments.instance_id, paused, arguments.action == "pause")


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.code_census", description="Count a tree of Python files.")
    parser.add_argument("words", nargs="*", metavar="[pause|resume] [folder]", help="default: the standard library")
    parser.add_argument("--store", default="sqlite:///census.db", metavar="URL", help="default: %(default)s")
    parser.add_argument("--instance-id", metavar="ID", help="default: one that is derived from the folder")
    parser.add_argument("--json", action="store_true", help="the whole result as JSON instead of a table")
    parser.add_argument("--count-executions", type=Path, metavar="FILE", help="log every execution of a file there")
    arguments = parser.parse_args()
    words = arguments.words
    arguments.action = words.pop(0) if words and words[0] in ("pause", "resume") else "take"
    if len(words) > 1:
        parser.error(f"one folder at a time: {' '.join(words)}")
    arguments.folder = Path(words[0] if words else sysconfig.get_path("stdlib")).resolve()
    if not arguments.folder.is_dir():
        parser.error(f"{arguments.folder} is not a folder")
    arguments.instance_id = arguments.instance_id or derived_instance_id(arguments.folder)
    return arguments


def derived_instance_id(folder: Path) -> str:
    """The same for the same folder: so the same command finds its census again."""
    return f"census-{folder.name}-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"


def main() -> int:
    warnings.simplefilter("ignore")  # they are about the code that is counted
    logging.getLogger("perdure").setLevel(logging.ERROR)  # the report tells of the files that fail
    arguments = parsed_arguments()
    try:
        if arguments.action == "take":
            counted = asyncio.run(take_census(arguments))
            print(json.dumps(asdict(counted), indent=1) if arguments.json else report(counted), end="")
        else:
            asyncio.run(tell(arguments))
    except KeyboardInterrupt:
        print("Interrupted. The same command goes on from here.", file=sys.stderr)
        return 130
    except PerdureError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
