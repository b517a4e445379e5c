"""The tree of the go-workflows benchmark: `tree --runs 40 --depth 2 --fanout 2 --leaffanout 2 --activities 2 --resultsize 100`.

A root starts `fanout` sub-workflows, and so do these, `depth` levels of them. Each of the last level starts `leaffanout`
leaves, and each leaf its activities side by side. All roots are started at once. Two differences: there a workflow returns
nothing, here the length of the results below it, so that they can be checked; and the whole is done `times` times in a row,
for once is over in a fraction of a second. `rate_of_first` is what one time alone would have shown.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import msgspec

from benchmarks.case import Case, Measured, Target, at_least, rate
from benchmarks.measuring import keep_in_flight, measured, percentiles, stretch
from benchmarks.verification import Expected, check
from perdure import App, Client, Context, Instance, Orchestrator, Workflow, activity, workflow


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How the tree goes on from a workflow."""

    depth: int
    fanout: int
    leaffanout: int
    activities: int
    resultsize: int

    def below(self) -> Shape:
        return msgspec.structs.replace(self, depth=self.depth - 1)

    @property
    def leaves(self) -> int:
        """Under one root."""
        leaves: int = self.fanout**self.depth * self.leaffanout
        return leaves

    @property
    def mids(self) -> int:
        """Under one root."""
        return sum(self.fanout**level for level in range(1, self.depth + 1))


@activity
async def payload(size: int) -> str:
    """A result of that many characters."""
    return "x" * size


@workflow
async def leaf(ctx: Context, shape: Shape) -> int:
    """The activities, side by side."""
    results = await asyncio.gather(*(ctx.execute_activity(payload, shape.resultsize) for _ in range(shape.activities)))
    return sum(map(len, results))


@workflow
async def mid(ctx: Context, shape: Shape) -> int:
    """More of its kind, or leaves."""
    if shape.depth:
        below = [ctx.execute_sub_workflow(mid, shape.below()) for _ in range(shape.fanout)]
    else:
        below = [ctx.execute_sub_workflow(leaf, shape) for _ in range(shape.leaffanout)]
    return sum(await asyncio.gather(*below))


@workflow
async def root(ctx: Context, shape: Shape) -> int:
    """The first level."""
    return sum(await asyncio.gather(*(ctx.execute_sub_workflow(mid, shape.below()) for _ in range(shape.fanout))))


app = App(workflows=[root, mid, leaf], activities=[payload])


async def run(store: str, *, runs: int, times: int, **shape: int) -> Measured:
    """Start all roots, and wait for each; then again."""
    tree = Shape(**shape)
    workflows = runs * (1 + tree.mids + tree.leaves)
    async with Orchestrator(store, app) as perdure:

        async def one(number: int) -> None:
            await perdure.run(root.with_options(instance_id=f"root-{turn}-{number}"), tree)

        latencies: list[float] = []
        with stretch(perdure) as took:
            for turn in range(times):
                began = time.perf_counter()
                latencies += await keep_in_flight(runs, runs, one)
                if turn == 0:
                    first_seconds = time.perf_counter() - began
        figures = took.per_unit(times * workflows) | percentiles(latencies)
        return await measured(perdure, figures | {"rate_of_first": workflows / first_seconds}, in_flight=runs)


async def verify(store: str, *, runs: int, times: int, **shape: int) -> dict[str, int]:
    """Every level, each workflow with as much below it as it has started."""
    tree = Shape(**shape)
    if tree.fanout != tree.leaffanout:
        raise ValueError("the histories of the inner levels would differ in length: give both the same fan-out")
    roots = runs * times
    per_leaf = tree.activities * tree.resultsize
    async with Client(store, app) as client:
        leaves_below = await _leaves_below(client)
        return await check(
            client,
            _expected(root, roots, lambda _: tree.leaves * per_leaf, "SubWorkflow", tree.fanout),
            _expected(mid, roots * tree.mids, lambda own: leaves_below[own] * per_leaf, "SubWorkflow", tree.fanout),
            _expected(leaf, roots * tree.leaves, lambda _: per_leaf, "Activity", tree.activities),
        )


async def _leaves_below(client: Client) -> Counter[str]:
    """How many leaves each inner workflow has below it, on whatever level."""
    above = {each.instance_id: _parent_of(each) async for each in client.list(workflow=mid)}
    leaves: Counter[str] = Counter()
    async for each in client.list(workflow=leaf):
        parent = _parent_of(each)
        while parent in above:
            leaves[parent] += 1
            parent = above[parent]
    return leaves


def _parent_of(instance: Instance) -> str:
    return instance.parent.instance_id if instance.parent else ""


def _expected(
    workflow: Workflow[..., int], count: int, result: Callable[[str], object], what: str, number: int
) -> Expected:
    return Expected(
        workflow=workflow,
        count=count,
        result=result,
        events=("ExecutionStarted", *(f"{what}Scheduled", f"{what}Completed") * number, "ExecutionCompleted"),
        in_order=False,
    )


CASE = Case(
    name="tree",
    summary="the go-workflows benchmark's tree of sub-workflows: 40 roots, 600 workflows, 640 activities",
    run=run,
    verify=verify,
    measures=(
        rate("workflows", Target(bound=4_000), Target(bound=6_000, store="memory")),
        at_least("rate_of_first", "workflows/s"),
    ),
    scale={"runs": 40, "times": 5, "depth": 2, "fanout": 2, "leaffanout": 2, "activities": 2, "resultsize": 100},
    quick={"runs": 2, "times": 2, "depth": 1, "fanout": 2, "leaffanout": 2, "activities": 2, "resultsize": 10},
)
