from perdure import Context, workflow

names: list[str] = []


def extend(names: list[str], name: str) -> list[str]:
    names.append(name)
    return names


@workflow
async def order(ctx: Context) -> list[str]:
    global_names = list(names)
    return extend(global_names, "tea")
