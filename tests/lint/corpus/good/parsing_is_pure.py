import json
import urllib.parse
from urllib.parse import urlsplit

import httpx

from perdure import Context, workflow


@workflow
async def parse(ctx: Context, text: str) -> str:
    host = urlsplit(json.loads(text)["url"]).hostname
    try:
        return urllib.parse.quote(host or "")
    except httpx.HTTPError as problem:
        raise httpx.InvalidURL("no") from problem
