"""What is done for others, by `ui` and `mcp`, is put on record: by whom, and where to."""

from __future__ import annotations


def user_name() -> str:
    """Whose process it is."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container may have no name for its user
        return "unknown"


def log_to_stderr() -> None:
    """Warnings, and each action."""
    import logging

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger("perdure.diagnostics.audit").setLevel(logging.INFO)
