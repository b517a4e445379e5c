"""The one workflow and the one activity of a simulation: they do what a program says, and leave an entry for each step."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from perdure.activities.context import activity_context
from perdure.activities.definition import Activity, activity
from perdure.app import App
from perdure.errors import ActivityError, PermanentError, SignalNotDelivered, SubWorkflowError
from perdure.model.retry import RetryPolicy
from perdure.testing.simulation.ledger import current_ledger
from perdure.testing.simulation.programs import Errand, Letter, Program, Step
from perdure.workflows.context import Context
from perdure.workflows.definition import Workflow, workflow
from perdure.workflows.signal import Signal

LETTER = Signal("letter", Letter)
NEVER = Signal("never", str)
BEAT_SECONDS = 0.1
Entry = list[Any]


class Declined(Exception):
    """What a broken activity raises."""


class FailedOnPurpose(Exception):
    """What a program with the step `fail` ends with."""


@activity(name="work")
async def work(errand: Errand) -> str:
    """Do an errand; the ledger sees that nobody else does it at the same time."""
    with current_ledger().running(activity_context()):
        if errand.how == "hang":
            await asyncio.sleep(3600)
        if errand.how == "open":
            current_ledger().handed_over.put_nowait((activity_context().token, errand))
            activity_context().complete_later()
        if errand.how == "beat":
            await _beat(errand)
        else:
            await asyncio.sleep(errand.seconds)
        attempt = activity_context().attempt
        if errand.how == "permanent":
            raise PermanentError(errand.key)
        if errand.how == "broken" or (errand.how == "flaky" and attempt <= errand.fails):
            raise Declined(f"{errand.key} in attempt {attempt}")
        return f"{errand.key}!"


async def _beat(errand: Errand) -> None:
    """Count to ten, going on where the attempt before was."""
    context = activity_context()
    for count in range(context.heartbeat_details(int) or 0, 10):
        context.heartbeat(count)
        await asyncio.sleep(errand.seconds / 10)


def _work(errand: Errand) -> Activity[[Errand], str]:
    return work.with_options(
        queue=errand.queue,
        retry=RetryPolicy(max_attempts=errand.tries, initial_interval=timedelta(seconds=0.05), jitter=0.5),
        timeout=errand.timeout,
        queue_timeout=errand.queue_timeout,
        total_timeout=errand.total_timeout,
        cancellation=errand.cancellation,
        priority=errand.priority,
    )


async def _outcome(waiting: Awaitable[Any]) -> Entry:
    try:
        return ["gave", await waiting]
    except (ActivityError, SubWorkflowError) as problem:
        return ["raised", type(problem).__name__ if problem.failure is None else problem.type]
    except (Declined, PermanentError, FailedOnPurpose) as problem:
        return ["raised", type(problem).__name__]


async def _delivery(sent: Awaitable[None]) -> bool:
    try:
        await sent
    except SignalNotDelivered:
        return False
    return True


def _cancelling() -> int:
    """How often this task was cancelled. Up to 3.12 a TaskGroup that failed leaves one behind."""
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


class Player:
    """Plays one execution."""

    def __init__(
        self, ctx: Context, play: Workflow[[Program, list[Entry]], list[Entry]], draw: Callable[[], int]
    ) -> None:
        self._ctx = ctx
        self._play = play
        self._draw = draw

    async def play(self, program: Program, so_far: list[Entry]) -> list[Entry]:
        """The first chapter; continue-as-new goes on with the rest."""
        entries = list(so_far)
        try:
            await self._play_steps(program.chapters[0], entries)
            if len(program.chapters) > 1:
                rest = Program(name=program.name, chapters=program.chapters[1:], clean_up=program.clean_up)
                self._ctx.continue_as_new(self._play, rest, entries)
        except asyncio.CancelledError:
            if not program.clean_up:
                raise
            entries.append(await self._clean_up(program))
            if program.clean_up == "raise":
                raise
        return entries

    async def _clean_up(self, program: Program) -> Entry:
        errand = Errand(key=f"{program.name}.clean", tries=10)
        async with self._ctx.disconnected() as clean_up:
            outcome = await _outcome(clean_up.execute_activity(_work(errand), errand))
            await asyncio.sleep(0.01)
        self._ctx.publish("cleaned", True)
        return ["cleaned", *outcome]

    async def _play_steps(self, steps: tuple[Step, ...], entries: list[Entry]) -> None:
        for step in steps:
            entry = await _KINDS[step.kind](self, step)
            entries.append([step.key, *entry])

    async def _activity(self, step: Step) -> Entry:
        assert step.errand is not None
        return await _outcome(self._ctx.execute_activity(_work(step.errand), step.errand))

    async def _parallel(self, step: Step) -> Entry:
        """Branches side by side; each has its own entries."""
        branches: list[list[Entry]] = [[] for _ in step.branches]
        async with asyncio.TaskGroup() as group:
            for steps, entries in zip(step.branches, branches, strict=True):
                group.create_task(self._play_steps(steps, entries))
        return [branches]

    async def _group(self, step: Step) -> Entry:
        """Branches in a group that fails: one of them raises, and the others are cancelled wherever they are."""
        started: list[list[Entry]] = [[] for _ in step.branches]
        how = "passed"
        try:
            async with asyncio.TaskGroup() as group:
                for steps, entries in zip(step.branches, started, strict=True):
                    group.create_task(self._play_steps(steps, entries))
                group.create_task(self._fail_soon(step))
        except* (Declined, ActivityError):  # an activity that lost too many workers fails with WorkerLost
            how = "failed"
        return [how, started]

    async def _fail_soon(self, step: Step) -> None:
        await self._ctx.execute_activity(
            _work(Errand(key=step.key, tries=1)), Errand(key=step.key, how="broken", tries=1)
        )

    async def _child(self, step: Step) -> Entry:
        assert step.child is not None
        child = step.child
        options = self._play.with_options(instance_id=child.name, queue=child.queue, parent_close=child.parent_close)
        return await _outcome(self._ctx.execute_sub_workflow(options, child, []))

    async def _orphan(self, step: Step) -> Entry:
        """A sub-workflow that nobody waits for: its parent's end is what it may die of."""
        assert step.child is not None
        child = step.child
        options = self._play.with_options(instance_id=child.name, queue=child.queue, parent_close=child.parent_close)
        self._ctx.execute_sub_workflow(options, child, [])
        return ["left"]

    async def _receive(self, step: Step) -> Entry:
        """Letters, one after another; the impatient give up waiting again and again, which must lose none."""
        channel = self._ctx.signal_channel(LETTER)
        letters: list[list[Any]] = []
        while len(letters) < step.count:
            try:
                async with self._ctx.timeout(0.3 if step.how == "impatient" else None):
                    letter = await channel.receive()
            except TimeoutError:
                await self._ctx.sleep(1.0)
                continue
            letters.append([letter.sender, letter.number])
        return ["received", letters]

    async def _signal(self, step: Step) -> Entry:
        """Letters to another instance, which may have ended, or not begun; its sender is the step."""
        sent = [
            self._ctx.signal_workflow(step.target, LETTER, Letter(step.key, number)) for number in range(step.count)
        ]
        return ["sent", [await _delivery(each) for each in sent]]

    async def _timeout(self, step: Step) -> Entry:
        assert step.errand is not None
        begun = self._ctx.now()
        try:
            async with self._ctx.timeout(step.seconds):
                return await _outcome(self._ctx.execute_activity(_work(step.errand), step.errand))
        except TimeoutError:
            return ["timed out", (self._ctx.now() - begun) / timedelta(seconds=1)]

    async def _race(self, step: Step) -> Entry:
        """An activity against a timer; the loser is cancelled."""
        assert step.errand is not None
        running = self._ctx.execute_activity(_work(step.errand), step.errand)
        timer = self._ctx.schedule_timer(step.seconds)
        done, _ = await asyncio.wait((running, timer), return_when=asyncio.FIRST_COMPLETED)
        if running in done:
            timer.cancel()
            return await _outcome(running)
        running.cancel()
        return ["lost", timer.done()]

    async def _torn(self, step: Step) -> Entry:
        """A task that is cancelled while it waits for an activity."""
        assert step.errand is not None
        errand, before = step.errand, _cancelling()
        task = asyncio.create_task(_outcome(self._ctx.execute_activity(_work(errand), errand)))
        await asyncio.sleep(step.seconds)
        task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            if self._is_cancelled(before):
                raise
            return ["torn"]

    async def _cancelled_scope(self, step: Step) -> Entry:
        """A child context that is cancelled while its activity runs: that finishes, or ends cancelled if it is told."""
        assert step.errand is not None
        errand, before = step.errand, _cancelling()
        scope, cancel = self._ctx.with_cancel()
        running = scope.execute_activity(_work(errand), errand)
        await self._ctx.sleep(step.seconds)
        cancel()
        try:
            return await _outcome(running)
        except asyncio.CancelledError:
            if self._is_cancelled(before):
                raise
            return ["scope cancelled"]

    def _is_cancelled(self, before: int) -> bool:
        """Whether a CancelledError that has come is for this task, or the whole instance."""
        return self._ctx.cancelled or _cancelling() > before

    async def _sleep(self, step: Step) -> Entry:
        begun = self._ctx.now()
        await self._ctx.sleep(step.seconds)
        return ["slept", (self._ctx.now() - begun) / timedelta(seconds=1)]

    async def _side_effect(self, step: Step) -> Entry:
        return ["drew", await self._ctx.side_effect(self._draw)]

    async def _chance(self, step: Step) -> Entry:
        return [
            "chance",
            self._ctx.random.random(),
            str(self._ctx.uuid4()),
            self._ctx.now().isoformat(),
            self._ctx.info.execution_number,
        ]

    async def _publish(self, step: Step) -> Entry:
        self._ctx.publish("last", step.key)
        return ["published"]

    async def _patched(self, step: Step) -> Entry:
        return ["patched", self._ctx.patched("a patch")]

    async def _fail(self, step: Step) -> Entry:
        raise FailedOnPurpose(step.key)

    async def _for_ever(self, step: Step) -> Entry:
        """Only a cancel, or worse, ends this."""
        if step.how == "signal":
            await self._ctx.signal_channel(NEVER).receive()
        elif step.how == "sleep" and sys.version_info >= (3, 13):
            await asyncio.sleep(1_000_000)
        elif step.how == "sleep":  # before, a TaskGroup that fails swallows a cancel that comes meanwhile, for good
            await self._ctx.sleep(1_000_000)
        else:
            await self._ctx.wait_until(lambda: False)
        return ["woke up"]


_KINDS: dict[str, Callable[[Player, Step], Awaitable[Entry]]] = {
    "activity": Player._activity,
    "parallel": Player._parallel,
    "group": Player._group,
    "child": Player._child,
    "orphan": Player._orphan,
    "receive": Player._receive,
    "signal": Player._signal,
    "timeout": Player._timeout,
    "race": Player._race,
    "torn": Player._torn,
    "cancelled_scope": Player._cancelled_scope,
    "sleep": Player._sleep,
    "side_effect": Player._side_effect,
    "chance": Player._chance,
    "publish": Player._publish,
    "patched": Player._patched,
    "fail": Player._fail,
    "for_ever": Player._for_ever,
}


def simulated_app(draw: Callable[[], int]) -> App:
    """The App of all processes. `draw` gives what side effects record: another number each time."""

    @workflow(name="play")
    async def play(ctx: Context, program: Program, so_far: list[Entry]) -> list[Entry]:
        return await Player(ctx, play, draw).play(program, so_far)

    return App(workflows=[play], activities=[work], exceptions=[Declined, PermanentError, FailedOnPurpose])
