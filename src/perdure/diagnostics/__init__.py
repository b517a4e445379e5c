"""See instances and steer them: `create_app` gives pages and a JSON API to serve or to mount, `run_page` one run as one HTML page.

Needs an extra: `pip install perdure[ui]`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perdure.diagnostics.actions.permissions import Authorize
    from perdure.diagnostics.actions.table import ActionName, Target, TargetKind
    from perdure.diagnostics.page import run_page
    from perdure.diagnostics.web.site import create_app

__all__ = ["ActionName", "Authorize", "Target", "TargetKind", "create_app", "run_page"]

_HOMES = {
    "ActionName": "perdure.diagnostics.actions.table",
    "Authorize": "perdure.diagnostics.actions.permissions",
    "Target": "perdure.diagnostics.actions.table",
    "TargetKind": "perdure.diagnostics.actions.table",
    "create_app": "perdure.diagnostics.web.site",
    "run_page": "perdure.diagnostics.page",
}
"""Imported when they are asked for: what reads and acts needs nothing of the extra."""


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        found = globals()[name] = getattr(import_module(home), name)
    except ModuleNotFoundError as problem:
        if (problem.name or "").startswith("perdure"):
            raise
        raise ModuleNotFoundError(
            f"perdure.diagnostics.{name} needs the package {problem.name}, which isn't installed: pip install perdure[ui]",
            name=problem.name,
        ) from problem
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
