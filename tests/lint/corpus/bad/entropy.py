import os
import secrets

from perdure import Context, workflow


@workflow
async def token(ctx: Context) -> str:
    salt = os.urandom(8)  # expect: PRD104
    return secrets.token_hex(16) + salt.hex()  # expect: PRD104
