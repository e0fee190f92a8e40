"""`store="django:..."`: the project's own database, and the test database in its place."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.test import AsyncClient, Client, override_settings

from openclaw_middleware import ConfigurationError, EndReason, StoreUnavailable
from openclaw_middleware.adapters.django import conf, get_manager, tables
from openclaw_middleware.adapters.django.database_url import database_url
from openclaw_middleware.adapters.django.deployment import Deployment
from openclaw_middleware.adapters.django.store_sqlite import InDjangosThread, OnDjangosConnection
from openclaw_middleware.core.contract import Live
from openclaw_middleware.core.record import Record
from openclaw_middleware.stores.base import StoreOptions
from openclaw_middleware.testing import Clock, StoreConformance

from .project import views


@pytest.fixture(scope="module")
def made_tables() -> list[str]:
    return []


class TestConformance(StoreConformance):
    """The public suite on Django's SQLite connections."""

    @pytest.fixture
    def prepared(self, made_tables: list[str]) -> list[str]:
        return made_tables

    @pytest.fixture
    def make_store(self, test_database: None) -> Any:
        def make(colour: str, options: Any) -> Any:
            store = OnDjangosConnection("filed", options)
            return store if colour == "sync" else InDjangosThread(store)

        return make


def a_record(now: float) -> Record:
    return Record(
        id="tag.random",
        secret_hash=b"h" * 32,
        version=1,
        write_id="w",
        created_at=now,
        authenticated_at=now,
        valid_from=now,
        last_active_at=now,
        idle_timeout=600.0,
        absolute_timeout=600.0,
        policy="default",
        user_id="ada",
        payload=b"",
    )


