"""From `module:app` to the App, from a URL to a store that this process can use."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType

from perdure.app import App
from perdure.backends.connect import connect
from perdure.backends.protocol import Backend
from perdure.errors import ConfigurationError, PerdureError


class ImportFailed(PerdureError):
    """The user's own module raised while it was imported; the message holds the traceback."""


def load_app(target: str) -> App:
    """The App that `module:attribute` names; modules are also looked for in the current folder.

    Raises ConfigurationError if there is none, ImportFailed if the module raises.
    """
    module_name, _, path = target.partition(":")
    if not module_name or not path:
        raise ConfigurationError(f"{target!r} doesn't name an App: write module:attribute, as in orders.main:app")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    found: object = _import(module_name)
    for step in path.split("."):
        if not hasattr(found, step):
            raise ConfigurationError(
                f"module {module_name!r} has no attribute {path!r}{_apps_of(sys.modules[module_name])}"
            )
        found = getattr(found, step)
    if not isinstance(found, App):
        kind = type(found).__qualname__
        raise ConfigurationError(f"{target!r} is a {kind}, not a perdure.App{_apps_of(sys.modules[module_name])}")
    return found


def check_store(url: str | None) -> str:
    """The URL, if there is one and other processes can reach what it names. Raises ConfigurationError."""
    if not url:
        raise ConfigurationError(
            "no store was named: pass --store URL or set PERDURE_STORE, as in PERDURE_STORE=sqlite:///orders.db"
        )
    if url.startswith(("memory:", "sqlite:///:memory:")):
        raise ConfigurationError(
            "a memory store lives and dies in one process: the command line can't share it. Use sqlite:///file.db"
        )
    return url


def existing_store(url: str | None) -> Backend:
    """The store, not opened yet. Looking at one neither creates it nor changes its schema.

    Raises ConfigurationError if it is a file that isn't there. On a server it is the schema that must be there, which opening
    the store tells: SchemaMismatch.
    """
    backend = connect(check_store(url), migrate=False)
    scheme, _, path = backend.url.partition(":///")
    if scheme == "sqlite" and not Path(path).exists():
        raise ConfigurationError(
            f"there is no store {url}: no file {path}. Look at the path (sqlite:/// is followed by a relative one, "
            f"sqlite://// by an absolute one), or create the store with `perdure migrate --store {url}`"
        )
    return backend


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as problem:
        if problem.name is not None and f"{name}.".startswith(f"{problem.name}."):
            raise ConfigurationError(
                f"there is no module {name!r}: looked in {Path.cwd()} and in what is installed. "
                f"Run perdure in the folder that holds it, or write its name as you would import it"
            ) from None
        raise ImportFailed(_told(name, problem)) from problem
    except Exception as problem:
        raise ImportFailed(_told(name, problem)) from problem


def _told(name: str, problem: Exception) -> str:
    """The traceback from the user's first line on: the steps of the import machinery tell nothing."""
    frames = [
        frame
        for frame in traceback.extract_tb(problem.__traceback__)
        if frame.filename != __file__ and "importlib" not in frame.filename
    ]
    lines = [*traceback.format_list(frames), *traceback.format_exception_only(problem)]
    return f"importing {name!r} failed:\n{''.join(lines).rstrip()}"


def _apps_of(module: ModuleType) -> str:
    """A hint: which Apps the module does have."""
    names = [name for name, value in vars(module).items() if isinstance(value, App)]
    return f"; it has {', '.join(f'{module.__name__}:{name}' for name in names)}" if names else ""
