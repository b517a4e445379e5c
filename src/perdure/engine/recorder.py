"""What workflow code asked for in one drain: collected when it is new, compared with history when it is replayed.

History has, after each applied event, the commands that it led to. In replay these are known before the code runs: side
effects and patch markers are looked up there while they are issued, everything else is compared at the end of the drain,
one by one and in order. A command that was issued and cancelled within the drain was never recorded, and isn't compared.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from perdure.engine.apart import InputApart
from perdure.engine.divergence import Site, divergence, find_site
from perdure.engine.machines.machine import DROPPED, ISSUED, RECORD
from perdure.errors import NonDeterminismError, RunawayWorkflow
from perdure.model.event import (
    Command,
    PatchMarked,
    SideEffectRecorded,
)

if TYPE_CHECKING:
    from perdure.engine.machines.machine import Machine
    from perdure.observability.telemetry import ExecutionWatcher

Entry = tuple["Machine", Command]


class Halt(BaseException):
    """Ends workflow code that won't end by itself; the drain has its fault already."""


class Recorder:
    """The commands of the current drain."""

    fault: Exception | None = None
    """Why the drain must stop: the code diverged, or asks without end."""
    watcher: ExecutionWatcher | None = None
    # What replay alone fills stands in the class: thousands of executions wait in memory.
    _recorded: Sequence[Command] | None = None
    _side_effects: Mapping[int, SideEffectRecorded] = MappingProxyType({})
    _markers: Mapping[str, PatchMarked] = MappingProxyType({})
    _deprecated: frozenset[str] = frozenset()

    def __init__(self, command_limit: int, *, compares_inputs: bool) -> None:
        self._entries: list[Entry] = []
        self._command_limit = command_limit
        self._compares_inputs = compares_inputs

    # --- a drain begins and ends ----------------------------------------------------------------------------------

    def begin_replay(self, recorded: Sequence[Command]) -> None:
        """The next drain must give these commands."""
        self._recorded = recorded
        self._side_effects = {each.number: each for each in recorded if type(each) is SideEffectRecorded}
        self._markers = {each.patch_id: each for each in recorded if type(each) is PatchMarked}

    def end(self) -> Sequence[Entry]:
        """The drain's commands, in order, now recorded. Raises NonDeterminismError if history has others."""
        if self.fault is not None:
            raise self.fault
        if self._recorded is not None:
            self._compare(self._kept())
        if not self._entries:
            return ()
        entries, self._entries = self._kept(), []
        for machine, _ in entries:
            if machine.state is ISSUED:
                machine.feed(RECORD)
        return entries

    # --- commands -------------------------------------------------------------------------------------------------

    def issue(self, machine: Machine, event: Command) -> None:
        """A new command."""
        if len(self._entries) >= self._command_limit:
            self.halt(
                RunawayWorkflow(
                    f"workflow code issued {self._command_limit:,} commands for one event: is there an endless loop?"
                )
            )
            raise Halt
        self._entries.append((machine, event))
        if self.watcher is not None:
            self.watcher.issued(event)

    follow_up = issue
    """A recorded command is cancelled."""

    def recorded_side_effect(self, number: int, name: str) -> SideEffectRecorded | None:
        """In replay, what history has for it; a divergence if it has nothing."""
        if self._recorded is None:
            return None
        if self.fault is not None:
            raise Halt  # it went on without waiting for the last one
        found = self._side_effects.get(number)
        if found is not None and found.name == name:
            return found
        entries = self._kept()  # what went wrong first is the cause
        try:
            earlier: Exception | None = self._first_difference(entries, self._expected(entries))
        except InputApart as problem:  # workflow code mustn't get to see it
            earlier = problem
        here = divergence(
            history=self._at(number),
            code=SideEffectRecorded(number=number, name=name),
            site=find_site(sys._getframe(1)),
            position=len(entries),
        )
        self.halt(earlier or here)
        return None

    def marker_stands(self, patch_id: str) -> bool:
        """In replay, whether the current event's commands have this patch's marker."""
        return patch_id in self._markers

    def let_pass(self, patch_id: str) -> None:
        """A marker of this patch is no divergence, though no code asks for it."""
        self._deprecated |= {patch_id}

    def site(self) -> Site | None:
        """In replay, the line of workflow code that is running."""
        return find_site(sys._getframe(2)) if self._recorded is not None else None

    def halt(self, fault: Exception) -> None:
        """Stop the drain; the first fault counts."""
        if self.fault is None:
            self.fault = fault

    def let_go(self) -> None:
        """The execution leaves memory: what it asked for while it was closed, or when it failed, is nothing."""
        self._entries.clear()

    # --- comparing ------------------------------------------------------------------------------------------------

    def _kept(self) -> list[Entry]:
        """Without what was issued and cancelled in this drain."""
        for machine, _ in self._entries:
            if machine.state is DROPPED:
                return [entry for entry in self._entries if entry[0].state is not DROPPED]
        return self._entries

    def _expected(self, entries: list[Entry]) -> Sequence[Command]:
        """What history has here, but for markers that may pass."""
        recorded = self._recorded or ()
        if not self._deprecated:
            return recorded
        asked_for = {event.patch_id for _, event in entries if type(event) is PatchMarked}
        passing = self._deprecated - asked_for
        return [each for each in recorded if not (type(each) is PatchMarked and each.patch_id in passing)]

    def _compare(self, entries: list[Entry]) -> None:
        recorded = self._expected(entries)
        difference = self._first_difference(entries, recorded)
        if difference is None and len(recorded) > len(entries):
            missing = recorded[len(entries)]
            difference = divergence(history=missing, code="nothing", site=None, position=self._place_of(missing))
        self._recorded = None
        if difference is not None:
            raise difference

    def _first_difference(self, entries: list[Entry], recorded: Sequence[Command]) -> NonDeterminismError | None:
        for (machine, issued), known in zip(entries, recorded, strict=False):
            if not self._matches(machine, issued, known):
                return divergence(history=known, code=issued, site=machine.site, position=self._place_of(known))
        if len(entries) > len(recorded):
            machine, issued = entries[len(recorded)]
            end = len(self._recorded or ())
            return divergence(history="nothing more here", code=issued, site=machine.site, position=end)
        return None

    def _place_of(self, known: Command) -> int:
        """Its place among all commands of this event, markers that may pass included."""
        return next(place for place, each in enumerate(self._recorded or ()) if each is known)

    def _matches(self, machine: Machine, issued: Any, known: Any) -> bool:
        if type(issued) is not type(known) or issued.number != known.number:
            return False
        if isinstance(issued, PatchMarked):
            return bool(issued.patch_id == known.patch_id)
        return machine.is_repeated(issued, known, with_input=self._compares_inputs)

    def _at(self, number: int) -> Command | str:
        for each in self._recorded or ():
            if each.number == number:
                return each
        return "nothing of this number here"
