"""Locks that the operating system takes back when their holder dies: `flock`, on Windows `msvcrt.locking`.

An flock belongs to the open file, which a forked child shares: the child would keep it after the parent's death. So
every locked file is known here, and children close theirs.
"""

from __future__ import annotations

import os
import sys
import weakref
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int, *, wait: bool) -> bool:
        os.lseek(descriptor, 0, os.SEEK_SET)
        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            except OSError:
                if not wait:
                    return False
            else:
                return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int, *, wait: bool) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


_open_locks: weakref.WeakSet[FileLock] = weakref.WeakSet()


class FileLock:
    """An exclusive lock on a small file of its own, made if need be. Not reentrant."""

    def __init__(self, path: Path) -> None:
        """Raises OSError if the file can't be made."""
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        _open_locks.add(self)

    def try_acquire(self) -> bool:
        """Take the lock unless somebody has it."""
        return _lock(self._descriptor, wait=False)

    def acquire(self) -> None:
        """Wait for the lock, in order of arrival; blocks the thread."""
        _lock(self._descriptor, wait=True)

    def release(self) -> None:
        _unlock(self._descriptor)

    def close(self) -> None:
        """Give the lock back, too; closing again does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _close_in_child() -> None:
    for lock in list(_open_locks):
        lock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
