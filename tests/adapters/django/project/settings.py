"""A Django project for the tests. Each test overrides what it is about."""

from __future__ import annotations

import json
import os
import tempfile

SECRET_KEY = "tests only: gH7s-4kq9_Zt2mWx8Vb3nRd6yLc5pJf1"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.adapters.django.project.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "openclaw_middleware.adapters.django",
    "tests.adapters.django.project",
]
MIDDLEWARE = [
    "openclaw_middleware.adapters.django.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
SESSION_ENGINE = "openclaw_middleware.adapters.django.engine"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    "default": json.loads(
        os.environ.get(
            "TEST_DATABASE", '{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}'
        )
    )
}
if "TEST_DATABASE" not in os.environ:
    # A database in a file, for tests with several threads.
    _FILE = os.path.join(tempfile.gettempdir(), f"openclaw-django-{os.getpid()}.sqlite3")
    DATABASES["filed"] = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": _FILE + "-unused",
        "TEST": {"NAME": _FILE},
    }
OPENCLAW = json.loads(os.environ.get("TEST_OPENCLAW", '{"STORE": "memory://"}'))
if "TEST_MIDDLEWARE" in os.environ:
    MIDDLEWARE[0] = os.environ["TEST_MIDDLEWARE"]
