"""`python -m benchmarks`: run the cases, check them, print a table; write JSON and a plot."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from benchmarks.case import Case
from benchmarks.machine import file_system, machine
from benchmarks.ours import Ours, on_stores, ours
from benchmarks.outcome import Outcome
from benchmarks.peers import CASES as PEER_CASES
from benchmarks.peers import ON_EVERY_STORE as PEERS_ON_EVERY_STORE
from benchmarks.peers import PEERS, environments
from benchmarks.registry import CASES, ON_EVERY_STORE
from benchmarks.report.as_json import to_json
from benchmarks.report.document import filled, sections
from benchmarks.report.plot import to_svg
from benchmarks.report.summary import summarize
from benchmarks.report.table import number, print_report
from benchmarks.rounds import Runner, run_all
from benchmarks.stores import KINDS
from benchmarks.theirs import Theirs, usable


@click.command()
@click.option(
    "--cases",
    "names",
    default=",".join(ON_EVERY_STORE),
    help="The cases; `all` for all. Default: those for every store.",
)
@click.option("--list", "is_list", is_flag=True, help="List the cases and end.")
@click.option(
    "--stores",
    "kinds",
    default=",".join(KINDS),
    show_default=True,
    help="Kinds of stores. Servers are those of PERDURE_TEST_POSTGRESQL and so on: scripts/services run -- … starts them.",
)
@click.option(
    "--store", "urls", multiple=True, help="A store's URL, in place of kinds; {folder} is a fresh one. Repeatable."
)
@click.option("--rounds", default=3, show_default=True, help="Runs of each case; medians are compared.")
@click.option(
    "--minutes", default=25.0, show_default=True, help="Begin no further round that would probably end later than that."
)
@click.option(
    "--quick", "is_quick", is_flag=True, help="Hardly any work: whether it runs at all. The figures say nothing."
)
@click.option(
    "--peers",
    "peer_names",
    default=",".join(PEERS_ON_EVERY_STORE),
    help="Others that run beside, where their kind of store is among the stores; `all`, `none`. Default: DBOS and the least.",
)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write every run there.")
@click.option("--svg", "svg_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the plot there.")
@click.option(
    "--write",
    "document",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Write the figures into the marked sections of this Markdown file.",
)
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=tempfile.gettempdir(),
    show_default=True,
    help="Where the files of the stores are: the disk counts.",
)
def main(  # noqa: PLR0913 - each is an option
    *,
    names: str,
    is_list: bool,
    kinds: str,
    urls: tuple[str, ...],
    rounds: int,
    minutes: float,
    is_quick: bool,
    peer_names: str,
    json_file: Path | None,
    svg_file: Path | None,
    document: Path | None,
    folder: Path,
) -> None:
    """Time perdure, on every store, and its peers.

    Contestants take turns within each round. A fresh process checks what each run has left in its store. Ends with 1 if
    a run of perdure's or its check failed.
    """
    if is_list:
        _list()
        return
    cases = [CASES[name] for name in _chosen("case", names, CASES)]
    console = Console(width=max(Console().width, 170))
    facts = machine() | {"disk": file_system(folder), "began_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}"}
    _print_facts(console, facts)
    own_runners = list(map(ours, urls)) if urls else _on_stores(console, _chosen("store", kinds, KINDS))
    peers = _peers(console, cases, _chosen("peer", peer_names, PEERS), own_runners)
    runners: list[Runner] = [*own_runners, *peers]

    def tell(outcome: Outcome) -> None:
        click.echo(_progress(outcome), err=True)

    outcomes = run_all(
        cases, runners, rounds=rounds, is_quick=is_quick, folder=folder, tell=tell, limit_seconds=minutes * 60
    )
    contestants = [runner.contestant for runner in runners]
    rows = summarize(cases, contestants, outcomes)
    print_report(console, cases, contestants, outcomes, rows)
    if json_file is not None:
        json_file.write_text(to_json(facts, contestants, outcomes, rows))
    if svg_file is not None:
        svg_file.write_text(to_svg(cases, rows))
    if document is not None:
        document.write_text(filled(document.read_text(), sections(facts, outcomes, rows)))
    own = {each.name for each in contestants if not each.is_peer}
    if any(outcome.skipped and outcome.contestant in own for outcome in outcomes):
        sys.exit(1)


def _chosen(what: str, words: str, known: Iterable[str]) -> list[str]:
    """Those of these words, in the order of the known ones."""
    names = {"all": list(known), "none": []}.get(words, words.split(","))
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise click.UsageError(f"there is no {what} {', '.join(unknown)}; there are {', '.join(known)}")
    return [name for name in known if name in names]


def _on_stores(console: Console, names: Sequence[str]) -> list[Ours]:
    runners, reasons = on_stores(names)
    for name, reason in reasons.items():
        console.print(f"{name} is left out: {reason}", style="yellow", highlight=False, markup=False)
    return runners


def _list() -> None:
    for case in CASES.values():
        click.echo(
            f"{case.name:17} {case.summary} ({', '.join(case.stores)}{'; peers' if case.name in PEER_CASES else ''})"
        )


def _print_facts(console: Console, facts: dict[str, object]) -> None:
    console.print("; ".join(f"{name}: {value}" for name, value in facts.items()), highlight=False, markup=False)
    if facts["disk"] in {"tmpfs", "ramfs"}:
        console.print(
            "These files are in memory: syncing costs nothing there. Choose a disk with --folder.", style="red"
        )


def _peers(console: Console, cases: Sequence[Case], names: Sequence[str], own: Sequence[Ours]) -> list[Theirs]:
    """Those that have one of the cases, and promise as much as one of the stores."""
    kinds, cases_wanted = {each.kind.name for each in own}, {case.name for case in cases}
    wanted = {name: PEERS[name] for name in names if PEERS[name].beside in kinds and PEERS[name].cases & cases_wanted}
    servers = {each.kind.name: each.url for each in own if each.kind.is_remote}
    if wanted:
        click.echo(f"making sure of {', '.join(wanted)}; at the first time, their packages are installed", err=True)
    ready, reasons = usable(wanted, servers, environments.ensure)
    for name, reason in reasons.items():
        console.print(f"{name} is left out: {reason}", style="yellow", highlight=False, markup=False)
    return ready


def _progress(outcome: Outcome) -> str:
    headline = CASES[outcome.case].measures[0]
    found = outcome.figures.get(headline.figure)
    said = outcome.skipped or ("" if found is None else f"{number(found)} {headline.unit}")
    return f"round {outcome.round}  {outcome.case:16} {outcome.contestant:24} {said}"


if __name__ == "__main__":
    main()
