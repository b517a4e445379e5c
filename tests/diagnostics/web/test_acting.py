"""Actions are asked for, done once, told; and never done for another site, or for somebody who may not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from perdure.diagnostics.actions.table import ActionName, TargetKind
from perdure.diagnostics.web.links import as_segment
from perdure.diagnostics.web.site import Site
from perdure.model.instance import State
from perdure.orchestrator import Orchestrator
from tests.diagnostics.views.programs import pick
from tests.diagnostics.web.conftest import HERE, ODD, OF_A_BROWSER, Browser
from tests.diagnostics.web.html import Html, faults
from tests.worker.support import until_async

TERMINATE = "/do/instance/waiting/terminate"


def flash(page: Html) -> str:
    return page.one("p", role="status").text.strip()


async def token(browser: Browser, path: str = TERMINATE) -> str:
    return Html((await browser.get(path)).text).one("input", name="token").attributes["value"]


async def test_the_question_says_what_would_happen_and_does_nothing(browser: Browser, shop: Orchestrator) -> None:
    page = Html((await browser.get(TERMINATE)).text)

    assert "Ends it at once" in page.text
    assert "can't be taken back" in page.text
    assert await shop.state("waiting") is State.RUNNING


async def test_what_is_confirmed_is_done_and_told_once(
    browser: Browser, shop: Orchestrator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "perdure.diagnostics.audit")
    done = await browser.submit(await browser.get(TERMINATE), reason="no <longer> needed")
    assert (done.status_code, done.headers["location"]) == (303, "/instances/waiting")
    assert await shop.state("waiting") is State.TERMINATED

    page = Html((await browser.get("/instances/waiting")).text)
    assert "was terminated" in flash(page)
    assert "no <longer> needed" in page.text
    assert not Html((await browser.get("/instances/waiting")).text).all("p", role="status")
    assert "'anna': terminate instance 'waiting': done" in caplog.text


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/do/instance/waiting/signal", {"signal": "go", "value": '"on"'}),
        ("/do/instance/waiting/cancel", {"reason": "why not"}),
        ("/do/instance/waiting/suspend", {}),
        ("/do/instance/left/resume", {}),
        ("/do/instance/retrying/retry_activity", {"number": "1"}),
        ("/do/instance/failed/rewind", {}),
        (f"/do/instance/{as_segment(ODD)}/remove", {}),
        ("/do/queue/nobody~27s/pause_queue", {}),
        ("/do/schedule/hourly/pause_schedule", {}),
        ("/do/schedule/hourly/trigger_schedule", {}),
    ],
)
async def test_every_action_can_be_done(browser: Browser, path: str, fields: dict[str, str]) -> None:
    done = await browser.submit(await browser.get(path), **fields)
    page = await browser.get(done.headers["location"])

    assert page.status_code == 200
    assert "done" in Html(page.text).one("p", role="status").attributes["class"]


async def test_what_could_not_be_done_is_told(browser: Browser) -> None:
    question = await browser.get("/do/instance/waiting/remove")
    done = await browser.submit(question)

    assert "still running" in flash(Html((await browser.get(done.headers["location"])).text))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"signal": "go", "value": "on"}, "Value is no JSON"),
        ({"signal": " "}, "Signal is needed"),
        ({"signal": "go", "value": "[" * 9}, "no JSON"),
    ],
)
async def test_wrong_inputs_are_told_and_kept(
    browser: Browser, shop: Orchestrator, fields: dict[str, str], told: str
) -> None:
    before = (await shop.info("waiting")).updated_at
    answer = await browser.submit(await browser.get("/do/instance/waiting/signal"), **fields)

    assert answer.status_code == 400
    assert told in Html(answer.text).one("p", role="alert").text
    assert faults(answer.text) == []
    assert Html(answer.text).one("input", name="signal").attributes["value"] == fields["signal"]
    assert (await shop.info("waiting")).updated_at == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://evil.test"},
        {"origin": "null"},
        {"origin": f"{HERE}.evil.test"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://other.here.test"},
        {"sec-fetch-site": "none"},
    ],
)
async def test_what_another_site_sends_is_refused_even_with_the_token(
    browser: Browser, shop: Orchestrator, headers: dict[str, str]
) -> None:
    answer = await browser.post(TERMINATE, data={"token": await token(browser)}, headers=headers)

    assert answer.status_code == 403
    assert await shop.state("waiting") is State.RUNNING


@pytest.mark.parametrize("forged", ["", "0" * 64, "x"])
async def test_without_the_token_of_this_browser_nothing_is_done(
    browser: Browser, shop: Orchestrator, forged: str
) -> None:
    await browser.get(TERMINATE)
    answer = await browser.post(TERMINATE, data={"token": forged}, headers=OF_A_BROWSER)

    assert answer.status_code == 403
    assert await shop.state("waiting") is State.RUNNING


async def test_a_token_without_its_cookie_is_none(browser: Browser, shop: Orchestrator) -> None:
    given = await token(browser)
    browser.cookies.clear()
    answer = await browser.post(TERMINATE, data={"token": given}, headers=OF_A_BROWSER)

    assert answer.status_code == 403
    assert await shop.state("waiting") is State.RUNNING


async def test_the_cookie_goes_to_no_other_site_and_no_script(browser: Browser) -> None:
    cookie = (await browser.get(TERMINATE)).headers["set-cookie"].lower()

    assert "httponly" in cookie
    assert "samesite=strict" in cookie


async def test_nothing_is_done_by_looking(browser: Browser, shop: Orchestrator) -> None:
    given = await token(browser)
    await browser.get(TERMINATE, params={"token": given, "reason": "x"}, headers=OF_A_BROWSER)
    json = await browser.post(TERMINATE, json={"token": given}, headers=OF_A_BROWSER)

    assert json.status_code == 415
    assert await shop.state("waiting") is State.RUNNING


async def test_where_nobody_may_act_nothing_is_offered_or_done(visitor: Browser, shop: Orchestrator) -> None:
    for path in ("/", "/?show=running", "/instances/waiting", "/queues", "/schedules"):
        page = Html((await visitor.get(path)).text)
        assert not [link for link in page.links if "/do/" in link or "batches" in link], path
    answers = [await visitor.get(TERMINATE), await visitor.get("/batches/new/cancel?show=running")]
    assert [each.status_code for each in answers] == [403, 403]

    visitor.cookies.set("perdure_token", "a" * 64)
    for path in (TERMINATE, "/batches/new/terminate"):
        await visitor.post(path, data={"token": "a" * 64, "show": "running"}, headers=OF_A_BROWSER)
    assert await shop.state("waiting") is State.RUNNING


async def test_who_may_do_some_things_is_offered_those(shop: Orchestrator, site_of: Callable[..., Site]) -> None:
    def may(request: Any, action: ActionName, target: Any) -> bool:
        return action is ActionName.SUSPEND and target.kind is TargetKind.INSTANCE

    async with site_of(may) as site, Browser(site) as browser:
        page = Html((await browser.get("/instances/waiting")).text)
        assert [link for link in page.links if "/do/" in link] == ["/do/instance/waiting/suspend"]
        assert (await browser.get(TERMINATE)).status_code == 403


async def test_all_of_a_list_can_be_done_at_once(shop: Orchestrator, browser: Browser) -> None:
    for number in range(30):
        await shop.start(pick.with_options(instance_id=f"p{number}", queue="nobody's"), "x")
    question = await browser.get("/batches/new/terminate?show=running&queue=nobody%27s&prefix=p")
    assert "30 instances match" in Html(question.text).text

    begun = await browser.submit(question, reason="all of them")

    async def is_done() -> bool:
        return "ended" in Html((await browser.get(begun.headers["location"])).text).one("h1").text

    await until_async(is_done)
    page = await browser.get(begun.headers["location"])
    assert faults(page.text) == []
    assert await shop.count(id_prefix="p") == {State.TERMINATED: 30}
    assert await shop.state("left") is State.RUNNING
    assert "terminate" in Html((await browser.get("/batches")).text).one("table").text


async def test_a_batch_is_for_a_filter_and_never_for_all(browser: Browser) -> None:
    assert (await browser.get("/batches/new/terminate")).status_code == 404
    assert (await browser.get("/batches/new/pause_queue?show=running")).status_code == 404
