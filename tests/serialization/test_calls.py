"""Calls as payloads: binding, checking, the array, its digest, and code that has changed since."""

import dataclasses
import datetime as dt
import json
import subprocess
import sys
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any, TypedDict, Unpack

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.errors import ArgumentsError, ConfigurationError, DecodeError, EncodeError, PayloadTooLarge
from perdure.serialization import Payloads


@dataclasses.dataclass(frozen=True)
class Item:
    sku: str
    count: int
    price: float | None = None


@dataclasses.dataclass(frozen=True)
class Order:
    id: str
    items: list[Item]
    tags: frozenset[str] = frozenset()
    labels: dict[str, int] = dataclasses.field(default_factory=dict)


class Options(TypedDict, total=False):
    fast: bool
    colour: str


async def charge(ctx: object, order_id: str, cents: int, currency: str = "EUR") -> str:
    raise NotImplementedError


async def ship(order: Order) -> Order:
    raise NotImplementedError


async def everything(a: int, /, b: str, *rest: int, c: bool = False, **others: float) -> None: ...


async def with_options(**options: Unpack[Options]) -> None: ...


async def untyped(value): ...  # type: ignore[no-untyped-def]


CHARGE = Payloads().call(charge, skip=1)
SHIP = Payloads().call(ship)
EVERYTHING = Payloads().call(everything)
UNTYPED = Payloads().call(untyped)


