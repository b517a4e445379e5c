"""What the library logs goes into the trace; a fault that it reports is a violation."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Generator
from contextlib import contextmanager

from perdure.testing.simulation.trace import Trace

_FAULTS = ("a fault in perdure", "the keeper of the leases has failed")


class _Listener(logging.Handler):
    def __init__(self, trace: Trace) -> None:
        super().__init__(logging.INFO)
        self._trace = trace
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread != self._thread:  # a watchdog's, after a machine stood still
            return
        message = record.getMessage()
        if message.startswith(_FAULTS):
            error = record.exc_info[1] if record.exc_info else None
            details = "" if error is None else "\n" + "".join(traceback.format_exception(error))
            self._trace.violated(f"{message}{details}")
        elif record.levelno >= logging.WARNING:
            self._trace.note("log", message)


@contextmanager
def listening(logger: logging.Logger, trace: Trace) -> Generator[None]:
    """Hear what is logged in this block, and let nobody else hear it."""
    listener = _Listener(trace)
    before = logger.propagate, logger.level
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.propagate, logger.level = before
