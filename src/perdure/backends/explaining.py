"""A driver's errors in perdure's words: what all stores do with them alike."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from perdure.errors import PerdureError, StoreUnavailable, StoreUsageError


def explained(
    problem: BaseException, place: str, translate: Callable[[BaseException, str], Exception | None]
) -> BaseException:
    """What `translate` makes of it, its cause being `problem`; what isn't the driver's (None) stays as it is.

    Each caller gets an exception of its own, since each adds its traceback.
    """
    if isinstance(problem, StoreUnavailable):
        return StoreUnavailable(str(problem), is_unwritten=problem.is_unwritten)
    if isinstance(problem, PerdureError):
        return problem
    error = _distrusted(problem, place) or translate(problem, place)
    if error is None:
        return problem
    error.__cause__ = problem
    return error


def _distrusted(problem: BaseException, place: str) -> Exception | None:
    """Drivers take a certificate that isn't trusted for a server that can't be reached: the reason stands behind it."""
    reason: BaseException | None = problem
    while reason is not None:
        if isinstance(reason, ssl.SSLCertVerificationError):
            return StoreUsageError(
                f"{place} shows a certificate that isn't trusted: look at the host's name, and at whom the URL says to trust "
                f"(sslrootcert, ssl_ca or ssl_ca_certs). It was said: {reason}"
            )
        reason = reason.__cause__ or reason.__context__
    return None
