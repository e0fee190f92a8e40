"""Find an error of ours in what frameworks make of it on its way through them."""

from __future__ import annotations

from collections.abc import Callable


def stems_from(error: BaseException, origin: BaseException | None) -> bool:
    """Whether it is `origin`, as such or wrapped by a middleware on its way out."""
    if origin is None:
        return False
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is origin:
            return True
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            waiting += [each.__cause__, each.__context__]
            if isinstance(each, BaseExceptionGroup):
                waiting += each.exceptions
    return False


def is_translation(error: BaseException, is_ours: Callable[[BaseException], bool]) -> bool:
    """Whether it is an error of ours, or says the same in other words: raised `from` it, a group of
    nothing else, or a framework's own word for a disconnect. What an application raised of its own
    while it handled ours is not, and nothing is that is no `Exception`.
    """
    if not isinstance(error, Exception):
        return False
    if is_ours(error):
        return True
    if isinstance(error, ExceptionGroup):
        return all(is_translation(each, is_ours) for each in error.exceptions)
    origin = error.__cause__
    if origin is None and (type(error) is OSError or "Disconnect" in type(error).__name__):
        origin = error.__context__
    return origin is not None and is_translation(origin, is_ours)
