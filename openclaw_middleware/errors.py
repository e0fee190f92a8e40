"""Every exception this package raises on purpose, in one tree.

    SessionError
    ├── ConfigurationError            a developer's mistake, found at start-up; also a ValueError
    │   └── MissingDependency         names the extra to install; also an ImportError
    ├── SessionStateError             the application used a session wrongly
    │   ├── SessionNotLoaded          the data are not here yet, or the wrong colour was called
    │   ├── ResponseStarted           the change would need a cookie, and the headers have left
    │   ├── SessionEnded              the session ended during the request and `on_ended` is "error"
    │   └── ReauthenticationRequired  `require_recent` or `policy_paths` asks for a fresh sign-in
    ├── LoginRefused                  the sign-in did not take place
    │   ├── SessionLimitReached       `max_sessions_per_user` with `on_limit="reject"`
    │   └── LoginSuperseded           the user was logged out everywhere after the check
    ├── StoreError                    the engine failed, or never came to rest
    │   ├── StoreUnavailable          worth trying again later
    │   └── StoreConflict             others kept winning until the commit deadline
    └── CodecError                    a value cannot be encoded, or bytes cannot be decoded

An unknown, expired, forged or malformed session is never an exception: the visitor is anonymous.
"""

from __future__ import annotations


class SessionError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigurationError(SessionError, ValueError):
    """A setting, URL or installation is wrong; the message names the mend."""


class MissingDependency(ConfigurationError, ImportError):
    """An optional library is not installed; the message names the extra."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(
            f"{library} is not installed. Install it with: "
            f"pip install 'openclaw-middleware[{extra}]'"
        )
        self.library = library
        self.extra = extra


class SessionStateError(SessionError):
    """The application used a session in a way that cannot work at this point."""


class SessionNotLoaded(SessionStateError):
    """The data are not loaded and cannot be loaded from here; the message names the call."""


class ResponseStarted(SessionStateError):
    """The change would need a cookie, but the response headers have already left."""


class SessionEnded(SessionStateError):
    """The session was ended by another request, and `on_ended` is "error" (HTTP 409)."""


class ReauthenticationRequired(SessionStateError):
    """A fresh sign-in is asked for, by `require_recent` or by the area of the path.

    The middleware answers it with 401, or sends a person's browser to the sign-in page (303).

    Attributes:
        max_age: seconds a sign-in may be old, or a session unused.
        idle: the session was not used for longer than that; else the sign-in is older.
    """

    def __init__(self, max_age: float, *, idle: bool = False) -> None:
        if idle:
            super().__init__(f"not used for {max_age:g} seconds: please sign in again")
        else:
            super().__init__(f"a sign-in within the last {max_age:g} seconds is required")
        self.max_age = max_age
        self.idle = idle


class LoginRefused(SessionError):
    """The sign-in did not take place; the visitor keeps what they had before (HTTP 409)."""


class SessionLimitReached(LoginRefused):
    """The user has `max_sessions_per_user` live sessions and `on_limit` is "reject"."""


class LoginSuperseded(LoginRefused):
    """The user was logged out everywhere at or after the moment the password was checked."""


class StoreError(SessionError):
    """The store could not do what was asked; `__cause__` is the driver's own error.

    Attributes:
        store: name of the store, such as "redis".
        operation: the verb that failed, such as "load".
    """

    def __init__(self, message: str, *, store: str = "", operation: str = "") -> None:
        super().__init__(message)
        self.store = store
        self.operation = operation


class StoreUnavailable(StoreError):
    """The engine did not answer, refused, or timed out.

    Attributes:
        disconnected: the connection was found dead, so one more try on a fresh connection is
            worth its time. Every verb is safe to repeat: writes carry a write id.
    """

    def __init__(
        self,
        message: str,
        *,
        store: str = "",
        operation: str = "",
        disconnected: bool = False,
    ) -> None:
        super().__init__(message, store=store, operation=operation)
        self.disconnected = disconnected


class StoreConflict(StoreError):
    """Other writers won every attempt until the commit deadline, and nothing of ours was written;
    or a save whose answer was lost more than 25 s ago is given up, written or not."""


class CodecError(SessionError):
    """A value cannot be encoded, or stored bytes cannot be decoded."""
