"""Sub-workflows below an instance, and the way up to the topmost one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

import msgspec

from perdure.diagnostics.look import Look
from perdure.diagnostics.views.instances import InstanceFacts, facts_of
from perdure.errors import InstanceNotFound
from perdure.model.inspection import Page
from perdure.model.instance import Instance


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """An instance in the tree."""

    facts: InstanceFacts
    depth: int
    """0 for the instance itself."""
    children: int
    """How many of its sub-workflows are in this tree."""
    has_more: bool
    """Whether it has, or may have, others that were left out."""


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """An instance among those that it started, and that started it."""

    path: tuple[InstanceFacts, ...]
    """From the topmost instance that is still there down to the parent."""
    nodes: tuple[Node, ...]
    """Each one behind its parent, its children in the order of their start (depth first): the first is the instance itself."""
    is_whole: bool


_AT_ONCE = 8
"""Instances whose sub-workflows are asked for side by side."""
_HIGHEST = 50
_MOST_CHILDREN = 200


async def read_tree(look: Look, instance_id: str, *, most: int = 300, deepest: int = 20) -> Tree:
    """The tree below the instance, read breadth first until there are `most`. Raises InstanceNotFound."""
    instance = await look.client.info(instance_id)
    below: dict[str, tuple[Instance, ...]] = {}
    cut: set[str] = set()
    level, count = [instance], 1
    for _ in range(deepest):
        following: list[Instance] = []
        for place in range(0, len(level), _AT_ONCE):
            parents = level[place : place + _AT_ONCE]
            room = most - count
            if room <= 0:
                cut.update(each.instance_id for each in parents)
                continue
            pages = await asyncio.gather(*(_children(look, each, room) for each in parents))
            for parent, page in zip(parents, pages, strict=True):
                taken = page.items[: most - count]
                if page.cursor is not None or len(taken) < len(page.items):
                    cut.add(parent.instance_id)
                below[parent.instance_id] = taken[::-1]
                count += len(taken)
                following += taken[::-1]
        level = following
    cut.update(each.instance_id for each in level)
    path = await _path(look, instance)
    return Tree(path=path, nodes=tuple(_nodes(instance, below, cut)), is_whole=not cut)


async def _children(look: Look, parent: Instance, limit: int) -> Page[Instance]:
    return await look.client.page(parent_instance_id=parent.instance_id, limit=min(limit, _MOST_CHILDREN))


async def _path(look: Look, instance: Instance) -> tuple[InstanceFacts, ...]:
    path: list[InstanceFacts] = []
    while instance.parent is not None and len(path) < _HIGHEST:
        try:
            instance = await look.client.info(instance.parent.instance_id)
        except InstanceNotFound:
            break
        path.append(facts_of(instance))
    return tuple(reversed(path))


def _nodes(root: Instance, below: Mapping[str, tuple[Instance, ...]], cut: AbstractSet[str]) -> Iterator[Node]:
    waiting = [(root, 0)]
    while waiting:
        instance, depth = waiting.pop()
        children = below.get(instance.instance_id, ())
        has_more = instance.instance_id in cut
        yield Node(facts=facts_of(instance), depth=depth, children=len(children), has_more=has_more)
        waiting += [(child, depth + 1) for child in reversed(children)]
