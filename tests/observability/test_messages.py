"""docs/logging.md lists every message of perdure's own, with its logger and level, and no other one."""

from __future__ import annotations

from tests.observability.messages import calls_in, listed, logged


def test_every_message_is_a_text_that_stands_where_it_is_logged() -> None:
    assert [call.place for call in logged() if call.message is None] == []


def test_the_page_lists_what_is_logged_and_nothing_else() -> None:
    in_source = {(call.logger, call.level, call.message) for call in logged()}
    on_page = {(line.logger, line.level, line.message) for line in listed()}

    assert sorted(on_page - in_source) == []
    assert sorted(in_source - on_page) == []


def test_each_line_of_the_page_says_what_it_means() -> None:
    assert [line.message for line in listed() if not line.meaning] == []


def test_messages_are_found_however_they_are_logged() -> None:
    source = """
_log.info("it works")
self._logger.log(logging.WARNING, "%s of %d failed: %.1f", a, b, c)
self._has.logger.log(level, "by case")
self._loggers.worker.exception("it "
                               "fails")
attempt.logger.debug(f"{computed}")
math.log("is something else")
"""
    found = [(call.level, call.message) for call in calls_in(source, "src/perdure/worker/some.py")]

    assert found == [
        ("info", "it works"),
        ("warning", "… of … failed: …"),
        ("by case", "by case"),
        ("error", "it fails"),
        ("debug", None),
    ]
