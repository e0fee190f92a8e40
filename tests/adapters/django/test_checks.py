"""System checks: the ids, what brings them up, and that a sound project has none."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from openclaw_middleware.adapters.django import checks, conf

from .project.settings import MIDDLEWARE

DB_ENGINE = "django.contrib.sessions.backends.db"
STOCK = [checks.STOCK, *MIDDLEWARE[1:]]


def ids(deploy: bool = False, **given: Any) -> set[str]:
    with override_settings(**given):
        conf._current = None
        found = run_checks(include_deployment_checks=deploy)
        return {str(each.id) for each in found if str(each.id).startswith("openclaw.")}


def test_a_sound_project_has_none() -> None:
    assert ids() == set()
    with override_settings():
        assert not [each for each in run_checks() if str(each.id).startswith("admin.")]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"OPENCLAW": {"IDLE_TIMEOUT": 5, "STOER": "x"}}, "openclaw.E001"),
        ({"OPENCLAW": "redis://"}, "openclaw.E001"),
        ({"SECRET_KEY": "short"}, "openclaw.E001"),
        ({"SESSION_COOKIE_NAME": "__Host-x", "SESSION_COOKIE_PATH": "/x"}, "openclaw.E001"),
        ({"MIDDLEWARE": [checks.STOCK, *MIDDLEWARE]}, "openclaw.E002"),
        ({"SESSION_COOKIE_HTTPONLY": False}, "openclaw.E003"),
        ({"SESSION_COOKIE_SAMESITE": None}, "openclaw.E004"),
        ({"MIDDLEWARE": STOCK, "SESSION_ENGINE": DB_ENGINE}, "openclaw.W001"),
        ({"SESSION_ENGINE": DB_ENGINE}, "openclaw.W002"),
        ({"MIDDLEWARE": STOCK}, "openclaw.I001"),
        (
            {
                "MIDDLEWARE": STOCK,
                "OPENCLAW": {"STORE": "memory://", "ROTATION_INTERVAL_MINUTES": 5},
            },
            "openclaw.W003",
        ),
        (
            {
                "MIDDLEWARE": STOCK,
                "OPENCLAW": {"STORE": "memory://", "POLICY_PATHS": {"/admin": "nist_aal3"}},
            },
            "openclaw.E005",
        ),
        (
            {
                "MIDDLEWARE": STOCK,
                "OPENCLAW": {"STORE": "memory://", "ENABLE_HEARTBEAT": True},
            },
            "openclaw.W007",
        ),
    ],
)  # fmt: skip
def test_each_has_its_id(given: dict[str, Any], expected: str) -> None:
    assert expected in ids(**given)


def test_what_the_engine_level_lacks_is_no_fault_of_the_middleware() -> None:
    wanted = {"POLICY_PATHS": {"/admin": "nist_aal3"}, "ENABLE_HEARTBEAT": True}
    assert ids(OPENCLAW={"STORE": "memory://", "ROTATION_INTERVAL_MINUTES": 5, **wanted}) == set()


def test_deployment_checks() -> None:
    assert ids(deploy=True) == {"openclaw.W004", "openclaw.I002"}
    insecure = ids(deploy=True, SESSION_COOKIE_SECURE=False)
    assert insecure == {"openclaw.W004", "openclaw.W005", "openclaw.I002"}
    redis = ids(deploy=True, OPENCLAW={"STORE": "redis://localhost/0"})
    assert redis == {"openclaw.I002"}


def test_each_wrong_setting_is_a_line_of_its_own() -> None:
    with override_settings(OPENCLAW={"IDLE_TIMEOUT": 5, "STOER": "x"}):
        found = checks.check_settings()
    assert [each.id for each in found].count("openclaw.E001") >= 2
    assert any("STORE" in each.msg for each in found)
