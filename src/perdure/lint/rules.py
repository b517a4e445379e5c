"""The rules: what each one finds, why it matters, what to write instead. Command line, flake8, SARIF and docs take them from here."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that workflow code must not do."""

    code: str
    name: str
    finds: str
    why: str
    instead: str

    def __str__(self) -> str:
        return f"{self.code} ({self.name})\n\nFinds:   {self.finds}\nWhy:     {self.why}\nInstead: {self.instead}"


_ACTIVITY = "an activity"

_ALL = (
    Rule(
        code="PRD001",
        name="syntax",
        finds="a file that can't be parsed",
        why="nothing in it was looked at",
        instead="Python that this interpreter reads",
    ),
    Rule(
        code="PRD101",
        name="clock",
        finds="the clock of the machine, or its time zone: `time.time()`, `datetime.now()`, `date.today()`, `time.localtime()`",
        why="on replay it is later, and another worker may be in another zone",
        instead="`ctx.now()` or `asyncio.get_running_loop().time()`, and time zones by their names",
    ),
    Rule(
        code="PRD102",
        name="random",
        finds="the module `random`, generators without a seed, `numpy.random`",
        why="replay draws other numbers",
        instead="`ctx.random`, or `ctx.side_effect`",
    ),
    Rule(
        code="PRD103",
        name="uuid",
        finds="`uuid.uuid1()`, `uuid.uuid4()` and other new ids",
        why="replay makes other ids",
        instead="`ctx.uuid4()`; `uuid.uuid5` of a name is always the same",
    ),
    Rule(
        code="PRD104",
        name="entropy",
        finds="`os.urandom`, `secrets` and the like",
        why="replay gets other bytes",
        instead="`ctx.side_effect(secrets.token_hex)`; for what must stay secret, an activity that keeps it where the history doesn't show it",
    ),
    Rule(
        code="PRD105",
        name="environment",
        finds="`os.environ`, `os.getpid()`, `os.getcwd()`, `sys.argv`, `platform.node()`, `locale.getlocale()`",
        why="another process or another day has another environment",
        instead="an argument of the workflow, or `ctx.side_effect`",
    ),
    Rule(
        code="PRD106",
        name="files",
        finds="files and folders: `open`, `Path.read_text`, `os.listdir`, `shutil`, `tempfile`, `os.path.exists`",
        why="they are read or written again on replay, on another machine, with another outcome",
        instead=_ACTIVITY,
    ),
    Rule(
        code="PRD107",
        name="network",
        finds="sockets, HTTP clients, databases, mail: `requests.get`, `httpx.AsyncClient`, `asyncio.open_connection`, `sqlite3.connect`",
        why="the request is sent again on replay, and answered otherwise",
        instead=_ACTIVITY,
    ),
    Rule(
        code="PRD108",
        name="processes",
        finds="`subprocess`, `os.system`, `os.fork`, `os.kill`, `asyncio.create_subprocess_exec`, `multiprocessing`",
        why="it happens again on replay",
        instead=_ACTIVITY,
    ),
    Rule(
        code="PRD109",
        name="threads",
        finds="`threading`, `queue`, `concurrent.futures`, `asyncio.to_thread`, `loop.run_in_executor`",
        why="when a thread is done differs from run to run, and a lock of threads holds up the whole worker",
        instead="an activity, which may be a plain `def`; asyncio's own Lock, Event and Queue",
    ),
    Rule(
        code="PRD110",
        name="blocking-sleep",
        finds="`time.sleep`",
        why="it holds up all workflows of the worker, and again on each replay",
        instead="`await ctx.sleep(…)`, a durable timer",
    ),
    Rule(
        code="PRD111",
        name="print",
        finds="`print`, `pprint`, `input`, `sys.stdout`",
        why="replay prints again, and input is another one",
        instead="`ctx.logger`, which is silent in replay; `ctx.publish` for progress",
    ),
    Rule(
        code="PRD112",
        name="identity",
        finds="`hash(…)` and `id(…)`, unless they only look something up",
        why="they differ from process to process",
        instead="`zlib.crc32`, `hashlib`, or a number of your own",
    ),
    Rule(
        code="PRD201",
        name="set-order",
        finds="the order of a set: a loop over one, `list(…)`, `join`, `next(iter(…))`, `pop()`; not of numbers or tasks",
        why="strings and objects have another order in a set in each process",
        instead="`sorted(…)`, or `dict.fromkeys(…)` from the start",
    ),
    Rule(
        code="PRD202",
        name="as-completed-over-coroutines",
        finds="`asyncio.as_completed` over coroutines",
        why="it starts them in no fixed order; the workflow's loop refuses it",
        instead="tasks: `asyncio.as_completed([asyncio.create_task(c) for c in …])`",
    ),
    Rule(
        code="PRD203",
        name="python-version",
        finds="what differs between the Pythons that the project's `requires-python` allows: `asyncio.wait_for` (3.11), "
        "`async for` over `as_completed`, or using what it gives before awaiting it (3.13)",
        why="a history that was recorded on one doesn't replay on the other; the `wait_for` of 3.11 loses a result to a cancel",
        instead="`async with asyncio.timeout(…)` or `ctx.timeout(…)`; `asyncio.wait`, or awaiting what `as_completed` gives",
    ),
    Rule(
        code="PRD204",
        name="loop",
        finds="what the workflow's loop refuses: `asyncio.run`, `run_until_complete`, `call_soon_threadsafe`, `add_reader`, signal handlers",
        why="the loop that runs workflows has no I/O and no threads; these raise NotInWorkflow, or leave the loop",
        instead="`await`, `asyncio.create_task`; signals come through `ctx.signal_channel`, I/O is done in an activity",
    ),
    Rule(
        code="PRD205",
        name="abandoned-generator",
        finds="an async generator that is left before its end: `break` or `return` in `async for`, `anext(generator())`",
        why="its `finally` runs when the execution ends, not here",
        instead="`async with contextlib.aclosing(generator()) as …`",
    ),
    Rule(
        code="PRD301",
        name="swallowed-cancel",
        finds="`except CancelledError` around an await, or `suppress(CancelledError)`, that doesn't raise; "
        "fine for what this code has cancelled itself",
        why="the instance's cancel is lost: it goes on, or counts as completed",
        instead="`raise` at the end of the handler; clean-up in `async with ctx.disconnected() as cleanup:`",
    ),
    Rule(
        code="PRD302",
        name="bare-except",
        finds="`except:` or `except BaseException:` around an await that doesn't raise",
        why="it catches cancels and continue-as-new, too",
        instead="`except Exception:`, or `raise` at its end",
    ),
    Rule(
        code="PRD401",
        name="global-state",
        finds="a global variable, a class attribute or a module's container that is written",
        why="it is shared by all instances of a worker, unknown to the others, and written again by each replay",
        instead="local variables, an object of the workflow's own, `ctx.publish`",
    ),
    Rule(
        code="PRD402",
        name="mutable-default",
        finds="a list, dict or set as a parameter's default",
        why="all instances of a worker share it",
        instead="`None`, or a tuple",
    ),
    Rule(
        code="PRD403",
        name="not-async",
        finds="a workflow that isn't an `async def`, or that yields",
        why="perdure can't run it: registration fails",
        instead="`async def` that returns",
    ),
    Rule(
        code="PRD501",
        name="missing-await",
        finds="a command, or a call of an `async def`, whose result nobody takes",
        why="a coroutine never runs; of a command nobody learns how it ended, and its failure is lost",
        instead="`await`, or keep the future or task, and await it before the end",
    ),
    Rule(
        code="PRD502",
        name="called-by-string",
        finds="an activity or a workflow passed by its name as a string",
        why="it isn't type-checked, and perdure takes functions alone",
        instead="the function: `ctx.execute_activity(charge, …)`",
    ),
    Rule(
        code="PRD503",
        name="activity-called",
        finds="an activity that is called like a function",
        why="it runs inside the workflow: neither recorded nor tried again, and once more on each replay",
        instead="`ctx.execute_activity(charge, …)`",
    ),
)  # fmt: skip

RULES: Mapping[str, Rule] = {rule.code: rule for rule in _ALL}


def is_chosen(code: str, select: tuple[str, ...], ignore: tuple[str, ...]) -> bool:
    """Whether codes, or beginnings of codes, leave this one in; the longer beginning wins, `ignore` at a draw."""
    return _longest(code, select) > _longest(code, ignore)


def _longest(code: str, beginnings: tuple[str, ...]) -> int:
    return max((len(each) for each in beginnings if code.startswith(each)), default=0)
