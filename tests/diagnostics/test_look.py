"""How payloads and failures are shown, whatever is in them."""

from __future__ import annotations

import json

import msgspec
import pytest

from perdure.app import App
from perdure.backends.memory.backend import MemoryBackend
from perdure.client.client import Client
from perdure.diagnostics.look import SHOWN, Look, Payload
from perdure.errors import DecodeError
from perdure.model.reference import divide
from perdure.serialization.codecs import Compression
from perdure.serialization.failures import to_failure
from perdure.serialization.payloads import Payloads


@pytest.fixture
def look() -> Look:
    return Look(Client(MemoryBackend()))


def test_json_is_indented(look: Look) -> None:
    assert look.payload(b'{"a":[1,2],"b":null}') == Payload(
        kind="json", text='{\n  "a": [\n    1,\n    2\n  ],\n  "b": null\n}', size=20
    )


@pytest.mark.parametrize(
    ("stored", "kind"),
    [
        (b"", "text"),
        (b"\x00\x01", "text"),
        (b"no json", "text"),
        (b'"\\ud800"', "text"),  # half of a character: JSON allows it, and no text can hold it
        (b'"\\u0000<script>"', "json"),
        (b'["\xff"]', "binary"),
        (bytes(range(128, 192)), "binary"),
        (b'["' + b'\\"[' * 400_000, "text"),
        (b"[" * 100_000 + b"]" * 100_000, "text or json"),  # how deep is too deep, Python's version says
        (b"[" * 200 + b"1," * 100_000 + b"1" + b"]" * 200, "json"),
        (json.dumps(["x"] * 400_000).encode(), "json"),
        (b'"' + b"x" * 20_000_000 + b'"', "json"),
        (b'"' + "\N{SNOWMAN}".encode() * 100_000 + b'"', "json"),
        (b"\xc1cut off", "closed"),
        (b"\xc1aes-gcm\x00data", "closed"),
        (b"\xc2short", "closed"),
    ],
)  # fmt: skip
def test_whatever_is_stored_is_shown_in_bounded_text(look: Look, stored: bytes, kind: str) -> None:
    shown = look.payload(stored)

    assert shown.kind in kind.split(" or ")
    assert shown.size == len(stored)
    assert len(shown.text) <= SHOWN
    assert (
        shown.is_cut
        or kind == "binary"
        or shown.text.replace("\n", "").replace(" ", "") == stored.decode().replace(" ", "")
    )
    assert msgspec.json.decode(msgspec.json.encode(shown), type=Payload) == shown


def test_what_is_kept_apart_tells_its_size(look: Look) -> None:
    reference, _ = divide(b"x" * 3_000_000, bytes(12))

    shown = look.payload(reference.as_payload())

    assert (shown.kind, shown.size, shown.is_cut) == ("apart", 3_000_000, True)


def test_codecs_of_the_app_open_payloads() -> None:
    packed = App(codecs=[Compression(threshold_bytes=10)])
    stored = packed.payloads.encode(["long"] * 100)

    shown = Look(Client(MemoryBackend(), packed), packed).payload(stored)
    closed = Look(Client(MemoryBackend())).payload(stored)

    assert shown.kind == "json"
    assert shown.size == len(stored)
    assert shown.text.startswith('[\n  "long",')
    assert closed.kind == "closed"
    assert "codec 'zlib'" in closed.reason


async def test_the_whole_can_be_had(look: Look) -> None:
    async with look.client:
        assert await look.open(b'"' + b"x" * 1_000_000 + b'"') == msgspec.structs.replace(
            await look.open(b'""'), data=b'"' + b"x" * 1_000_000 + b'"'
        )
        assert (await look.open(b"\xff")).kind == "binary"
        assert (await look.open(b"no json")).kind == "text"
        with pytest.raises(DecodeError, match="codec 'aes-gcm'"):
            await look.open(b"\xc1aes-gcm\x00data")


def test_a_failure_is_shown_with_its_causes_and_parts(look: Look) -> None:
    try:
        try:
            raise KeyError("coin")
        except KeyError as problem:
            raise ExceptionGroup("two", [ValueError(1), TypeError("b")]) from problem
    except ExceptionGroup as problem:
        failure = to_failure(problem, Payloads())

    shown = look.failure(failure)

    assert (shown.type_name, shown.message) == ("ExceptionGroup", "two")
    assert "raise ExceptionGroup" in shown.traceback
    assert shown.cause is not None
    assert (shown.cause.type_name, shown.cause.message) == ("KeyError", "'coin'")
    assert [child.type_name for child in shown.children] == ["ValueError", "TypeError"]
    assert shown.children[0].arguments == look.payload(b"[1]")
