"""The guard: sees what workflow code does that isn't deterministic, and names the call and the user's line (W3).

It looks at calls of C functions: `sys.monitoring` tells of them from Python 3.12 on, `sys.setprofile` before; and at audit events,
for files, network and processes. It is on while a step of an execution is applied or replayed, on that thread alone. What
counts is who asked: a call belongs to the innermost frame that is neither the standard library's nor perdure's. Logging and
imports don't count, nor what perdure does or carries out for the code: a side effect, the conversion of values.
"""

# ruff: noqa: TID251 - what nobody else may call stands here to be recognised

from __future__ import annotations

import _thread
import enum
import os
import random
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FrameType, MethodDescriptorType
from typing import Any, ParamSpec, TypeVar

import msgspec

from perdure.engine.runtime import ExecutionRuntime
from perdure.errors import ConfigurationError, NotInWorkflow
from perdure.observability.logging import Log

P = ParamSpec("P")
R = TypeVar("R")


_NOW = "ctx.now()"
_ACTIVITY = "an activity"
_CALLS: dict[Any, tuple[str, str]] = {
    **{
        getattr(time, name): (f"time.{name}", _NOW)
        for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time")
    },
    time.sleep: ("time.sleep", "ctx.sleep()"),
    datetime.now: ("datetime.now", _NOW),
    datetime.utcnow: ("datetime.utcnow", _NOW),
    datetime.today: ("datetime.today", _NOW),
    date.today: ("date.today", _NOW),
    random.random: ("random.random", "ctx.random"),
    random.getrandbits: ("random.getrandbits", "ctx.random"),
    os.urandom: ("os.urandom", "ctx.uuid4(), ctx.random or ctx.side_effect()"),
    **{
        getattr(_thread, name): (f"_thread.{name}", "asyncio's tasks, or an activity")
        for name in ("start_new_thread", "start_joinable_thread")
        if hasattr(_thread, name)
    },
}
"""C functions, their names, and what to use instead."""

_DICE = random.random.__self__  # type: ignore[attr-defined]
_OF_DICE: dict[Any, Any] = {type(_DICE).random: random.random, type(_DICE).getrandbits: random.getrandbits}
"""Methods of the module's own generator: `self.getrandbits(8)` calls one without making a bound method.

Making one there, with `__get__`, crashes CPython 3.12 and 3.13.
"""