class TestTheArray:
    def test_holds_the_arguments_in_order_with_defaults_filled_in(self) -> None:
        assert CHARGE.encode(("o-1", 5), {}).payload == b'["o-1",5,"EUR"]'

    @pytest.mark.parametrize(
        ("args", "kwargs"),
        [(("o-1", 5, "EUR"), {}), (("o-1",), {"cents": 5}), ((), {"currency": "EUR", "cents": 5, "order_id": "o-1"})],
    )
    def test_is_the_same_however_the_arguments_were_passed(self, args: Any, kwargs: Any) -> None:
        assert CHARGE.encode(args, kwargs) == CHARGE.encode(("o-1", 5), {})

    def test_nests_variadic_arguments(self) -> None:
        payload = EVERYTHING.encode((1, "x", 2, 3), {"c": True, "d": 1.5}).payload

        assert payload == b'[1,"x",[2,3],true,{"d":1.5}]'
        assert EVERYTHING.decode(payload) == ((1, "x", 2, 3), {"c": True, "d": 1.5})

    def test_types_keyword_arguments_by_their_typed_dict(self) -> None:
        schema = Payloads().call(with_options)
        payload = schema.encode((), {"fast": True}).payload

        assert schema.decode(payload) == ((), {"fast": True})
        with pytest.raises(ArgumentsError, match=r"options\.fast: Expected `bool`"):
            schema.encode((), {"fast": "yes"})

    def test_decodes_to_the_annotated_types(self) -> None:
        order = Order("o", [Item("a", 1)], frozenset({"x", "y"}), {"k": 1})

        assert SHIP.decode(SHIP.encode((order,), {}).payload) == ((order,), {})

    def test_of_a_bound_method_leaves_out_self(self) -> None:
        class Payments:
            async def charge(self, cents: int) -> int:
                raise NotImplementedError

        assert Payloads().call(Payments().charge).encode((5,), {}).payload == b"[5]"
        assert Payloads().call(Payments.charge, skip=1).encode((5,), {}).payload == b"[5]"

    def test_takes_none_for_a_parameter_whose_default_is_none(self) -> None:
        async def old_style(x: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013

        schema = Payloads().call(old_style)

        assert schema.check() == []
        assert schema.decode(schema.encode((), {}).payload) == ((None,), {})

    def test_is_made_for_functions_without_parameters(self) -> None:
        async def nothing(ctx: object) -> None: ...

        schema = Payloads().call(nothing, skip=1)

        assert schema.encode((), {}).payload == b"[]"
        assert schema.decode(b"[]") == ((), {})


class TestPlainData:
    """As JSON has it, from whoever hasn't got the classes."""

    @pytest.mark.parametrize(
        ("schema", "args", "kwargs"),
        [
            (CHARGE, ("o", 1), {}),
            (SHIP, (Order("o", [Item("a", 1, 2.5)], frozenset({"y", "x"})),), {}),
            (EVERYTHING, (1, "b", 2, 3), {"c": True, "d": 4.0}),
        ],
    )
    def test_is_the_same_call_as_with_the_objects(self, schema: Any, args: Any, kwargs: Any) -> None:
        plain_args, plain_kwargs = json.loads(msgspec.json.encode([args, kwargs]))

        assert schema.encode_plain(tuple(plain_args), plain_kwargs) == schema.encode(args, kwargs)

    def test_that_does_not_fit_is_refused_with_its_path(self) -> None:
        with pytest.raises(ArgumentsError, match=r"ship\(\): order\.items\[0\]\.count: Expected `int`, got `str`"):
            SHIP.encode_plain(({"id": "o", "items": [{"sku": "a", "count": "1"}]},), {})
        with pytest.raises(ArgumentsError, match="missing a required argument: 'order'"):
            SHIP.encode_plain((), {})


class TestA4ArgumentsAreCheckedWhereTheActivityIsCalled:
    @pytest.mark.parametrize(
        ("args", "kwargs", "message"),
        [
            ((), {}, "missing a required argument: 'order_id'"),
            (("o", 1, "EUR", 4), {}, "too many positional arguments"),
            (("o", 1), {"order_id": "o"}, "multiple values for argument 'order_id'"),
            (("o", 1), {"colour": "red"}, "got an unexpected keyword argument 'colour'"),
        ],
    )
    def test_a_call_that_does_not_fit_the_signature_is_refused(self, args: Any, kwargs: Any, message: Any) -> None:
        with pytest.raises(ArgumentsError, match=message):
            CHARGE.encode(args, kwargs)

    def test_a_str_for_an_int_is_refused_by_the_name_of_the_parameter(self) -> None:
        with pytest.raises(ArgumentsError, match=r"charge\(\): cents: Expected `int`, got `str`"):
            CHARGE.encode(("o", "5"), {})

    def test_a_wrong_type_deep_inside_is_refused_with_its_path(self) -> None:
        with pytest.raises(ArgumentsError, match=r"ship\(\): order\.items\[1\]\.count: Expected `int`, got `str`"):
            SHIP.encode((Order("o", [Item("a", 1), Item("b", "2")]),), {})  # type: ignore[arg-type]

    def test_a_wrong_type_among_the_variadic_ones_is_refused_with_its_index(self) -> None:
        with pytest.raises(ArgumentsError, match=r"everything\(\): \*rest\[1\]: Expected `int`"):
            EVERYTHING.encode((1, "x", 2, "3"), {})

    @pytest.mark.parametrize(
        ("annotation", "value"),
        [
            (str, uuid.UUID(int=1)),
            (str, b"bytes"),
            (str, dt.datetime(2024, 1, 1)),
            (str, Path("x")),
            (bytes, "YWI="),
            (Decimal, "1.5"),
            (Decimal, 1),
            (uuid.UUID, "00000000-0000-0000-0000-000000000001"),
            (int, True),
            (int, 1.0),
        ],
    )
    def test_what_json_would_turn_into_something_else_is_refused(self, annotation: Any, value: Any) -> None:
        async def function(x: Any) -> None: ...

        function.__annotations__["x"] = annotation

        with pytest.raises(ArgumentsError, match="x"):
            Payloads().call(function).encode((value,), {})

    @pytest.mark.parametrize(
        ("annotation", "value", "arrives"),
        [(float, 3, 3.0), (list[int], (1, 2), [1, 2]), (tuple[int, ...], [1], (1,)), (bytes, bytearray(b"a"), b"a")],
    )
    def test_what_stands_for_the_annotated_type_in_json_is_taken(
        self, annotation: Any, value: Any, arrives: Any
    ) -> None:
        async def function(x: Any) -> None: ...

        function.__annotations__["x"] = annotation
        schema = Payloads().call(function)

        ((decoded,), _) = schema.decode(schema.encode((value,), {}).payload)

        assert decoded == arrives
        assert type(decoded) is type(arrives)

    def test_a_call_that_was_proven_right_does_not_excuse_the_next(self) -> None:
        CHARGE.encode(("o", 5), {})

        with pytest.raises(ArgumentsError):
            CHARGE.encode((5, "o"), {})

    @pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
    @pytest.mark.parametrize(
        ("schema", "wrap", "path"),
        [
            (SHIP, lambda n: Order("o", [Item("a", 1), Item("b", 1, n)]), "order.items[1].price"),
            (UNTYPED, lambda n: {"a": [None, (1.5, n)]}, "value['a'][1][1]"),
            (UNTYPED, lambda n: n, "value"),
            (UNTYPED, lambda n: {n} | {1.5}, "value["),
        ],
    )
    def test_inf_and_nan_are_refused_with_their_path(self, schema: Any, wrap: Any, path: Any, number: Any) -> None:
        with pytest.raises(EncodeError, match="inf and nan") as caught:
            schema.encode((wrap(number),), {})

        assert caught.value.path.startswith(path)

    def test_inf_is_refused_after_a_finite_number_was_taken(self) -> None:
        async def function(x: float, y: float | None) -> None: ...

        schema = Payloads().call(function)
        schema.encode((1.5, 2.5), {})

        for args in ((float("inf"), 1.5), (1.5, float("nan"))):
            with pytest.raises(EncodeError):
                schema.encode(args, {})

    def test_none_and_the_word_null_are_fine(self) -> None:
        assert UNTYPED.encode((["null", None, {"null": 1.5}],), {}).payload == b'[["null",null,{"null":1.5}]]'


class TestP3WhatCannotBeStoredIsRefusedAtTheCall:
    def test_with_the_path_to_the_part_that_cannot_be_encoded(self) -> None:
        with pytest.raises(EncodeError, match=r"value\.x\[1\]\['k'\]: .*object") as caught:
            UNTYPED.encode((dataclasses.make_dataclass("D", ["x"])([1, {"k": object()}]),), {})

        assert caught.value.path == "value.x[1]['k']"

    def test_when_it_holds_itself(self) -> None:
        loop: list[object] = []
        loop.append(loop)

        with pytest.raises(EncodeError, match="holds itself"):
            UNTYPED.encode((loop,), {})

    def test_when_it_is_no_unicode(self) -> None:
        with pytest.raises(EncodeError, match=r"value\[0\]"):
            UNTYPED.encode((["\ud800"],), {})

    def test_when_all_arguments_together_are_over_the_limit(self) -> None:
        schema = Payloads(limit_bytes=1000).call(untyped)
        schema.encode(({"a": "x" * 900},), {})

        with pytest.raises(PayloadTooLarge, match=r"call of untyped has 1,\d\d\d bytes.*\[0\]\.big") as caught:
            schema.encode(({"a": "x" * 300, "big": "y" * 800},), {})

        assert caught.value.limit == 1000
        assert caught.value.size > 1000


class TestE2TheDigest:
    def test_has_16_bytes_and_differs_with_the_arguments(self) -> None:
        first, second = CHARGE.encode(("o", 5), {}), CHARGE.encode(("o", 6), {})

        assert len(first.digest) == 16
        assert first.digest != second.digest

    def test_is_that_of_the_payload(self) -> None:
        payloads = Payloads()
        for schema, args in ((CHARGE, ("{", 5)), (SHIP, (Order("o", [], frozenset("abc"), {"b": 1, "a": 2}),))):
            encoded = schema.encode(args, {})
            assert payloads.digest(encoded.payload) == encoded.digest

    def test_is_the_same_for_every_order_of_keys_while_the_payload_keeps_the_callers(self) -> None:
        first = SHIP.encode((Order("o", [], labels={"b": 1, "a": 2}),), {})
        second = SHIP.encode((Order("o", [], labels={"a": 2, "b": 1}),), {})

        assert first.digest == second.digest
        assert first.payload != second.payload

    def test_is_the_same_in_processes_that_order_sets_differently(self) -> None:
        code = (
            "from perdure.serialization import Payloads\n"
            "def f(x): ...\n"
            "value = {'s': {'a', 'b', 1, (2, 'c'), frozenset({'x', 'y', 'z'})}, 't': {frozenset('ab'), frozenset('cd')}}\n"
            "print(Payloads().call(f).encode((value,), {}).digest.hex())"
        )
        digests = {
            subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                check=True,
                env={"PYTHONHASHSEED": str(seed), "PYTHONPATH": ":".join(sys.path)},
            ).stdout
            for seed in range(5)
        }

        assert len(digests) == 1

    @given(st.recursive(st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner)))
    def test_does_not_depend_on_the_order_in_which_dicts_were_filled(self, value: Any) -> None:
        def reversed_everywhere(part: Any) -> Any:
            if isinstance(part, dict):
                return {key: reversed_everywhere(part[key]) for key in reversed(part)}
            return [reversed_everywhere(item) for item in part] if isinstance(part, list) else part

        assert UNTYPED.encode((value,), {}).digest == UNTYPED.encode((reversed_everywhere(value),), {}).digest

    @given(st.lists(st.text() | st.integers() | st.frozensets(st.text(max_size=2))))
    def test_does_not_depend_on_the_order_in_which_sets_were_filled(self, elements: Any) -> None:
        backwards = set()
        for element in reversed(elements):
            backwards.add(element)

        assert UNTYPED.encode((set(elements),), {}) == UNTYPED.encode((backwards,), {})


