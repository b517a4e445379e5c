from perdure import Context, workflow


class Watch:
    def time(self) -> int:
        return 7


def open(name: str) -> str:
    return name.upper()


@workflow
async def shadow(ctx: Context, random: list[int]) -> str:
    time = Watch()
    random.sort()
    print = ctx.logger.info
    print("quiet in replay")
    return open("door") + str(time.time())
