"""Sessions for Python web applications: one implementation for every framework.

Optional parts (stores, frameworks) are imported by their own modules, never from here.
"""

from __future__ import annotations

from .config import SessionSettings
from .core.policy import Policy
from .core.record import EndReason
from .errors import (
    CodecError,
    ConfigurationError,
    LoginRefused,
    LoginSuperseded,
    MissingDependency,
    ReauthenticationRequired,
    ResponseStarted,
    SessionEnded,
    SessionError,
    SessionLimitReached,
    SessionNotLoaded,
    SessionStateError,
    StoreConflict,
    StoreError,
    StoreUnavailable,
)
from .info import Page, SessionInfo
from .manager import AsyncSessionManager, SessionManager
from .session import Session

__all__ = [
    "AsyncSessionManager",
    "CodecError",
    "ConfigurationError",
    "EndReason",
    "LoginRefused",
    "LoginSuperseded",
    "MissingDependency",
    "Page",
    "Policy",
    "ReauthenticationRequired",
    "ResponseStarted",
    "Session",
    "SessionEnded",
    "SessionError",
    "SessionInfo",
    "SessionLimitReached",
    "SessionManager",
    "SessionNotLoaded",
    "SessionSettings",
    "SessionStateError",
    "StoreConflict",
    "StoreError",
    "StoreUnavailable",
]