_EVENTS = frozenset({"open", "os.listdir", "os.scandir", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.system"})
_FAMILIES = frozenset({"socket", "subprocess", "sqlite3", "urllib", "ftplib", "smtplib", "shutil", "_thread"})
"""Of audit events, by what stands before the dot."""

_EXEMPT_MODULES = frozenset({"logging", "warnings", "linecache", "traceback"})
_EXEMPT_CODE = ExecutionRuntime._run_side_effect.__code__
_OURS = f"{Path(__file__).parents[1]}{os.sep}"
_SERIALIZATION = f"{_OURS}serialization{os.sep}"
_LIBRARY = sysconfig.get_path("stdlib") + os.sep
_INSTALLED = tuple(sysconfig.get_path(kind) + os.sep for kind in ("purelib", "platlib"))


class GuardMode(enum.StrEnum):
    """What a worker does about workflow code that isn't deterministic."""

    OFF = "off"
    WARN = "warn"
    """Log it, once for each place."""
    RAISE = "raise"
    """Raise NotInWorkflow there."""

    @classmethod
    def of(cls, given: str | None) -> GuardMode:
        """Raises ConfigurationError."""
        try:
            return cls.OFF if given is None else cls(given)
        except ValueError:
            raise ConfigurationError(f"guard is {given!r}: it must be off, warn or raise") from None


class Use(msgspec.Struct, frozen=True):
    """Of something that isn't deterministic."""

    call: str
    file: str
    line: int
    function: str
    instead: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: {self.function} uses {self.call} in a workflow, which replay can't repeat: "
            f"use {self.instead}"
        )


class Guard:
    """Of one worker. It is off between calls."""

    def __init__(self, logger: Log, *, raises: bool) -> None:
        self._logger = logger
        self._raises = raises
        self._told: set[Use] = set()
        _install()

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run what runs workflow code, and look."""
        outer = getattr(_active, "guard", None)
        _active.guard = self
        stop = _start()
        try:
            return function(*args, **kwargs)
        finally:
            stop()
            _active.guard = outer

    def see(self, call: str, frame: FrameType | None, instead: str) -> None:
        """Something was called in this frame. Raises NotInWorkflow if it is to raise."""
        _active.guard = None  # what is done here isn't the workflow's
        try:
            use = _use(call, frame, instead)
            if use is None:
                return
            if self._raises:
                raise NotInWorkflow(str(use))
            if use not in self._told:
                self._told.add(use)
                self._logger.warning("workflow code isn't deterministic: %s", use, extra={"guarded_use": use})
        finally:
            _active.guard = self


class _Active(threading.local):
    guard: Guard | None = None


_active = _Active()


def _use(call: str, frame: FrameType | None, instead: str) -> Use | None:
    """Whose it is; None if it isn't workflow code's."""
    owner: FrameType | None = None
    while frame is not None and frame.f_code is not Guard.call.__code__:
        if _is_exempt(frame):
            return None
        file = frame.f_code.co_filename
        is_installed = file.startswith(_INSTALLED)
        if owner is None and file.startswith(_OURS):
            return None
        if owner is None and not is_installed and file.startswith((_LIBRARY, "<frozen")):
            call = f"{frame.f_globals.get('__name__')}.{frame.f_code.co_name}"
        elif owner is None or (
            not is_installed and _is_users(file) and owner.f_code.co_filename.startswith(_INSTALLED)
        ):
            owner = frame
        frame = frame.f_back
    if owner is None:
        return None
    return Use(call, owner.f_code.co_filename, owner.f_lineno, owner.f_code.co_qualname, instead)


def _is_users(file: str) -> bool:
    return not file.startswith((_OURS, _LIBRARY, "<frozen"))


def _is_exempt(frame: FrameType) -> bool:
    """Whether what is called below it doesn't count."""
    module = str(frame.f_globals.get("__name__")).partition(".")[0]
    file = frame.f_code.co_filename
    return (
        frame.f_code is _EXEMPT_CODE
        or module in _EXEMPT_MODULES
        or file.startswith((_SERIALIZATION, "<frozen importlib"))
    )


# --- how it sees


def _called(function: object, frame: FrameType) -> None:
    guard = _active.guard
    if guard is None:
        return
    known = _CALLS.get(function)
    if known is not None:
        guard.see(known[0], frame, known[1])


def _profiled(frame: FrameType, event: str, argument: Any) -> None:
    if event == "c_call":
        _called(argument, frame)


def _monitored(code: CodeType, offset: int, function: Any, first: Any) -> None:
    if type(function) is MethodDescriptorType:
        if first is not _DICE:
            return
        function = _OF_DICE.get(function)
    if type(function) is BuiltinFunctionType:
        _called(function, sys._getframe(1))


def _audited(event: str, arguments: tuple[Any, ...]) -> None:
    guard = _active.guard
    if guard is not None and (event in _EVENTS or event.partition(".")[0] in _FAMILIES):
        guard.see(event, sys._getframe(1), _ACTIVITY)


_is_installed = False


def _install() -> None:
    """An audit hook stays for ever; it costs a look at a thread-local for each event."""
    global _is_installed  # noqa: PLW0603 - it is the process's
    if not _is_installed:
        _is_installed = True
        sys.addaudithook(_audited)


if sys.version_info >= (3, 12):
    _TOOL = 4

    def _start() -> Callable[[], None]:
        monitoring = sys.monitoring
        if monitoring.get_tool(_TOOL) is None:
            monitoring.use_tool_id(_TOOL, "perdure")
            monitoring.register_callback(_TOOL, monitoring.events.CALL, _monitored)
        monitoring.set_events(_TOOL, monitoring.events.CALL)
        return lambda: monitoring.set_events(_TOOL, 0)

else:

    def _start() -> Callable[[], None]:
        outer = sys.getprofile()
        sys.setprofile(_profiled)
        return lambda: sys.setprofile(outer)
