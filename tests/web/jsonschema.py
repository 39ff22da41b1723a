"""A judge of answers against JSON Schema that shares nothing with what generates the schemas."""

from __future__ import annotations

import re
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
KNOWN = {
    *("type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "$ref", "pattern"),
    *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "description", "default", "format"),
}


def faults(value: Any, schema: dict[str, Any], document: dict[str, Any], path: str = "$") -> list[str]:
    """Where the value breaks the schema; unknown words of the schema are faults too."""
    out = [f"{path}: the schema says '{word}'" for word in set(schema) - KNOWN]
    if "$ref" in schema:
        target = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        out += faults(value, target, document, path)
    if "anyOf" in schema and all(faults(value, one, document, path) for one in schema["anyOf"]):
        out.append(f"{path}: none of anyOf fits {value!r}")
    if "enum" in schema and value not in schema["enum"]:
        out.append(f"{path}: {value!r} not in {schema['enum']}")
    if "type" in schema:
        wrong_bool = isinstance(value, bool) and schema["type"] != "boolean"
        if not isinstance(value, TYPES[schema["type"]]) or wrong_bool:
            return [*out, f"{path}: {value!r} is no {schema['type']}"]
    if isinstance(value, dict):
        out += _object_faults(value, schema, document, path)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            out += faults(item, schema["items"], document, f"{path}[{index}]")
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        out.append(f"{path}: {value!r} does not match {schema['pattern']}")
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        out.append(f"{path}: {value} out of range")
    return out


def _object_faults(value: dict[str, Any], schema: dict[str, Any], document: dict[str, Any], path: str) -> list[str]:
    out = [f"{path}.{name}: missing" for name in schema.get("required", ()) if name not in value]
    properties, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, item in value.items():
        if name in properties:
            out += faults(item, properties[name], document, f"{path}.{name}")
        elif rest is False:
            out.append(f"{path}.{name}: not declared")
        elif isinstance(rest, dict):
            out += faults(item, rest, document, f"{path}.{name}")
    return out
