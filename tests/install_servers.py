"""Install the servers and the browser the tests need, where they are missing and we may.

They come from Debian's packages. Does nothing when each is on this machine or named by its
`OPENCLAW_TEST_..._URL` variable. The packages' own scripts are kept from starting system services.
Without permission this only says what is missing: the tests then skip what they cannot run, or
fail where `CI=true`.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import browser
from tests.fire import nginx
from tests.heartbeat import fronts
from tests.server_engines import ENGINES

POLICY = Path("/usr/sbin/policy-rc.d")
"""Debian asks this program before it starts a service; 101 means: do not."""


def main() -> None:
    missing = {
        engine.name: engine.package
        for engine in ENGINES
        if not os.environ.get(engine.variable) and not engine.find()
    }
    if browser.find_chromium() is None:
        missing[browser.NAME] = browser.PACKAGE
    if nginx.find_nginx() is None:
        missing[nginx.NAME] = nginx.PACKAGE
    if fronts.find_haproxy() is None:
        missing[fronts.NAME] = fronts.PACKAGE
    if fronts.find_apache() is None:
        missing[fronts.Apache.name] = fronts.Apache.package
    if not missing:
        return
    names, packages = ", ".join(missing), [*missing.values()]
    prefix = administrator()
    if prefix is None:
        print(f"Missing: {names}. Install {' '.join(packages)}, or run this as root.")
        return
    print(f"Installing {names} ...", flush=True)
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"]
    with no_services(prefix):
        subprocess.run([*apt, "update"], check=False)
        subprocess.run([*apt, "install", "--no-install-recommends", *packages], check=False)


def administrator() -> list[str] | None:
    """Return the words before a command that make it root's, or None where we may not."""
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "-n"]
    allowed = shutil.which("sudo") and subprocess.run([*sudo, "true"], capture_output=True)
    return sudo if allowed and allowed.returncode == 0 else None


@contextmanager
def no_services(prefix: list[str]) -> Iterator[None]:
    """Keep packages from starting services, unless the machine has rules of its own for that."""
    if POLICY.exists():
        yield
        return
    script = b"#!/bin/sh\nexit 101\n"
    subprocess.run([*prefix, "tee", POLICY], input=script, stdout=subprocess.DEVNULL, check=True)
    subprocess.run([*prefix, "chmod", "755", POLICY], check=True)
    try:
        yield
    finally:
        subprocess.run([*prefix, "rm", "-f", POLICY], check=True)


if __name__ == "__main__":
    main()
