"""The example project's settings with a quick password hasher, as Django advises for tests."""

from notes.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
