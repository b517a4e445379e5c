"""The canonical encoding of a payload, whose hash tells whether code repeated itself.

A canonical text has the keys of every object in the order of their UTF-8 bytes. Sets are brought in order when they
are first encoded (nobody chose the order of a set, and it differs from process to process), so that the canonical text
and its digest follow from a payload alone.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from perdure.serialization.converters import Converters
from perdure.serialization.walking import SCALARS, field_names, has_set, parts, visible

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode

DIGEST_BYTES = 16


_fresh_hash = blake2b(digest_size=DIGEST_BYTES).copy  # a copy takes two thirds of the time of a new one


def digest_of_scalars(text: bytes) -> bytes:
    """The digest of a text that holds no object."""
    hashing = _fresh_hash()
    hashing.update(text)
    return hashing.digest()


def digest(text: bytes) -> bytes:
    """16 bytes that are the same for every order of keys."""
    return digest_of_scalars(_encode_sorted(_decode(text)) if b"{" in text else text)


def sort_sets(text: bytes, value: object, converters: Converters) -> bytes:
    """`text`, the encoding of `value`, with the elements of each set in the order of their encoded bytes.

    Not by their values: elements need not be comparable, and of frozensets `<` is no order at all.
    """
    if b"[" not in text or not has_set(value, converters):
        return text
    tree = _decode(text)
    _sort(value, tree, converters)
    return _encode(tree)


def _sort(value: object, tree: object, converters: Converters) -> None:
    if not isinstance(tree, list | dict) or type(value) in SCALARS:
        return
    value = visible(value, converters)
    for (_, part), branch in zip(parts(value, converters), _branches(value, tree), strict=False):
        _sort(part, branch, converters)
    if isinstance(value, set | frozenset) and isinstance(tree, list):
        tree.sort(key=_encode_sorted)


def _branches(value: object, tree: list[object] | dict[str, object]) -> list[object]:
    """The parts of the tree that stand for the parts of the value."""
    if isinstance(value, msgspec.Struct):
        return _struct_branches(value, tree)
    if isinstance(tree, list):
        return tree
    names = field_names(value)
    return list(tree.values()) if names is None else [tree.get(name) for name in names]


def _struct_branches(value: msgspec.Struct, tree: list[object] | dict[str, object]) -> list[object]:
    if isinstance(tree, dict):
        return [tree.get(name) for name in value.__struct_encode_fields__]
    return tree[1:] if value.__struct_config__.tag is not None else tree
