"""Play at random for as long as asked: `python -m tests.model.longrun --seconds 600`.

Memory store, time moving, or `--store URL` of a server. A broken promise is printed with the seed
that leads to it; a run of that seed alone repeats it: `--seed N --games 1`.
"""

from __future__ import annotations

import argparse
import random
import re
import time
import traceback
from typing import Any

from openclaw_middleware.stores.base import StoreOptions
from openclaw_middleware.stores.url import open_store
from tests.fresh import namespace

from .player import Player
from .world import World, limit_of

# move, weight, upper bounds of its arguments
MOVES = (
    ("begin", 10, (4, 8)),
    ("step", 40, (5, 40)),
    ("finish", 14, (5,)),
    ("change", 24, (5, 12)),
    ("identity", 10, (5, 9, 6)),
    ("take", 3, (5,)),
    ("reload", 1, (5,)),
    ("save", 2, (5,)),
    ("commit", 16, (5, 8)),
    ("crash", 1, (5,)),
    ("lose_response", 1, (5,)),
    ("advance", 3, (9,)),
    ("attack", 1, (5, 4)),
    ("erase_index", 0.1, ()),
)


def world_of(chance: random.Random, store: Any = None) -> World:
    """A world with rules of its own; on a real server rotation is always due, or never."""
    if store is not None:
        return World(
            store,
            (f"ada{chance.random()}", f"bob{chance.random()}"),
            rotation_interval=chance.choice([None, 1e-6]),
            rotation_grace=chance.choice([1e9, 1e-6]),
            on_ended=chance.choice(["drop", "error"]),
            limit=limit_of(chance.choice([None, 1, 2]), chance.choice(["end_oldest", "reject"])),
        )
    rotation = chance.choice([None, 300.0, 1.0])
    return World(
        rotation_interval=rotation,
        rotation_grace=chance.choice([30.0, 0.000001]),
        on_ended=chance.choice(["drop", "error"]),
        limit=limit_of(chance.choice([None, None, 1, 2]), chance.choice(["end_oldest", "reject"])),
    )


Move = tuple[str, tuple[int, ...]]


def moves_of(chance: random.Random, length: int) -> list[Move]:
    """A game to play."""
    names = [move[0] for move in MOVES]
    bounds = {move[0]: move[2] for move in MOVES}
    return [
        ("open", (chance.randrange(6),)),
        *(
            (name, tuple(chance.randrange(bound) for bound in bounds[name]))
            for name in chance.choices(names, [move[1] for move in MOVES], k=length)
        ),
    ]


def play(seed: int, length: int = 150, store: Any = None) -> int:
    """One game; how many store calls it made."""
    chance = random.Random(seed)
    world = world_of(chance, store)
    try:
        made = replay(world, moves_of(chance, length))
        world.check_thoroughly()
        return made
    finally:
        world.close()


def replay(world: World, moves: list[Move], *, show: bool = False) -> int:
    """Play these moves; how many store calls were made."""
    player = Player(world)
    for name, numbers in moves:
        getattr(player, name)(*numbers)
        if show:
            print(name, *numbers)
            for request in world.requests:
                call = request.run.call if request.run else None
                print(f"    {request} waits for {call.verb if call else None} {request.journal}")
    return world.steps


def fault_of(seed: int, moves: list[Move]) -> str:
    """What these moves break in the world of this seed; empty for nothing."""
    world = world_of(random.Random(seed))
    try:
        replay(world, moves)
    except Exception as error:
        return re.sub(r"[0-9.]+|(?<=end)ed \\S+", "#", f"{type(error).__name__}: {error}")[:70]
    finally:
        world.close()
    return ""


def shrink(seed: int, length: int) -> list[Move]:
    """The fewest moves of a game that break the same promise."""
    chance = random.Random(seed)
    world_of(chance)
    moves = moves_of(chance, length)
    fault = fault_of(seed, moves)
    size = len(moves) // 2
    while fault and size:
        at = 0
        while at < len(moves):
            fewer = moves[:at] + moves[at + size :]
            if fault_of(seed, fewer) == fault:
                moves = fewer
            else:
                at += size
        size //= 2
    return moves


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--games", type=int, default=10**9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--length", type=int, default=150)
    parser.add_argument("--shrink", action="store_true", help="the fewest moves for --seed")
    parser.add_argument("--store", help="URL of a server, instead of memory")
    parser.add_argument("--keep-going", action="store_true")
    options = parser.parse_args()
    if options.shrink:
        moves = shrink(options.seed, options.length)
        replay(world_of(random.Random(options.seed)), moves, show=True)
        return
    store = None
    if options.store:
        store = open_store(options.store, StoreOptions(namespace=namespace(), timeout=30.0), "sync")
        store.create_tables()
    began, games, calls, broken = time.monotonic(), 0, 0, 0
    seen: dict[str, tuple[int, int]] = {}
    while games < options.games and time.monotonic() - began < options.seconds:
        seed = options.seed + games
        games += 1
        try:
            calls += play(seed, options.length, store)
        except Exception as error:
            broken += 1
            if not options.keep_going:
                traceback.print_exc()
                print(f"seed {seed}")
                break
            text = re.sub(r"[0-9.]+|(?<=end)ed \\S+", "#", f"{type(error).__name__}: {error}")
            what = text[:70]
            count, first = seen.get(what, (0, seed))
            seen[what] = (count + 1, first)
    for what, (count, first) in sorted(seen.items(), key=lambda item: -item[1][0]):
        print(f"{count:6} x {what} (seed {first})")
    spent = time.monotonic() - began
    print(f"{games} games, {calls} interleaved store calls, {broken} broken, {spent:.1f} s")


if __name__ == "__main__":
    main()
