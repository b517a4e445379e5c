"""Many instances through the way that `perdure copy` takes, where rows can't be copied by a statement."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from perdure.backends.connect import connect
from perdure.clock import random_id
from perdure.model.inspection import ExportedInstance, InstanceFilter

_AT_ONCE = 500


async def multiply(url: str, templates: Mapping[str, int]) -> None:
    """Import copies of the instances of these ids, which end in zeros, until there are so many of each."""
    backend = connect(url)
    await backend.open()
    try:
        for template, count in templates.items():
            [exported] = [each async for each in backend.export_instances(InstanceFilter(id_prefix=template))]
            numbers = iter(range(count - 1, 0, -1))

            async def importer(exported: ExportedInstance = exported, numbers: Any = numbers) -> None:
                for number in numbers:
                    await backend.import_instance(_numbered(exported, number))

            async with asyncio.TaskGroup() as group:
                for _ in range(_AT_ONCE):
                    group.create_task(importer())
    finally:
        await backend.close()


def _numbered(exported: ExportedInstance, number: int) -> ExportedInstance:
    instance_id = f"{exported.instance_id[:-8]}{number:08d}"
    execution_id = random_id()
    tables = {
        name: [row | {"execution_id": execution_id} if "execution_id" in row else row for row in rows]
        for name, rows in exported.tables.items()
    }
    row: dict[str, Any] = tables["instances"][0]
    earlier = {at: row[at] - 2 * number for at in ("created_at", "updated_at", "ended_at") if row[at] is not None}
    tables["instances"] = [row | earlier | {"instance_id": instance_id, "request_id": random_id()}]
    return msgspec.structs.replace(exported, instance_id=instance_id, tables=tables)
