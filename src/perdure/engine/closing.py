"""Taking an execution out of memory without its code noticing more than it must.

Dropping a suspended coroutine would leave it to the garbage collector, which closes it at any moment, on any thread, with any
loop running: its `finally` blocks could issue commands in another workflow. So each one is closed here, in its own context,
newest first, with the loop dying: commands raise, and nobody sees a CancelledError that nobody sent. A coroutine that awaits in
a `finally` is closed again, a bounded number of times; one that still lives then is kept for ever, with a warning.
"""

from __future__ import annotations

import contextvars
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from perdure.engine.loop import entered

if TYPE_CHECKING:
    from perdure.engine.core import Core
    from perdure.engine.tasks import DurableTask

_ATTEMPTS = 50
_undead: list[Any] = []  # coroutines that refuse to end; a reference keeps the garbage collector from trying


def close(core: Core) -> None:
    """Close every coroutine of the execution. No command comes of it, and none of its code runs again."""
    loop = core.loop
    if loop.dying:
        return
    loop.dying = True
    tasks = loop.live_tasks
    if tasks or loop.dropped_generators:
        _close_all(core, tasks)
    if core.machines:
        for machine in core.machines.values():
            machine.let_go()
        core.machines.clear()
    if core.root is not None:
        core.root.let_go()
    core.recorder.let_go()
    loop.forget()
    core.timers = core.root = core.handlers = None


def _close_all(core: Core, tasks: Sequence[DurableTask[Any]]) -> None:
    assert core.main is not None
    with entered(core.loop), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a coroutine that never began says so when it is closed
        for task in reversed(tasks):
            _close(core, task.get_coro(), task.own_context)
            task.let_go()
        for generator in core.loop.dropped_generators:  # closed coroutines drop theirs: the list grows meanwhile
            _close_generator(generator, core.main.own_context.copy())


def _close(core: Core, coroutine: Any, context: contextvars.Context) -> None:
    for _ in range(_ATTEMPTS):
        if _try_close(core, coroutine.close, context) or coroutine.cr_frame is None:
            return
    _undead.append(coroutine)
    warnings.warn(
        f"{coroutine.__qualname__} doesn't let itself be closed: it catches GeneratorExit (a bare except, or `except "
        "BaseException`, around an await in a loop); it stays in memory",
        ResourceWarning,
        stacklevel=2,
    )


def _try_close(core: Core, close_it: Callable[[], object], context: contextvars.Context) -> bool:
    """Whether it is closed now."""
    try:
        context.run(close_it)
    except RuntimeError as problem:
        return "ignored GeneratorExit" not in str(problem)
    except BaseException as problem:  # what its clean-up raises is nobody's business any more
        core.base_logger.debug("closing a coroutine of a workflow raised", exc_info=problem, extra=core.log_fields)
    return True


def _close_generator(generator: Any, context: contextvars.Context) -> None:
    closing = generator.aclose()
    for _ in range(_ATTEMPTS):
        try:
            context.run(closing.send, None)
        except BaseException:
            return
    _undead.append(generator)
