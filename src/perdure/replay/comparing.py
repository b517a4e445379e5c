"""One history against today's code."""

from __future__ import annotations

import linecache
from collections.abc import Sequence

from perdure.app import App
from perdure.engine.execution import Execution
from perdure.errors import NonDeterminismError
from perdure.model.event import AdministrativeEvent, Event
from perdure.replay.divergence import CodeLine, Divergence, HistoryStep, in_words, input_diff, name_of
from perdure.serialization.saved import SavedHistory, task_of
from perdure.workflows.definition import Workflow


def compare(history: SavedHistory, app: App) -> Divergence | None:
    """None if the code repeats the history."""
    definition = app.workflows.get(history.workflow)
    if definition is None:
        return _divergence(
            history,
            kind="unknown workflow",
            code=f"the App has no workflow {history.workflow!r}",
            cause=(history.workflow,),
        )
    execution = execution_of(history, definition, app)
    try:
        execution.replay(history.events)
    except NonDeterminismError as problem:
        return _diverged(history, execution, problem, app)
    except Exception as problem:  # whatever would make the instance stuck
        said = f"{type(problem).__name__}: {problem}"
        return _divergence(
            history,
            kind="error",
            code=said,
            position=execution.position - 1,
            cause=(history.workflow, type(problem).__name__),
        )
    finally:
        execution.close()
    return None


def execution_of(
    history: SavedHistory, definition: Workflow[..., object], app: App, *, outlasts_end: bool = False
) -> Execution:
    """Before its first event; whoever makes it closes it."""
    return Execution(task_of(history), definition, app, outlasts_end=outlasts_end)


def _diverged(history: SavedHistory, execution: Execution, problem: NonDeterminismError, app: App) -> Divergence:
    payloads = app.payloads
    recorded, issued, position = problem.recorded, problem.issued, problem.position
    line, is_waiting = _line(execution, problem, app.workflows[history.workflow])
    says = problem.history if recorded is None else in_words(recorded, payloads)
    did = problem.code or str(problem) if issued is None else in_words(issued, payloads)
    return _divergence(
        history,
        kind="diverged",
        says=says or in_words(history.events[position], payloads),
        code=did,
        position=position,
        last_common=_last_common(history.events, position, app),
        line=line,
        is_waiting=is_waiting,
        input_diff=input_diff(recorded, issued, payloads),
        cause=(
            history.workflow,
            str(line),
            says if recorded is None else name_of(recorded),
            did if issued is None else name_of(issued),
        ),
    )


def _divergence(history: SavedHistory, *, says: str = "", position: int = -1, **parts: object) -> Divergence:
    return Divergence(
        instance_id=history.instance_id,
        execution_id=history.execution_id,
        workflow=history.workflow,
        history=says,
        position=position,
        **parts,  # type: ignore[arg-type]
    )


def _last_common(events: Sequence[Event], position: int, app: App) -> HistoryStep | None:
    for place in range(min(position, len(events)) - 1, -1, -1):
        if not isinstance(events[place], AdministrativeEvent):
            return HistoryStep(position=place, event=in_words(events[place], app.payloads))
    return None


def _line(
    execution: Execution, problem: NonDeterminismError, definition: Workflow[..., object]
) -> tuple[CodeLine | None, bool]:
    """The line that issued what history doesn't have; else the line where the code waits; else where its workflow begins."""
    site = problem.site
    if site is not None:
        source = linecache.getline(site.file, site.line).strip()
        return CodeLine(file=site.file, line=site.line, function=site.function, source=source), False
    for place in execution.places():
        return CodeLine(file=place.file, line=place.line, function=place.function, source=place.source), True
    code = definition.function.__code__ if hasattr(definition.function, "__code__") else None
    if code is None:
        return None, False
    first = linecache.getline(code.co_filename, code.co_firstlineno).strip()
    return CodeLine(file=code.co_filename, line=code.co_firstlineno, function=code.co_qualname, source=first), False
