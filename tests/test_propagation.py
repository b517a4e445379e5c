"""Context variables go from a client to workflows, activities and sub-workflows; and propagators that don't fit are refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from perdure import (
    App,
    Client,
    ConfigurationError,
    Context,
    ContextVarPropagator,
    DecodeError,
    EncodeError,
    InvalidName,
    Orchestrator,
    PayloadTooLarge,
    Propagator,
    RegistrationError,
    RetryPolicy,
    activity,
    activity_context,
    workflow,
)
from perdure.propagation import LIMIT_BYTES, Propagation


@dataclass(frozen=True)
class User:
    name: str
    roles: tuple[str, ...] = ()


class Seen(NamedTuple):
    tenant: str
    user: User | None


tenant: ContextVar[str] = ContextVar("tenant", default="nobody")
user: ContextVar[User | None] = ContextVar("user", default=None)


@activity
async def look() -> Seen:
    return Seen(tenant.get(), user.get())


@activity(retry=RetryPolicy(initial_interval=timedelta(milliseconds=1)))
def look_in_a_thread() -> Seen:
    if activity_context().attempt == 1:
        tenant.set("of the first attempt")
        raise OSError
    return Seen(tenant.get(), user.get())


@workflow
async def child(ctx: Context) -> Seen:
    return await ctx.execute_activity(look)


@workflow
async def parent(ctx: Context, rounds: int = 1) -> list[Seen]:
    if rounds:
        ctx.continue_as_new(parent, rounds - 1)
    here = Seen(tenant.get(), user.get())
    there = await ctx.execute_activity(look_in_a_thread)
    return [here, there, await ctx.execute_sub_workflow(child)]


PROPAGATORS: list[Propagator] = [ContextVarPropagator(tenant, name="x-tenant"), ContextVarPropagator(user, User)]


def app() -> App:
    return App(workflows=[parent, child], activities=[look, look_in_a_thread], propagators=PROPAGATORS)


async def test_values_go_all_the_way_on_every_store(store_url: str) -> None:
    ada = User("Ada", ("admin", "user"))
    async with Orchestrator(store_url, app()) as perdure:
        tenant.set("acme")
        user.set(ada)
        with_both = await perdure.start(parent)
        user.set(None)
        with_one = await perdure.start(parent)

        assert await with_both.result(timeout=30) == [Seen("acme", ada)] * 3
        assert await with_one.result(timeout=30) == [Seen("acme", None)] * 3


async def test_a_client_without_an_app_has_propagators_of_its_own(store_url: str) -> None:
    async with Orchestrator(store_url, app()) as perdure, Client(perdure.backend, propagators=PROPAGATORS) as client:
        tenant.set("acme")
        assert await client.run(child) == Seen("acme", None)
        async with Client(perdure.backend) as plain:
            assert await plain.run(child) == Seen("nobody", None)


async def test_headers_make_no_other_call_of_it() -> None:
    """C2: the same start again is the same start, whoever asks."""
    request = child.with_options(idempotency_key="7")
    async with Orchestrator("memory://", app()) as perdure:
        tenant.set("acme")
        first = await perdure.start(request)
        tenant.set("other")
        again = await perdure.start(request)

        assert again.instance_id == first.instance_id
        assert (await again.result()).tenant == "acme"


async def test_an_activity_whose_headers_cant_be_read_fails_for_good() -> None:
    class Picky:
        fields = ("tenant",)

        def inject(self) -> Mapping[str, str]:
            return {"tenant": tenant.get()}

        def extract(self, headers: Mapping[str, str]) -> None:
            if headers["tenant"] == "gone":
                raise LookupError("there is no such tenant")

    @activity
    async def for_tenant() -> None: ...

    @workflow
    async def calls(ctx: Context) -> str:
        tenant.set("gone")
        try:
            await ctx.execute_activity(for_tenant)
        except LookupError as problem:
            return str(problem)
        return ""

    its_app = App(workflows=[calls], activities=[for_tenant], propagators=[Picky()])
    async with Orchestrator("memory://", its_app) as perdure:
        assert await perdure.run(calls) == "there is no such tenant"


def injected(propagator: Propagator, set_values: Callable[[], object] = lambda: None) -> dict[str, str]:
    """What it makes of the values, set in a context of their own."""

    def inject() -> dict[str, str]:
        set_values()
        return Propagation([propagator]).headers({})

    return copy_context().run(inject)


def test_texts_are_carried_as_they_are_and_other_values_as_json() -> None:
    def set_values() -> None:
        tenant.set('a "b" ä')
        user.set(User("Ada"))

    assert injected(ContextVarPropagator(tenant), set_values) == {"tenant": 'a "b" ä'}
    assert injected(ContextVarPropagator(user, User, name="u"), set_values) == {"u": '{"name":"Ada","roles":[]}'}


def test_what_is_none_or_not_set_isnt_carried() -> None:
    """Not the variable's default either: who reads it has it, too."""
    assert injected(ContextVarPropagator(tenant)) == {}
    assert injected(ContextVarPropagator(user, User)) == {}


