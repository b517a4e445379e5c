from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.backends.cursors import decode_cursor, encode_cursor
from perdure.errors import ConfigurationError


@given(st.integers(0, 2**63 - 1))
def test_a_cursor_leads_back_to_its_key(key: int) -> None:
    assert decode_cursor(encode_cursor(key)) == key


@given(st.text())
def test_any_text_is_a_cursor_of_ours_or_refused(text: str) -> None:
    try:
        key = decode_cursor(text)
    except ConfigurationError:
        return
    assert decode_cursor(encode_cursor(key)) == key


def test_a_cursor_fits_into_a_url() -> None:
    assert all(c.isalnum() or c in "-_" for c in encode_cursor(2**63 - 1))


@pytest.mark.parametrize("text", ["", "=", "AAAA", "🙂", encode_cursor(1) + "A"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        decode_cursor(text)
