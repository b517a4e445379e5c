"""The user's converters, and those that are built in."""

import dataclasses
import datetime as dt
import uuid
from pathlib import PurePosixPath
from typing import Any, Generic, TypeVar, get_args

import pytest

from perdure.errors import ArgumentsError, DecodeError, EncodeError
from perdure.serialization import Payloads

T = TypeVar("T")


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and other.cents == self.cents

    def __hash__(self) -> int:
        return hash(self.cents)


class Crate(Generic[T]):
    def __init__(self, content: T) -> None:
        self.content = content


class MoneyConverter:
    def claims(self, kind: type, /) -> bool:
        return issubclass(kind, Money)

    def encode(self, value: Any, /) -> object:
        return {"cents": value.cents}

    def decode(self, data: Any, annotation: Any, /) -> Any:
        if not isinstance(data, dict):
            raise ValueError("money is an object")
        return Money(data["cents"])


class CrateConverter:
    def claims(self, kind: type, /) -> bool:
        return kind is Crate

    def encode(self, value: Any, /) -> object:
        return [value.content]

    def decode(self, data: Any, annotation: Any, /) -> Any:
        (kind,) = get_args(annotation) or (Any,)
        return Crate(kind(data[0]))


class PathsAsNumbers:
    def claims(self, kind: type, /) -> bool:
        return issubclass(kind, PurePosixPath)

    def encode(self, value: Any, /) -> object:
        return len(str(value))

    def decode(self, data: Any, annotation: Any, /) -> Any:
        return annotation("x" * data)


@dataclasses.dataclass
class Bill:
    total: Money
    parts: list[Money]
    discount: Money | None = None


PAYLOADS = Payloads(converters=[MoneyConverter(), CrateConverter(), PathsAsNumbers()])


def test_a_users_type_is_stored_in_any_place() -> None:
    bill = Bill(Money(5), [Money(1), Money(4)])

    assert PAYLOADS.encode(bill, Bill) == b'{"total":{"cents":5},"parts":[{"cents":1},{"cents":4}],"discount":null}'
    assert PAYLOADS.decode(PAYLOADS.encode(bill, Bill), Bill) == bill
    assert PAYLOADS.check(Bill) == []


def test_without_its_converter_it_is_refused_with_its_path() -> None:
    assert "no converter knows" in Payloads().check(Bill)[0]
    with pytest.raises(EncodeError, match=r"Money can't be stored.*at total"):
        Payloads().encode(Bill(Money(5), []))


def test_the_arguments_of_an_alias_reach_the_converter() -> None:
    assert PAYLOADS.decode(b'["5"]', Crate[int]).content == 5


def test_the_first_that_claims_a_class_has_it() -> None:
    assert PAYLOADS.encode(PurePosixPath("abc")) == b"3"
    assert PAYLOADS.decode(b"3", PurePosixPath) == PurePosixPath("xxx")


def test_what_a_converter_raises_on_reading_is_a_decode_error() -> None:
    for junk in (b'{"total":5,"parts":[]}', b'{"total":{},"parts":[]}'):
        with pytest.raises(DecodeError):
            PAYLOADS.decode(junk, Bill)


def test_what_a_converter_raises_on_writing_is_an_encode_error_with_the_path() -> None:
    broken = Money(1)
    del broken.cents

    with pytest.raises(EncodeError, match=r"no attribute 'cents'.*at parts\[0\]"):
        PAYLOADS.encode(Bill(Money(1), [broken]), Bill)


def test_inf_in_what_a_converter_gives_is_refused() -> None:
    with pytest.raises(EncodeError, match="at total"):
        PAYLOADS.encode(Bill(Money(float("inf")), []), Bill)  # type: ignore[arg-type]
    with pytest.raises(EncodeError):
        Payloads().encode(complex(float("nan"), 1), complex)


def test_subclasses_that_drivers_return_are_stored_as_what_they_stand_for() -> None:
    class DriverUuid(uuid.UUID):
        pass

    class DriverTime(dt.datetime):
        pass

    at = DriverTime(2024, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)

    async def function(order_id: uuid.UUID, at: dt.datetime) -> None: ...

    schema = Payloads().call(function)
    ((found_id, found_at), _) = schema.decode(schema.encode((DriverUuid(int=5), at), {}).payload)

    assert found_id == uuid.UUID(int=5)
    assert found_at == at


def test_text_that_is_no_path_or_address_is_a_decode_error() -> None:
    import ipaddress

    with pytest.raises(DecodeError, match="IPv4Address: Octet 300"):
        Payloads().decode(b'"300.0.0.1"', ipaddress.IPv4Address)
    with pytest.raises(ArgumentsError):

        async def function(a: ipaddress.IPv4Address) -> None: ...

        Payloads().call(function).encode(("300.0.0.1",), {})
