"""Any id gets through an address, whatever stands between browser and program."""

from __future__ import annotations

from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.diagnostics.web.links import Links, as_segment, from_segment

ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=80)


@given(ids)
def test_an_id_comes_back_as_it_was(name: str) -> None:
    assert from_segment(as_segment(name)) == name


@given(ids)
def test_no_server_or_proxy_changes_it(name: str) -> None:
    path = f"/instances/{as_segment(name)}/tree"

    assert unquote(path) == path
    assert urlsplit(urljoin("http://host/x", path)).path == path


@given(ids, ids)
def test_two_ids_have_two_addresses(one: str, other: str) -> None:
    assert (as_segment(one) == as_segment(other)) == (one == other)


@pytest.mark.parametrize("name", ["order-4711", "schedule:nightly", "nightly@2026-11-23T02:30:00Z", "a_b.c"])
def test_plain_ids_stay_readable(name: str) -> None:
    assert as_segment(name) == name


@pytest.mark.parametrize("name", [".", "..", "..."])
def test_dots_alone_lead_nowhere_else(name: str) -> None:
    assert "." not in as_segment(name)


def test_what_is_no_id_is_refused() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        from_segment("~FF")


def test_links_are_below_the_place_of_the_site() -> None:
    links = Links("/ops/perdure/")

    assert links.to() == "/ops/perdure/"
    assert links.instance("a/b", "tree", at=0, text="", execution=None) == "/ops/perdure/instances/a~2Fb/tree?at=0"
    assert links.static("perdure.css").startswith("/ops/perdure/static/perdure.css?v=")
