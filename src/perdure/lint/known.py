"""What is known of names outside of the project: what they are really called, and what calling them gives."""

from __future__ import annotations

from collections.abc import Mapping

CONTEXT = "perdure.Context"
LOOP = "asyncio.AbstractEventLoop"
TASK = "asyncio.Task"
COROUTINE = "types.CoroutineType"
SET = "builtins.set"

_PATH = "pathlib.Path"

_FUNCTIONS_OF_PERDURE = frozenset(
    {"workflow", "activity", "workflow_context", "select", "on_receive", "on_result", "on_send", "otherwise", "connect"}
)
_SETS = frozenset({"set", "frozenset", "Set", "FrozenSet", "AbstractSet", "MutableSet"})
_LISTS = frozenset(
    {"list", "List", "Sequence", "MutableSequence", "Iterable", "Collection", "Iterator", "deque", "Deque"}
)
_DICTS = frozenset(
    {"dict", "Dict", "Mapping", "MutableMapping", "defaultdict", "DefaultDict", "OrderedDict", "Counter"}
)
_CONTAINERS: Mapping[str, str] = {
    f"{module}.{name}": f"builtins.{kind}"
    for kind, names in (("set", _SETS), ("list", _LISTS), ("dict", _DICTS))
    for name in names
    for module in ("builtins", "typing", "collections", "collections.abc")
}
"""Classes that are as good as set, list and dict here."""

FUTURES = frozenset({TASK, "asyncio.Future", "perdure.Future", "perdure.SubWorkflowFuture"})
NUMBERS = frozenset(
    {"builtins.int", "builtins.bool", "builtins.float", "decimal.Decimal", "fractions.Fraction", "uuid.UUID"}
)

COMMANDS = frozenset(
    f"{CONTEXT}.{name}"
    for name in ("execute_activity", "execute_sub_workflow", "schedule_timer", "signal_workflow", "side_effect")
)
"""Methods that issue a command and give its future."""

COROUTINES = frozenset(
    {
        *(f"{CONTEXT}.{name}" for name in ("sleep", "wait_until")),
        *(f"asyncio.{name}" for name in ("sleep", "wait_for", "wait", "to_thread", "open_connection", "start_server")),
        *(f"perdure.{name}" for name in ("Channel.send", "Channel.receive", "SignalChannel.receive", "select")),
        *("asyncio.Event.wait", "asyncio.Lock.acquire", "asyncio.Queue.get", "asyncio.Queue.put", "asyncio.Queue.join"),
    }
)  # fmt: skip
"""Functions outside that do nothing before they are awaited."""

_TASK_MAKERS = ("asyncio.create_task", "asyncio.ensure_future", "asyncio.TaskGroup.create_task", f"{LOOP}.create_task")

_RETURNS: Mapping[str, str] = {
    **dict.fromkeys(("asyncio.get_running_loop", "asyncio.get_event_loop", "asyncio.new_event_loop"), LOOP),
    **dict.fromkeys(_TASK_MAKERS, TASK),
    **dict.fromkeys(COROUTINES, COROUTINE),
    **dict.fromkeys(COMMANDS - {f"{CONTEXT}.execute_sub_workflow"}, "perdure.Future"),
    **dict.fromkeys((f"{LOOP}.create_future", "asyncio.gather", "asyncio.shield"), "asyncio.Future"),
    f"{CONTEXT}.execute_sub_workflow": "perdure.SubWorkflowFuture",
    f"{CONTEXT}.disconnected": CONTEXT,
    "perdure.workflow_context": CONTEXT,
    f"{CONTEXT}.signal_channel": "perdure.SignalChannel",
    f"{CONTEXT}.now": "datetime.datetime",
    f"{CONTEXT}.uuid4": "uuid.UUID",
    **{f"{_PATH}.{name}": _PATH for name in ("with_suffix", "with_name", "with_stem", "joinpath", "relative_to")},
    **{f"{_PATH}.{name}": _PATH for name in ("absolute", "resolve", "cwd", "home", "expanduser")},
    **{f"datetime.datetime.{name}": "datetime.datetime" for name in ("now", "utcnow", "fromtimestamp", "replace", "combine")},
    **dict.fromkeys(("builtins.len", "builtins.hash", "builtins.id", "builtins.ord", "builtins.round"), "builtins.int"),
    **dict.fromkeys(("builtins.dict.keys", "builtins.dict.items"), "builtins.dict_keys"),
    **dict.fromkeys((f"{SET}.{name}" for name in ("union", "intersection", "difference", "symmetric_difference", "copy")), SET),
}  # fmt: skip

ATTRIBUTES: Mapping[str, str] = {f"{_PATH}.parent": _PATH}
"""Attributes of known classes that are of a known class."""

PASSES_ON = (
    "builtins.", "functools.", "itertools.", "asyncio.", "perdure.on_", "perdure.Compensations.add_callback",
    f"{CONTEXT}.on_query", f"{CONTEXT}.on_update", f"{CONTEXT}.wait_until", f"{CONTEXT}.execute_sub_workflow",
    f"{CONTEXT}.continue_as_new",
)  # fmt: skip
"""Beginnings of the names of functions that call the functions which they are given."""


def canonical(path: str) -> str:
    """The name by which the tables know something: `asyncio.exceptions.CancelledError` is `asyncio.CancelledError`."""
    package, _, rest = path.partition(".")
    if package == "perdure":
        return f"perdure.{'.'.join(_from_public_name(rest.split('.')))}" if rest else path
    if package == "asyncio":
        return f"asyncio.{'.'.join(part for part in rest.split('.') if part not in _PARTS_OF_ASYNCIO)}".rstrip(".")
    return _OTHER_NAMES.get(path, path)


def class_of_call(path: str) -> str | None:
    """The class of what calling this name gives."""
    if path in _CONTAINERS:
        return _CONTAINERS[path]
    known = _RETURNS.get(path)
    if known is not None:
        return known
    return path if path.rpartition(".")[2][:1].isupper() or path in _BUILTIN_CLASSES else None


def container(path: str) -> str:
    """set, list or dict, for classes that are as good as these here."""
    return _CONTAINERS.get(path, path)


def _from_public_name(parts: list[str]) -> list[str]:
    for place, part in enumerate(parts):
        if part[:1].isupper() or (part in _FUNCTIONS_OF_PERDURE and place == len(parts) - 1):
            return parts[place:]
    return parts


_PARTS_OF_ASYNCIO = frozenset(
    {"events", "tasks", "futures", "exceptions", "locks", "queues", "taskgroups", "timeouts", "coroutines", "runners"}
    | {"subprocess", "streams", "threads", "base_events"}
)
_BUILTIN_CLASSES = frozenset(f"builtins.{name}" for name in ("int", "float", "bool", "str", "bytes", "tuple", "object"))


_OTHER_NAMES = {
    "posixpath": "os.path",
    "ntpath": "os.path",
    "concurrent.futures.thread.ThreadPoolExecutor": "concurrent.futures.ThreadPoolExecutor",
    "concurrent.futures.process.ProcessPoolExecutor": "concurrent.futures.ProcessPoolExecutor",
}
