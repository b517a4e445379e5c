from perdure import Context, workflow


@workflow
async def route(ctx: Context, towns: list[str]) -> list[str]:
    unique = list(dict.fromkeys(towns))
    seen: set[str] = set()
    kept: list[str] = []
    for town in towns:
        if town not in seen:
            seen.add(town)
            kept.append(town)
    ordered = sorted(seen & set(unique))
    return [*kept, *ordered]
