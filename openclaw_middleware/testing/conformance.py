"""The conformance suite of stores: subclass it, say how to make one, and pytest does the rest.

    import pytest
    from openclaw_middleware.testing import StoreConformance

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def make_store(self, my_url):
            def make(colour, options):
                return (MyStore if colour == "sync" else MyAsyncStore)(my_url, options)
            return make

Every test runs in both colours, in an empty namespace, which `make` gets in the options along with
the clock; `create_tables` and `close` are called by the suite. This module only puts
the parts together; the tests are in the `conformance_...` modules beside it.
"""

from __future__ import annotations

import pytest

# Before the parts are imported, else their asserts would fail without telling the values.
pytest.register_assert_rewrite(
    *(
        f"{__package__}.conformance_{part}"
        for part in (
            "announcements",
            "bench",
            "deadlines",
            "ends",
            "limits",
            "load",
            "races",
            "records",
            "rotations",
            "saves",
            "successions",
            "users",
        )
    )
)

from .clock import Clock  # noqa: E402 - after the registration above
from .conformance_announcements import AnnouncementConformance  # noqa: E402
from .conformance_bench import (  # noqa: E402
    DEFECTS,
    Bench,
    Colour,
    StoreFactory,
    fact,
    guards,
)
from .conformance_deadlines import DeadlineConformance  # noqa: E402
from .conformance_ends import EndConformance  # noqa: E402
from .conformance_limits import LimitConformance  # noqa: E402
from .conformance_load import LoadConformance  # noqa: E402
from .conformance_races import RaceConformance  # noqa: E402
from .conformance_records import RecordConformance  # noqa: E402
from .conformance_rotations import RotationConformance  # noqa: E402
from .conformance_saves import SaveConformance  # noqa: E402
from .conformance_successions import SuccessionConformance  # noqa: E402
from .conformance_users import EraseIndex, UserConformance  # noqa: E402

__all__ = ["DEFECTS", "Bench", "StoreConformance", "fact", "guarded_defects", "guards"]


class StoreConformance(
    RecordConformance,
    SaveConformance,
    DeadlineConformance,
    RotationConformance,
    SuccessionConformance,
    EndConformance,
    UserConformance,
    LimitConformance,
    RaceConformance,
    LoadConformance,
    AnnouncementConformance,
):
    """What every store has to keep.

    Fixtures to override:
        make_store: required; a callable `(colour, options) -> store`. Two stores made with the
            same namespace share their sessions, if the engine is shared at all.
        colour: parametrized with "sync" and "async"; override where only one exists.
        clock: a settable clock, passed on in the options. A store that judges by its engine's own
            clock says so in `capabilities` and ignores it.
        prepared: a list in which the suite notes the namespaces whose tables it made. Per test;
            override it with a wider scope where making tables is slow, and tests share the first.
        erase_index: a generator function `(store, tag)` that removes the engine's index of a
            user's sessions behind the store's back; None where there is none.
    """

    @pytest.fixture
    def make_store(self) -> StoreFactory:
        raise NotImplementedError("override the fixture make_store: (colour, options) -> store")

    @pytest.fixture(params=["sync", "async"])
    def colour(self, request: pytest.FixtureRequest) -> Colour:
        colour: Colour = request.param
        return colour

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def erase_index(self) -> EraseIndex | None:
        return None

    @pytest.fixture
    def prepared(self) -> list[str]:
        return []

    @pytest.fixture
    def bench(
        self, make_store: StoreFactory, colour: Colour, clock: Clock, prepared: list[str]
    ) -> Bench:
        return Bench(make_store, colour, clock, prepared=prepared)


def guarded_defects(suite: type) -> dict[str, list[str]]:
    """For each class of defects, the names of the suite's tests that guard against it."""
    found: dict[str, list[str]] = {name: [] for name in DEFECTS}
    for name in dir(suite):
        for defect in getattr(getattr(suite, name), "defects", ()):
            found[defect].append(name)
    return found