@pytest.mark.parametrize("colour", ["blocking", "asyncio"])
def test_a_locked_file_is_an_outage_that_says_so(
    test_database: None, colour: str, namespace: str
) -> None:
    """Another program writes for long: readers go on, writers are told, nothing stays open."""
    store = OnDjangosConnection("filed", StoreOptions(namespace=namespace))
    store.create_tables()
    record = a_record(now=store.now())
    store.create(record)
    connections["filed"].connection.execute("PRAGMA busy_timeout = 20")
    end: Any = store.end
    if colour == "asyncio":
        end = async_to_sync(InDjangosThread(store).end)
    other = sqlite3.connect(connections["filed"].settings_dict["NAME"], isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            end(record.id, EndReason.SIGNED_OUT)
        assert isinstance(store.load(record.id), Live)
        assert not connections["filed"].connection.in_transaction
    finally:
        other.close()
    assert end(record.id, EndReason.SIGNED_OUT).fresh


@pytest.fixture
def project(database: None, clock: Clock) -> Iterator[Deployment]:
    with override_settings(OPENCLAW={}):
        made = Deployment(conf.load_settings(), clock=clock)
        with conf.using(made):
            yield made


def rows() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM openclaw_sessions WHERE ended_at IS NULL")
        return int(cursor.fetchone()[0])


def test_the_projects_database_is_the_default(project: Deployment) -> None:
    assert project.settings.store == "django:default"
    assert rows() == 0
    client = Client()
    client.get("/write", {"a": "1"})
    assert rows() == 1
    assert client.get("/read").json() == {"a": "1"}
    assert get_manager().purge_expired() == 0


def test_a_test_case_takes_its_sessions_back(project: Deployment) -> None:
    with transaction.atomic():
        Client().get("/write", {"a": "1"})
        assert rows() == 1
        transaction.set_rollback(True)
    assert rows() == 0


def test_inside_a_transaction_that_has_written(project: Deployment) -> None:
    User.objects.create_user("ada", password="pw")
    client = Client()
    client.get("/login", {"name": "ada", "password": "pw"})
    assert client.get("/whoami").content == b"ada"

    def task(request: Any) -> None:
        with transaction.atomic():
            User.objects.create_user("bob")
            request.session["b"] = 1
            request.session.save()
            assert request.session.take("b") == 1

    views.task = task
    assert client.get("/run").status_code == 200
    client.get("/logout")
    assert client.get("/whoami").content == b"nobody"
    assert rows() == 0


def test_async_views(project: Deployment) -> None:
    User.objects.create_user("ada", password="pw")

    async def visit() -> None:
        client = AsyncClient()
        await client.get("/alogin", {"name": "ada", "password": "pw"})
        assert (await client.get("/awhoami")).content == b"ada"
        await client.get("/alogout")
        assert (await client.get("/awhoami")).content == b"nobody"

    async_to_sync(visit)()


def test_limits_and_logout_everywhere(database: None, clock: Clock) -> None:
    with override_settings(OPENCLAW={"MAX_SESSIONS_PER_USER": 2}):
        made = Deployment(conf.load_settings(), clock=clock)
    with conf.using(made):
        clients = [Client() for _ in range(3)]
        for client in clients:
            views.task = lambda r: r.session.login("7")
            client.get("/run")
            clock.advance(1)
        assert [bool(c.get("/read").json()) for c in clients] == [False, True, True]
        assert get_manager().revoke_user("7") == 2
        assert not clients[2].get("/read").json()


def test_without_tables_the_command_is_named(project: Deployment) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE openclaw_sessions RENAME TO away")
    with pytest.raises(StoreUnavailable, match=r"manage\.py migrate"):
        get_manager().get("x.y")
    client = Client()
    client.cookies["sessionid"] = _token()
    assert client.get("/read").status_code == 503
    from django.core.checks import run_checks

    assert "openclaw.W006" in {each.id for each in run_checks(databases=["default"])}


def _token() -> str:
    desk = conf.runtime().desk
    return desk.signer.sign(desk.mint(None))


def test_migrations_go_both_ways(test_database: None) -> None:
    with override_settings(OPENCLAW={}):
        conf._current = None
        options = {"database": "filed", "verbosity": 0}
        call_command("migrate", "openclaw_middleware", "zero", **options)
        assert "openclaw_sessions" not in tables.existing(connections["filed"])
        call_command("migrate", "openclaw_middleware", **options)
        assert tables.missing(connections["filed"]) == []
        call_command("migrate", "openclaw_middleware", **options)


def test_the_migration_can_be_printed(test_database: None, capsys: Any) -> None:
    call_command("sqlmigrate", "openclaw_middleware", "0001")
    call_command("makemigrations", "--check", "--dry-run", "openclaw_middleware")
    assert "No changes" in capsys.readouterr().out


def test_an_unknown_alias_is_named() -> None:
    with (
        override_settings(OPENCLAW={"STORE": "django:other"}),
        pytest.raises(ConfigurationError, match=r"other.*default"),
    ):
        Deployment(conf.load_settings()).blocking  # noqa: B018


def url_of(vendor: str, **given: Any) -> str:
    found = SimpleNamespace(vendor=vendor, alias="default", settings_dict=given)
    return database_url(found)


def test_urls() -> None:
    assert (
        url_of(
            "postgresql",
            NAME="app",
            USER="u",
            PASSWORD="p@ss/w",
            HOST="db",
            PORT="5433",
            OPTIONS={"sslmode": "require", "pool": True},
        )
        == "postgresql://u:p%40ss%2Fw@db:5433/app?sslmode=require"
    )
    assert (
        url_of("postgresql", NAME="app", HOST="/run/postgresql")
        == "postgresql:///app?host=%2Frun%2Fpostgresql"
    )
    assert (
        url_of("mysql", NAME="app", HOST="db", OPTIONS={"ssl": {"ca": "/ca.pem"}})
        == "mysql://db/app?ssl_ca=%2Fca.pem"
    )
    assert (
        url_of("mysql", NAME="app", HOST="/run/mysqld.sock")
        == "mysql:///app?unix_socket=%2Frun%2Fmysqld.sock"
    )
    with pytest.raises(ConfigurationError, match="oracle"):
        url_of("oracle", NAME="app")
