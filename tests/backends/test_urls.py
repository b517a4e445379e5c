"""No message shows what may be secret, however wrong the URL is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.backends.urls import Server, StoreUrl, plain_url, shown
from perdure.errors import ConfigurationError

_SECRET = "hunter-zwei"

_WITH_A_PASSWORD = [
    "postgresql://me:{}@host:5432/db?schema=app",
    "postgresql://me:{}@host:not-a-port/db",
    "postgresql://me:{}@host/db#fragment",
    "postgresql://me:{}@[half/db",
    "postgresql://me:{}@one:1,two:2/db",
    "postgresql://me:{}",
    "postgresql:me:{}@host/db",
    "me:{}@host/db",
    "postgresql://host/db?password={}",
    "postgresql://host/db?password={}&password=twice",
    "postgresql://host/db?{}",
    "oracle://me:{}@host/db",
    "redis://:{}@host:6379/0",
    "redis://:{}@host:6379/zero",
    "redis+cluster://me:{}@host/7",
    "mysql://me:{}@one,two/db",
    "mysql://me:{}@host",
]


@pytest.mark.parametrize("form", _WITH_A_PASSWORD)
def test_a_url_is_shown_without_its_password(form: str) -> None:
    assert _SECRET not in shown(form.format(_SECRET))


# With an @ in its password, a URL without a host looks like one with a host.
_WITH_A_HOST = [form for form in _WITH_A_PASSWORD if form != "postgresql://me:{}"]
# Those that people forget to quote.
_UNQUOTED = st.text(alphabet="@/:?#%&=[]+ ", min_size=1, max_size=4)


@given(st.sampled_from(_WITH_A_HOST), st.lists(_UNQUOTED, min_size=1, max_size=3))
def test_no_piece_of_an_unquoted_password_is_shown(form: str, between: list[str]) -> None:
    pieces = ["geheim", "secret", "mystiko", "himitsu"][: len(between) + 1]
    password = pieces[0] + "".join(f"{some}{piece}" for some, piece in zip(between, pieces[1:], strict=True))
    said = shown(form.format(password))
    assert not [piece for piece in pieces if piece in said], said


@given(st.sampled_from(_WITH_A_HOST), st.lists(_UNQUOTED, min_size=1, max_size=3))
def test_nor_is_it_in_the_error(form: str, between: list[str]) -> None:
    password = "geheim" + "".join(f"{some}secret" for some in between)
    problem = _problem(form.format(password))
    assert "geheim" not in str(problem)
    assert problem is None or (problem.__cause__ is None and problem.__suppress_context__) or not problem.__context__


def _problem(url: str) -> ConfigurationError | None:
    try:
        Server(StoreUrl(url))
    except ConfigurationError as problem:
        return problem
    return None


@pytest.mark.parametrize(
    "url",
    ["sqlite:///me@home.db?migrate=false", "memory://name", "postgresql://host:5432/db", "redis://[::1]:6379/0"],
)
def test_what_has_no_secrets_is_shown_as_it_is(url: str) -> None:
    assert shown(url) == url


def test_a_server_is_read_out_of_a_url() -> None:
    server = Server(StoreUrl("postgresql://m%40e:p%2Fw@one:1,[::1]:2,three/my%20db?schema=app"))
    assert (server.user, server.password, server.name) == ("m@e", "p/w", "my db")
    assert server.hosts == [("one", 1), ("::1", 2), ("three", None)]


@pytest.mark.parametrize("url", ["postgresql://me:a/b@host/db", "postgresql://me:a@b@host/db", "redis://:a#b@host"])
def test_special_characters_of_a_password_must_be_quoted(url: str) -> None:
    with pytest.raises(ConfigurationError, match="write special characters as %XX"):
        Server(StoreUrl(url))


def test_a_plain_url_tells_stores_apart_and_leads_to_them() -> None:
    url = plain_url("postgresql", [("Host", 5432), ("::1", 2)], "my db", schema="app", service=None)
    assert url == "postgresql://host:5432,[::1]:2/my%20db?schema=app"
    assert Server(StoreUrl(url)).hosts == [("host", 5432), ("::1", 2)]
