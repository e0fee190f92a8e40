"""Who may sign in: the users of the Django site, for the two applications that have none.

Sharing a sign-in takes one thing of the users: an id that means the same everywhere. Here it is
Django's primary key, as text. How Flask and FastAPI check a password is their own affair; theirs
could as well ask a directory, or another table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

PASSWORD = "counting rhymes"
STAFF, OTHER = "ada", "bob"


class Person(NamedTuple):
    """One user, as all three know them."""

    id: str
    name: str


def check(name: str, password: str) -> Person | None:
    """The person with this name, if the password is theirs."""
    from django.contrib.auth import authenticate

    with _database():
        user = authenticate(username=name, password=password)
        return None if user is None else Person(str(user.pk), user.get_username())


def find(user_id: str | None) -> Person | None:
    """The person with this id; None for nobody, and for those who may not sign in any more."""
    from django.contrib.auth.models import User

    if user_id is None or not user_id.isdecimal():
        return None
    with _database():
        user = User.objects.filter(pk=user_id, is_active=True).first()
        return None if user is None else Person(str(user.pk), user.get_username())


def invite() -> None:
    """Make the tables and the two accounts, unless they are there."""
    from django.contrib.auth.models import User
    from django.core.management import call_command

    with _database():
        call_command("migrate", verbosity=0)
        if not User.objects.exists():
            User.objects.create_superuser(STAFF, password=PASSWORD)
            User.objects.create_user(OTHER, password=PASSWORD)


@contextmanager
def _database() -> Iterator[None]:
    """Django closes its connections after its own requests only."""
    from django.db import connections

    try:
        yield
    finally:
        connections.close_all()
