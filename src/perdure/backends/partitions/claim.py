"""A claim over all partitions: a look at what waits in each, then a claim in those that have what comes first.

So the order of claims (priority, then age) holds over all of them, but for what changes meanwhile; and a partition from which
nothing is taken is asked one question.

What some partitions have leased is handed over, whatever becomes of the rest. If the answer of one is lost, what it may have leased
is nobody's: the claim says so (`is_uncertain`), or fails in a way that says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import TypeVar

import msgspec

from perdure.backends.answers import may_have_happened
from perdure.backends.partitions.errands import Errand, Gathering, errors_of, outcomes_of
from perdure.backends.rules.peeking import Peek, Waiting, peek
from perdure.backends.unit.chore import Chore
from perdure.errors import StoreUnavailable
from perdure.model.transition import Claimed, ClaimTasks

P = TypeVar("P", bound=tuple[object, ...])

_ROUNDS = 3
"""So often it is looked again, if what was seen was taken by others."""

Spread = Callable[[Gathering, Sequence[int]], None]
"""Hands the errands of a gathering to these partitions."""


class WideClaim:
    """One claim under way."""

    def __init__(
        self, claim: ClaimTasks, count: int, spread: Spread, end: Callable[[Claimed | BaseException], None]
    ) -> None:
        self._claim = claim
        self._all = range(count)
        self._spread = spread
        self._end = end
        self._rounds = 0
        self._claimed: list[Claimed] = []
        self._is_uncertain = False
        self._seen: list[Claimed] = []

    def begin(self) -> None:
        self._rounds += 1
        claim = self._rest()
        look = Chore(lambda unit: peek(unit, claim))
        self._spread(Gathering([look] * len(self._all), self._looked), self._all)

    def _rest(self) -> ClaimTasks:
        """What is still to be claimed."""
        claim = self._claim
        if not self._claimed:
            return claim
        workflows = sum(len(each.workflow_tasks) for each in self._claimed)
        activities = sum(len(each.activity_tasks) for each in self._claimed)
        return msgspec.structs.replace(
            claim, workflow_slots=claim.workflow_slots - workflows, activity_slots=claim.activity_slots - activities
        )

    def _looked(self, looks: list[Errand]) -> None:
        peeks: dict[int, Peek] = {
            number: errand.outcome for number, errand in enumerate(looks) if errand.outcome is not None
        }
        self._seen = [each.claimed for each in peeks.values()]
        error = _lasting(looks) or (None if self._seen else _unseen(looks))
        if error is not None:
            self._finish(error)
            return
        rest = self._rest()
        workflows = _shares({number: each.instances for number, each in peeks.items()}, rest.workflow_slots)
        activities = _shares(
            {number: each.activities for number, each in peeks.items()},
            rest.activity_slots,
            _within_limits(peeks.values()),
        )
        chosen = sorted({*workflows, *activities})
        if not chosen:
            self._finish()
            return
        claims = [
            msgspec.structs.replace(rest, workflow_slots=workflows[number], activity_slots=activities[number])
            for number in chosen
        ]
        self._spread(Gathering(claims, self._took), chosen)

    def _took(self, claims: list[Errand]) -> None:
        errors = errors_of(claims)
        if errors:
            self._claimed += outcomes_of([errand for errand in claims if errand.error is None])
            self._is_uncertain = any(map(may_have_happened, errors))
            self._finish(next(filter(may_have_happened, errors), errors[0]))
            return
        taken: list[Claimed] = outcomes_of(claims)
        self._claimed += taken
        missed = any(
            len(each.workflow_tasks) < errand.work.workflow_slots
            or len(each.activity_tasks) < errand.work.activity_slots
            for errand, each in zip(claims, taken, strict=True)
            if isinstance(errand.work, ClaimTasks)
        )
        if missed and self._rounds < _ROUNDS:
            self.begin()
        else:
            self._finish()

    def _finish(self, error: BaseException | None = None) -> None:
        if error is None or any(each.workflow_tasks or each.activity_tasks for each in self._claimed):
            self._end(_merged([*self._claimed, *self._seen], is_uncertain=self._is_uncertain))
        else:
            self._end(error)


def _lasting(looks: Sequence[Errand]) -> BaseException | None:
    """One partition that can't be reached holds up its own work alone; other errors are everybody's."""
    return next((error for error in errors_of(looks) if not isinstance(error, StoreUnavailable)), None)


def _unseen(looks: Sequence[Errand]) -> StoreUnavailable:
    return StoreUnavailable(
        f"no partition can be looked into; nothing was claimed. {errors_of(looks)[0]}", is_unwritten=True
    )


def _shares(
    places: Mapping[int, Sequence[P]], slots: int, may_be_taken: Callable[[P], bool] = lambda _: True
) -> Counter[int]:
    """How many to claim in each, so that those come that are first of all."""
    order = sorted((place, number) for number, some in places.items() for place in some)
    return Counter(islice((number for place, number in order if may_be_taken(place)), slots))


def _within_limits(peeks: Iterable[Peek]) -> Callable[[Waiting], bool]:
    """Takes a permit for each activity of a limited queue: where one may begin, many partitions would compete for it in vain.

    What is free besides, because it has become so while they were looked into, rings for another claim.
    """
    permits: dict[str, int] = {}
    for each in peeks:
        for queue, free in each.permits.items():
            permits[queue] = min(free, permits.get(queue, free))

    def may_begin(activity: Waiting) -> bool:
        *_, queue = activity
        if queue not in permits:
            return True
        permits[queue] -= 1
        return permits[queue] >= 0

    return may_begin


def _merged(claims: Sequence[Claimed], *, is_uncertain: bool) -> Claimed:
    workflow_tasks = [task for each in claims for task in each.workflow_tasks]
    activity_tasks = [task for each in claims for task in each.activity_tasks]
    workflow_tasks.sort(key=lambda task: (-task.priority, task.instance_key))
    activity_tasks.sort(key=lambda task: (-task.priority, task.instance_key, task.number))
    return Claimed(
        workflow_tasks=tuple(workflow_tasks),
        activity_tasks=tuple(activity_tasks),
        next_due_at=min((each.next_due_at for each in claims if each.next_due_at is not None), default=None),
        now=max(each.now for each in claims),
        told=tuple(dict.fromkeys(some for each in claims for some in each.told)),
        is_uncertain=is_uncertain,
    )
