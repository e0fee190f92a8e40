"""Django's driver: in place of `django.contrib.sessions.middleware.SessionMiddleware`.

Sync and async, without a thread of its own. The session is loaded on first access and committed
when the response comes back from the inner middleware; every decision is the core's. How headers,
cookies and our own answers get onto a Django response is in `response`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.contrib.sessions.middleware import SessionMiddleware as StockMiddleware
from django.core.handlers import exception as convert
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from ...core.commit import Commit
from ...core.events import logger
from ...core.exchange import Exchange
from ...core.request import RequestInfo
from ...core.steps import adrive, drive
from ...errors import SessionError
from . import conf, identity
from .deployment import Deployment
from .heartbeat import serve_heartbeat
from .request import exchange_of
from .response import apply_headers, closers, refusal, warn_of_plain_http
from .session import DjangoSession, SkippedSession
from .streaming import close, held

GetResponse = Callable[[HttpRequest], Any]


class SessionMiddleware(StockMiddleware):
    """Puts a `DjangoSession` on `request.session`, with all promises.

    A subclass of Django's only because the admin asks for one; nothing of it runs. Settings are
    read when a request comes, so `override_settings` works.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.async_mode = iscoroutinefunction(get_response)
        if self.async_mode:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        if self.async_mode:
            return self.__acall__(request)
        deployment = conf.runtime()
        if deployment.heartbeat is not None:
            answered = drive(serve_heartbeat(deployment, deployment.blocking, request))
            if answered is not None:
                return answered
        turn = _Turn(request)
        try:
            response = cast("HttpResponseBase", self.get_response(request))
        except BaseException as error:
            return turn.fail(error)
        return turn.finish(response)

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        deployment = conf.runtime()
        if deployment.heartbeat is not None:
            answered = await adrive(serve_heartbeat(deployment, deployment.asynchronous, request))
            if answered is not None:
                return answered
        turn = _Turn(request)
        try:
            response = await cast("Awaitable[HttpResponseBase]", self.get_response(request))
        except BaseException as error:
            return await turn.afail(error)
        return await turn.afinish(response)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        """An outage or a refused sign-in that a view let through is no server error of its own:
        answered before Django reports one."""
        exchange = getattr(request, "_openclaw_exchange", None)
        if not isinstance(exchange, Exchange) or not isinstance(exception, SessionError):
            return None
        if exchange.failure is exception and identity.was_signing_out(exception):
            exchange.logout_failed = True
        return refusal(exception, exchange)

    def process_request(self, request: HttpRequest) -> None:
        raise NotImplementedError

    def process_response(self, request: Any, response: Any) -> Any:
        raise NotImplementedError


