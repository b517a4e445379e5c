"""Tokens of a memory store."""

from __future__ import annotations

import os

from perdure.backends.memory.tokens import Tokens


def test_tokens_are_63_random_bits() -> None:
    """B3: never a counter."""
    tokens = Tokens()

    drawn = [tokens.draw() for _ in range(1_000)]

    assert len(set(drawn)) == 1_000
    assert max(drawn) < 2**63
    assert sum(token > 2**62 for token in drawn) > 400
    assert not set(drawn) & {Tokens().draw() for _ in range(1_000)}


def test_a_forked_child_does_not_repeat_its_parents_tokens() -> None:
    """B3: a process pool, say, whose children have the parent's store in memory."""
    tokens = Tokens()
    tokens.draw()
    reading, writing = os.pipe()

    child = os.fork()
    if child == 0:
        os.write(writing, tokens.draw().to_bytes(8))
        os._exit(0)

    os.waitpid(child, 0)
    assert int.from_bytes(os.read(reading, 8)) != tokens.draw()
    os.close(reading)
    os.close(writing)
