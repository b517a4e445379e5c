"""Runs the agent once, on a store of its own."""

import asyncio
import tempfile
from pathlib import Path

from examples.pydantic_ai_agent.trips import app, plan_trip
from perdure import Orchestrator


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with Orchestrator(f"sqlite:///{Path(folder) / 'trips.db'}", app) as perdure:
            print(await perdure.run(plan_trip, "To Porto, please"))


if __name__ == "__main__":
    asyncio.run(main())
