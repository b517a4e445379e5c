"""The API's description in OpenAPI 3.1, made from the same rows and structs that answer."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec

from perdure.diagnostics.api.operations import Operation
from perdure.diagnostics.api.problems import MEDIA_TYPE, ProblemDetails

_JSON = "application/json"
_PROBLEMS = {
    "GET": (404, 422, 500, 503),
    "POST": (400, 403, 404, 409, 413, 415, 422, 500, 503),
}


def description(operations: Iterable[Operation]) -> dict[str, Any]:
    """The document, as plain data."""
    schemas = _Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for row in operations:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, schemas)
    problem = {
        "description": "What went wrong, and what to do.",
        "content": _content(MEDIA_TYPE, schemas.of(ProblemDetails)),
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "perdure diagnostics",
            "version": version("perdure"),
            "description": "Instances, queues, workers and schedules of a store, and what can be done to them.",
        },
        "servers": [{"url": "."}],  # where this document is
        "paths": paths,
        "components": {"schemas": schemas.components, "responses": {"Problem": problem}},
    }


class _Schemas:
    """Schemas of types, and the components that these lead to."""

    def __init__(self) -> None:
        self.components: dict[str, Any] = {}

    def of(self, kind: Any) -> dict[str, Any]:
        (schema,), components = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
        self.components |= components
        return schema


def _operation(row: Operation, schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": row.name, "summary": row.summary}
    described["parameters"] = [_parameter(field, schemas) for field in msgspec.structs.fields(row.query)]
    if row.body is not None:
        described["requestBody"] = {"required": True, "content": _content(_JSON, schemas.of(row.body))}
    described["responses"] = {
        str(row.status.value): _answer(row, schemas),
        **{str(status): {"$ref": "#/components/responses/Problem"} for status in _PROBLEMS[row.method]},
    }
    return described


def _answer(row: Operation, schemas: _Schemas) -> dict[str, Any]:
    if row.is_raw:
        return {"description": "The bytes.", "content": {"*/*": {}}}
    return {"description": HTTPStatus(row.status).phrase, "content": _content(_JSON, schemas.of(row.answer))}


def _parameter(field: msgspec.structs.FieldInfo, schemas: _Schemas) -> dict[str, Any]:
    schema = _without_null(schemas.of(field.type))
    described = {"name": field.name, "in": "query", "required": field.required}
    if "description" in schema:
        described["description"] = schema.pop("description")
    return {**described, "schema": schema}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """What may be left out may not be null, in a query."""
    rest = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    return rest[0] if len(rest) == 1 else schema


def _content(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {media_type: {"schema": schema}}
