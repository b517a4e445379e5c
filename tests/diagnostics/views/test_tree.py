"""Sub-workflows below, and the way up."""

from __future__ import annotations

import pytest

from perdure.diagnostics.look import Look
from perdure.diagnostics.views.tree import Tree, read_tree
from perdure.errors import InstanceNotFound
from perdure.orchestrator import Orchestrator
from tests.diagnostics.views.programs import family
from tests.worker.support import until_async


async def grown(perdure: Orchestrator, children: int, generations: int) -> None:
    await perdure.start(family.with_options(instance_id="top"), children, generations)
    whole: int = sum(children**each for each in range(generations + 1))

    async def is_grown() -> bool:
        return sum((await perdure.count(workflow="family")).values()) == whole

    await until_async(is_grown)


def depths(tree: Tree) -> list[int]:
    return [node.depth for node in tree.nodes]


async def test_each_one_stands_behind_its_parent(perdure: Orchestrator, look: Look) -> None:
    await grown(perdure, 2, 2)

    tree = await read_tree(look, "top")

    assert depths(tree) == [0, 1, 2, 2, 1, 2, 2]
    assert [node.children for node in tree.nodes] == [2, 2, 0, 0, 2, 0, 0]
    assert tree.is_whole
    assert not any(node.has_more for node in tree.nodes)
    assert tree.path == ()
    for place, node in enumerate(tree.nodes[1:], start=1):
        parent = next(each for each in reversed(tree.nodes[:place]) if each.depth == node.depth - 1)
        assert node.facts.parent_id == parent.facts.instance_id


async def test_the_way_up_leads_from_the_topmost(perdure: Orchestrator, look: Look) -> None:
    await grown(perdure, 1, 3)
    leaf = (await read_tree(look, "top")).nodes[-1].facts.instance_id

    tree = await read_tree(look, leaf)

    assert tree.path[0].instance_id == "top"
    assert len(tree.path) == 3
    assert tree.path[-1].instance_id == tree.nodes[0].facts.parent_id


async def test_it_is_cut_at_so_many_and_so_deep(perdure: Orchestrator, look: Look) -> None:
    await grown(perdure, 3, 2)

    few = await read_tree(look, "top", most=6)
    flat = await read_tree(look, "top", deepest=1)
    alone = await read_tree(look, "top", most=1)

    assert len(few.nodes) == 6
    assert not few.is_whole
    assert any(node.has_more for node in few.nodes)
    assert depths(flat) == [0, 1, 1, 1]
    assert [node.has_more for node in flat.nodes] == [False, True, True, True]
    assert [node.has_more for node in alone.nodes] == [True]


async def test_nobody_is_not_found(look: Look) -> None:
    with pytest.raises(InstanceNotFound):
        await read_tree(look, "nobody")
