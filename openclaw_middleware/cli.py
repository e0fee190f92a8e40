"""The command line: a new secret, and the settings as this environment has them. Commands that
touch the store are in `cli_store`.

Standard library only. Answers go to stdout, everything else to stderr; 0 is fine, 1 means that
something is wrong with what was looked at, 2 that the command itself was wrong.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from typing import Any

from . import cli_store
from .config import SessionSettings
from .config_report import shown
from .config_units import DURATIONS
from .errors import ConfigurationError, MissingDependency, SessionError
from .runtime import make_desk
from .stores.url import open_store

PROGRAM = "openclaw-middleware"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is the answer."""
    arguments = _parser().parse_args(argv)
    try:
        with _quiet():
            code: int = arguments.run(arguments)
            sys.stdout.flush()
            return code
    except SessionError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Look after the sessions of a web application."
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {_version()}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    command = commands.add_parser("new-key", help="print a fresh secret key")
    command.set_defaults(run=_new_key)

    group = commands.add_parser("config", help="look at the settings").add_subparsers(
        metavar="COMMAND", required=True
    )
    command = group.add_parser(
        "show",
        help="print each value and where it came from",
        description="Print each value and where it came from, secrets masked. Seen are the "
        "environment and the file; what the application's own code sets is not.",
    )
    cli_store.add_config_option(command)
    command.add_argument("--json", action="store_true", help="as JSON; durations in seconds")
    command.set_defaults(run=_show)
    command = group.add_parser("check", help="say what is wrong; exit code 1 if anything is")
    cli_store.add_config_option(command)
    command.set_defaults(run=_check)
    command = group.add_parser("schema", help="print the JSON Schema of the file, for editors")
    command.set_defaults(run=_schema)

    cli_store.add_commands(commands)
    return parser


def _new_key(arguments: argparse.Namespace) -> int:
    print(secrets.token_urlsafe(32))
    return 0


def _show(arguments: argparse.Namespace) -> int:
    settings = SessionSettings.load(arguments.config)
    values = shown(settings)
    if arguments.json:
        table = {
            name: {"value": value, "origin": settings.origins[name]}
            | ({"unit": "seconds"} if name in DURATIONS else {})
            for name, value in values.items()
        }
        print(json.dumps(table, indent=2, ensure_ascii=False))
        return 0
    origins = dict(settings.origins)
    for name, value in _computed(settings).items():
        if values[name] is None:
            values[name] = value
            origins[name] += ", computed"
    texts = {name: _text(name, value) for name, value in values.items()}
    wide = max(map(len, texts))
    wider = min(48, max(map(len, texts.values())))
    for name, text in texts.items():
        print(f"{name:<{wide}}  {text:<{wider}}  {origins[name]}")
    return 0


def _computed(settings: SessionSettings) -> dict[str, Any]:
    return {
        "cookie_name": settings.cookie().name,
        "touch_interval": settings.all_policies()["default"].idle / 10,
    }


def _text(name: str, value: Any) -> str:
    if value is None or value == [] or value == {}:
        return "-"
    if name in DURATIONS:
        return f"{value:g} s"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _check(arguments: argparse.Namespace) -> int:
    settings = SessionSettings.load(arguments.config)
    _try_parts(settings)
    for line in settings.warnings:
        print(f"warning: {line}", file=sys.stderr)
    print("ok")
    return 0


def _try_parts(settings: SessionSettings) -> None:
    """Make what the settings name, without connecting: wrong keys, URLs, missing extras show."""
    problems: list[str] = []
    try:
        make_desk(settings)
    except ConfigurationError as error:
        problems.append(str(error))
    if not settings.store.startswith("django:"):
        try:
            _either_colour(settings)
        except ConfigurationError as error:
            problems.append(f"store: {error}")
    if problems:
        raise ConfigurationError("\n".join(problems))


def _either_colour(settings: SessionSettings) -> None:
    options = settings.store_options()
    try:
        open_store(settings.store, options, colour="sync")
    except MissingDependency as missing:
        try:  # an asyncio application needs the asyncio driver only
            open_store(settings.store, options, colour="async")
        except MissingDependency:
            raise missing from None


def _schema(arguments: argparse.Namespace) -> int:
    from .config_schema import file_schema

    print(json.dumps(file_schema(), indent=2, ensure_ascii=False))
    return 0


def _version() -> str:
    try:
        return metadata.version(PROGRAM)
    except metadata.PackageNotFoundError:
        return "(not installed)"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings about settings from the log's last resort: `check` prints them itself."""
    logger = logging.getLogger(SessionSettings.__module__)
    handler = logging.NullHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