class _Turn:
    """One request and its response."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.deployment: Deployment = conf.runtime()
        self.exchange = exchange_of(self.deployment, request)
        if self.exchange is None:
            empty = Exchange(self.deployment.desk, RequestInfo())
            request.session = SkippedSession(empty, self.deployment)
            return
        self.session = DjangoSession(self.exchange, self.deployment)
        request.session = self.session
        request._openclaw_exchange = self.exchange  # type: ignore[attr-defined]  # ours

    # -- blocking

    def finish(self, response: HttpResponseBase) -> HttpResponseBase:
        """Commit, and let the response carry what came of it."""
        x = self.exchange
        if x is None:
            return response
        driver = self.deployment.blocking
        try:
            if self._every_request(x):
                driver.load(x)
                x.accessed = x.failure is None
            self._settle(x)
            driver.commit(x, failed=response.status_code >= 500)
            self._look_behind(x, response)
            if x.touch_due() and not x.touch_can_wait():
                driver.touch(x)
        except SessionError as error:
            answer = self._refuse(x, response, error)
            return self.fail(error) if answer is None else answer
        return self._go(x, response)

    def fail(self, error: BaseException) -> HttpResponseBase:
        """Django's own handling of an error failed or was switched off: what narrows still happens,
        and what is ours to answer is answered."""
        x = self.exchange
        if x is not None:
            try:
                self.deployment.blocking.commit(x, failed=True)
            except SessionError:
                logger.exception("a logout of a failed request could not be stored")
        return self._answer(error)

    def _after(self) -> None:
        """What the response left to do: late changes, and a touch that could wait.

        It runs when the server closes the response; under ASGI that is in a thread of Django's.
        """
        x = self.exchange
        if x is None or x.closed:
            return
        if not Commit(x, pause=time.sleep).due and not x.touch_due():
            return
        try:
            driver = self.deployment.blocking
            driver.commit(x)
            if x.touch_due():
                driver.touch(x)
        except SessionError:
            logger.exception("changes made after the response had started could not be stored")
        finally:
            x.closed = True

    # -- awaited

    async def afinish(self, response: HttpResponseBase) -> HttpResponseBase:
        """`finish`, awaited; a touch that is due goes out at once, there is no later."""
        x = self.exchange
        if x is None:
            return response
        driver = self.deployment.asynchronous
        try:
            if self._every_request(x):
                await driver.load(x)
                x.accessed = x.failure is None
            self._settle(x)
            await driver.commit(x, failed=response.status_code >= 500)
            self._look_behind(x, response)
            if x.touch_due():
                await driver.touch(x)
        except SessionError as error:
            answer = self._refuse(x, response, error)
            return await self.afail(error) if answer is None else answer
        response = self._go(x, response)
        if getattr(response, "is_async", False):
            stream: Any = response
            parts = aiter(stream.streaming_content)
            if not response.has_header("Content-Length"):
                parts = held(parts, stream, x, self.deployment)
            stream.streaming_content = self._watched(parts)
        return response

    async def afail(self, error: BaseException) -> HttpResponseBase:
        """`fail`, awaited."""
        x = self.exchange
        if x is not None:
            try:
                await self.deployment.asynchronous.commit(x, failed=True)
            except SessionError:
                logger.exception("a logout of a failed request could not be stored")
        return self._answer(error)

    async def _watched(self, parts: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The stream, with the changes made in it committed at its end."""
        x = self.exchange
        failed = False
        try:
            try:
                async for part in parts:
                    yield part
            finally:
                # Most streams end by the client's leaving, and what they do then is done first.
                await close(parts)
        except Exception:
            failed = True
            raise
        finally:
            if x is not None and not x.closed:
                x.closed = True
                try:
                    await self.deployment.asynchronous.commit(x, failed=failed)
                except SessionError:
                    logger.exception("changes made while streaming could not be stored")

    # -- both

    def _answer(self, error: BaseException) -> HttpResponseBase:
        x = self.exchange
        answer = refusal(error, x) if x is not None and isinstance(error, SessionError) else None
        if x is None or answer is None:
            raise error
        x.started = x.closed = True
        return answer

    def _every_request(self, x: Exchange) -> bool:
        """SESSION_SAVE_EVERY_REQUEST: every request is activity, used session or not."""
        if x.loaded or x.failure is not None or x.request.passive:
            return False
        return bool(settings.SESSION_SAVE_EVERY_REQUEST)

    def _settle(self, x: Exchange) -> None:
        if self.request.session is self.session:
            self.session.settle()

    def _look_behind(self, x: Exchange, response: HttpResponseBase) -> None:
        refused = x.refusal_behind(response.status_code)
        if refused is None and response.status_code == 403 and _left_to_django(x.demanded):
            refused = x.demanded
        if refused is not None:
            raise refused

    def _refuse(
        self, x: Exchange, response: HttpResponseBase, error: SessionError
    ) -> HttpResponseBase | None:
        answer = refusal(error, x)
        if answer is None:
            return None
        x.started = x.closed = True
        # Closing the new response closes what the old one held.
        closers(answer).append(response.close)
        return answer

    def _go(self, x: Exchange, response: HttpResponseBase) -> HttpResponseBase:
        x.started = True
        x.closed = response.status_code >= 500
        if x.accessed or x.cookie is not None:
            apply_headers(x, response)
            warn_of_plain_http(x, self.request)
        if not x.closed and (x.accessed or not x.loaded):
            closers(response).append(self._after)
        return response


# Django REST framework gives Django's own answer to what its views let through.
_ANSWER_403 = (convert.__name__, "rest_framework.views")


def _left_to_django(error: BaseException | None) -> bool:
    """Whether nobody caught the error before a framework's handler did, which answers 403."""
    trace = None if error is None else error.__traceback__
    return trace is not None and trace.tb_frame.f_globals["__name__"] in _ANSWER_403
