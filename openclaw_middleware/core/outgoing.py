"""What a response carries for its session: our cookie or its deletion, `Vary`, no shared caching.

The exchange decides what to send; here it is kept until the headers leave, and worded. Nothing
is loaded or saved here.
"""

from __future__ import annotations

from . import events as ev
from .cookies import CookieSpec
from .desk import Desk
from .headers import (
    Headers,
    add_vary,
    keep_out_of_shared_caches,
    shared_caching,
    with_default,
)
from .record import EndReason


class Outgoing:
    """The outgoing side of one request.

    Attributes:
        navigation: the response is a document a person navigated to.
        accessed: the application looked at the session.
        dead: the token was already dead when it was presented; `previous_end` says why.
        cookie: the `Set-Cookie` value to send, None for none.
        stray: cookies of ours to be deleted beside it.
        renew: the token came under an earlier cookie's name, and is still to go back under today's.
        leaving: the cookie is deleted because this request logs out.
        signed_out: this request has ended the session it came with.
        introduced: the cookie carries the token of a record that this request has stored.
    """

    def __init__(self, desk: Desk, navigation: bool) -> None:
        self.desk = desk
        self.navigation = navigation
        self.accessed = False
        self.dead = False
        self.previous_end: EndReason | None = None
        self.cookie: str | None = None
        self.stray: list[CookieSpec] = []
        self.renew = False
        self.leaving = False
        self.signed_out = False
        self.introduced = False
        self._postponable = False
        self._provisional = False
        self._withdrawn: tuple[str | None, bool] | None = None

    def emit(self, event: ev.Event) -> None:
        """Tell the listeners, if there are any."""
        self.desk.emit(event)

    def set_cookie(self, value: str, *, postponable: bool) -> None:
        """Let the response carry this value; a postponable one can as well go with a later one."""
        self.cookie = value
        self._provisional = False
        self.leaving = False
        self._postponable = postponable

    def unset_cookie(self) -> None:
        """Let the response leave the browser's cookie as it is."""
        self.cookie = None
        self._provisional = False
        self.leaving = self.signed_out = self.introduced = self._postponable = False

    def delete_cookie(self, *, provisional: bool = False) -> None:
        """Let the response delete the cookie, in every configured variant: somebody logs out.

        Args:
            provisional: the logout failed; if it is tried again, that decides.
        """
        if provisional and not self._provisional:
            self._withdrawn = (self.cookie, self.signed_out) if self.introduced else None
        self._provisional = provisional
        self.cookie = self.desk.cookie.delete()
        self.stray = list(self.desk.previous_cookies)
        self.leaving = self.signed_out = True
        self.introduced = False
        self._postponable = False

    def take_back_farewell(self) -> None:
        """A logout that failed is tried again, and may find that there is nothing of ours to end:
        another tab's cookie is not to be deleted for it. What was stored before it failed is as
        good as before."""
        if self._provisional:
            self.unset_cookie()
            if self._withdrawn is not None:
                self.cookie, self.signed_out = self._withdrawn
                self.introduced = True

    def cookies(self) -> list[str]:
        """The `Set-Cookie` values of this response."""
        stray = [spec.delete() for spec in self.stray] if self.accessed or self.cookie else []
        if self.cookie is not None:
            return [*stray, self.cookie]
        if self.renew and not self.dead:
            return []  # the browser has nothing else yet
        if self._may_clean_up() and not stray:
            return [self.desk.cookie.delete()]
        return stray

    def parting_cookies(self) -> list[str]:
        """The `Set-Cookie` values of an answer of our own: a logout clears the browser even when
        it failed, and the token of a session that was stored before the failure goes out, since
        the one before is dead. Anything else leaves the cookie alone."""
        return self.cookies() if self.leaving or self.introduced else []

    def _may_clean_up(self) -> bool:
        """Whether a dead cookie may be deleted by a request that did not end the session.

        Only on a navigation, whose answer cannot overtake another tab's, and not when the token
        was replaced: then its successor may be on the way to this very browser.
        """
        return (
            self.dead
            and self.accessed
            and self.navigation
            and self.previous_end is not EndReason.REPLACED
        )

    def finish_headers(self, headers: Headers) -> Headers:
        """The response's headers with what this session adds; unchanged when it was not used."""
        cookies = self.cookies()
        if self.accessed or cookies:
            headers = add_vary(headers)
        if not cookies:
            return headers
        allowed = shared_caching(headers)
        if allowed is not None and self._postponable:
            return headers
        if allowed is not None:
            ev.logger.warning(
                "Cache-Control %r was replaced by no-store: the response sets a session cookie, "
                "which no shared cache may keep",
                allowed,
            )
            self.emit(ev.CacheHeaderReplaced(header=allowed))
        headers = keep_out_of_shared_caches(headers)
        if self.signed_out:
            headers = with_default(headers, "Clear-Site-Data", self.desk.clear_site_data)
        return [*headers, *(("Set-Cookie", value) for value in cookies)]
