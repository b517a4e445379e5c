"""Every page shows what it is for, and leads to the others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from perdure.diagnostics.web.links import as_segment
from perdure.diagnostics.web.site import Site
from perdure.orchestrator import Orchestrator
from tests import stores
from tests.diagnostics.views.programs import app, pick
from tests.diagnostics.web.conftest import ODD, Browser
from tests.diagnostics.web.html import Html, faults
from tests.worker.support import until_async


@pytest.fixture(params=stores.as_parameters(("memory", "sqlite")))
async def perdure(request: pytest.FixtureRequest, empty_store: Callable[[str], str]) -> AsyncIterator[Orchestrator]:
    async with Orchestrator(empty_store(request.param), app) as orchestrator:
        yield orchestrator


def ids(answer: httpx.Response) -> list[str]:
    return [each.text for each in Html(answer.text).all("a", class_="id")]


async def test_all_that_pages_link_to_is_there_and_well_formed(browser: Browser) -> None:
    seen, waiting = {"/"}, ["/"]
    while waiting:
        path = waiting.pop()
        answer = await browser.get(path, follow_redirects=True)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        if answer.headers["content-type"].startswith("text/html") and "content-disposition" not in answer.headers:
            assert faults(answer.text) == [], path
            page = Html(answer.text)
            links = [*page.links, *(each.attributes["href"] for each in page.all("link"))]
            targets = {urlsplit(urljoin(path, link))._replace(fragment="").geturl() for link in links}
            waiting += sorted(targets - seen)
            seen |= targets

    ends = {path.rstrip("/").rpartition("/")[2] for path in seen}
    assert {"tree", "save", "queues", "schedules", "batches", "terminate", "rewind", "pause_queue"} <= ends


async def test_the_list_has_every_instance_the_newest_first(browser: Browser) -> None:
    found = ids(await browser.get("/"))

    assert found[0] == "schedule:hourly"
    assert {ODD, "waiting", "failed", "retrying", "chain", "family", "left"} <= set(found)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("show=failed", {"failed"}),
        ("show=suspended", {"left"}),
        ("show=running&workflow=errand", {"waiting"}),
        ("workflow=counting", {"chain"}),
        ("queue=nobody%27s", {"left"}),
        ("find=ait", {"waiting", "waiting/pick"}),
        ("prefix=fai&show=failed&find=led", {"failed"}),
        ("tag=colour%3Dred+%3Ci%3E", {ODD}),
        ("to=2020-01-01", set()),
        ("from=2020-01-01&prefix=reb", set()),
        ("parent=waiting", {"waiting/pick"}),
        ("show=stuck", set()),
    ],
)
async def test_the_list_can_be_filtered(browser: Browser, query: str, expected: set[str]) -> None:
    answer = await browser.get(f"/?{query}")

    assert answer.status_code == 200
    assert set(ids(answer)) == expected


@pytest.mark.parametrize("query", ["from=yesterday", "tag=colour", "cursor=nonsense", "show=nonsense"])
async def test_a_filter_that_is_none_is_told_above_the_form(browser: Browser, query: str) -> None:
    answer = await browser.get(f"/?{query}")

    assert answer.status_code == 400
    assert Html(answer.text).one("p", class_="flash failed").text.strip()
    assert Html(answer.text).all("form", id="filter")


async def test_the_filter_stays_in_its_form_and_its_tabs(browser: Browser) -> None:
    page = Html((await browser.get("/?workflow=pick&show=completed")).text)

    assert page.all("input", name="workflow", value="pick")
    assert all(
        "workflow=pick" in each.attributes["href"] for each in page.one("nav", class_="tabs").inside if each.name == "a"
    )


async def test_a_list_is_walked_page_by_page(perdure: Orchestrator, site_of: Callable[..., Site]) -> None:
    for number in range(120):
        await perdure.start(pick.with_options(instance_id=f"p{number}", queue="nobody's"), "x")
    found: list[str] = []
    async with site_of() as site, Browser(site) as browser:
        path = "/?queue=nobody%27s"
        while path:
            answer = await browser.get(path)
            found += ids(answer)
            path = next((each.attributes["href"] for each in Html(answer.text).all("a", rel="next")), "")

    assert found == [f"p{number}" for number in reversed(range(120))]


async def test_the_search_leads_to_the_instance_of_that_id_or_to_those_that_hold_it(browser: Browser) -> None:
    exact = await browser.get("/find", params={"id": ODD})
    part = await browser.get("/find", params={"id": "ait"})

    assert (exact.status_code, exact.headers["location"]) == (303, f"/instances/{as_segment(ODD)}")
    assert (part.status_code, part.headers["location"]) == (303, "/?find=ait")


async def test_an_instance_shows_what_it_awaits_and_the_line_of_code(browser: Browser) -> None:
    page = Html((await browser.get("/instances/waiting")).text)

    assert "await ctx.signal_channel(go).receive()" in page.one("code", class_="it").text
    assert "milk" in page.one("section", id="input").text
    assert page.one("section", id="where").text.count("timer") >= 1
    assert {"activity", "timer", "sub_workflow"} <= {
        each.attributes["class"].split()[0] for each in page.one("ol", class_="bars").inside if each.name == "li"
    }


async def test_a_failed_one_shows_the_traceback(browser: Browser) -> None:
    ending = Html((await browser.get("/instances/failed")).text).one("section", id="ending").text

    assert "OutOfOrder" in ending
    assert "raise OutOfOrder" in ending


async def test_an_activity_that_waits_shows_its_attempt_failure_and_heartbeat(browser: Browser) -> None:
    pending = Html((await browser.get("/instances/retrying")).text).one("section", id="pending").text

    assert "after 3 times" in pending
    assert '"pressed": 3' in pending
    assert "KeyError" in pending


async def test_executions_of_a_chain_can_be_looked_at(browser: Browser) -> None:
    page = Html((await browser.get("/instances/chain")).text)
    [first, second] = [each.attributes["href"] for each in page.one("ol", class_="chain").inside if each.name == "a"]
    earlier = await browser.get(first)

    assert "earlier execution" in earlier.text
    assert "ExecutionContinued" in earlier.text
    assert "ExecutionContinued" not in (await browser.get("/instances/chain")).text
    assert first != second


async def test_a_permalink_opens_its_event(browser: Browser) -> None:
    page = Html((await browser.get("/instances/waiting?at=1")).text)

    assert [
        each.attributes["id"]
        for each in page.all("details")
        if "open" in each.attributes and each.attributes["id"].startswith("event")
    ] == ["event-1"]


async def test_history_can_be_filtered(browser: Browser) -> None:
    page = Html((await browser.get("/instances/waiting?family=timers")).text)
    assert {each.text for each in page.all("span", class_="kind")} == {"TimerSet", "TimerFired"}

    page = Html((await browser.get("/instances/waiting?text=MILK&family=activities")).text)
    assert {each.text for each in page.all("span", class_="kind")} == {"ActivityScheduled", "ActivityCompleted"}


async def test_a_large_payload_is_cut_and_can_be_saved_whole(browser: Browser, shop: Orchestrator) -> None:
    await shop.run(pick.with_options(instance_id="large"), "<b>" + "x" * 30_000)
    page = Html((await browser.get("/instances/large")).text)
    for section, value in (("input", ["<b>" + "x" * 30_000]), ("ending", "<B>" + "X" * 30_000)):
        shown = page.one("section", id=section)
        [link] = [each.attributes["href"] for each in shown.inside if each.name == "a"]
        saved = await browser.get(link)

        assert len(shown.text) < 21_000
        assert saved.json() == value
        assert saved.headers["content-type"] == "text/plain; charset=utf-8"
        assert saved.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize("path", ["/", "/instances/failed", "/queues", "/schedules", "/instances/family/tree"])
async def test_what_has_not_changed_is_not_sent_again(browser: Browser, path: str) -> None:
    async def is_told_to_be_the_same() -> bool:
        first = await browser.get(path)
        again = await browser.get(path, headers={"if-none-match": first.headers["etag"]})
        return again.status_code == 304 and not again.content

    await until_async(is_told_to_be_the_same)  # what the worker still does comes in between


async def test_what_has_changed_is_sent_again(browser: Browser, shop: Orchestrator) -> None:
    for path in ("/", "/instances/waiting"):
        first = await browser.get(path)
        await shop.suspend("retrying" if path == "/" else "waiting")
        again = await browser.get(path, headers={"if-none-match": first.headers["etag"]})
        assert again.status_code == 200, path


@pytest.mark.parametrize(
    "path",
    [
        "/instances/nobody",
        "/instances/~FF",
        "/instances/nobody/tree",
        "/instances/waiting?execution=00",
        "/nothing",
        "/static/nothing",
        "/static/..%2Fsite.py",
        "/static/~2e~2e/site.py",
        "/do/instance/waiting/explode",
        "/do/queue/waiting/cancel",
        "/batches/none",
        "/instances/waiting/payload?at=0&name=nothing",
    ],
)
async def test_what_is_not_there_is_told_with_a_way_on(browser: Browser, path: str) -> None:
    answer = await browser.get(path)

    assert answer.status_code in (400, 404)
    assert "/" in Html(answer.text).links


async def test_the_store_is_told_without_its_secrets(browser: Browser, shop: Orchestrator) -> None:
    assert shop.backend.url in Html((await browser.get("/")).text).one("footer").text


async def test_a_fork_and_a_rewound_one_say_where_their_own_part_begins(shop: Orchestrator, browser: Browser) -> None:
    await shop.fork("waiting", at_event=4, new_id="fork")
    await shop.rewind("failed")

    forked, rewound = [Html((await browser.get(f"/instances/{name}")).text) for name in ("fork", "failed")]

    facts = forked.all("dl", class_="facts")[0]
    assert "Forked from" in facts.text
    assert "waiting, its own from event 7 on" in facts.text
    assert {"/instances/waiting", "/instances/fork?at=7#event-7"} <= set(forked.links)
    assert "Rewound" in rewound.all("dl", class_="facts")[0].text
    assert "Forked from" not in rewound.text
