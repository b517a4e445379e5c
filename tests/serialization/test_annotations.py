"""Which annotations can be payloads: a matrix."""

import collections
import dataclasses
import datetime as dt
import enum
import ipaddress
import re
import types
import uuid
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    LiteralString,
    NamedTuple,
    NewType,
    NoReturn,
    TypedDict,
    TypeVar,
    Union,
)
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
import pytest

from perdure.serialization import Payloads

T = TypeVar("T")
S = TypeVar("S", int, str)


@dataclasses.dataclass
class Data:
    x: int


@dataclasses.dataclass
class Other:
    y: int


@dataclasses.dataclass
class Box(Generic[T]):
    content: T


@dataclasses.dataclass
class HoldsFunction:
    callback: Callable[[], int]


@dataclasses.dataclass
class Node:
    children: list["Node"]
    parent: Union["Node", None] = None


class Cat(msgspec.Struct, tag=True):
    name: str


class Dog(msgspec.Struct, tag=True):
    name: str


class UntaggedA(msgspec.Struct):
    a: int


class UntaggedB(msgspec.Struct):
    b: int


@attrs.define
class Attrs:
    x: int


class Typed(TypedDict, total=False):
    x: int


class Point(NamedTuple):
    x: int
    y: float = 0.0


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Odd(enum.Enum):
    PAIR = (1, 2)


class Model(pydantic.BaseModel):
    x: int


class HoldsModelToo(pydantic.BaseModel):
    model: Model


class Feline(pydantic.BaseModel):
    kind: Literal["feline"] = "feline"


class Canine(pydantic.BaseModel):
    kind: Literal["canine"] = "canine"


@dataclasses.dataclass
class HoldsModel:
    model: Model
    path: Path | None = None


class Plain:
    pass


UserId = NewType("UserId", int)

