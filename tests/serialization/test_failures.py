"""Exceptions as data: what is kept, what is bounded, and that nothing makes it fail."""

import asyncio
from typing import Any

import msgspec
import pytest

from perdure.errors import ActivityError, ActivityTimeout, PermanentError
from perdure.model.event import ActivityFailed
from perdure.model.failure import Failure, plain_failure
from perdure.serialization import Encryption, Payloads, decode_pending, encode_pending, to_failure

PAYLOADS = Payloads()


class PaymentError(Exception):
    pass


class PaymentDeclined(PaymentError, ValueError):
    pass


def caught(raising: Any) -> BaseException:
    try:
        raising()
    except BaseException as error:
        return error
    raise AssertionError


def raise_chain() -> None:
    try:
        int("x")
    except ValueError as problem:
        raise PaymentDeclined("declined", 402) from problem


def record(error: BaseException) -> Failure:
    failure = to_failure(error, PAYLOADS)
    # Whatever was recorded must be storable.
    stored = decode_pending(encode_pending(ActivityFailed(at=1, number=1, failure=failure)))
    assert isinstance(stored, ActivityFailed)
    assert stored.failure == failure
    return failure


def test_the_class_and_its_bases_are_named_nearest_first() -> None:
    assert record(PaymentDeclined()).types == (
        f"{__name__}:PaymentDeclined",
        f"{__name__}:PaymentError",
        "builtins:ValueError",
        "builtins:Exception",
    )
    assert record(asyncio.CancelledError()).types == ("asyncio.exceptions:CancelledError",)


def test_message_arguments_and_traceback_are_kept() -> None:
    failure = record(caught(raise_chain))

    assert failure.message == "('declined', 402)"
    assert failure.arguments == b'["declined",402]'
    assert "raise_chain" in failure.traceback
    assert failure.traceback.rstrip().endswith("PaymentDeclined: ('declined', 402)")


def test_the_cause_is_a_failure_of_its_own() -> None:
    failure = record(caught(raise_chain))

    assert failure.cause is not None
    assert failure.cause.types[0] == "builtins:ValueError"
    assert "invalid literal" not in failure.traceback
    assert "invalid literal" in failure.cause.traceback


def test_the_context_counts_unless_it_was_suppressed() -> None:
    def while_handling() -> None:
        try:
            raise KeyError("a")
        except KeyError:
            raise PaymentError("b")  # noqa: B904

    def from_none() -> None:
        try:
            raise KeyError("a")
        except KeyError:
            raise PaymentError("b") from None

    recorded = record(caught(while_handling))
    assert recorded.cause is not None
    assert recorded.cause.type_name == "KeyError"
    assert record(caught(from_none)).cause is None


def test_a_group_keeps_its_parts() -> None:
    failure = record(ExceptionGroup("two", [ValueError("a"), ExceptionGroup("inner", [PaymentError("b")])]))

    assert failure.message == "two"
    assert [child.type_name for child in failure.children] == ["ValueError", "ExceptionGroup"]
    assert failure.children[1].children[0].message == "b"


def test_arguments_that_json_would_change_are_left_out() -> None:
    for argument in ((1, 2), b"x", object(), {1: 2}, float("inf"), PaymentError(), [object()]):
        assert record(PaymentError(argument)).arguments is None
    assert record(PaymentError({"a": [1, None, "x", 1.5, True]})).arguments is not None


def test_arguments_are_a_payload_and_go_through_codecs() -> None:
    payloads = Payloads(codecs=[Encryption({"k": b"k" * 16}, "k")])

    arguments = to_failure(PaymentError("secret"), payloads).arguments

    assert arguments is not None
    assert b"secret" not in arguments
    assert payloads.decode(arguments) == ["secret"]


class TestThePermanentFlag:
    def test_is_of_permanent_errors_and_their_subclasses(self) -> None:
        class Fatal(PermanentError):
            pass

        assert record(Fatal()).permanent
        assert not record(ValueError()).permanent

    def test_survives_wrapping_at_its_own_level(self) -> None:
        def wrapped() -> None:
            try:
                raise PermanentError("no")
            except PermanentError as problem:
                raise ValueError("wrapped") from problem

        failure = record(caught(wrapped))

        assert failure.cause is not None
        assert failure.cause.permanent

    def test_is_not_lost_with_what_there_is_no_room_for(self) -> None:
        many: list[Exception] = [ValueError(str(number)) for number in range(500)]
        deep: BaseException = PermanentError("at the bottom")
        for _ in range(100):
            wrapper = ValueError("wrapper")
            wrapper.__cause__ = deep
            deep = wrapper

        assert record(ExceptionGroup("many", [*many, PermanentError("last")])).permanent
        assert any_permanent(record(deep))
        assert not any_permanent(record(ExceptionGroup("many", many)))


