"""The canonical text: what a digest is taken of."""

import dataclasses
from collections import deque
from hashlib import blake2b
from typing import Any

import msgspec
import pydantic
import pytest

from perdure.serialization import canonical
from perdure.serialization.converters import Converters

CONVERTERS = Converters()


def sorted_text(value: Any) -> bytes:
    return canonical.sort_sets(CONVERTERS.encode(value), value, CONVERTERS)


@dataclasses.dataclass(frozen=True)
class Tagged:
    name: str
    tags: frozenset[Any]
    _private: int = 0


class Renamed(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, tag=True):
    first_number: int = 0
    some_tags: frozenset[int] = frozenset()


class AsArray(msgspec.Struct, frozen=True, array_like=True, tag=7):
    tags: frozenset[int]


class Model(pydantic.BaseModel):
    name: str
    tags: set[int]
    more: list[frozenset[str]] = []


def test_the_digest_is_of_the_text_with_keys_in_the_order_of_their_bytes() -> None:
    text = b'{"b":1,"aa":[{"z":1,"y":2}],"a":3,"\xc3\xa9":4}'
    canonical_text = b'{"a":3,"aa":[{"y":2,"z":1}],"b":1,"\xc3\xa9":4}'

    assert canonical.digest(text) == blake2b(canonical_text, digest_size=16).digest()


def test_a_text_without_objects_is_canonical_as_it_is() -> None:
    assert canonical.digest(b'["x",1]') == canonical.digest_of_scalars(b'["x",1]')


def test_the_order_of_a_list_counts() -> None:
    assert canonical.digest(b"[1,2]") != canonical.digest(b"[2,1]")


# Each holds a set of small ints in a place of its own: Python has 10 before 9 in none of them, bytes have.
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({9, 10, 8}, b"[10,8,9]"),
        ({"x": [{9, 10}]}, b'{"x":[[10,9]]}'),
        ((1, {9, 10}), b"[1,[10,9]]"),
        (deque([{9, 10}]), b"[[10,9]]"),
        (Tagged("n", frozenset({9, 10})), b'{"name":"n","tags":[10,9],"_private":0}'),
        (Renamed(some_tags=frozenset({9, 10})), b'{"type":"Renamed","someTags":[10,9]}'),
        (AsArray(frozenset({9, 10})), b"[7,[10,9]]"),
        (Model(name="m", tags={9, 10}, more=[frozenset("a")]), b'{"name":"m","tags":[10,9],"more":[["a"]]}'),
        ({1, "a", (2, 3)}, b'"[1"'),
        ({frozenset({9, 10}), frozenset({1})}, b"[[10,9],[1]]"),
        ({Tagged("b", frozenset({9, 10})), Tagged("a", frozenset())}, None),
        ({9: {9, 10}}, b'{"9":[10,9]}'),
    ],
)
def test_sets_are_in_the_order_of_their_encoded_bytes_wherever_they_stand(value: Any, text: Any) -> None:
    found = sorted_text(value)

    if text is not None and text.startswith(b'"['):
        assert found == b'["a",1,[2,3]]'
    elif text is not None:
        assert found == text
    else:
        assert found.index(b'"a"') < found.index(b'"b"')
        assert b"[10,9]" in found


def test_a_text_without_sets_is_left_as_it_is() -> None:
    text = b'{"b":[1,2],"a":[3]}'

    assert canonical.sort_sets(text, {"b": [1, 2], "a": [3]}, CONVERTERS) is text


@pytest.mark.parametrize("text", [b"[]", b'[1,"a"]', b"[" + b"1," * 1000 + b"1]"])
def test_the_digest_is_the_blake2b_of_the_text(text: bytes) -> None:
    """Histories have it: it never changes."""
    assert canonical.digest(text) == canonical.digest_of_scalars(text) == blake2b(text, digest_size=16).digest()
