"""What strangers may write into ids, names, tags, payloads and errors, each to do harm in its own way."""

from __future__ import annotations

TEXTS = {
    "script": "<script>wasRun=1</script>",
    "image": "<img src=x onerror=wasRun=1>",
    "attribute": '" autofocus onfocus=wasRun=1 x="',
    "quote": "' onmouseover='wasRun=1' '",
    "address": "javascript:wasRun=1//",
    "closing": "</title></textarea></style></script><svg onload=wasRun=1>",
    "comment": "--><!--]]>&lt;b&gt;&amp;<b>",
    "template": "{{ 7*191 }}{% raw %}${7*191}#{7*191}",
    "markup": "[bold red]x[/] [link=javascript:wasRun=1]y[/link] :warning: `code`",
    "path": "../../../etc/passwd",
    "dots": "..",
    "slashes": "a//b/c:d\\e",
    "encoded": "%2F%2e%2e%252F%00+%",
    "query": "a?b=c&d#e;f",
    "tilde": "~2F~",
    "space": " ",
    "bidi": "invoice\u202egnp.exe\u2066",
    "control": "a\x1b[31mb\x07\r\nc\x85\u2028d\x7f",
    "invisible": "a\u200bb\ufeffc\U000e0041",
    "wide": "日本語 ñ 🏳️‍🌈 é",
    "long": "x" * 255,
}
"""As ids: up to 255 bytes of UTF-8. NUL and lone surrogates are no ids, and are refused when an instance is started."""

NO_ID = ("", "\0", "a\0b", "\ud800", "x" * 256)

BYTES = {
    "no UTF-8": b"\xff\xfe<script>wasRun=1</script>\x80",
    "NUL": b'"\\u0000<script>wasRun=1</script>"',
    "lone surrogate": b'"\\ud800<script>wasRun=1</script>"',
    "no JSON": b"<!doctype html><script>wasRun=1</script>",
    "deep": b"[" * 5_000 + b"]" * 5_000,
    "long": b'"' + b"<b>" * 300_000 + b'"',
    "nothing": b"",
    "huge number": b"1" + b"0" * 5_000,
}
"""Payloads as they may lie in a store."""