def any_permanent(failure: Failure) -> bool:
    cause = failure.cause is not None and any_permanent(failure.cause)
    return failure.permanent or cause or any(any_permanent(child) for child in failure.children)


class TestBounds:
    def test_long_texts_lose_their_middle(self) -> None:
        failure = record(ValueError("a" * 100_000 + "end"))

        assert len(failure.message) < 17_000
        assert failure.message.endswith("end")
        assert failure.arguments is None
        assert len(failure.traceback) < 17_000

    def test_a_deep_recursion_keeps_the_last_frames(self) -> None:
        def recurse(depth: int) -> None:
            if not depth:
                raise ValueError("deep")
            recurse(depth - 1)

        failure = record(caught(lambda: recurse(200)))

        assert len(failure.traceback) < 17_000
        assert failure.traceback.rstrip().endswith("ValueError: deep")

    def test_a_chain_that_bites_its_tail_ends(self) -> None:
        first, second = ValueError("first"), ValueError("second")
        first.__cause__, second.__cause__ = second, first

        failure = record(first)

        assert failure.cause is not None
        assert failure.cause.cause is None

    def test_long_chains_and_wide_groups_are_cut(self) -> None:
        deep = ValueError("bottom")
        for _ in range(5000):
            wrapper = ValueError("wrapper")
            wrapper.__cause__ = deep
            deep = wrapper
        wide = ExceptionGroup("wide", [ExceptionGroup("w", [ValueError("x")] * 50) for _ in range(50)])

        assert len(msgspec.msgpack.encode(record(deep))) < 100_000
        assert len(msgspec.msgpack.encode(record(wide))) < 100_000


class TestHostileExceptions:
    def test_whose_str_raises(self) -> None:
        class Silent(Exception):
            def __str__(self) -> str:
                raise RuntimeError("no")

        assert "can't be read" in record(Silent()).message

    def test_whose_text_is_no_unicode(self) -> None:
        failure = record(ValueError("\ud800 \0"))

        assert failure.message == "\\ud800 \0"
        assert failure.arguments is None

    def test_whose_attributes_raise(self) -> None:
        class Hostile(Exception):
            @property
            def args(self) -> None:  # type: ignore[override]
                raise RuntimeError("no")

            def __getattribute__(self, name: str) -> None:
                raise RuntimeError(name)

        assert record(Hostile("x")).type_name

    def test_whose_metaclass_raises(self) -> None:
        class Meta(type):
            def __getattribute__(cls, name: str) -> None:
                raise RuntimeError(name)

        class Hostile(Exception, metaclass=Meta):
            pass

        assert record(Hostile("x")).types

    def test_that_are_no_exceptions_in_the_narrow_sense(self) -> None:
        for error in (SystemExit(1), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError("x")):
            assert record(error).type_name == type(error).__qualname__

    @pytest.mark.parametrize(
        "error", [UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), OSError(2, "no", "file"), SyntaxError("x")]
    )
    def test_that_have_arguments_of_their_own(self, error: Any) -> None:
        assert record(error).message == str(error)


class TestWrappers:
    def test_cross_as_the_failure_that_they_carry(self) -> None:
        original = Failure(types=("shop:Declined", "builtins:Exception"), message="no")

        assert record(ActivityError("no", original)) == original

    def test_a_timeout_keeps_its_own_name(self) -> None:
        failure = plain_failure("ActivityTimeout", "30 s")

        assert record(ActivityTimeout("30 s", failure)) == failure

    def test_without_a_failure_are_exceptions_like_others(self) -> None:
        assert record(ActivityError("no")).type_name == "ActivityError"

    def test_of_the_users_own_cross_as_themselves(self) -> None:
        class ShopError(ActivityError):
            pass

        assert record(ShopError("no", plain_failure("X", "x"))).type_name.endswith("ShopError")