ACCEPTED = [
    (Any, {"a": [1, None]}),
    (object, [1]),
    (list[object], [1, "a"]),
    (None, None),
    (int, 2**70),
    (float, 1.5),
    (bool, True),
    (str, "é"),
    (bytes, b"\xff"),
    (dt.datetime, dt.datetime(2024, 1, 1, tzinfo=dt.UTC)),
    (dt.datetime, dt.datetime(2024, 1, 1)),
    (dt.date, dt.date(2024, 1, 1)),
    (dt.time, dt.time(1, 2, 3)),
    (dt.timedelta, dt.timedelta(days=-1, microseconds=3)),
    (uuid.UUID, uuid.UUID(int=5)),
    (Decimal, Decimal("1.10")),
    (list[int], [1]),
    (tuple[int, str], (1, "a")),
    (tuple[int, ...], (1, 2)),
    (set[str], {"a", "b"}),
    (frozenset[frozenset[int]], frozenset({frozenset({1}), frozenset({2})})),
    (dict[str, int], {"a": 1}),
    (dict[int, str], {1: "a"}),
    (dict[uuid.UUID, str], {uuid.UUID(int=1): "a"}),
    (dict[Colour, str], {Colour.RED: "a"}),
    (Mapping[str, int], {"a": 1}),
    (Sequence[int], [1]),
    (Data, Data(1)),
    (Box[int], Box(1)),
    (Box[list[Data]], Box([Data(1)])),
    (Node, Node([Node([])])),
    (Cat | Dog, Dog("rex")),
    (Cat | Dog | None, None),
    (Attrs, Attrs(1)),
    (Typed, {"x": 1}),
    (Point, Point(1, 2.0)),
    (Colour, Colour.RED),
    (Level, Level.LOW),
    (Literal["a", 1], "a"),
    (int | str | None, "x"),
    (int | list[int] | str, [1]),
    (UserId, UserId(3)),
    (Annotated[int, msgspec.Meta(ge=0)], 3),
    (T, {"a": 1}),
    (S, "a"),
    (LiteralString, "x"),
    (NoReturn, None),
    (Path, Path("/a/b")),
    (PurePosixPath, PurePosixPath("a")),
    (Path | None, None),
    (list[Path], [Path("a")]),
    (collections.deque[Data], collections.deque([Data(1)])),
    (collections.OrderedDict[str, Data], collections.OrderedDict(a=Data(1))),
    (collections.Counter[str], collections.Counter("aab")),
    (ipaddress.IPv4Address, ipaddress.ip_address("10.0.0.1")),
    (ipaddress.IPv6Network, ipaddress.ip_network("fe80::/64")),
    (Fraction, Fraction(1, 3)),
    (complex, 1.5 + 2j),
    (ZoneInfo, ZoneInfo("UTC")),
    (Model, Model(x=1)),
    (list[Model | None], [Model(x=1), None]),
    (HoldsModel, HoldsModel(Model(x=1), Path("a"))),
    (Feline | Canine, Canine()),
    (Annotated[Feline | Canine, pydantic.Field(discriminator="kind")], Feline()),
    (list[Feline | Canine], [Feline(), Canine()]),
    (Feline | Canine | str | None, "x"),
]
REFUSED = [
    (dt.datetime | str, "tell them apart"),
    (bytes | str, "tell them apart"),
    (Colour | str, "tell them apart"),
    (Data | Other, "tell them apart"),
    (UntaggedA | UntaggedB, "tag"),
    (list[int] | set[int], "tell them apart"),
    (Path | int, "tell them apart"),
    (Model | Data, "tell them apart"),
    (Model | HoldsModelToo, "tell them apart"),
    (list[Model | HoldsModelToo] | None, "tell them apart"),
    (dict[tuple[int, int], str], "keys of a dict"),
    (dict[Data, str], "keys of a dict"),
    (dict[str, dict[bool, int]], "keys of a dict"),
    (Odd, "Enums must contain"),
    (Plain, "no converter knows .*Plain"),
    (list[Plain], "no converter knows .*Plain"),
    (HoldsFunction, "no converter knows .*Callable"),
    (Callable[[], int], "no converter knows"),
    (Generator[int, None, None], "no converter knows"),
    (Iterable[int], "no converter knows"),
    (type[int], "no converter knows"),
    (Exception, "no converter knows builtins.Exception"),
    (re.Pattern[str], "no converter knows"),
    (types.ModuleType, "no converter knows"),
    (collections.defaultdict[str, int], "no converter knows"),
    ("NotThere", "can't be resolved"),
]


def function_of(annotation: Any) -> Callable[..., Any]:
    async def function(x: Any) -> None: ...

    function.__annotations__ = {"x": annotation, "return": annotation}
    return function


def id_of(part: Any) -> str | None:
    """Of a test. A set prints differently from run to run, and a test must have the same name in all processes."""
    return None if isinstance(part, set) else str(part).replace(f"{__name__}.", "")[:60]


@pytest.mark.parametrize(("annotation", "value"), ACCEPTED, ids=id_of)
def test_is_accepted_and_comes_back_equal_and_of_its_type(annotation: Any, value: Any) -> None:
    payloads = Payloads()
    schema = payloads.call(function_of(annotation))

    encoded = schema.encode((value,), {})
    ((decoded,), _) = schema.decode(encoded.payload)

    assert schema.check() == []
    assert decoded == value
    assert type(decoded) is type(value)
    assert schema.decode_result(schema.encode_result(value)) == value
    assert payloads.decode(payloads.encode(value, annotation), annotation) == value
    assert schema.digest_with_todays_types(encoded.payload) == encoded.digest


@pytest.mark.parametrize(("annotation", "reason"), REFUSED, ids=id_of)
def test_is_refused_with_its_reason_for_parameters_and_results(annotation: Any, reason: Any) -> None:
    found = Payloads().call(function_of(annotation)).check()

    assert len(found) == 2
    assert re.search(reason, found[0])
    assert re.search(reason, found[1])
