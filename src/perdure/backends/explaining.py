"""A driver's errors in perdure's words: what all stores do with them alike."""

from __future__ import annotations

from collections.abc import Callable

from perdure.errors import PerdureError, StoreUnavailable


def explained(
    problem: BaseException, place: str, translate: Callable[[BaseException, str], Exception | None]
) -> BaseException:
    """What `translate` makes of it, its cause being `problem`; what isn't the driver's (None) stays as it is.

    Each caller gets an exception of its own, since each adds its traceback.
    """
    if isinstance(problem, StoreUnavailable):
        return StoreUnavailable(*problem.args)
    error = None if isinstance(problem, PerdureError) else translate(problem, place)
    if error is None:
        return problem
    error.__cause__ = problem
    return error
