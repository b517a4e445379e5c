"""Where things are: paths below the place that the site is mounted at, and ids as one segment of them.

An id may hold anything, and between a browser and this program servers decode `%2F`, fold `//` and resolve `..`. So an id isn't
percent-encoded: what isn't plain in a path is `~` and two hex digits for each byte. No server has a reason to touch that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlencode

from perdure.diagnostics.web.rendering import versions

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@:")
_ESCAPED = re.compile(rb"~([0-9A-Fa-f]{2})")


def as_segment(name: str) -> str:
    """The name as one segment of a path; plain ones stay readable."""
    kept = _PLAIN - {ord(".")} if not name.strip(".") else _PLAIN  # `.` and `..` would lead elsewhere
    return "".join(chr(byte) if byte in kept else f"~{byte:02X}" for byte in name.encode())


def from_segment(segment: str) -> str:
    """The name that `as_segment` was given. Raises ValueError if it isn't one's."""
    raw = _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), segment.encode())
    return raw.decode()


class Links:
    """Makes the addresses of a request's answer: paths alone, so that no header can lead them to another host."""

    def __init__(self, root_path: str) -> None:
        self._root = root_path.rstrip("/")

    def to(self, *segments: str, **query: object) -> str:
        """The page of these segments, with what of the query isn't None."""
        path = "/".join(as_segment(each) for each in segments)
        return f"{self._root}/{path}{_query(query)}"

    def instance(self, instance_id: str, *below: str, **query: object) -> str:
        return self.to("instances", instance_id, *below, **query)

    def static(self, name: str) -> str:
        """A file of the site's own; its address changes with its content, so that browsers may keep it."""
        return self.to("static", name, v=versions()[name])


def _query(query: Mapping[str, object]) -> str:
    given = [(name.rstrip("_"), value) for name, value in query.items() if value not in (None, "", ())]
    return f"?{urlencode(given, doseq=True)}" if given else ""
