"""What `make test` does about servers that are not there."""

from pathlib import Path
from typing import Any

import pytest

from tests import browser, install_servers
from tests.fire import nginx
from tests.heartbeat import fronts
from tests.server_engines import ENGINES, MARIADB, POSTGRES, REDIS

APT = """#!/bin/sh
echo "$DEBIAN_FRONTEND $@" >> {log}
cat {policy} >> {log}
"""


@pytest.fixture
def apt_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in for Debian: `apt-get` and `sudo` only write down what they were asked."""
    log, policy, programs = tmp_path / "log", tmp_path / "policy-rc.d", tmp_path / "bin"
    programs.mkdir()
    (programs / "apt-get").write_text(APT.format(log=log, policy=policy))
    (programs / "sudo").write_text('#!/bin/sh\nshift\nexec "$@"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr(install_servers, "POLICY", policy)
    monkeypatch.setattr(browser, "find_chromium", lambda: "/usr/bin/chromium")
    monkeypatch.setattr(nginx, "find_nginx", lambda: "/usr/sbin/nginx")
    monkeypatch.setattr(fronts, "find_haproxy", lambda: "/usr/sbin/haproxy")
    monkeypatch.setattr(fronts, "find_apache", lambda: "/usr/sbin/apache2")
    for engine in ENGINES:
        monkeypatch.delenv(engine.variable, raising=False)
        monkeypatch.setattr(engine, "find", lambda: Path("/usr/bin"))
    return log


def test_nothing_is_done_when_all_are_there(apt_log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server is there when its programs are found, or a variable names it."""
    monkeypatch.setattr(MARIADB, "find", lambda: None)
    monkeypatch.setenv(MARIADB.variable, "mysql://elsewhere")

    install_servers.main()

    assert not apt_log.exists()


@pytest.mark.parametrize("user", [0, 1000])
def test_the_missing_are_installed_and_no_service_is_started(
    user: int, apt_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packages come after an update, under a rule against services that is gone afterwards."""
    monkeypatch.setattr("os.geteuid", lambda: user)
    for engine in (POSTGRES, MARIADB):
        monkeypatch.setattr(engine, "find", lambda: None)

    install_servers.main()

    rule = ["#!/bin/sh", "exit 101"]
    options = "noninteractive -q -y"
    assert apt_log.read_text().splitlines() == [
        *[f"{options} update", *rule],
        *[f"{options} install --no-install-recommends postgresql mariadb-server", *rule],
    ]
    assert not install_servers.POLICY.exists()


def test_a_missing_browser_is_installed_as_well(
    apt_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo is tested as a person sees it."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(browser, "find_chromium", lambda: None)

    install_servers.main()

    assert "install --no-install-recommends chromium" in apt_log.read_text()


@pytest.mark.parametrize(
    ("module", "find", "package"),
    [
        (nginx, "find_nginx", "nginx"),
        (fronts, "find_haproxy", "haproxy"),
        (fronts, "find_apache", "apache2"),
    ],
    ids=["nginx", "haproxy", "apache"],
)
def test_a_missing_proxy_is_installed_as_well(
    module: Any, find: str, package: str, apt_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shared caches and whatever else stands in front are tested with real ones."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(module, find, lambda: None)

    install_servers.main()

    assert apt_log.read_text().count(f"install --no-install-recommends {package}\n") == 1


def test_a_rule_of_the_machine_is_left_alone(
    apt_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who already decides about services keeps deciding."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(REDIS, "find", lambda: None)
    install_servers.POLICY.write_text("theirs")

    install_servers.main()

    assert "install --no-install-recommends redis-server" in apt_log.read_text()
    assert install_servers.POLICY.read_text() == "theirs"


def test_without_permission_it_says_what_to_install(
    apt_log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A laptop without sudo gets a sentence, not a password prompt."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    (apt_log.parent / "bin" / "sudo").write_text("#!/bin/sh\nexit 1\n")
    monkeypatch.setattr(REDIS, "find", lambda: None)

    install_servers.main()

    assert "Missing: Redis. Install redis-server" in capsys.readouterr().out
    assert not apt_log.exists()
