"""What a failing store means: for the request that meets it, and for the operator's log.

No I/O. When the store is asked again is the breaker's business.
"""

from __future__ import annotations

from ..errors import StoreError
from .breaker import BREAK_AFTER, PAUSE
from .events import logger

UNAVAILABLE, ANONYMOUS = "unavailable", "anonymous"


def chosen(wanted: object, failure: StoreError | None) -> str:
    """What `on_store_error` wants of a request whose session could not be loaded.

    A function that fails, or that answers neither of the two, has chosen "unavailable".
    """
    if callable(wanted):
        try:
            wanted = wanted(failure)
        except Exception:
            logger.exception("on_store_error failed, which counts as %r", UNAVAILABLE)
            return UNAVAILABLE
        if wanted not in (UNAVAILABLE, ANONYMOUS):
            logger.error("on_store_error answered %r, which counts as %r", wanted, UNAVAILABLE)
    return ANONYMOUS if wanted == ANONYMOUS else UNAVAILABLE


def tell_of_failure(verb: str, count: int, error: StoreError) -> None:
    """Say what visitors meet as a 503: when it begins, not for each of them.

    Args:
        count: how many times in a row it has failed.
    """
    if count == 1:
        logger.warning("%s", error)
    elif count == BREAK_AFTER:
        logger.error(
            "the store failed %d times in a row (%s); until it answers, it is asked this once in "
            "%g s: %s",
            count,
            verb,
            PAUSE,
            error,
        )


def tell_of_recovery(verb: str) -> None:
    """Say that calls are let through again."""
    logger.warning("the store answers again (%s)", verb)
