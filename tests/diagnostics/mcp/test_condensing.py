"""Answers that fit, whatever they are made of."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perdure.diagnostics.mcp.condensing import LARGEST, MOST_ITEMS, Bounds, condensed, condensed_page


def test_what_is_small_stays_whole_without_what_is_empty() -> None:
    answer = {"id": "7", "number": 0, "done": False, "none": None, "text": "", "list": [], "tags": {"a": "b"}}

    assert json.loads(condensed(answer)) == {"id": "7", "number": 0, "done": False, "tags": {"a": "b"}}


@pytest.mark.parametrize(
    "answer",
    [
        {"text": "x" * 10_000_000},
        {"text": "ü\N{SNOWMAN}" * 1_000_000},
        {"list": [{"name": "x" * 1000, "more": ["y" * 1000] * 100}] * 5000},
        {"tags": {f"tag {place}": "x" * 1000 for place in range(5000)}},
        {"list": [[["x" * 50] * 100] * 100] * 100},
    ],
    ids=["a long text", "one beyond ASCII", "a long list", "many tags", "nested lists"],
)
def test_what_is_large_is_cut_to_what_fits_and_says_so(answer: dict[str, Any]) -> None:
    text = condensed(answer)

    assert len(text) <= LARGEST
    assert json.loads(text).keys() == answer.keys()
    assert "…" in text


def test_more_of_a_text_is_shown_where_it_is_asked_for() -> None:
    answer = {"text": "x" * 10_000}

    assert len(condensed(answer)) < 2_000
    assert json.loads(condensed(answer, Bounds(text=16_000))) == answer


async def test_a_page_has_fewer_items_rather_than_cut_ones() -> None:
    """Each item names its place, and the page says where the next one begins."""
    asked: list[int] = []

    async def read(limit: int) -> object:
        asked.append(limit)
        return {"items": [{"place": place, "text": "x" * 1_000} for place in range(limit)], "next": limit}

    page = json.loads(await condensed_page(read, MOST_ITEMS))

    assert [item["place"] for item in page["items"]] == list(range(page["next"]))
    assert asked == [50, 25, 12]


async def test_one_item_that_is_too_large_is_cut() -> None:
    async def read(limit: int) -> object:
        return {"items": [{"parts": ["x" * 1_000] * 500}] * limit, "next": limit}

    page = await condensed_page(read, MOST_ITEMS)

    assert len(page) <= LARGEST
    assert json.loads(page)["next"] == 1
