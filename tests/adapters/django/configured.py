"""Importing this configures Django, once for the whole test run."""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.adapters.django.project.settings")
django.setup()
