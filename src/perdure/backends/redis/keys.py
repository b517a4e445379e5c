"""Every key that perdure has in a Redis, and what it holds. There is no other place where keys are made.

A store has one or several partitions (`partitions` in the header of the first, fixed when it is created). All keys of a
partition begin with its tag, `{perdure:0}:` (prefix and number), so that they lie in one slot of a cluster and one script can
write them all. A partition is whole: it has its own workers, settings, seal and indexes, and an instance lies in one with all
that belongs to it (which one: `Partition`). What crosses from one to another is a letter (letters.py).

Numbers inside binary fields and members are 8 bytes, the highest first, so that bytes sort as numbers do. *Row* is what
`rows.py` describes: its revision (8 bytes), then its columns as a MessagePack array.

    key                          type  what
    header                       hash  `version`, `oldest_code`, `partitions`; `generation`, a counter that goes up when
                                       workers leave, limits or the seal change; `seal`, where it was moved; while
                                       `unfinished` has a batch's rest, that is said there, and the next generation here
    unfinished                   list  what is left to write of a batch that was broken off
    instances                    hash  instance key -> row
    ids                          hash  instance id -> instance key
    activities                   hash  activity key -> row
    open                         zset  of activities: instance key, activity key; in order of bytes
    state:<number>               zset  instance keys in a state (rows.STATES), in order of bytes: the listing, the counts
    ended                        zset  instance key by time of end
    removals                     zset  instance key by the time until which it is kept, of ended instances
    deadlines                    zset  instance key by deadline, of running instances
    stuck                        zset  instance keys of running instances that are stuck, in order of bytes
    suspended                    zset  the same of those that are suspended
    events:<instance>:<number>   list  of an execution's history: position of the first event, then the events
    executions:<instance>        hash  number -> a past execution
    pending:<instance>           hash  number -> event
    published:<instance>         hash  name -> value
    receipts:<instance>          hash  message id -> until when it is remembered
    receipts                     zset  instance key, message id; by the same time
    blobs                        hash  blob id -> bytes
    blobs:<instance>             hash  blob id -> nothing
    children:<execution>:<id>    zset  sub-workflows of an execution (hex) of an instance: key; 0 running, 1 ended
    ready:instances:<queue>      zset  who may claim: priority, instance key, due time, workflow and version; by bytes
    ready:activities:<queue>     zset  the same: priority, instance key, number, activity key, due time, name
    waiting:instances:<queue>    zset  the same members, by the time from which on they are ready
    waiting:activities:<queue>   zset
    leases:instances:<worker>    zset  instance key, priority; by the time at which something is due for the worker,
                                       CLAIMED while its workflow task is out, NOTHING_DUE if there is nothing
    leases:activities:<worker>   zset  activity key; 1 if its cancel was requested, else 0
    running:<queue>              zset  activity key, token; of leases
    expiring                     zset  activity key by the time until which it may wait
    queues                       hash  names of queues that ever had anything -> nothing
    workers                      hash  worker key -> how it started
    beats                        hash  worker key -> its last heartbeat
    alive                        zset  worker key, by the end of its lease
    dead                         zset  worker key, by the time of death
    questions                    hash  question id -> instance id, request, reply
    questions:expiry             zset  question id, by the time until which its asker waits
    asked                        zset  ids of questions that nobody has taken yet
    settings:<kind>              hash  name -> value
    buckets                      hash  queue -> level and time
    permits                      hash  queue -> a revision, drawn anew whenever activities of a limited queue are leased, in a store
                                       with one partition

and in a store with several partitions

    outbox                       hash  message id -> sender's key, letter
    outbox:due                   zset  message id, by the time from which on anybody may deliver it
    outbox:senders               zset  sender's key, message id; in order of bytes
    received                     hash  message id -> sender's partition, answer
    received:due                 zset  message id, by the time until which it is kept
    away:<execution>:<id>        hash  ids of sub-workflows in other partitions -> 1 if they are known to be there
    begun:<queue>                zset  of a limited queue, in the one partition that has its permits (and its `buckets`):
                                       activity key, token of a lease in another partition; by the time when it was taken

and the channel `bell`, of the first partition, to which a commit says what it made ready. Nothing expires by itself. Keys that begin with `tried:` are
there for a moment when a store is opened (link.py).

An entry of `waiting` whose time has come may stand in `ready` already, and one of `ready` that somebody is claiming in
`waiting` for a second: whoever takes a member out of one takes it out of the other as well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from struct import Struct

NOTHING_DUE = 9_000_000_000_000_000
"""A time after all times, which a double still holds exactly."""
CLAIMED = -1

INSTANCES, ACTIVITIES = "instances", "activities"

_SIGN = 1 << 63
_pair, _triple, _five = Struct(">QQ"), Struct(">QQQ"), Struct(">QQQQQ")
pack_pair = _pair.pack

Accepts = Callable[[bytes], bool]
"""A test of a member."""


def pack(number: int) -> bytes:
    """A key, a revision, a position."""
    return number.to_bytes(8)


def unpack(packed: bytes) -> int:
    """The number that the bytes begin with."""
    return int.from_bytes(packed[:8])


def instance_member(priority: int, key: int, due_at: int, workflow: str, version: str | None) -> bytes:
    """Where an instance stands on its queue."""
    name = workflow if version is None else f"{workflow}\0{version}"
    return _triple.pack(_SIGN - priority, key, due_at) + name.encode()


def instance_place(member: bytes) -> tuple[int, int, int]:
    """Priority negated, instance key, due time."""
    rank, key, due_at = _triple.unpack_from(member)
    return rank - _SIGN, key, due_at


def instance_names(member: bytes) -> tuple[str, str | None]:
    """Workflow and version."""
    workflow, _, version = (name := member[24:].decode()).partition("\0")
    return workflow, version if "\0" in name else None


def activity_member(priority: int, instance_key: int, number: int, key: int, due_at: int, name: str) -> bytes:
    """Where an activity stands on its queue."""
    return _five.pack(_SIGN - priority, instance_key, number, key, due_at) + name.encode()


def activity_place(member: bytes) -> tuple[int, int, int, int, int]:
    """Priority negated, instance key, number, activity key, due time."""
    rank, instance_key, number, key, due_at = _five.unpack_from(member)
    return rank - _SIGN, instance_key, number, key, due_at


def activity_name(member: bytes) -> str:
    return member[40:].decode()


def of_instances(names: frozenset[str], versions: frozenset[str] | None) -> Accepts:
    """Whether somebody claims it who takes these workflows."""

    def accepts(member: bytes) -> bool:
        workflow, version = instance_names(member)
        return workflow in names and (versions is None or version in versions)

    return accepts


def of_activities(names: frozenset[str]) -> Accepts:
    return lambda member: activity_name(member) in names


def lease_member(key: int, priority: int) -> bytes:
    return _pair.pack(key, _SIGN - priority)


def lease_place(member: bytes) -> tuple[int, int]:
    """Priority negated, instance key."""
    key, rank = _pair.unpack(member)
    return rank - _SIGN, key


class Keys:
    """The keys of one partition."""

    def __init__(self, prefix: str, partition: int) -> None:
        self._tag = f"{{{prefix}:{partition}}}:"
        name = self.key
        self.header, self.bell, self.unfinished = name("header"), name("bell"), name("unfinished")
        self.instances, self.ids, self.activities, self.open = map(name, ("instances", "ids", "activities", "open"))
        self.states = tuple(name(f"state:{number}") for number in range(6))
        self.ended, self.deadlines, self.receipts, self.blobs = map(name, ("ended", "deadlines", "receipts", "blobs"))
        self.removals, self.stuck, self.suspended = map(name, ("removals", "stuck", "suspended"))
        self.expiring, self.queues, self.workers, self.beats = map(name, ("expiring", "queues", "workers", "beats"))
        self.alive, self.dead, self.questions, self.asked = map(name, ("alive", "dead", "questions", "asked"))
        self.questions_expiry, self.buckets, self.permits = map(name, ("questions:expiry", "buckets", "permits"))
        self.outbox, self.outbox_due, self.outbox_senders = map(name, ("outbox", "outbox:due", "outbox:senders"))
        self.received, self.received_due = map(name, ("received", "received:due"))
        # These few are made again and again.
        self.ready_instances = cache(lambda queue: self._twins(INSTANCES, queue)[0])
        self.ready_activities = cache(lambda queue: self._twins(ACTIVITIES, queue)[0])
        self.waiting_instances = cache(lambda queue: self._twins(INSTANCES, queue)[1])
        self.waiting_activities = cache(lambda queue: self._twins(ACTIVITIES, queue)[1])
        self.queue_of: dict[bytes, tuple[str, str]] = {}
        """Of what is ready, by key: instances or activities, and the queue."""
        self.twins: dict[bytes, bytes] = {}
        """Of what is ready the key of what waits, and the other way round: a member may stand in either."""
        self.ready_behind: dict[bytes, bytes] = {}
        """Of what waits the key of what is ready."""
        self.running = cache(lambda queue: name(f"running:{queue}"))
        self.leased_instances = cache(lambda worker: name(f"leases:instances:{worker}"))
        self.leased_activities = cache(lambda worker: name(f"leases:activities:{worker}"))

    def key(self, name: str) -> bytes:
        return f"{self._tag}{name}".encode()

    def _twins(self, kind: str, queue: str) -> tuple[bytes, bytes]:
        ready, waiting = self.key(f"ready:{kind}:{queue}"), self.key(f"waiting:{kind}:{queue}")
        self.twins[ready], self.twins[waiting] = waiting, ready
        self.ready_behind[waiting] = ready
        self.queue_of[ready] = kind, queue
        return ready, waiting

    def events(self, instance_key: int, number: int) -> bytes:
        return self.key(f"events:{instance_key}:{number}")

    def executions(self, instance_key: int) -> bytes:
        return self.key(f"executions:{instance_key}")

    def pending(self, instance_key: int) -> bytes:
        return self.key(f"pending:{instance_key}")

    def published(self, instance_key: int) -> bytes:
        return self.key(f"published:{instance_key}")

    def receipts_of(self, instance_key: int) -> bytes:
        return self.key(f"receipts:{instance_key}")

    def blobs_of(self, instance_key: int) -> bytes:
        return self.key(f"blobs:{instance_key}")

    def children(self, parent_id: str, parent_execution: bytes) -> bytes:
        return self.key(f"children:{parent_execution.hex()}:{parent_id}")

    def away(self, parent_id: str, parent_execution: bytes) -> bytes:
        return self.key(f"away:{parent_execution.hex()}:{parent_id}")

    def begun(self, queue: str) -> bytes:
        return self.key(f"begun:{queue}")

    def settings(self, kind: str) -> bytes:
        return self.key(f"settings:{kind}")
