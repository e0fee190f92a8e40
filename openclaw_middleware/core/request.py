"""What the core may know of a request, as the drivers tell it. Facts only; nothing is read here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .policy import Policy


# Never changed, but not frozen: one is made for each request, which would take twice as long.
@dataclass(slots=True)
class RequestInfo:
    """What the core may know of a request.

    Attributes:
        cookies: the `Cookie` header, several joined by "; "; empty when there is none.
        passive: using the session here is not activity of its person.
        navigation: the response is a document a person navigated to.
        client: what a new session may remember of the client, already reduced to the setting.
        area: the policy a signed-in session must be within, below the path of this request.
        veiled: a session that is not is shown as signed out, for this is where one signs in.
        path: of the request, from the root of the site; `mount` is the part of it where the
            application hangs.
        sign_in: answers the address somebody is sent to who must sign in anew, None where a
            redirect is no answer.
    """

    cookies: str = field(default="", repr=False)
    passive: bool = False
    navigation: bool = False
    client: dict[str, str] | None = None
    area: Policy | None = None
    veiled: bool = False
    path: str = ""
    mount: str = ""
    sign_in: Callable[[], str | None] | None = None
