"""Build the wheel, install it where nothing else is, and import it there.

What users get is the wheel, and many get it without a single extra: so every file of the package
must be in it (but what the browser client is made of), and the package and its command line must
work with the core dependencies alone.
"""

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

from tests.architecture import OPTIONAL, PACKAGE, ROOT

IMPORT = f"""
import sys, openclaw_middleware
loaded = {OPTIONAL!r} & {{name.partition(".")[0] for name in sys.modules}}
sys.exit(f"importing the package loads {{sorted(loaded)}}" if loaded else 0)
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wanted = files_of_package()
        wheel = build(folder)
        missing = wanted - files_in(wheel)
        if missing:
            sys.exit(f"not in the wheel: {sorted(missing)}")
        python = install(wheel, folder / "empty")
        run([python, "-c", IMPORT], cwd=folder)
        if (PACKAGE / "__main__.py").exists():
            run([python, "-m", "openclaw_middleware", "--help"], cwd=folder, quiet=True)
    print(f"{wheel.name}: complete, and works in an empty environment")


def build(folder: Path) -> Path:
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, environment: Path) -> str:
    venv.create(environment, with_pip=True)
    python = str(environment / "bin" / "python")
    pip(python, "install", str(wheel))
    return python


def files_of_package() -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and not {"__pycache__", "client_source"} & set(path.parts)
    }


def files_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def pip(python: str, *arguments: str) -> None:
    run([python, "-m", "pip", "--disable-pip-version-check", arguments[0], "-q", *arguments[1:]])


def run(command: list[str], cwd: Path = ROOT, *, quiet: bool = False) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    output = subprocess.DEVNULL if quiet else None
    done = subprocess.run(command, cwd=cwd, env=environment, stdout=output)
    if done.returncode:
        sys.exit(f"failed with {done.returncode}: {' '.join(command)[:200]}")


if __name__ == "__main__":
    main()
