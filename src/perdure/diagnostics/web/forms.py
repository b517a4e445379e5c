"""Forms as browsers send them, and from their fields to what an action takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from perdure.diagnostics.actions.inputs import Input, InputKind, Inputs
from perdure.errors import ConfigurationError

_TYPE = "application/x-www-form-urlencoded"


async def fields_of(request: Request) -> dict[str, str]:
    """Raises HTTPException."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != _TYPE:
        raise HTTPException(415, "This takes forms alone.")
    try:
        return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        raise HTTPException(400, "This is no form.") from None


def inputs_of(wanted: Sequence[Input], fields: Mapping[str, str]) -> Inputs:
    """Raises ConfigurationError that says which one is wrong."""
    given: dict[str, Any] = {}
    for each in wanted:
        text = fields.get(each.name, "")
        if text.strip():
            given[each.name] = _read(each, text)
        elif each.is_required:
            raise ConfigurationError(f"{each.label} is needed: {each.help}")
    try:
        return msgspec.convert(given, Inputs)
    except msgspec.ValidationError as problem:
        raise ConfigurationError(str(problem)) from None


def _read(wanted: Input, text: str) -> Any:
    match wanted.kind:
        case InputKind.NUMBER:
            if not text.strip().isdecimal():
                raise ConfigurationError(f"{wanted.label}: {text!r} is no number")
            return int(text)
        case InputKind.JSON:
            try:
                return msgspec.json.decode(text)
            except msgspec.DecodeError as problem:
                raise ConfigurationError(
                    f"{wanted.label} is no JSON: {problem}. A text stands in double quotes."
                ) from None
        case InputKind.TEXT:
            return text
