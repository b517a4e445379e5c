"""What strangers wrote, in a terminal and as JSON."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from click.testing import CliRunner
from httpx import AsyncClient

from perdure.cli.commands import perdure
from tests.diagnostics.hostile.programs import ended
from tests.diagnostics.hostile.texts import BYTES, TEXTS

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"


def call(store: str, *arguments: str) -> str:
    environment = {"PERDURE_STORE": store, "PERDURE_APP": None, "COLUMNS": "300"}
    result = CliRunner().invoke(perdure, arguments, env=environment, prog_name="perdure")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 0, result.output
    return result.output


def unseen(output: str) -> set[str]:
    """What moves the cursor, colours what comes behind, or turns its neighbours about."""
    return {each for each in output if unicodedata.category(each) in _UNSEEN and each not in ("\n", *_JOINERS)}


def test_a_list_is_text(hostile_store: str) -> None:
    output = call(hostile_store, "list", "--limit", "500")

    assert unseen(output) == set()
    assert TEXTS["markup"] in output


@pytest.mark.parametrize("instance_id", [*TEXTS.values(), *map(ended, TEXTS)], ids=[*TEXTS, *map(ended, TEXTS)])
def test_an_instance_is_text(hostile_store: str, instance_id: str) -> None:
    assert unseen(call(hostile_store, "show", "--", instance_id)) == set()


@pytest.mark.parametrize(
    "instance_id", [f"{kind} {name}" for kind in ("bytes", "signal") for name in BYTES] + ["bytes closed"]
)
def test_a_payload_is_text(hostile_store: str, instance_id: str) -> None:
    assert unseen(call(hostile_store, "show", instance_id)) == set()


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_json_has_it_as_it_is(hostile_store: str, text: str) -> None:
    output = call(hostile_store, "show", "--json", "--", text)

    ids: list[str] = []
    json.loads(output, object_hook=lambda found: ids.append(found.get("instance_id", "")))
    assert text in ids
    assert "\x1b" not in output


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_the_api_has_it_as_it_is(hostile_address: str, text: str) -> None:
    async with AsyncClient(base_url=hostile_address) as http:
        answer = await http.get("/api/instance", params={"id": text})
        listed = await http.get("/api/instances", params={"workflow": text, "tags": f"{text[:100]}={text}"})

    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    facts = answer.json()["facts"]
    assert (facts["instance_id"], facts["workflow"], facts["queue"]) == (text, text, text)
    assert facts["tags"] == {text[:100]: text}
    assert {each["workflow"] for each in listed.json()["instances"]} == {text} or re.search("=", text[:100])
