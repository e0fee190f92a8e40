"""The mouths settings come in by, merged: defaults < framework < YAML < app < environment <
argument. Every value keeps where it came from. Values are read here, but judged by the model.

Variables are read in `config_environment`, the YAML file in `config_yaml`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .config_environment import PREFIX, from_environment
from .config_layers import CONFIG_FILE, Entry, Fields, Given, Layer, canonical, did_you_mean
from .config_units import split_unit


def as_arguments(values: Mapping[str, Any], fields: Fields) -> Layer:
    """Python arguments: durations without units in their keys."""
    layer = Layer()
    for key, value in values.items():
        name, unit = split_unit(key)
        if key in fields:
            layer.given[key] = Given(value, "argument")
        elif unit is not None:
            layer.wrong(
                "argument",
                f"{key}: in Python the unit is in the value: {name}=timedelta({unit}=...)",
                name,
            )
        else:
            layer.wrong("argument", f"{key}: unknown setting{did_you_mean(key, fields)}")
    return layer


def gather(
    fields: Fields,
    *,
    config_file: str | os.PathLike[str] | None,
    framework_defaults: Mapping[str, Any],
    app_settings: Mapping[str, Any],
    environ: Mapping[str, str],
    overrides: Mapping[str, Any],
) -> Layer:
    """All mouths as one layer, the later over the earlier."""
    named = CONFIG_FILE.upper()
    app = dict(app_settings)
    app_file = [app.pop(key) for key in (CONFIG_FILE, named) if key in app]
    variables = dict(environ)
    variable_file = variables.pop(PREFIX + named, None)
    path = config_file or variable_file or next(iter(app_file), None)
    layers = [from_mapping(framework_defaults, fields, "framework settings")]
    if path is not None:
        from .config_yaml import read_session

        entries, problems = read_session(path)
        layers.append(canonical(entries, fields))
        layers[-1].problems[:0] = problems
    layers += [
        from_mapping(app, fields, "app settings"),
        from_environment(variables, fields),
        as_arguments(overrides, fields),
    ]
    merged = Layer()
    for layer in layers:
        for name, given in layer.given.items():
            merged.given[name] = _over(merged.given.get(name), given, name)
        merged.problems += layer.problems
        merged.bad |= layer.bad
        merged.notes += layer.notes
    return merged


def from_mapping(values: Mapping[str, Any], fields: Fields, origin: str) -> Layer:
    """A framework's dict, keys in upper or lower case."""
    return canonical(
        (
            Entry(key.lower() if key.isupper() else key, _lower_keys(key, value), origin, key)
            for key, value in ((str(key), value) for key, value in values.items())
        ),
        fields,
    )


def _over(below: Given | None, above: Given, name: str) -> Given:
    """The later mouth wins; policies are laid over each other limit by limit."""
    if below is None or name != "policies":
        return above
    if not isinstance(below.value, Mapping) or not isinstance(above.value, Mapping):
        return above
    merged = dict(below.value)
    for policy, content in above.value.items():
        lower = merged.get(policy)
        if isinstance(lower, dict) and isinstance(content, dict):
            merged[policy] = {**lower, **content}
        else:
            merged[policy] = content
    return Given(merged, f"{below.origin} + {above.origin}")


def _lower_keys(key: str, value: object) -> object:
    if key.lower() != "policies" or not isinstance(value, Mapping):
        return value
    return {
        name: {str(inner).lower(): item for inner, item in content.items()}
        if isinstance(content, Mapping)
        else content
        for name, content in value.items()
    }
