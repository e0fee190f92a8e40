"""For this example's own tests: sessions and users of their own, and Django set up on them.

pytest examples/shared_login
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before any of the three is imported: they read from the environment where they are.
FOLDER = Path(tempfile.mkdtemp(prefix="shared-login-"))
os.environ["SHARED_LOGIN_DATA"] = str(FOLDER)
os.environ["OPENCLAW_SESSION__STORE"] = f"sqlite:///{FOLDER / 'sessions.db'}"
os.environ["DJANGO_SETTINGS_MODULE"] = "examples.shared_login.django_site.settings"

import django  # noqa: E402

django.setup()


@pytest.fixture(scope="session", autouse=True)
def _people() -> Iterator[None]:
    from django.test.utils import (
        override_settings,
        setup_test_environment,
        teardown_test_environment,
    )

    from . import people

    setup_test_environment()
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        people.invite()
        yield
    teardown_test_environment()


def pytest_unconfigure() -> None:
    shutil.rmtree(FOLDER)
