"""An ordinary Django project; what the shared sign-in needs comes first."""

from __future__ import annotations

from pathlib import Path

from ..settings import COOKIE, DATA, SHARED, kept_key

OPENCLAW = SHARED
SESSION_COOKIE_NAME = COOKIE
SESSION_ENGINE = "openclaw_middleware.adapters.django.engine"
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    # In place of django.contrib.sessions.middleware.SessionMiddleware.
    "openclaw_middleware.adapters.django.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
INSTALLED_APPS = [
    "openclaw_middleware.adapters.django",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "examples.shared_login.django_site",
]

# Django's own key is Django's own: its forms and password links are no business of the others.
SECRET_KEY = kept_key("django.key")
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", "testserver"]
ROOT_URLCONF = "examples.shared_login.django_site.urls"
X_FRAME_OPTIONS = "SAMEORIGIN"
STATIC_URL = "/static/"
USE_TZ = True
LOGIN_URL = LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "/"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATA / "users.db"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parents[1] / "templates"],
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
