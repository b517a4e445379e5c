"""Chromium for the tests that go through pages in a browser: found, or installed out of Debian's packages.

    python3 -m scripts.chromium       install it if need be, and print where it is

$PERDURE_TEST_CHROMIUM names another one, Chrome say. Where none can be had, the tests that need it are skipped, with a word on stderr;
with CI set that is a failure.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from scripts.debian_unstable import Unavailable
from scripts.servers import programs

VARIABLE = "PERDURE_TEST_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome")
PACKAGES = ("chromium", "fonts-dejavu-core")  # without a font it draws empty boxes


def find() -> Path:
    """Raises Unavailable."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    for name in NAMES:
        with suppress(Unavailable):
            return programs.find(name)
    raise Unavailable("Chromium is not on this machine")


def have() -> Path:
    """Install it if it isn't there. Raises Unavailable."""
    try:
        return find()
    except Unavailable:
        programs.install(PACKAGES)
        return find()


def main() -> int:
    try:
        print(have())
    except Unavailable as reason:
        is_fatal = "CI" in os.environ
        print(f"{'failed' if is_fatal else 'skipped'}: no Chromium: {reason}", file=sys.stderr)
        return int(is_fatal)
    return 0


if __name__ == "__main__":
    sys.exit(main())
