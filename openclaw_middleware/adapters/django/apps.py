"""The Django application: checks, signals, and the tables' migration."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed
from django.core.checks import Tags, register
from django.db.models.signals import post_migrate


class OpenClawConfig(AppConfig):
    """`"openclaw_middleware.adapters.django"` in `INSTALLED_APPS`."""

    name = "openclaw_middleware.adapters.django"
    label = "openclaw_middleware"
    verbose_name = "Sessions"

    def ready(self) -> None:
        from . import checks, store

        store.remember_names()
        register(checks.check_settings, Tags.security)
        register(checks.check_level, Tags.security)
        register(checks.check_deployment, Tags.security, deploy=True)
        register(checks.check_tables, Tags.database)
        post_migrate.connect(_create_tables, sender=self, dispatch_uid="openclaw_middleware")
        if installed.is_installed("django.contrib.auth"):
            from django.contrib.auth.signals import user_logged_in

            from .identity import note_sign_in

            user_logged_in.connect(note_sign_in, dispatch_uid="openclaw_middleware")


def _create_tables(*, using: str, plan: Any = (), **_: Any) -> None:
    """`migrate` brings the tables even where migrations are switched off, as in some test set-ups,
    or where the store was another one when the migration ran."""
    from django.db import connections

    from . import tables

    backwards = any(back and step.app_label == OpenClawConfig.label for step, back in plan)
    if not backwards and tables.wanted_on(using):
        with connections[using].schema_editor() as editor:
            tables.create_missing(editor)
