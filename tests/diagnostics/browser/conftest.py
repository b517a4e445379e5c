"""Pages in a browser."""

from tests.diagnostics.browser.fixtures import (
    address,
    browser,
    chromium,
    full_address,
    full_store,
    perdure,
    reader,
    steerer,
    url,
)

__all__ = ["address", "browser", "chromium", "full_address", "full_store", "perdure", "reader", "steerer", "url"]
