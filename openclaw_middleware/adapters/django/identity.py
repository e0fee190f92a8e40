"""Between `user_id`, which all frameworks share, and what `django.contrib.auth` keeps of a sign-in.

Django looks for three keys: the user's primary key, the backend, and a hash that changes with the
password. A sign-in made by Flask or FastAPI has only the first; here is what stands in for the
others. Nothing in here stores anything.
"""

from __future__ import annotations

from traceback import walk_tb
from types import SimpleNamespace
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError

from . import conf

BACKEND_KEY = "_auth_user_backend"
HASH_KEY = "_auth_user_hash"
SUPPLIED = frozenset({BACKEND_KEY, HASH_KEY})


def names_a_user(user_id: str) -> bool:
    """Whether the id is a primary key of this project's users, as Django writes it.

    Another framework's id that cannot be one ("ada" where keys are numbers) would make every page
    that asks for `request.user` fail; and "042" is not user 42, whose sessions it is not among. For
    Django such a visitor is anonymous.
    """
    if not apps.is_installed("django.contrib.auth"):
        return True
    from django.contrib.auth import get_user_model

    field = get_user_model()._meta.pk
    try:
        key = field.to_python(user_id)
    except (ValidationError, ValueError, TypeError):
        return False
    holder: Any = SimpleNamespace(**{field.attname: key})
    written: str = field.value_to_string(holder)
    return written == user_id


def backend_and_key(user_id: str) -> tuple[Any, Any]:
    """The backend that vouches for the user, and the key it knows them by."""
    from django.contrib.auth import get_user_model, load_backend

    path = conf.auth_backend()
    if path is None:
        raise KeyError(BACKEND_KEY)
    return load_backend(path), get_user_model()._meta.pk.to_python(user_id)


def session_hash(user_id: str) -> str:
    """The hash Django expects of this user now.

    Raises:
        KeyError: there is no such user, or the user model has no hash.
    """
    backend, key = backend_and_key(user_id)
    return _hash_of(backend.get_user(key))


async def asession_hash(user_id: str) -> str:
    """`session_hash`, awaited."""
    backend, key = backend_and_key(user_id)
    return _hash_of(await backend.aget_user(key))


def _hash_of(user: Any) -> str:
    if not hasattr(user, "get_session_auth_hash"):
        raise KeyError(HASH_KEY)
    found: str = user.get_session_auth_hash()
    return found


def was_signing_out(error: BaseException) -> bool:
    """Whether `logout()` met the error. It asks for the user first, for its signal, and so fails
    with the load, before it could say what it wanted."""
    from django.contrib.auth import alogout, logout

    codes = (logout.__code__, alogout.__code__)
    return any(frame.f_code in codes for frame, _ in walk_tb(error.__traceback__))


def note_sign_in(sender: object, request: Any, user: Any, **_: Any) -> None:
    """Receiver of `user_logged_in`: signing in again as the same user is a new sign-in, too.

    Django sets its keys to the same values then, which alone says nothing about a password.
    """
    from .session import DjangoSession

    session = getattr(request, "session", None)
    if isinstance(session, DjangoSession) and session.user_id == str(user.pk):
        session.renew_sign_in()
