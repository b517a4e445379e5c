"""Rows in memory: which of a unit's rows are kept between batches, and which must be read again."""

from __future__ import annotations

import random
from collections.abc import Container, Iterable
from functools import partial

from perdure.backends.apart import Apart
from perdure.backends.keys import KeySource
from perdure.backends.rows import ActivityRow, InstanceRow
from perdure.backends.unit.changes import Changes
from perdure.backends.unit.heads import Heads
from perdure.backends.unit.office import Office
from perdure.backends.unit.settled import Settled
from perdure.backends.unit.tables import Tables
from perdure.backends.wakes import Wakes
from perdure.clock import Micros

_MOST_ROWS = 20_000  # of each kind, kept between batches: some 30 MB at worst


class KeptRows:
    """What was read stays, as long as nobody else can have changed it."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.now: Micros = 0
        dice = random.Random()  # seeded by the system; a forked child makes units of its own
        self.draw_token = partial(dice.getrandbits, 63)
        self.keys = KeySource(self.draw_token)
        self.office: Office | None = None
        """Of a store with several partitions."""
        self.wakes = Wakes()
        self.changes = Changes()
        self.apart = Apart(self.changes, tables.blob_threshold)
        self.heads = Heads()
        self._instances: dict[int, InstanceRow] = {}
        self._keys: dict[str, int] = {}
        self._activities: dict[int, ActivityRow] = {}
        self._absent: set[str] = set()
        self._passing: list[int] = []
        self._touched: list[int] = []
        self._receipts: dict[tuple[int, bytes], Micros] = {}
        self._running: dict[str, int] = {}
        self.are_others_writing = False
        """Without the unit's noticing: other processes write as well."""
        self.conflicts = 0
        """How often others were faster, so that this batch is applied once more."""
        self.settled = settled = Settled(tables)
        self.limits, self.worker, self.seal_target = settled.limits, settled.worker, settled.seal_target

    def move_in(self, office: Office) -> None:
        """The store turned out to have several partitions, and this is one of them."""
        self.office = office
        self.keys = KeySource(self.draw_token, office.partition, office.last_key)

    def chance(self) -> float:
        """A number in [0, 1)."""
        return self.draw_token() / 2**63

    # --- what stays

    def committed(self) -> None:
        """Let go of rows that no step will need again; nobody else writes."""
        for key in self._passing:
            self._let_go(key)
        self._passing.clear()
        self._touched.clear()
        self._absent.clear()
        self._receipts.clear()
        while len(self._instances) > _MOST_ROWS:
            self._let_go(next(iter(self._instances)))
        while len(self._activities) > _MOST_ROWS:
            del self._activities[next(iter(self._activities))]

    def committed_among_others(self, workers: Container[int | None]) -> None:
        """The last changes are written too. Keep only what these workers hold: hardly ever somebody else writes that."""
        self._written()
        for key in self._touched:
            row = self._instances.get(key) or self._activities.get(key)
            if row is not None and row.worker not in workers:
                self._let_go(key)
        self._running.clear()
        self.committed()

    def forget_batch(self) -> None:
        """Forget what the batch has read or changed: somebody else has changed something of it."""
        for key in (*self._touched, *self.changes.instances, *self.changes.activities):
            self._let_go(key)
        self.changes.clear()
        self._running.clear()
        self._absent.clear()
        self._receipts.clear()
        self.settled.forget()
        self.heads.clear()

    def claimable(self, slots: int) -> int:
        """How many rows a claim may take: the more, the likelier it is that others change one of them meanwhile."""
        return max(1, slots >> 2 * self.conflicts) if slots else 0

    def reread(self, keys: Iterable[int]) -> None:
        """Somebody has written these instances, maybe somebody else: look again, unless this batch has changed them."""
        if self.are_others_writing:
            for key in keys:
                if key not in self.changes.instances:
                    self._let_go(key)

    def forget_rows(self, ids: Iterable[str], instance_keys: Iterable[int], activity_keys: Iterable[int]) -> bool:
        """Forget these, as `prefetch` takes them; whether any was here."""
        keys = [*instance_keys, *activity_keys, *(key for some in ids if (key := self._keys.get(some)) is not None)]
        found = [key for key in keys if key in self._instances or key in self._activities]
        for key in found:
            self._let_go(key)
        return bool(found)

    def _written(self) -> None:
        self._touched += self.changes.instances
        self._touched += self.changes.activities
        self.changes.written()

    def _let_go(self, key: int) -> None:
        self._activities.pop(key, None)
        row = self._instances.pop(key, None)
        if row is not None:
            self._keys.pop(row.instance_id, None)

    def forget(self) -> None:
        """Forget every row, changed or not: the transaction was rolled back, or others have written."""
        self.changes.clear()
        self.wakes = Wakes()
        self.rows_changed()
        self.settled.forget()

    def rows_changed(self) -> None:
        """A statement has changed rows that may be here. Everything was flushed before it."""
        self._instances.clear()
        self._keys.clear()
        self._activities.clear()
        self._absent.clear()
        self._receipts.clear()
        self._passing.clear()
        self._running.clear()
        self.heads.clear()

    # --- reading

    def prefetch(self, ids: Iterable[str], instance_keys: Iterable[int], activity_keys: Iterable[int]) -> None:
        """Read what a batch will ask for by a statement of each kind."""
        wanted_ids = [instance_id for instance_id in ids if instance_id not in self._keys]
        if wanted_ids:
            self._absent.update(wanted_ids)
            self._adopt(self.tables.instances_by_id(wanted_ids))
        wanted = [key for key in activity_keys if key not in self._activities]
        if wanted:
            self._adopt_activities(self.tables.activities_by_key(wanted))
        wanted_keys = {key for key in instance_keys if key not in self._instances}
        wanted_keys.update(
            activity.instance_key
            for key in wanted
            if (activity := self._activities.get(key)) is not None and activity.instance_key not in self._instances
        )
        if wanted_keys:
            self._adopt(self.tables.instances_by_key(list(wanted_keys)))

    def is_known_to_run(self, instance_id: str) -> bool:
        """A guess that any thread may ask for; that it was wrong is told when strangers' writes are noticed."""
        key = self._keys.get(instance_id)
        row = None if key is None else self._instances.get(key)
        return row is not None and row.state == 0

    def instance(self, key: int) -> InstanceRow | None:
        row = self._instances.get(key)
        if row is None:
            self._adopt(self.tables.instances_by_key((key,)))
            row = self._instances.get(key)
        return row

    def instance_by_id(self, instance_id: str) -> InstanceRow | None:
        key = self._keys.get(instance_id)
        if key is None:
            if instance_id in self._absent:
                return None
            self._adopt(self.tables.instances_by_id((instance_id,)))
            key = self._keys.get(instance_id)
        return None if key is None else self._instances[key]

    def activity(self, key: int) -> ActivityRow | None:
        row = self._activities.get(key)
        if row is None and key not in self.changes.removed_activities:
            self._adopt_activities(self.tables.activities_by_key((key,)))
            row = self._activities.get(key)
        return row

    def _adopt(self, rows: Iterable[InstanceRow]) -> None:
        """Take in what was read."""
        for row in rows:
            if row.key in self._instances:  # what is here may have changed since it was read
                continue
            if not row.pending_count:
                row.pending = []
            self._instances[row.key] = row
            self._keys[row.instance_id] = row.key
            self._touched.append(row.key)
            self._absent.discard(row.instance_id)
            if row.state:
                self._passing.append(row.key)

    def _adopt_activities(self, rows: Iterable[ActivityRow]) -> None:
        """Take in what was read."""
        for row in rows:
            if row.key not in self._activities:
                self._activities[row.key] = row
                self._touched.append(row.key)
