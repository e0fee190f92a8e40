"""The tables of `store="django:..."`, in every database that is migrated."""

from __future__ import annotations

from typing import Any

from django.db import migrations, router
from django.db.migrations.operations.base import Operation

from openclaw_middleware.adapters.django import tables


class CreateSessionTables(Operation):
    """The SQL store's own layout; Django's models could not say all of it."""

    reduces_to_sql = True
    reversible = True

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Nothing: there are no models."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if router.allow_migrate(schema_editor.connection.alias, app_label):
            tables.create_missing(schema_editor)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if router.allow_migrate(schema_editor.connection.alias, app_label):
            tables.drop(schema_editor)

    def describe(self) -> str:
        return "Create the session tables"


class Migration(migrations.Migration):
    initial = True
    dependencies = []  # noqa: RUF012  # Django's own form
    operations = [CreateSessionTables()]  # noqa: RUF012  # Django's own form
