"""How values are written on pages: lengths of time, sizes, and text that may hold anything."""

from __future__ import annotations

from datetime import datetime, timedelta

_JOINERS = "\u200c\u200d"  # within emoji and words of several scripts
_KEPT = frozenset("\n\t" + _JOINERS)

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def visible(text: str) -> str:
    """The text with what would be invisible, or turn its neighbours about, as an escape: control characters, bidi marks, surrogates."""
    if text and not text.strip(" "):  # an id may be that, and its link must be pressed
        return text.replace(" ", "␠")
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in _KEPT else _escape(each) for each in text)


def duration(length: timedelta | float) -> str:
    """In its two largest units at most: `340 ms`, `2.4 s`, `3 min 12 s`, `4 d 6 h`."""
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    if seconds < 0:
        return f"−{duration(-seconds)}"
    if seconds < 0.001:
        return f"{seconds * 1_000_000:.0f} µs" if seconds else "0 s"
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    for unit, name, smaller, smaller_name in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // smaller
            return f"{whole // unit} {name} {rest} {smaller_name}" if rest else f"{whole // unit} {name}"
    return f"{whole} s"


def size(count: int) -> str:
    """Of bytes: `812 B`, `1.4 KB`, `3.2 MB`."""
    if count < 1000:
        return f"{count} B"
    amount = float(count)
    for unit in ("KB", "MB", "GB"):
        amount /= 1000
        if amount < 1000:
            return f"{amount:.3g} {unit}"
    return f"{amount:.0f} GB"


def number(count: int) -> str:
    return f"{count:,}"


def moment(at: datetime) -> str:
    """`2026-07-01 08:30:00.125`, in UTC."""
    return at.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")


def second(at: datetime) -> str:
    """`2026-07-01 08:30:00`, in UTC."""
    return at.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")


def machine_time(at: datetime) -> str:
    """For `<time datetime>`."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
