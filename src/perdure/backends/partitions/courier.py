"""Delivers the letters that this process' commits have written, as soon as they are committed (STORES.md B5).

A letter is taken by its receiver's partition, then its answer is written in its sender's, where it leaves the outbox: two batches, each
shared with whatever else is there. If one of them fails, the letter stays where it is, and whoever keeps house relays it some
seconds later.

Who asks for something that a letter under way is about is let wait for it: a process sees what it has sent.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from perdure.backends.group_commit import Job
from perdure.backends.letters import Answer, Letter
from perdure.backends.partition import Partition
from perdure.backends.partitions.errands import Errand
from perdure.backends.rules.letters import receive, settle
from perdure.backends.unit.chore import Chore
from perdure.observability.logging import text_of

_log = logging.getLogger("perdure.store")

Put = Callable[[int, list[Job]], None]
"""Hands jobs to the writer of a partition."""


class Courier:
    """Called from any thread."""

    def __init__(self, put: Put, partition: Partition) -> None:
        """`partition` is any of them."""
        self._put = put
        self._partition = partition
        self._lock = threading.Lock()
        self._under_way: dict[bytes, Letter] = {}
        self._about: defaultdict[str, set[bytes]] = defaultdict(set)
        """Letters from and to an instance."""
        self._waiting: list[tuple[set[bytes], Callable[[], None]]] = []

    def send(self, letters: Sequence[Letter], because_of: Iterable[bytes] = ()) -> None:
        """These are written. Whoever waits for letters that they are a consequence of waits for them too."""
        with self._lock:
            new = [letter for letter in letters if letter.message_id not in self._under_way]
            for letter in new:
                self._under_way[letter.message_id] = letter
                self._about[letter.to].add(letter.message_id)
                self._about[letter.sender_id].add(letter.message_id)
            causes, ids = set(because_of), {letter.message_id for letter in new}
            for awaited, _ in self._waiting:
                if not awaited.isdisjoint(causes):
                    awaited.update(ids)
        by_receiver: defaultdict[int, list[Job]] = defaultdict(list)
        for letter in new:
            by_receiver[self._partition.of_id(letter.to)].append(Receipt(letter, self._received))
        for number, errands in by_receiver.items():
            self._put(number, errands)

    def let_wait(self, instance_id: str | None, go_on: Callable[[], None]) -> bool:
        """Whether letters about the instance (None: about any) are under way; then `go_on` is called when they have arrived."""
        if not self._under_way:
            return False
        with self._lock:
            awaited = set(self._under_way) if instance_id is None else set(self._about.get(instance_id, ()))
            if awaited:
                self._waiting.append((awaited, go_on))
        return bool(awaited)

    def _received(self, receipt: Errand) -> None:
        assert isinstance(receipt, Receipt)
        letter, answer = receipt.letter, receipt.outcome
        if receipt.error is not None:
            _log.info(
                "a message from %s to %s is delivered later: %s",
                letter.sender_id,
                letter.to,
                text_of(receipt.error),
                extra={"instance_id": letter.to},
            )
        if not isinstance(answer, Answer):
            self._over(letter)
            return
        settling = Chore(
            lambda unit: settle(unit, letter, answer), when_sealed=True, about=letter.sender_key, is_brief=True
        )
        self._put(self._partition.of_key(letter.sender_key), [Errand(settling, lambda _: self._over(letter))])

    def _over(self, letter: Letter) -> None:
        """It has arrived, or stays in the outbox."""
        message_id = letter.message_id
        with self._lock:
            self._under_way.pop(message_id, None)
            for instance_id in (letter.to, letter.sender_id):
                self._about[instance_id].discard(message_id)
                if not self._about[instance_id]:
                    del self._about[instance_id]
            for awaited, _ in self._waiting:
                awaited.discard(message_id)
            ready = [go_on for awaited, go_on in self._waiting if not awaited]
            self._waiting = [(awaited, go_on) for awaited, go_on in self._waiting if awaited]
        for go_on in ready:
            go_on()


class Receipt(Errand):
    """A letter is taken by the receiver's partition."""

    __slots__ = ("letter",)

    def __init__(self, letter: Letter, then: Callable[[Errand], None]) -> None:
        chore = Chore(lambda unit: receive(unit, letter), when_sealed=True, about=letter.to, is_brief=True)
        super().__init__(chore, then)
        self.letter = letter
