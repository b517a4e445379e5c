"""pydantic's models: nested anywhere, with aliases, strict ones, sets in them."""

import dataclasses
import datetime as dt
import subprocess
import sys
from typing import Annotated, Any, Literal

import pydantic
import pytest

from perdure.errors import ArgumentsError, DecodeError, EncodeError
from perdure.serialization import Payloads


class Line(pydantic.BaseModel):
    sku: str
    count: Annotated[int, pydantic.Field(ge=1)] = 1


class Basket(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", strict=True)

    owner: str = pydantic.Field(alias="ownerName")
    lines: list[Line] = []
    at: dt.datetime | None = None
    weight: float | None = None
    tags: set[str] = set()

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def size(self) -> int:
        return len(self.lines)


class Renamed(pydantic.BaseModel):
    name: str = pydantic.Field(validation_alias="in_name", serialization_alias="outName")


@dataclasses.dataclass
class Envelope:
    basket: Basket
    by_sku: dict[str, Line]


class Circle(pydantic.BaseModel):
    kind: Literal["circle"] = "circle"


class Square(pydantic.BaseModel):
    kind: Literal["square"] = "square"


PAYLOADS = Payloads()


def basket(**more: object) -> Basket:
    return Basket(ownerName="ann", lines=[Line(sku="a")], **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (basket(at=dt.datetime(2024, 1, 1, tzinfo=dt.UTC), tags={"a", "b"}), Basket),
        ([basket(), None], list[Basket | None]),
        (Envelope(basket(), {"a": Line(sku="a")}), Envelope),
        (Renamed.model_validate({"in_name": "x"}), Renamed),
        ([Square(), Circle()], list[Circle | Square]),
    ],
    ids=["model", "list", "dataclass", "aliases", "union"],
)
def test_models_come_back_whatever_their_aliases_strictness_and_computed_fields(value: Any, annotation: Any) -> None:
    assert PAYLOADS.check(annotation) == []
    assert PAYLOADS.decode(PAYLOADS.encode(value, annotation), annotation) == value


def test_a_model_that_is_no_member_of_the_union_is_refused_though_json_would_let_it_pass() -> None:
    with pytest.raises(EncodeError, match="got Line"):
        PAYLOADS.encode(Line(sku="a"), Circle | Square)


def test_a_model_that_was_made_invalid_is_refused_at_the_call() -> None:
    async def function(line: Line) -> None: ...

    with pytest.raises(ArgumentsError, match=r"function\(\).*line"):
        PAYLOADS.call(function).encode((Line.model_construct(sku="a", count=0),), {})


def test_inf_is_refused_with_its_path() -> None:
    with pytest.raises(EncodeError, match=r"basket.*weight"):
        PAYLOADS.encode(Envelope(basket(weight=float("inf")), {}), Envelope)


def test_a_stored_payload_that_is_not_valid_is_a_decode_error() -> None:
    with pytest.raises(DecodeError, match="greater than or equal to 1"):
        PAYLOADS.decode(b'{"sku":"a","count":0}', Line)


def test_a_new_field_with_a_default_sticks_nobody() -> None:
    async def function(line: Line) -> None: ...

    schema = PAYLOADS.call(function)

    assert schema.digest_with_todays_types(b'[{"sku":"a"}]') == schema.encode((Line(sku="a"),), {}).digest


def test_sets_in_models_have_one_digest_in_every_process() -> None:
    code = (
        "import pydantic\n"
        "from perdure.serialization import Payloads\n"
        "class M(pydantic.BaseModel):\n    tags: set[str]\n"
        "def f(m: M): ...\n"
        "print(Payloads().call(f).encode((M(tags=set('abcdefgh')),), {}).payload)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": str(seed), "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in range(4)
    }

    assert len(outputs) == 1


def test_pydantic_is_never_imported_by_perdure() -> None:
    code = (
        "import sys\nfrom perdure.serialization import Payloads\n"
        "def f(a: int) -> str: ...\n"
        "Payloads().call(f).check(); Payloads().encode({'a': 1})\n"
        "assert not {'pydantic', 'attr', 'attrs', 'cryptography'} & set(sys.modules), sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