@dataclasses.dataclass
class Before:
    id: str
    inner: list["BeforeInner"]


@dataclasses.dataclass
class BeforeInner:
    x: int


@dataclasses.dataclass
class After:
    id: str
    inner: list["AfterInner"]
    note: str = "none"
    flags: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class AfterInner:
    x: int
    y: int = 7


class TestCodeThatHasChangedSince:
    def schemas(self) -> tuple[Any, Any]:
        async def before(order: Before) -> None: ...
        async def after(order: After, dry_run: bool = False) -> None: ...

        return Payloads().call(before), Payloads().call(after)

    def test_a_parameter_with_a_default_may_be_missing(self) -> None:
        assert CHARGE.decode(b'["o-1",5]') == (("o-1", 5), {})
        assert EVERYTHING.decode(b'[1,"x"]') == ((1, "x"), {})

    def test_a_required_parameter_may_not(self) -> None:
        with pytest.raises(DecodeError, match="stored call of charge"):
            CHARGE.decode(b'["o-1"]')

    def test_an_argument_that_nobody_reads_any_more_is_refused(self) -> None:
        with pytest.raises(DecodeError, match="at most length 3"):
            CHARGE.decode(b'["o-1",5,"EUR",true]')

    def test_new_fields_and_parameters_with_defaults_stick_nobody(self) -> None:
        before, after = self.schemas()
        recorded = before.encode((Before("o", [BeforeInner(1)]),), {})
        issued = after.encode((After("o", [AfterInner(1)]),), {})

        assert recorded.digest != issued.digest
        assert after.digest_with_todays_types(recorded.payload) == issued.digest

    def test_nor_do_they_when_the_new_call_passes_on_what_was_read_from_the_old(self) -> None:
        before, after = self.schemas()
        recorded = before.encode((Before("o", [BeforeInner(1)]),), {})
        ((order,), _) = after.decode(recorded.payload)
        issued = after.encode((order,), {})

        assert after.is_same_call(recorded.payload, issued.payload)
        assert after.is_same_call(recorded.payload, after.encode((After("o", [AfterInner(1)]),), {}).payload)

    def test_another_value_is_still_another_call(self) -> None:
        before, after = self.schemas()
        recorded = before.encode((Before("o", [BeforeInner(1)]),), {})

        assert not after.is_same_call(recorded.payload, after.encode((After("o", [AfterInner(2)]),), {}).payload)
        assert not after.is_same_call(recorded.payload, after.encode((After("o", [AfterInner(1)]), True), {}).payload)

    def test_an_int_for_a_float_is_the_same_call_as_the_float(self) -> None:
        async def wait(seconds: float, more: int = 0) -> None: ...

        schema = Payloads().call(wait)

        assert schema.is_same_call(b"[3]", b"[3.0,0]")

    def test_a_changed_type_is_a_decode_error_that_names_the_parameter(self) -> None:
        with pytest.raises(DecodeError, match="cents: Expected `int`, got `str`"):
            CHARGE.decode(b'["o-1","5"]')

    @pytest.mark.parametrize("junk", [b"", b"{", b"null", b'"x"', b"\xff\xfe", b"[1,2", b"[" * 100_000])
    def test_junk_is_a_decode_error(self, junk: Any) -> None:
        with pytest.raises(DecodeError):
            CHARGE.decode(junk)


