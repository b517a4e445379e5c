"""What a workflow can know about itself, the same on every replay."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of an execution."""

    instance_id: str
    execution_id: str
    """32 hex digits."""
    execution_number: int
    """From 1; continue-as-new counts on."""
    workflow: str
    queue: str
    priority: int
    parent_instance_id: str | None
    version: str | None
    """App(version=) of the process that started the instance."""
    python: str
    """The minor version of Python that the history is made on."""
    created_at: datetime
    """When the instance was created."""
    started_at: datetime
    """When this execution began."""
    due_at: datetime | None
    """When it was due, if a schedule started it; the same in all its executions."""
    deadline_at: datetime | None
    history_length: int
    """Events in history, the one being applied included."""
    continue_as_new_suggested: bool
    """History is past its warn mark; it stays so."""
