"""What the workflow loop refuses, and what to use instead."""

from __future__ import annotations

from typing import Any, NoReturn

from perdure.errors import NotInWorkflow

_ACTIVITY = "do it in an activity"
_ADVICE = {
    "run_in_executor": "threads and processes aren't deterministic (asyncio.to_thread comes here too): " + _ACTIVITY,
    "call_soon_threadsafe": "other threads can't reach a workflow: signal it through a client",
    "getaddrinfo": _ACTIVITY,
    "getnameinfo": _ACTIVITY,
    "create_connection": _ACTIVITY,
    "create_server": _ACTIVITY,
    "create_unix_connection": _ACTIVITY,
    "create_unix_server": _ACTIVITY,
    "create_datagram_endpoint": _ACTIVITY,
    "connect_accepted_socket": _ACTIVITY,
    "connect_read_pipe": _ACTIVITY,
    "connect_write_pipe": _ACTIVITY,
    "start_tls": _ACTIVITY,
    "sendfile": _ACTIVITY,
    "subprocess_shell": _ACTIVITY,
    "subprocess_exec": _ACTIVITY,
    "add_reader": _ACTIVITY,
    "remove_reader": _ACTIVITY,
    "add_writer": _ACTIVITY,
    "remove_writer": _ACTIVITY,
    "sock_recv": _ACTIVITY,
    "sock_recv_into": _ACTIVITY,
    "sock_recvfrom": _ACTIVITY,
    "sock_recvfrom_into": _ACTIVITY,
    "sock_sendall": _ACTIVITY,
    "sock_sendto": _ACTIVITY,
    "sock_connect": _ACTIVITY,
    "sock_accept": _ACTIVITY,
    "sock_sendfile": _ACTIVITY,
    "add_signal_handler": "workers handle the process's signals",
    "remove_signal_handler": "workers handle the process's signals",
    "set_default_executor": _ACTIVITY,
    "shutdown_default_executor": _ACTIVITY,
    "run_forever": "the worker runs the workflow: await instead",
    "run_until_complete": "the worker runs the workflow: await instead",
    "stop": "return from the workflow, or raise",
    "close": "return from the workflow, or raise",
    "set_task_factory": "tasks of a workflow are perdure's own",
    "set_exception_handler": "catch exceptions where they arise",
    "set_debug": "the loop has no debug mode",
}


def _refusing(name: str, advice: str) -> Any:
    def refuse(self: object, *args: object, **kwargs: object) -> NoReturn:
        raise NotInWorkflow(f"loop.{name} can't be used in a workflow: {advice}")

    refuse.__name__ = name
    return refuse


ForbiddenCalls: Any = type(
    "ForbiddenCalls", (), {name: _refusing(name, advice) for name, advice in _ADVICE.items()} | {"__slots__": ()}
)
"""A class whose methods all raise NotInWorkflow with advice."""
