"""The three database servers the tests run: where each is found, how it is made and started.

The settings are for throwaway servers: nothing is forced to the disk, but whatever a server has
acknowledged survives `kill -9` of the server itself (Redis keeps nothing unless asked to by
`--appendonly yes`). All listen on 127.0.0.1 only.
"""

import os
import pwd
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pymysql
import redis
from sqlalchemy.engine import make_url


class Engine(ABC):
    """One kind of server."""

    name: ClassVar[str]
    variable: ClassVar[str]  # names a server that is already there
    package: ClassVar[str]  # Debian's
    account: ClassVar[str]  # whom to run it as, when we are root
    programs: ClassVar[tuple[str, ...]]  # all must lie in one folder; the first is the server
    places: ClassVar[tuple[str, ...]] = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin")
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def find(self) -> Path | None:
        """Return the folder that has all the programs: from PATH, else from the usual places."""
        usual = [found for place in self.places for found in sorted(Path("/").glob(place[1:]))]
        for folder in [*map(Path, os.get_exec_path()), *reversed(usual)]:
            if all(shutil.which(program, path=str(folder)) for program in self.programs):
                return folder
        return None

    def program(self, name: str) -> str:
        folder = self.find()
        assert folder is not None, f"{self.name} is not installed"
        return str(folder / name)

    def identity(self) -> dict[str, Any]:
        """Return whom to run as: PostgreSQL and MariaDB refuse to be root."""
        if os.geteuid() != 0:
            return {}
        known = {entry.pw_name: entry for entry in pwd.getpwall()}
        account = known.get(self.account) or known["nobody"]
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    @abstractmethod
    def make_data(self, folder: Path) -> None:
        """Fill the empty folder with a new database cluster; servers run on copies of it."""

    @abstractmethod
    def command(self, folder: Path, port: int) -> list[str]:
        """Return what starts the server in the foreground."""

    @abstractmethod
    def url(self, port: int) -> str:
        """Return the URL of a database on it, with a user who may make further ones."""

    @abstractmethod
    def ping(self, url: str) -> None:
        """Return if the server answers a question, else raise."""

    def _run(self, folder: Path, command: Sequence[str | Path]) -> None:
        done = subprocess.run(
            [*map(str, command)], cwd=folder, capture_output=True, text=True, **self.identity()
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


class Redis(Engine):
    name, variable = "Redis", "OPENCLAW_TEST_REDIS_URL"
    package, account = "redis-server", "redis"
    programs = ("redis-server",)

    def make_data(self, folder: Path) -> None:
        """Redis begins with nothing."""

    def command(self, folder: Path, port: int) -> list[str]:
        options = f"--port {port} --bind 127.0.0.1 --databases 512 --appendonly no --save"
        return [self.program("redis-server"), "--dir", str(folder), *options.split(), ""]

    def url(self, port: int) -> str:
        return f"redis://127.0.0.1:{port}/0"

    def ping(self, url: str) -> None:
        with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) as client:
            client.ping()


class Postgres(Engine):
    name, variable = "PostgreSQL", "OPENCLAW_TEST_POSTGRES_URL"
    package, account = "postgresql", "postgres"
    programs = ("postgres", "initdb")
    places = (*Engine.places, "/usr/lib/postgresql/*/bin")
    stop_signal = signal.SIGINT  # SIGTERM would wait for the clients to go

    def make_data(self, folder: Path) -> None:
        options = "--username=openclaw --auth=trust --encoding=UTF8 --no-locale --no-sync"
        self._run(folder, [self.program("initdb"), "-D", folder, *options.split()])

    def command(self, folder: Path, port: int) -> list[str]:
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 200,
            "shared_buffers": "64MB",
            "fsync": "off",
            "full_page_writes": "off",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [self.program("postgres"), "-D", str(folder), *options]

    def url(self, port: int) -> str:
        return f"postgresql://openclaw@127.0.0.1:{port}/postgres"

    def ping(self, url: str) -> None:
        with psycopg.connect(url, connect_timeout=2) as connection:
            connection.execute("SELECT 1")


class MariaDB(Engine):
    name, variable = "MariaDB", "OPENCLAW_TEST_MARIADB_URL"
    package, account = "mariadb-server", "mysql"
    programs = ("mariadbd",)

    def make_data(self, folder: Path) -> None:
        install = shutil.which("mariadb-install-db") or self.program("mariadb-install-db")
        options = "--auth-root-authentication-method=normal --skip-test-db"
        self._run(folder, [install, *self._places(folder), *options.split()])
        (folder / "first.sql").write_text(
            "CREATE DATABASE IF NOT EXISTS openclaw;\n"
            "CREATE USER IF NOT EXISTS openclaw@'%' IDENTIFIED BY 'openclaw';\n"
            "GRANT ALL ON *.* TO openclaw@'%' WITH GRANT OPTION;\n"
        )

    def command(self, folder: Path, port: int) -> list[str]:
        return [
            self.program("mariadbd"),
            *self._places(folder),
            f"--socket={folder}/socket",
            f"--pid-file={folder}/pid",
            f"--init-file={folder}/first.sql",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--max-connections=200",
            "--innodb-buffer-pool-size=64M",
            "--innodb-flush-log-at-trx-commit=2",
        ]

    def _places(self, folder: Path) -> list[str]:
        """Return what the making and the running of a cluster have in common."""
        return [
            "--no-defaults",
            f"--datadir={folder}",
            f"--tmpdir={folder}",  # in a shared one, a starting server deletes another's tables
            "--innodb-log-file-size=16M",
            "--innodb-use-native-aio=0",  # the kernel's allowance is small in containers
        ]

    def url(self, port: int) -> str:
        return f"mysql://openclaw:openclaw@127.0.0.1:{port}/openclaw"

    def ping(self, url: str) -> None:
        where = make_url(url)
        pymysql.connect(
            host=where.host,
            port=where.port or 3306,
            user=where.username,
            password=where.password or "",
            connect_timeout=2,
            read_timeout=2,
        ).close()


REDIS, POSTGRES, MARIADB = Redis(), Postgres(), MariaDB()
ENGINES: tuple[Engine, ...] = (REDIS, POSTGRES, MARIADB)
