"""What sessions need is marked; everything else is as in any Django project.

python manage.py migrate
python manage.py createsuperuser
python manage.py runserver
"""

from __future__ import annotations

import json
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ.get("SECRET_KEY", "J8s_kPq2vZx5nTd0bRw7Lc4hGm9yXf3uWj6e")
DEBUG = os.environ.get("DEBUG", "1") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", "testserver"]
ROOT_URLCONF = "notes.urls"
USE_TZ = True
STATIC_URL = "static/"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "/"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",  # for `manage.py clearsessions`
    "django.contrib.staticfiles",
    "openclaw_middleware.adapters.django",  # checks, and the tables' migration
    "notes",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    # In place of django.contrib.sessions.middleware.SessionMiddleware.
    "openclaw_middleware.adapters.django.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

# For the test client, Channels and clearsessions, which know sessions by their engine.
SESSION_ENGINE = "openclaw_middleware.adapters.django.engine"
SESSION_COOKIE_NAME = "__Host-notes"

OPENCLAW = {
    "STORE": os.environ.get("SESSION_STORE", "django:default"),
    "IDLE_TIMEOUT_MINUTES": 30,
    "ABSOLUTE_TIMEOUT_HOURS": 8,
}

DATABASES = {
    "default": json.loads(os.environ["DATABASE"])
    if "DATABASE" in os.environ
    else {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "notes.sqlite3"}
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

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