class TestResults:
    def test_come_back_as_the_return_annotation_says(self) -> None:
        order = Order("o", [Item("a", 1)])

        assert SHIP.decode_result(SHIP.encode_result(order)) == order

    def test_none_is_one(self) -> None:
        assert EVERYTHING.encode_result(None) == b"null"
        assert EVERYTHING.decode_result(b"null") is None

    def test_of_another_type_than_annotated_are_refused_before_they_are_recorded(self) -> None:
        with pytest.raises(EncodeError, match="the result of charge: the value isn't str: Expected `str`, got `int`"):
            CHARGE.encode_result(5)
        with pytest.raises(EncodeError, match="the value isn't None"):
            EVERYTHING.encode_result(5)

    def test_inf_is_refused(self) -> None:
        with pytest.raises(EncodeError, match=r"inf and nan.*\(at items\[0\]\.price\)"):
            SHIP.encode_result(Order("o", [Item("a", 1, float("inf"))]))

    def test_that_do_not_decode_name_the_function(self) -> None:
        with pytest.raises(DecodeError, match="the result of charge"):
            CHARGE.decode_result(b"5")

    def test_of_a_function_that_returns_an_awaitable_are_what_it_gives(self) -> None:
        from collections.abc import Awaitable, Coroutine

        def one() -> Awaitable[int]:
            raise NotImplementedError

        def other() -> Coroutine[Any, Any, int]:
            raise NotImplementedError

        for function in (one, other):
            assert Payloads().call(function).decode_result(b"5") == 5
            with pytest.raises(EncodeError):
                Payloads().call(function).encode_result("5")


