import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from perdure import Context, workflow


def work() -> None: ...


@workflow
async def parallel(ctx: Context) -> None:
    def listen() -> None:
        print("this is told by the thread that runs it")

    await asyncio.to_thread(listen)  # expect: PRD109
    threading.Thread(target=work).start()  # expect: PRD109
    with ThreadPoolExecutor() as pool:  # expect: PRD109
        pool.submit(work)
    await asyncio.to_thread(work)  # expect: PRD109
    await asyncio.get_running_loop().run_in_executor(None, work)  # expect: PRD109
