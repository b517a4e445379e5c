"""What is done to the JSON text of a payload before it is stored: compression, encryption.

A payload that codecs have changed begins with a byte no JSON text begins with, and names the codecs in the order in
which they were applied:

    0xC1 "zlib,aes-gcm" 0x00 data

So coded and plain payloads stand side by side in one history, and codecs can be added at any time. One can be taken
away when no stored payload names it any more.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from perdure.clock import random_id
from perdure.errors import ConfigurationError, DecodeError

MARK = b"\xc1"
_END = b"\0"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


class Codec(Protocol):
    """Changes the bytes of payloads. May be called from any thread."""

    @property
    def name(self) -> str:
        """Stands in every payload that it has changed: it must never change, nor the meaning of what it wrote.

        Lower-case letters, digits, `.`, `_` and `-`.
        """
        ...

    def encode(self, data: bytes, /) -> bytes:
        """The bytes to store; `data` itself when this payload is left as it is."""
        ...

    def decode(self, data: bytes, /) -> bytes:
        """What was given to `encode`. Raises on data that it didn't write."""
        ...


class CodecChain:
    """Several codecs: applied in order, taken off in reverse."""

    def __init__(self, codecs: Sequence[Codec] = ()) -> None:
        self._codecs = tuple(codecs)
        self._by_name = {codec.name: codec for codec in codecs}
        wrong = [codec.name for codec in codecs if not _NAME.fullmatch(codec.name)]
        if wrong:
            raise ConfigurationError(f"codec name {wrong[0]!r}: use lower-case letters, digits, '.', '_' and '-'")
        if len(self._by_name) != len(self._codecs):
            raise ConfigurationError("two codecs have the same name")

    def encode(self, text: bytes) -> bytes:
        if not self._codecs:
            return text
        data, names = text, list[str]()
        for codec in self._codecs:
            changed = codec.encode(data)
            if changed is not data:
                data = changed
                names.append(codec.name)
        return b"".join((MARK, ",".join(names).encode(), _END, data)) if names else text

    def decode(self, payload: bytes) -> bytes:
        """Raises DecodeError if a codec isn't configured or can't read its data."""
        if not payload.startswith(MARK):
            return payload
        names, end, data = payload[1:].partition(_END)
        if not end:
            raise DecodeError("a stored payload is cut off: its codecs aren't named in full")
        for name in reversed(names.decode("ascii", "replace").split(",")):
            data = self._take_off(name, data)
        return data

    def _take_off(self, name: str, data: bytes) -> bytes:
        codec = self._by_name.get(name)
        if codec is None:
            raise DecodeError(f"a stored payload was written with the codec {name!r}, which isn't configured here")
        try:
            return codec.decode(data)
        except Exception as problem:  # codecs are the user's too
            raise DecodeError(f"the codec {name!r} can't read a stored payload: {problem}") from problem


class Compression:
    """zlib for payloads of at least `threshold_bytes`, where it makes them smaller.

    A payload that would unpack to more than `longest_bytes` is refused: nothing of that size was ever written.
    """

    name = "zlib"

    def __init__(self, *, threshold_bytes: int = 1024, level: int = 6, longest_bytes: int = 1 << 30) -> None:
        self._threshold = threshold_bytes
        self._level = level
        self._longest = longest_bytes

    def encode(self, data: bytes, /) -> bytes:
        if len(data) < self._threshold:
            return data
        packed = zlib.compress(data, self._level)
        return packed if len(packed) < len(data) else data

    def decode(self, data: bytes, /) -> bytes:
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(data, self._longest)
        if not unpacking.eof:
            raise ValueError("it is cut off or unpacks to too much")
        return text


_NONCE_BYTES = 12


class Encryption:
    """AES-GCM, for payloads alone: names, ids, tags, messages and tracebacks of failures, and digests stay readable.

    `keys` are 16, 24 or 32 bytes each, by an id that stands in the payload; `current` is the id of the one to write
    with. To rotate, add a key everywhere, then make it the current one; the old one is needed while payloads name it.
    Needs the package `cryptography`: `pip install perdure[crypto]`. Compress before, never after.
    """

    name = "aes-gcm"

    def __init__(self, keys: Mapping[str, bytes], current: str) -> None:
        if current not in keys:
            raise ConfigurationError(f"the current key {current!r} isn't among the keys: {', '.join(sorted(keys))}")
        self._ciphers = {_key_id(key_id): _cipher(key_id, key) for key_id, key in keys.items()}
        self._current = current.encode()

    def encode(self, data: bytes, /) -> bytes:
        nonce = random_id()[:_NONCE_BYTES]
        header = bytes([len(self._current)]) + self._current
        sealed: bytes = self._ciphers[self._current].encrypt(nonce, data, header)
        return header + nonce + sealed

    def decode(self, data: bytes, /) -> bytes:
        end = 1 + data[0]
        header, nonce, sealed = data[:end], data[end : end + _NONCE_BYTES], data[end + _NONCE_BYTES :]
        cipher = self._ciphers.get(header[1:])
        if cipher is None:
            raise LookupError(f"the key {header[1:].decode('utf-8', 'replace')!r} isn't configured here")
        try:
            text: bytes = cipher.decrypt(nonce, sealed, header)
        except Exception as problem:
            raise ValueError("wrong key, or changed data") from problem
        return text


def _key_id(key_id: str) -> bytes:
    encoded = key_id.encode()
    if not 0 < len(encoded) < 256:
        raise ConfigurationError(f"key id {key_id!r}: it must have 1 to 255 bytes")
    return encoded


def _cipher(key_id: str, key: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as problem:
        raise ConfigurationError("Encryption needs the package cryptography: pip install perdure[crypto]") from problem
    try:
        return AESGCM(key)
    except ValueError as problem:
        raise ConfigurationError(f"key {key_id!r}: AES takes 16, 24 or 32 bytes, not {len(key)}") from problem