def test_what_an_inner_context_doesnt_carry_any_more_is_gone() -> None:
    def drop() -> dict[str, str]:
        propagation = Propagation([ContextVarPropagator(user, User)])
        propagation.enter({"user": '{"name":"Ada"}'})
        assert user.get() == User("Ada")
        user.set(None)
        return propagation.headers({"user": '{"name":"Ada"}', "other": "x"})

    assert copy_context().run(drop) == {"other": "x"}


def test_values_that_cant_be_carried_are_refused_where_something_is_started() -> None:
    any_text: ContextVar[Any] = ContextVar("any_text")
    for value, problem, words in (
        (3, EncodeError, "header 'any_text' is 3: headers are strings"),
        ("\ud800", EncodeError, "isn't valid Unicode"),
        ("x" * LIMIT_BYTES, PayloadTooLarge, "'any_text' is the largest"),
    ):
        with pytest.raises(problem, match=words):
            injected(ContextVarPropagator(any_text), lambda: any_text.set(value))  # noqa: B023 - called at once
    with pytest.raises(EncodeError, match="isn't User"):
        injected(ContextVarPropagator(any_text, User), lambda: any_text.set(3))
    assert injected(ContextVarPropagator(any_text), lambda: any_text.set("x" * (LIMIT_BYTES - 8)))


async def test_a_start_whose_headers_are_refused_records_nothing() -> None:
    async with Orchestrator("memory://", app()) as perdure:
        tenant.set("x" * LIMIT_BYTES)
        with pytest.raises(PayloadTooLarge):
            await perdure.start(child)

        assert await perdure.count() == {}


def test_a_header_that_isnt_what_the_type_says_is_named() -> None:
    with pytest.raises(DecodeError, match=r"header 'user': .*isn't User"):
        copy_context().run(Propagation([ContextVarPropagator(user, User)]).enter, {"user": "3"})


def test_two_of_one_name_are_refused_with_the_apps_other_problems() -> None:
    same = ContextVarPropagator(ContextVar[str]("tenant"))
    with pytest.raises(RegistrationError, match=r"(?s)two propagators write the header 'tenant'.*isn't a workflow"):
        App(workflows=[3], propagators=[ContextVarPropagator(tenant), same])  # type: ignore[list-item]
    with pytest.raises(RegistrationError, match="two propagators"):
        Client("memory://", propagators=[same, same])


def test_what_is_no_propagator_is_refused() -> None:
    with pytest.raises(RegistrationError, match=r"isn't a propagator.*ContextVarPropagator\(variable\)"):
        App(propagators=[tenant])  # type: ignore[list-item]
    with pytest.raises(InvalidName, match="a header's name"):
        ContextVarPropagator(tenant, name="")
    with pytest.raises(ConfigurationError, match="can't be a payload"):
        ContextVarPropagator(ContextVar[type]("kind"), type)


def test_a_client_with_an_app_has_the_apps() -> None:
    with pytest.raises(ConfigurationError, match=r"App\(propagators"):
        Client("memory://", app(), propagators=PROPAGATORS)


def test_a_propagator_that_writes_what_it_didnt_announce_is_refused() -> None:
    class Sloppy:
        fields = ("a",)

        def inject(self) -> Mapping[str, str]:
            return {"b": "1"}

        def extract(self, headers: Mapping[str, str]) -> None: ...

    with pytest.raises(ConfigurationError, match="writes the header 'b'"):
        Propagation([Sloppy()]).headers({})
