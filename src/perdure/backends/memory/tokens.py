"""Random tokens and keys, at a tenth of what the machine's own chance costs.

A store of one process needs no more than that tokens don't repeat: a generator seeded by the machine does.
"""

from __future__ import annotations

import os

from perdure.clock import new_dice


class Tokens:
    """Gives 63 random bits each time. A forked child begins anew: it must not give what its parent gives."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._dice = new_dice()

    def draw(self) -> int:
        if self._process != os.getpid():
            self.__init__()  # type: ignore[misc]
        return self._dice.getrandbits(63)
