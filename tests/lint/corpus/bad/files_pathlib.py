from pathlib import Path

from perdure import Context, workflow

FOLDER = Path("/srv/orders")


@workflow
async def archive(ctx: Context, name: str, target: Path) -> str:
    order = FOLDER / f"{name}.json"
    if not order.exists():  # expect: PRD106
        return "nothing"
    target.mkdir()  # expect: PRD106
    return (FOLDER / name).with_suffix(".txt").read_text()  # expect: PRD106
