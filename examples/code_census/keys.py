"""Keys that act at once, while the event loop goes on with its work."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager
from typing import Any

Action = Callable[[], Coroutine[Any, Any, None]]


@contextmanager
def key_presses(actions: Mapping[str, Action]) -> Generator[bool]:
    """Run an action when its key is pressed in the terminal; whether there is a terminal for it."""
    try:
        import termios
        import tty
    except ImportError:  # Windows
        yield False
        return
    if not sys.stdin.isatty():
        yield False
        return
    loop, terminal = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tasks: set[asyncio.Task[None]] = set()

    def pressed() -> None:
        for key in os.read(terminal, 100).decode(errors="replace"):
            if key in actions:
                task = loop.create_task(actions[key]())
                tasks.add(task)
                task.add_done_callback(tasks.discard)

    tty.setcbreak(terminal)  # Ctrl-C still interrupts
    loop.add_reader(terminal, pressed)
    try:
        yield True
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
