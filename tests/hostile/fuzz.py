"""Fuzz for as long as asked: `python -m tests.hostile.fuzz --seconds 600 [--target cookie]`.

With atheris installed (`pip install atheris`; not needed otherwise) inputs are chosen by the code
they reach; without it they are mutated from the corpus at random. What breaks a promise is printed
and kept; put it into `corpus/<target>/` with the mend, and it is tested for ever.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
GUIDED = importlib.util.find_spec("atheris") is not None


def seeds(name: str) -> list[bytes]:
    """The corpus of one target."""
    folder = CORPUS / name
    return [file.read_bytes() for file in sorted(folder.iterdir())] if folder.is_dir() else []


def mutated(chance: random.Random, known: list[bytes]) -> bytes:
    """Another input, made of those known."""
    data = bytearray(chance.choice(known))
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(5)
        if kind == 0:
            data[at:at] = chance.randbytes(chance.randrange(1, 5))
        elif kind == 1:
            del data[at : at + chance.randrange(1, 9)]
        elif kind == 2 and data:
            data[at % len(data)] = chance.randrange(256)
        elif kind == 3:
            data[at:at] = chance.choice(known)
        else:
            data[at:at] = data[at : at + 20] * chance.randrange(1, 4)
    return bytes(data[:20_000])


def at_random(name: str, seconds: float, seed: int = 0) -> int:
    """Run one target on mutated inputs; how many."""
    from .targets import TARGETS

    target, chance = TARGETS[name], random.Random(seed)
    known = [*seeds(name), b""]
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        data = mutated(chance, known)
        count += 1
        try:
            target(data)
        except Exception:
            print(f"{name}: broken by {data!r}")
            raise
    return count


def guided(name: str, seconds: float, folder: str) -> int:
    """Run one target in a process of its own, guided by coverage; how many inputs it tried."""
    known = CORPUS / name
    known.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.hostile.fuzz", "--guided", name, "--"),
            *(folder, str(known), f"-max_total_time={int(seconds)}", "-max_len=4200"),
            *("-print_final_stats=1", f"-artifact_prefix={folder}/", "-timeout=10"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n")
        raise SystemExit(f"{name}: a promise was broken, see above")
    for line in done.stderr.splitlines():
        if "stat::number_of_executed_units" in line:
            return int(line.split(":")[-1])
    return 0


def run_guided(name: str, arguments: list[str]) -> None:
    """The process of one guided target."""
    import atheris

    with atheris.instrument_imports(include=["openclaw_middleware", "itsdangerous"]):
        from .targets import TARGETS
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


def main() -> None:
    """Command line."""
    if "--guided" in sys.argv[1:2]:
        run_guided(sys.argv[2], sys.argv[4:])
        return
    from .targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--target", choices=sorted(TARGETS), action="append")
    parser.add_argument("--keep", help="folder that collects the inputs found interesting")
    options = parser.parse_args()
    names = options.target or list(TARGETS)
    each = options.seconds / len(names)
    print(f"{'guided by coverage' if GUIDED else 'at random (atheris is not installed)'}")
    total = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            began = time.monotonic()
            folder = Path(options.keep or scratch) / name
            folder.mkdir(parents=True, exist_ok=True)
            count = guided(name, each, str(folder)) if GUIDED else at_random(name, each)
            total += count
            print(
                f"{name:14} {count:>10,} executions {time.monotonic() - began:8.1f} s", flush=True
            )
    print(f"{'all':14} {total:>10,} executions, no promise broken")


if __name__ == "__main__":
    main()
