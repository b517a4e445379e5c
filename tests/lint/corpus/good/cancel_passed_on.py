import asyncio

from perdure import Context, activity, workflow


@activity
async def book(city: str) -> str:
    return city


@workflow
async def trip(ctx: Context) -> str:
    try:
        return await ctx.execute_activity(book, "Lisbon")
    except asyncio.CancelledError:
        async with ctx.disconnected() as cleanup:
            await cleanup.execute_activity(book, "nowhere")
        raise
    except Exception as problem:
        return f"failed: {problem}"