class TestCheck:
    def test_finds_nothing_wrong_with_good_signatures(self) -> None:
        for schema in (CHARGE, SHIP, EVERYTHING, UNTYPED, Payloads().call(with_options)):
            assert schema.check() == []

    def test_names_every_parameter_and_the_result(self) -> None:
        async def bad(a: object, b: int | Path, *c: Item | Order, d: str = 5) -> dt.datetime | str:  # type: ignore[assignment]
            raise NotImplementedError

        found = Payloads().call(bad).check()

        assert [problem.partition(":")[0] for problem in found] == [
            "parameter b",
            "parameter *c",
            "parameter d",
            "the result, datetime.datetime | str",
        ]
        assert "JSON can't tell them apart" in found[1]
        assert "its default 5 can't be stored" in found[2]

    def test_reports_names_that_cannot_be_resolved_and_resolves_the_others(self) -> None:
        async def half(a: "int", b: "Unknown") -> "Missing":  # type: ignore[name-defined]  # noqa: F821
            raise NotImplementedError

        schema = Payloads().call(half)

        assert len(schema.check()) == 2
        assert "parameter b: the annotation 'Unknown' can't be resolved" in schema.check()[0]
        with pytest.raises(ArgumentsError, match="a: Expected `int`"):
            schema.encode(("x", 1), {})

    def test_a_default_that_cannot_be_stored_is_reported(self) -> None:
        async def function(a: Any = object()) -> None: ...  # noqa: B008

        assert "its default" in Payloads().call(function).check()[0]

    def test_a_function_that_hides_its_parameters_is_a_configuration_error(self) -> None:
        with pytest.raises(ConfigurationError, match="doesn't tell its parameters"):
            Payloads().call(dict.update)


class TestCallables:
    def test_partials_methods_and_callable_objects_are_read_like_functions(self) -> None:
        import functools

        class Adder:
            def __call__(self, a: int) -> int:
                raise NotImplementedError

        for function in (functools.partial(charge, None, "o"), Adder()):
            with pytest.raises(ArgumentsError, match="Expected `int`"):
                Payloads().call(function).encode(("x",), {})

    def test_methods_of_unhashable_objects_work(self) -> None:
        @dataclasses.dataclass
        class Shop:
            def buy(self, count: int) -> int:
                raise NotImplementedError

        assert Payloads().call(Shop().buy).encode((1,), {}).payload == b"[1]"

    def test_a_schema_is_made_once_per_function_and_skip(self) -> None:
        payloads = Payloads()

        assert payloads.call(charge, skip=1) is payloads.call(charge, skip=1)
        assert payloads.call(charge) is not payloads.call(charge, skip=1)


class Leaf(msgspec.Struct, frozen=True):
    n: int
    at: dt.datetime | None = None


@dataclasses.dataclass(frozen=True)
class Tree:
    name: str
    leaf: Leaf
    price: Decimal
    ids: frozenset[uuid.UUID]
    raw: bytes
    took: dt.timedelta
    kids: list["Tree"]
    pair: tuple[int, str]
    by_number: dict[int, float]


TREES: st.SearchStrategy[Tree] = st.deferred(
    lambda: st.builds(
        Tree,
        name=st.text(),
        leaf=st.builds(Leaf, n=st.integers(), at=st.none() | st.datetimes(timezones=st.just(dt.UTC))),
        price=st.decimals(allow_nan=False, allow_infinity=False),
        ids=st.frozensets(st.uuids(), max_size=3),
        raw=st.binary(),
        took=st.timedeltas(),
        kids=st.lists(TREES, max_size=2),
        pair=st.tuples(st.integers(), st.text()),
        by_number=st.dictionaries(st.integers(), st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    )
)


@given(TREES)
def test_nested_data_comes_back_as_it_was_and_its_payload_is_json(tree: Any) -> None:
    async def function(tree: Tree) -> Tree:
        raise NotImplementedError

    schema = Payloads().call(function)
    encoded = schema.encode((tree,), {})

    assert schema.decode(encoded.payload) == ((tree,), {})
    assert schema.digest_with_todays_types(encoded.payload) == encoded.digest
    assert json.loads(encoded.payload)[0]["name"] == tree.name
