"""The JSON Schema of the YAML file, for editors: the settings as a file spells them."""

from __future__ import annotations

from typing import Any

from .config import SessionSettings
from .config_units import DURATIONS, UNITS
from .config_yaml import SECTION


def file_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a file with a `session:` section; other sections are left alone."""
    properties: dict[str, Any] = {}
    for name, schema in SessionSettings.model_json_schema()["properties"].items():
        schema.pop("title", None)
        if name in DURATIONS:
            properties.update(_per_unit(name, schema))
        else:
            properties[name] = schema
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "openclaw-middleware settings",
        "type": "object",
        "required": [SECTION],
        "properties": {
            SECTION: {
                "type": "object",
                "additionalProperties": False,
                "properties": properties,
                # One unit for each duration.
                "allOf": [
                    {"not": {"required": [f"{name}_{one}", f"{name}_{other}"]}}
                    for name in DURATIONS
                    for one in UNITS
                    for other in UNITS
                    if one < other
                ],
            }
        },
    }


def _per_unit(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    default = schema.get("default")
    number = {"type": "number", "exclusiveMinimum": 0}
    nullable = any(option.get("type") == "null" for option in schema.get("anyOf", ()))
    spellings: dict[str, Any] = {}
    for unit, seconds in UNITS.items():
        spelling: dict[str, Any] = {"description": f"In {unit}. {schema['description']}"}
        spelling |= {"anyOf": [number, {"type": "null"}]} if nullable else number
        if unit == DURATIONS[name]:
            spelling["default"] = None if default is None else default / seconds
        spellings[f"{name}_{unit}"] = spelling
    return spellings
