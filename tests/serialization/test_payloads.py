"""Single values: results, signals, published values, heartbeat details."""

import dataclasses
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.errors import ConfigurationError, DecodeError, EncodeError, PayloadTooLarge
from perdure.serialization import Compression, Payloads

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@dataclasses.dataclass
class Approval:
    by: str
    amount: float | None = None


@given(PLAIN)
def test_plain_data_comes_back_as_it_was(value: Any) -> None:
    payloads = Payloads()

    assert payloads.decode(payloads.encode(value)) == value


@given(PLAIN)
def test_the_digest_of_a_payload_is_the_same_after_another_round(value: Any) -> None:
    payloads = Payloads()
    payload = payloads.encode(value)

    assert payloads.digest(payload) == payloads.digest(payloads.encode(payloads.decode(payload)))


def test_a_value_is_readable_json() -> None:
    assert Payloads().encode(Approval("ann", 1.5), Approval) == b'{"by":"ann","amount":1.5}'


def test_a_value_of_another_type_is_refused_with_its_path() -> None:
    with pytest.raises(EncodeError, match=r"isn't list\[.*Approval\].*at \[1\]\.by") as caught:
        Payloads().encode([Approval("ann"), Approval(5)], list[Approval])  # type: ignore[arg-type]

    assert caught.value.path == "[1].by"


def test_a_value_that_json_would_turn_into_text_is_refused_for_a_str() -> None:
    with pytest.raises(EncodeError, match="expected str, got bytes"):
        Payloads().encode(b"x", str)


def test_inf_is_refused() -> None:
    with pytest.raises(EncodeError, match="at amount"):
        Payloads().encode(Approval("ann", float("inf")), Approval)
    with pytest.raises(EncodeError):
        Payloads().encode(float("nan"), float)


@pytest.mark.parametrize("depth", [100, 330, 600, 950, 5000])
@pytest.mark.parametrize("bottom", [None, 1, float("inf")])
def test_what_is_nested_deeply_comes_back_or_is_refused(depth: int, bottom: object) -> None:
    payloads, value = Payloads(), bottom
    for _ in range(depth):
        value = [value]

    try:
        payload = payloads.encode(value)
    except EncodeError:
        return

    assert payloads.digest(payload)
    assert payloads.encode(payloads.decode(payload)) == payload


def test_a_stored_payload_of_another_type_is_a_decode_error() -> None:
    with pytest.raises(DecodeError, match="isn't Approval"):
        Payloads().decode(b'{"who":1}', Approval)


@pytest.mark.parametrize("junk", [b"", b"{", b"\xff", b"[" * 100_000])
def test_junk_is_a_decode_error_for_reading_and_for_its_digest(junk: Any) -> None:
    with pytest.raises(DecodeError):
        Payloads().decode(junk)
    with pytest.raises(DecodeError):
        Payloads().digest(b"{" + junk)


def test_an_annotation_that_cannot_be_served_is_an_error_of_the_side_that_meets_it() -> None:
    with pytest.raises(EncodeError, match="tell them apart"):
        Payloads().encode("x", bytes | str)
    with pytest.raises(DecodeError, match="tell them apart"):
        Payloads().decode(b'"x"', bytes | str)
    assert "tell them apart" in Payloads().check(bytes | str)[0]
    assert Payloads().check(Approval) == []


def test_annotations_that_have_no_hash_work() -> None:
    annotation = Annotated[int, msgspec.Meta(extra={"a": []})]

    assert Payloads().decode(Payloads().encode(5, annotation), annotation) == 5


class TestTheLimit:
    def test_holds_for_the_stored_size(self) -> None:
        with pytest.raises(PayloadTooLarge, match=r"; \.body\[1\] takes 5,002 bytes"):
            Payloads(limit_bytes=4000).encode({"head": "x", "body": ["a", "y" * 5000]})

        assert len(Payloads(limit_bytes=4000, codecs=[Compression()]).encode("y" * 5000)) < 100

    def test_allows_exactly_its_number_of_bytes(self) -> None:
        assert len(Payloads(limit_bytes=10).encode("x" * 8)) == 10
        with pytest.raises(PayloadTooLarge):
            Payloads(limit_bytes=10).encode("x" * 9)

    def test_must_be_positive(self) -> None:
        with pytest.raises(ConfigurationError):
            Payloads(limit_bytes=0)


def test_subclasses_of_simple_types_are_stored_as_their_base() -> None:
    class Name(str):
        __slots__ = ()

    class Count(int):
        pass

    class Share(float):
        pass

    value: dict[str, Any] = {"a": Name("x"), "b": Count(1), "c": Share(0.5)}

    assert Payloads().encode(value) == b'{"a":"x","b":1,"c":0.5}'
    assert Payloads().encode(Name("x"), str) == b'"x"'
    with pytest.raises(EncodeError, match="at amount"):
        Payloads().encode(Approval("x", Share("inf")))
