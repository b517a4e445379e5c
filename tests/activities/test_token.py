from __future__ import annotations

import re

import pytest

from perdure.activities.token import ActivityToken
from perdure.errors import ConfigurationError

TOKEN = ActivityToken(activity_key=2**62 + 1, token=2**63 - 1, instance_id="Auftrag-ß 7", name="charge")


def test_a_token_is_text_that_is_safe_in_urls_and_comes_back() -> None:
    text = str(TOKEN)

    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert ActivityToken.parse(text) == TOKEN


@pytest.mark.parametrize("text", ["", "x", "not a token", "ÄÖÜ", str(TOKEN)[:-4], "AAAA", str(TOKEN)[4:]])
def test_what_isnt_a_token_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="isn't an activity's token"):
        ActivityToken.parse(text)


def test_a_token_of_another_release_says_so() -> None:
    other = ActivityToken(version=2, activity_key=1, token=2, instance_id="a", name="b")

    with pytest.raises(ConfigurationError, match="another release"):
        ActivityToken.parse(str(other))
