"""The settings: one validated, frozen model, and what the core, cookies and stores need of it.

`SessionSettings(...)` reads its arguments only; `load` merges the mouths (`config_mouths`). What
one setting may hold is in `config_fields`, what contradicts what in `config_checks`. No framework
and no engine is imported here.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn, Self, Unpack

from pydantic import BaseModel, PrivateAttr, ValidationError

from .config_arguments import Arguments, Overrides
from .config_checks import advice, violations
from .config_keys import Keys
from .config_layers import Layer
from .config_mouths import as_arguments, gather
from .config_report import failure, mask_url, problems_of
from .core.areas import Areas
from .core.contract import Limit
from .core.cookies import CookieSpec
from .core.policy import PRESETS, Policy, Rules
from .stores.base import StoreOptions

_log = logging.getLogger(__name__)
_DAY = 86400.0


class SessionSettings(Keys):
    """Everything that can be set, checked as a whole when it is made; it cannot be changed later.

    The constructor reads its arguments only: no environment, no file. Durations are a `timedelta`
    or a number of seconds, and are seconds once validated.

    Raises:
        ConfigurationError: one line for each thing that is wrong, with the mend.
    """

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _notes: tuple[str, ...] = PrivateAttr(())

    def __init__(self, /, **settings: Unpack[Arguments]) -> None:
        self._fill(as_arguments(settings, type(self).model_fields))

    @classmethod
    def load(
        cls,
        config_file: str | os.PathLike[str] | None = None,
        *,
        app_settings: Mapping[str, Any] | None = None,
        framework_defaults: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        **overrides: Unpack[Overrides],
    ) -> Self:
        """Settings from all mouths; the later wins: defaults, `framework_defaults`, the YAML file,
        `app_settings`, the environment, `overrides`.

        Args:
            config_file: YAML file with a `session:` section. None: the one named by
                `OPENCLAW_SESSION__CONFIG_FILE`, then by `app_settings`; else no file.
            app_settings: keys in upper or lower case, durations with their unit in the key.
            framework_defaults: what a framework's own settings say, in the same form.
            environ: variables to read instead of the process's.

        Raises:
            ConfigurationError: one line for each thing that is wrong, in whichever mouth.
            MissingDependency: a file is named and PyYAML is not installed.
        """
        layer = gather(
            cls.model_fields,
            config_file=config_file,
            framework_defaults=framework_defaults or {},
            app_settings=app_settings or {},
            environ=os.environ if environ is None else environ,
            overrides=overrides,
        )
        return cls._of(layer)

    @classmethod
    def for_tests(cls, **overrides: Unpack[Overrides]) -> Self:
        """A random key, a memory store and a cookie that travels over plain http."""
        overrides.setdefault("secret_key", secrets.token_urlsafe(32))
        overrides.setdefault("store", "memory://")
        overrides.setdefault("cookie_secure", False)
        return cls._of(as_arguments(overrides, cls.model_fields))

    @classmethod
    def _of(cls, layer: Layer) -> Self:
        settings = cls.__new__(cls)
        settings._fill(layer)
        return settings

    def _fill(self, layer: Layer) -> None:
        problems = list(layer.problems)
        values = {name: given.value for name, given in layer.given.items()}
        try:
            super().__init__(**values)
        except ValidationError as error:
            found = problems_of(error, layer.given)
        else:
            found = {}
        # A setting that was given and could not be read is not missing.
        problems += [line for name in found if name not in layer.bad for line in found[name]]
        checked = self if not found else self._without(found, values)
        bad = {*found, *layer.bad}
        if checked is not None:
            problems += [
                f"{message}{layer.where(about)}"
                for about, message in violations(checked)
                if bad.isdisjoint(about)
            ]
        if problems:
            raise failure(problems)
        self._origins = {
            name: layer.given[name].origin if name in layer.given else "default"
            for name in type(self).model_fields
        }
        self._notes = tuple(layer.notes)
        for line in self.warnings:
            _log.warning("%s", line)

    def _without(self, bad: Iterable[str], values: Mapping[str, Any]) -> SessionSettings | None:
        """The rest of the values, so that rules between them are reported in the same breath."""
        stand_in = {"secret_key": secrets.token_urlsafe(32), "store": "memory://"}
        rest = {name: value for name, value in values.items() if name not in bad}
        probe = type(self).__new__(type(self))
        try:
            BaseModel.__init__(probe, **{**stand_in, **rest})
        except ValidationError:
            return None
        return probe

    @property
    def origins(self) -> Mapping[str, str]:
        """Where each value came from: "default", "argument", "openclaw_config.yaml:12", ..."""
        return MappingProxyType(self._origins)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What works and is probably not meant; logged once when the settings are made."""
        return (*self._notes, *advice(self))

    def all_policies(self) -> dict[str, Policy]:
        """The default, the presets and the site's own, by name."""
        # The checks ask as well, before it is known that idle is the shorter one.
        idle = min(self.idle_timeout or self.absolute_timeout, self.absolute_timeout)
        return {"default": Policy(idle, self.absolute_timeout), **PRESETS, **self.policies}

    def rules(self) -> Rules:
        """What the core decides by."""
        count = self.max_sessions_per_user
        policies = self.all_policies()
        return Rules(
            policies=MappingProxyType(policies),
            areas=Areas(
                {
                    path: None if name == "default" else policies[name]
                    for path, name in self.policy_paths.items()
                }
            ),
            touch_interval=self.touch_interval,
            rotation_interval=self.rotation_interval,
            rotation_grace=self.rotation_grace,
            on_ended=self.on_ended,
            on_store_error=self.on_store_error,
            limit=None if count is None else Limit(count, self.on_limit),
            store_timeout=self.store_timeout,
            identity_key=self.identity_key,
            client_info=self.client_info,
        )

    def cookie(self) -> CookieSpec:
        """Name and attributes of the cookie."""
        host_only = self.cookie_secure and self.cookie_domain is None and self.cookie_path == "/"
        return CookieSpec(
            self.cookie_name or ("__Host-session" if host_only else "session"),
            path=self.cookie_path,
            domain=self.cookie_domain,
            secure=self.cookie_secure,
            samesite=self.cookie_samesite.capitalize(),
            partitioned=self.cookie_partitioned,
        )

    def previous_cookie_specs(self) -> tuple[CookieSpec, ...]:
        """The cookies the site used before, for deleting them."""
        return tuple(previous.spec(self.cookie()) for previous in self.previous_cookies)

    def store_options(self) -> StoreOptions:
        """What the store needs to know."""
        longest = max(policy.absolute for policy in self.all_policies().values())
        return StoreOptions(
            namespace=self.namespace,
            timeout=self.store_timeout,
            ended_retention=self.ended_retention,
            tombstone_retention=self.tombstone_retention,
            not_before_retention=longest + _DAY,
        )

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        # Only what was set: forty defaults would hide it.
        for name in type(self).model_fields:
            if name in self.model_fields_set:
                value = getattr(self, name)
                yield name, mask_url(value) if name == "store" else value

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).model_fields:
            _frozen(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        _frozen(name)

    # Fields hold mappings, which have no hash of their own.
    def __hash__(self) -> int:
        return hash((self.namespace, self.cookie()))


def _frozen(name: str) -> NoReturn:
    raise AttributeError(f"settings cannot be changed: make new ones with another {name}")
