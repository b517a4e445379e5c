"""Start and stop private servers of the stores for tests.

    scripts/services start [NAME…]               start them and print their URLs as `export PERDURE_TEST_…=URL` lines
    scripts/services run [NAME…] -- COMMAND…     run a command with these variables, stop the servers whatever happens
    scripts/services stop [NAME…]                stop them and remove their data
    scripts/services restart NAME…               stop and start them, with the same ports and data
    scripts/services kill NAME [NODE]            kill -9 and leave it down; `start NAME` starts it again with its data

Names: postgresql, mariadb, mysql, redis, redis-cluster; without one all are meant. A server whose variable is set already is
left to whoever set it. What isn't installed comes from Debian's packages, where that is permitted. Ports and data are in
$PERDURE_SERVICES_FOLDER, otherwise in one folder per user (start) or run (run). What can't be had is skipped with a word on
stderr; with CI set that is a failure, but for MySQL, which Debian may one day no longer have.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import NoReturn

from scripts.servers import FOLDER_VARIABLE, SERVERS, Services, Unavailable, variable

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MAY_BE_MISSING_IN_CI = {"mysql"}


def main(arguments: Sequence[str]) -> int:
    call = parse(arguments)
    if call.verb == "run":
        return run(call.names, call.command)
    services = Services(_given_folder() or Path(tempfile.gettempdir()) / f"perdure-services-{os.getuid()}")
    if call.verb == "start":
        return start(services, call.names)
    if call.verb == "stop":
        services.stop(call.names or SERVERS)
    elif call.verb == "kill":
        services.kill(call.name, call.node)
    else:
        for name in call.names:
            services.restart(name)
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(usage=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, how_many in (("start", "*"), ("run", "*"), ("stop", "*"), ("restart", "+")):
        verbs.add_parser(verb).add_argument("names", nargs=how_many, type=_server)
    kill = verbs.add_parser("kill")
    kill.add_argument("name", type=_server)
    kill.add_argument("node", nargs="?", type=int)

    own, command = list(arguments), []
    if "--" in own:
        place = own.index("--")
        own, command = own[:place], own[place + 1 :]
    call = parser.parse_args(own)
    if (call.verb == "run") != bool(command):
        parser.error("`run`, and nothing else, takes a command, after --")
    if call.verb == "kill" and call.node is not None and call.node not in range(SERVERS[call.name].node_count):
        parser.error(f"{call.name} has no node {call.node}")
    call.command = command
    return call


def start(services: Services, names: Sequence[str]) -> int:
    wanted = [name for name in names or SERVERS if os.environ.get(variable(name)) in {None, "", services.url(name)}]
    new = [name for name in wanted if services.url(name) is None]
    services.folder.mkdir(parents=True, exist_ok=True)
    urls, is_enough = start_all(services, wanted)
    if not is_enough:
        services.stop(new)
        return 1
    for name, value in _environment(services, urls).items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def run(names: Sequence[str], command: Sequence[str]) -> int:
    """Run the command beside the servers and return its exit code. Servers that were there before stay."""
    given = _given_folder()
    services = Services(given) if given else Services.in_new_folder()
    wanted = [name for name in names or SERVERS if not os.environ.get(variable(name))]
    new = [name for name in wanted if services.url(name) is None]
    for stopping in STOPPING:
        signal.signal(stopping, _leave)
    try:
        services.folder.mkdir(parents=True, exist_ok=True)
        urls, is_enough = start_all(services, wanted)
        return _call(command, os.environ | _environment(services, urls)) if is_enough else 1
    finally:
        for stopping in STOPPING:
            signal.signal(stopping, signal.SIG_IGN)
        services.stop(new)


def start_all(services: Services, names: Sequence[str]) -> tuple[dict[str, str], bool]:
    """Start these at once. Returns the URLs of those that could be had, and whether they are enough."""
    urls: dict[str, str] = {}
    is_enough = True
    with ThreadPoolExecutor(max_workers=len(SERVERS)) as pool:
        starting = {name: pool.submit(services.start, name) for name in names}
        for name, future in starting.items():
            try:
                urls[name] = future.result()
            except Unavailable as reason:
                is_fatal = "CI" in os.environ and name not in MAY_BE_MISSING_IN_CI
                is_enough = is_enough and not is_fatal
                print(f"{'failed' if is_fatal else 'skipped'}: no {SERVERS[name].title}: {reason}", file=sys.stderr)
    return urls, is_enough


def _environment(services: Services, urls: dict[str, str]) -> dict[str, str]:
    own = {FOLDER_VARIABLE: str(services.folder)} if urls else {}
    return own | {variable(name): url for name, url in urls.items()}


def _call(command: Sequence[str], environment: dict[str, str]) -> int:
    try:
        child = subprocess.Popen(command, env=environment)
    except OSError as reason:
        print(f"{command[0]}: {reason.strerror}", file=sys.stderr)
        return 127
    # The terminal sends Ctrl-C to the child too; it says when it is done. The others are passed on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for stopping in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(stopping, lambda number, _: child.send_signal(number))
    code = child.wait()
    return code if code >= 0 else 128 - code


def _leave(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _given_folder() -> Path | None:
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given).resolve() if given else None


def _server(name: str) -> str:
    if name not in SERVERS:
        raise argparse.ArgumentTypeError(f"there is no {name}, only {', '.join(SERVERS)}")
    return name
