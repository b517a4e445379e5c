"""How samples.py collects its workflows."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from perdure.workflows.context import Context
from perdure.workflows.definition import Workflow, workflow


class Sample(NamedTuple):
    workflow: Workflow[[], Any]
    result: Any
    since: tuple[int, int]


SAMPLES: dict[str, Sample] = {}


def sample(
    result: Any, since: tuple[int, int] = (3, 11)
) -> Callable[[Callable[[Context], Coroutine[Any, Any, Any]]], None]:
    def add(function: Callable[[Context], Coroutine[Any, Any, Any]]) -> None:
        if sys.version_info >= since:
            SAMPLES[function.__name__] = Sample(workflow(function), result, since)

    return add


async def after(seconds: float, value: Any) -> Any:
    await asyncio.sleep(seconds)
    return value
