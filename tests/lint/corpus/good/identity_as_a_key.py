from perdure import Context, workflow


class Name:
    def __init__(self, text: str) -> None:
        self.text = text

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Name) and id(self) == id(other)


@workflow
async def known(ctx: Context, values: list[Name]) -> int:
    by_identity = {id(value): value for value in values}
    seen: set[int] = set()
    for value in values:
        seen.add(id(value))
    return len([value for value in values if id(value) in by_identity])
