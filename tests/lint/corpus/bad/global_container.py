from collections import defaultdict

from perdure import Context, workflow

CACHE: dict[str, int] = {}
seen = defaultdict(list)
names = []


@workflow
async def remembering(ctx: Context, name: str) -> int:
    CACHE[name] = len(name)  # expect: PRD401
    seen[name].append(1)  # expect: PRD401
    names.append(name)  # expect: PRD401
    del CACHE[name]  # expect: PRD401
    return len(names)
