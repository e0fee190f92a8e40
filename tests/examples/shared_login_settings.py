"""The settings of the shared sign-in's Django site, with passwords that are quick to check."""

from examples.shared_login.django_site.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
