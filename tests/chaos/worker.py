"""A worker process of a chaos run: `python -m tests.chaos.worker URL WITNESS LEASE_SECONDS`."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from perdure.backends.connect import connect
from perdure.errors import StoreUnavailable
from perdure.worker.worker import Worker
from tests.chaos.program import make_app
from tests.chaos.witness import Witness
from tests.chaos.witnessed import witnessed


async def main(url: str, path: str, lease_seconds: float) -> None:
    witness = Witness(Path(path))
    backend = connect(url)
    while True:
        try:
            await backend.open()
            break
        except StoreUnavailable:  # it is started while the server is away; a process manager would start it again
            await asyncio.sleep(0.3)
    try:
        await Worker(witnessed(backend, witness), make_app(witness), lease=lease_seconds, grace=2).run_forever()
    finally:
        await backend.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
