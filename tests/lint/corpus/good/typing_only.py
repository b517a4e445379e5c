from __future__ import annotations

from typing import TYPE_CHECKING

from perdure import Context, workflow

if TYPE_CHECKING:
    import requests


@workflow
async def annotated(ctx: Context, answer: requests.Response) -> str:
    return str(answer)
