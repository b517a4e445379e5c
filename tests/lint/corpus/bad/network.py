import socket
import urllib.request

import httpx
import requests

from perdure import Context, workflow


@workflow
async def fetch(ctx: Context, url: str) -> str:
    requests.post(url, timeout=5)  # expect: PRD107
    with urllib.request.urlopen(url) as answer:  # expect: PRD107
        answer.read()
    socket.create_connection(("localhost", 80))  # expect: PRD107
    async with httpx.AsyncClient() as client:  # expect: PRD107
        return (await client.get(url)).text
