"""The App: everything that is wrong with it is told at once."""

from __future__ import annotations

from typing import Any

import pytest

from perdure import App, Context, RegistrationError, activity, workflow


class Bank:
    @activity
    async def charge(self, cents: int) -> int:
        return cents


def test_all_problems_are_told_at_once() -> None:
    """W1"""

    def plain(ctx: Context) -> None: ...

    async def no_context() -> None: ...

    @workflow(name="same")
    async def one(ctx: Context) -> None: ...

    @workflow(name="same")
    async def other(ctx: Context) -> None: ...

    wrong: list[Any] = [plain, no_context, one, other]
    with pytest.raises(RegistrationError) as raised:
        App(workflows=wrong, activities=[Bank.charge])
    message = str(raised.value)
    for part in ("plain", "async def", "no_context", "'same'", "taken from its class"):
        assert part in message


def test_an_object_brings_all_its_activities() -> None:
    """A1"""
    assert set(App(activities=[Bank()]).activities) == {"Bank.charge"}


def test_two_objects_of_a_class_need_names_of_their_own() -> None:
    """W1: neither of them silently takes the other's place."""
    with pytest.raises(RegistrationError, match=r"Bank\.charge"):
        App(activities=[Bank(), Bank()])
