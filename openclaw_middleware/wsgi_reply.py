"""One WSGI response on its way: `start_response`, `write`, the iterable, and `close()`.

When the commit happens is decided by what PEP 3333 lets an application do, and that is all this
module knows. What a commit is, and what headers it adds, is the core's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .answers import answer_for
from .core.events import logger
from .core.exchange import Exchange
from .driver import Driver
from .errors import SessionError

WSGIHeaders = list[tuple[str, str]]
Write = Callable[[bytes], object]
StartResponse = Callable[..., Write]


class Reply:
    """The way of one response: commit before its first byte, tidy up in `close()`.

    It is the iterable the server gets wherever application code may still run after the commit.
    """

    __slots__ = (
        "_body",
        "_chunks",
        "_closed",
        "_driver",
        "_exchange",
        "_pending",
        "_send_head",
        "_send_part",
        "refusal",
    )

    def __init__(self, driver: Driver, exchange: Exchange, start_response: StartResponse) -> None:
        self._driver = driver
        self._exchange = exchange
        self._send_head = start_response
        self._send_part: Write | None = None
        self._pending: tuple[str, WSGIHeaders, Any] | None = None
        self._body: Any = None
        self._chunks: Iterator[bytes] = iter(())
        self._closed = False
        self.refusal: SessionError | None = None

    # -- what the application calls

    def start_response(self, status: str, headers: WSGIHeaders, exc_info: Any = None) -> Write:
        """Keep the head until the commit; after it, `exc_info` may still replace what was said."""
        x = self._exchange
        if x.started and exc_info is not None:
            x.closed = x.closed or _code(status) >= 500
            self._send_part = self._head(status, headers, exc_info)
        elif exc_info is None and (x.started or self._pending is not None):
            raise AssertionError("start_response was called again without exc_info")
        else:
            self._pending = (status, headers, exc_info)
        return self._write

    def _write(self, data: bytes) -> object:
        if self.refusal is not None:
            raise self.refusal
        if not self._exchange.started:
            if not data:
                return None
            self._start()
        assert self._send_part is not None  # noqa: S101  # set with `started`
        return self._send_part(data)

    # -- the commit

    def _start(self) -> None:
        """Commit, then let the head go."""
        x = self._exchange
        if self._pending is None:
            raise AssertionError("the application answered before it called start_response")
        status, headers, exc_info = self._pending
        code = _code(status)
        try:
            self._driver.commit(x, failed=code >= 500)
            refusal = x.refusal_behind(code)
            if refusal is not None:
                raise refusal
            if x.touch_due() and not x.touch_can_wait():
                self._driver.touch(x)
        except SessionError as error:
            if answer_for(error, []) is not None:
                self.refusal = error
            raise
        self._pending = None
        x.started = True
        x.closed = code >= 500
        self._send_part = self._head(status, headers, exc_info)

    def _head(self, status: str, headers: WSGIHeaders, exc_info: Any) -> Write:
        x = self._exchange
        if x.accessed or x.cookie is not None:
            headers = x.finish_headers(headers)
        if exc_info is None:
            return self._send_head(status, headers)
        return self._send_head(status, headers, exc_info)

    def begin(self, body: Iterable[bytes], file_wrapper: Any) -> Iterable[bytes]:
        """The application has returned `body`: commit if it has started, and hand it on."""
        x = self._exchange
        self._body = body
        written = x.started
        try:
            if self.refusal is not None:
                raise self.refusal
            if self._pending is not None:
                self._start()
        except BaseException as error:
            self._close_body()
            answer = self.fail(error)
            if answer is None:
                raise
            return answer
        if x.started and not written and self._is_over(body, file_wrapper):
            return body
        self._chunks = iter(body)
        return self

    def _is_over(self, body: Iterable[bytes], file_wrapper: Any) -> bool:
        """Whether nothing is left to do in `close()`, so that the server may have the body itself.

        A visitor without a stored session has nothing to save late. With one, application code
        that still runs may reach it; a list or a file runs none.
        """
        x = self._exchange
        if x.closed or (x.loaded and x.token is None and not x.accessed):
            return True
        inert = type(body) in (list, tuple) or (
            isinstance(file_wrapper, type) and isinstance(body, file_wrapper)
        )
        return inert and not x.touch_due()

    def fail(self, error: BaseException) -> list[bytes] | None:
        """The application or the commit failed: what narrows still happens, the rest is dropped.

        Returns:
            The body of our own answer; None when the error is not ours to answer.
        """
        x = self._exchange
        if self.refusal is not None:
            # It met write(), and whatever the application made of it on its way out is ours.
            error = self.refusal
        else:
            self._abandon()
        if x.started:
            return None
        answer = answer_for(error, x.parting_cookies(), x.request.sign_in)
        if answer is None:
            return None
        x.started = x.closed = True
        length = ("Content-Length", str(len(answer.body)))
        self._send_head(f"{answer.status} {answer.phrase}", [*answer.headers, length])
        return [answer.body]

    def _abandon(self) -> None:
        x = self._exchange
        if not x.closed:
            x.closed = True
            try:
                self._driver.commit(x, failed=True)
            except SessionError:
                logger.exception("a logout of a failed request could not be stored")

    # -- what the server calls

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return self._next_chunk()
        except StopIteration:
            raise
        except BaseException as error:
            answer = self.fail(error)
            if answer is None:
                raise
            self._chunks = iter(())
            return answer[0]

    def _next_chunk(self) -> bytes:
        x = self._exchange
        for chunk in self._chunks:
            if x.started:
                return chunk
            if self.refusal is not None:
                raise self.refusal
            if chunk:
                self._start()
                return chunk
        if not x.started:
            if self.refusal is not None:
                raise self.refusal
            self._start()
        raise StopIteration

    def close(self) -> None:
        """Close the application's iterable; save late changes; send a touch that could wait."""
        if self._closed:
            return
        self._closed = True
        x = self._exchange
        try:
            self._close_body()
        except BaseException:
            self._abandon()
            raise
        if x.started and not x.closed:
            self._driver.commit(x)
            if x.touch_due():
                self._driver.touch(x)

    def _close_body(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


def _code(status: str) -> int:
    return int(status[:3])
