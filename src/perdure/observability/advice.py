"""What to do about an instance that is stuck: told by the command line, the diagnostics pages and the log alike."""

from __future__ import annotations

import shlex

import msgspec

from perdure.model.instance import Stuck


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """For one kind of reason."""

    kind: str
    """The error that it is stuck with, `WorkersLost` or `Unknown`: a word for monitoring."""
    brief: str
    """Why it is stuck, in a few words that follow its name."""
    cause: str
    """Whose fault it is, in a sentence."""
    steps: tuple[str, ...]
    """What to do, each in a sentence or two; where there are several ways, the best first."""

    @property
    def text(self) -> str:
        """All of it, on one line."""
        return " ".join((self.cause, *self.steps))


def advice_for(stuck: Stuck | str, instance_id: str | None = None) -> Advice:
    """What to do, by the reason why it is stuck; commands have the instance's id in the place of `ID`."""
    kind = _kind_of(stuck if isinstance(stuck, str) else stuck.reason)
    brief, cause, *steps = _KINDS[kind]
    if instance_id is not None:
        steps = [step.replace(" ID", f" {shlex.quote(instance_id)}") for step in steps]
    return Advice(kind=kind, brief=brief, cause=cause, steps=tuple(steps))


def _kind_of(reason: str) -> str:
    """A reason begins with the name of an error, but for one that the store gives in its own words."""
    name = reason.partition(":")[0]
    if name in _KINDS:
        return name
    return "WorkersLost" if "workers in a row were lost" in reason else "Unknown"


_TOO_MUCH_FOR_THE_STORE = (
    "the store can't take what it writes",
    "The store can't take what a step of it wants to write; the reason says why.",
    "Make the step smaller, or what it writes; it is tried again by itself.",
)
_NOT_WRITABLE = (
    "the store couldn't be written",
    "The store couldn't be written when a step of it had been taken.",
    "Make room there, or let it be written again; it goes on by itself.",
)

_KINDS: dict[str, tuple[str, ...]] = {
    "NonDeterminismError": (
        "its code doesn't repeat its history",
        "Today's code doesn't do what its history says.",
        "`perdure replay MODULE:APP --stuck` shows where they part, and in which line.",
        "Undo the change, or make it with `ctx.patched(…)`: it goes on by itself.",
        "Or let it do the rest the new way: `perdure terminate ID`, then `perdure rewind ID --at N`, before they part.",
    ),
    "DecodeError": (
        "a stored value can't be read",
        "A payload of its history doesn't fit today's types, or a codec that wrote it is missing or has no key for it.",
        "Take the change of the type back, or let it read the old form too (a default, a union).",
        "Give workers the codecs and keys that wrote it; it goes on by itself.",
    ),
    "HistoryTooLong": (
        "its history is over the limit",
        "Its history is past the limit.",
        "Raise `Limits(history_events=…)` or `Limits(history_bytes=…)` of its workers, and it goes on by itself.",
        "Then let the workflow `ctx.continue_as_new` where `ctx.info.continue_as_new_suggested` is true.",
    ),
    "RunawayWorkflow": (
        "its code doesn't come to a wait",
        "Its workflow code blocked a worker's event loop, or issued commands without end.",
        "The log of that worker has the line; move what takes long into an activity.",
        "When workers run the mended code, `perdure resume ID` lets it go on.",
    ),
    "WorkersLost": (
        "its workers died with it",
        "Five workers in a row died, or lost their leases, while they had its workflow task: it may be what kills them.",
        "Look at how these processes ended: out of memory, a crash of an extension module, an event loop that was blocked.",
        "When that is mended, `perdure resume ID` lets it go on.",
    ),
    "StoreCorrupt": (
        "a row of it can't be read",
        "What the store has of it can't be read: it is damaged, or was written by a newer perdure.",
        "If workers of several releases run, upgrade all of them; else restore the store from a back-up.",
        "It is tried again by itself.",
    ),
    "StoreError": _TOO_MUCH_FOR_THE_STORE,
    "StoreUsageError": _TOO_MUCH_FOR_THE_STORE,
    "StoreFull": _NOT_WRITABLE,
    "StoreReadOnly": _NOT_WRITABLE,
    "Unknown": (
        "its worker can't go on with it",
        "perdure's own code failed, or a converter, codec or propagator of yours.",
        "Look at the stack in the log of the worker that marked it; if it is perdure's fault, please report it.",
        "It is tried again by itself, and goes on when the code is mended.",
    ),
}
"""In brief, whose fault it is, and what to do."""
