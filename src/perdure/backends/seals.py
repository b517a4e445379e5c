"""What a seal says, as one text for all stores: where the store was moved to, or that it is being filled.

A store keeps the text and raises `refusal` for whatever the seal keeps out. While it `is_filling`, `import_instance` and
`put_setting` are let in, and nothing else.
"""

from __future__ import annotations

from perdure.errors import StoreFilling, StoreSealed

_FILLING = "filling from "  # no URL begins so


def filling_from(source: str) -> str:
    """The seal of a store that takes in what another one has, until all is there."""
    return f"{_FILLING}{source}"


def is_filling(seal: str) -> bool:
    return seal.startswith(_FILLING)


def refusal(seal: str) -> StoreSealed | StoreFilling:
    """What a sealed store answers."""
    if is_filling(seal):
        source = seal.removeprefix(_FILLING)
        return StoreFilling(
            f"The store is being filled from {source} and opens when all is there. Nothing was written. Workers wait for "
            f"it; if that copy was broken off, run it again.",
            source,
        )
    return StoreSealed(f"The store was moved to {seal}: use that one. Nothing was written here.", seal)
