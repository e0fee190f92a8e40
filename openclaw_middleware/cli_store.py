"""Commands that touch the store: tables, purge, sessions, revoke.

They see the environment and the file, never what the application's own code sets. No token and no
data of a session is printed; the public session id may be.
"""

from __future__ import annotations

import argparse
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from .config import SessionSettings
from .config_arguments import Overrides
from .config_report import mask_url
from .info import SessionInfo
from .manager import SessionManager
from .stores.base import Store
from .stores.url import open_store

_SAME = (
    "Needs the application's own store, namespace, secret_key and user_tag_key, from the "
    "environment or the file."
)
_BATCH = 1000


def add_commands(commands: Any) -> None:
    """Add this module's commands to the parser's."""
    group = commands.add_parser("tables", help="prepare the store").add_subparsers(
        metavar="COMMAND", required=True
    )
    command = group.add_parser("create", help="create what the store needs; safe to repeat")
    _store_options(command)
    command.set_defaults(run=_create_tables)

    command = commands.add_parser("purge", help="remove what has expired")
    _store_options(command)
    command.set_defaults(run=_purge)

    command = commands.add_parser(
        "sessions", help="list the live sessions of a user", description=_SAME
    )
    command.add_argument("user", metavar="USER_ID")
    add_config_option(command)
    command.add_argument("--json", action="store_true", help="as JSON; times in epoch seconds")
    command.set_defaults(run=_sessions)

    command = commands.add_parser("revoke", help="end sessions", description=_SAME)
    command.add_argument("--user", metavar="USER_ID", help="all sessions of this user")
    command.add_argument("--id", metavar="SESSION_ID", help="this one; with --user only if theirs")
    add_config_option(command)
    command.set_defaults(run=_revoke, usage=command.error)


def add_config_option(command: argparse.ArgumentParser) -> None:
    """Let the command take a settings file."""
    command.add_argument("--config", metavar="FILE", help="YAML file with a `session:` section")


def _store_options(command: argparse.ArgumentParser) -> None:
    add_config_option(command)
    command.add_argument("--store", metavar="URL", help="this store, whatever is set")


@contextmanager
def _store(arguments: argparse.Namespace) -> Iterator[tuple[Store, object]]:
    """The store and how to call it. No secret is needed to create or clean tables: whoever may do
    that need not know the application's.
    """
    overrides: Overrides = {"secret_key": secrets.token_urlsafe(32)}
    if arguments.store is not None:
        overrides["store"] = arguments.store
    settings = SessionSettings.load(arguments.config, **overrides)
    store = open_store(settings.store, settings.store_options(), colour="sync")
    try:
        yield store, mask_url(settings.store)
    finally:
        store.close()


@contextmanager
def _manager(arguments: argparse.Namespace) -> Iterator[SessionManager]:
    manager = SessionManager(SessionSettings.load(arguments.config))
    try:
        yield manager
    finally:
        manager.close()


def _create_tables(arguments: argparse.Namespace) -> int:
    with _store(arguments) as (store, name):
        store.create_tables()
    print(f"ok: {name} is ready")
    return 0


def _purge(arguments: argparse.Namespace) -> int:
    total = 0
    with _store(arguments) as (store, name):
        while removed := store.purge_expired(_BATCH):
            total += removed
    print(f"removed {total} from {name}")
    return 0


def _sessions(arguments: argparse.Namespace) -> int:
    found: list[SessionInfo] = []
    cursor: str | None = None
    with _manager(arguments) as manager:
        while True:
            page = manager.sessions_of(arguments.user, _BATCH, cursor)
            found += page.items
            cursor = page.cursor
            if cursor is None:
                break
    if arguments.json:
        print(json.dumps([asdict(info) for info in found], indent=2, default=str))
        return 0
    for info in found:
        client = " ".join(info.client.values())
        print(f"{info.id}  active {_time(info.last_active_at)}  {info.policy}  {client}".rstrip())
    return 0


def _revoke(arguments: argparse.Namespace) -> int:
    if arguments.user is None and arguments.id is None:
        arguments.usage("one of --user and --id is required")
    with _manager(arguments) as manager:
        if arguments.id is None:
            print(f"ended {manager.revoke_user(arguments.user)}")
            return 0
        ended = manager.revoke(arguments.id, user_id=arguments.user)
    print("ended 1" if ended else "ended 0: no such live session")
    return 0 if ended else 1


def _time(epoch: float | None) -> str:
    return "-" if epoch is None else f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%d %H:%M:%SZ}"
