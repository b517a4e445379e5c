from __future__ import annotations

import asyncio

import pytest

from perdure.engine.limits import Limits
from perdure.orchestrator import Orchestrator
from tests.cli.conftest import Call
from tests.cli.orders import app, go, waiting


@pytest.fixture(autouse=True)
def stuck(url: str) -> None:
    """One whose history is too long for its worker, in spite of a hostile id, beside one that isn't."""

    async def run() -> None:
        async with Orchestrator(url, app, limits=Limits(history_events=1), cache_size=0) as perdure:
            await perdure.start(waiting.with_options(instance_id="well", start_delay=1000))
            handle = await perdure.start(waiting.with_options(instance_id="order;\x1b[31m 7"))
            await handle.signal(go)
            while (await handle.info()).stuck is None:
                await asyncio.sleep(0.01)

    asyncio.run(run())


class TestList:
    def test_e4_it_says_why_they_are_stuck(self, call: Call) -> None:
        lines = call("list", "--stuck").output.splitlines()

        assert lines[0].split()[-1] == "WHY"
        assert len(lines) == 2
        assert "running (stuck)" in lines[1]
        assert "HistoryTooLong: the history has 1 events and" in lines[1]

    def test_otherwise_there_is_no_such_column(self, call: Call) -> None:
        assert "WHY" not in call("list").output


class TestShow:
    def test_e4_it_says_why_and_what_to_do(self, call: Call) -> None:
        output = call("show", "order;\x1b[31m 7").output

        assert "\nIt is stuck, attempts so far: 1; the next one is at 2" in output
        assert "\n  HistoryTooLong: the history has 1 events" in output
        assert "\nWhat to do: Its history is past the limit.\n" in output
        assert "\n- Raise `Limits(history_events=…)`" in output
        assert "\x1b" not in output

    def test_one_that_isnt_has_no_advice(self, call: Call) -> None:
        assert "What to do" not in call("show", "well").output
