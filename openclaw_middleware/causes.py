"""Find an error of ours in what frameworks make of it on its way through them."""

from __future__ import annotations


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
