"""OpenAPI 3.1, generated from the route declarations and the types they name."""

from __future__ import annotations

import enum
import re
import typing
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import attrs

from streamhub.services.fields import Unset
from streamhub.web.routing import Route
from streamhub.web.schema import dump, fields_of, name_of, single_type, union_members, wire_name

_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}
_ERROR_WORDS = {
    400: "The request has bad fields, all of them named",
    401: "No valid credential",
    403: "The credential lacks the right or the scope",
    404: "There is no such thing",
    409: "Something is in the way",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "What was asked for cannot be had of it; the message says why",
    503: "What does this is not running; the hint says what to do",
}
_ERROR_SCHEMA = {
    "type": "object",
    "properties": {
        "statusCode": {"type": "integer"},
        "error": {"type": "string"},
        "message": {"type": "string"},
        "code": {"type": "string", "description": "A stable word for programs."},
        "hint": {"type": "string", "description": "What to do about it."},
        "fields": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"path": {"type": "string"}, "message": {"type": "string"}},
                "required": ["path", "message"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["statusCode", "error", "message", "code", "hint"],
    "additionalProperties": False,
}


def build_openapi(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """The document."""
    schemas: dict[str, Any] = {"Error": _ERROR_SCHEMA}
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(template(route.full_path), {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "StreamHub",
            "version": version,
            "description": "Every success is {data: …}, lists add total, limit and offset. Every error is an Error.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "An API token, sk_…"}},
        },
    }


def template(path: str) -> str:
    """``/apps/<app>/streams/<path:stream_id>`` → ``/apps/{app}/streams/{stream_id}``."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path)


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    words = re.sub(r"<(?:\w+:)?(\w+)>", r"by_\1", route.path).strip("/").replace("-", "_").replace(".", "_")
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}_{words.replace('/', '_')}",
        "summary": route.summary,
        "tags": [_tag(route)],
        "parameters": _parameters(route, schemas),
        "responses": {str(route.status): _success(route, schemas)},
        "security": _security(route),
    }
    if route.body is not None:
        content = {"application/json": {"schema": schema_of(route.body, schemas)}}
        operation["requestBody"] = {"required": True, "content": content}
    for status in route.statuses:
        if status >= 400:
            content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
            operation["responses"][str(status)] = {"description": _ERROR_WORDS[status], "content": content}
    return operation


def _security(route: Route) -> list[dict[str, list[str]]]:
    if not route.auth.public:
        return [{"token": []}]
    if route.path.endswith("/metrics"):
        return [{"token": []}]  # its own token, or an API token
    return [{}, {"token": []}] if route.path.endswith("/health") else []


def _tag(route: Route) -> str:
    parts = route.path.strip("/").split("/")
    named = [p for p in parts if not p.startswith("<")]
    return named[1] if named[0] == "apps" and len(named) > 1 else named[0]


def _parameters(route: Route, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"<(?:\w+:)?(\w+)>", route.path)
    ]
    if route.query_type is not None:
        for field in fields_of(route.query_type):
            found.append({"name": wire_name(field.name), "in": "query", "schema": _field_schema(field, schemas)})
    return found


def _success(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    if route.media is not None:
        kind = {"type": "object"} if route.media == "application/json" else {"type": "string"}
        return {"description": "OK", "content": {route.media: {"schema": kind}}}
    if route.answer is None:
        return {"description": "Done"}
    inner = schema_of(route.answer, schemas)
    if route.bare:
        schema = inner
    elif route.paged:
        number = {"type": "integer"}
        properties = {"data": {"type": "array", "items": inner}, "total": number, "limit": number, "offset": number}
        schema = _object(properties, list(properties))
    else:
        schema = _object({"data": inner}, ["data"])
    return {
        "description": "Created" if route.status == 201 else "OK",
        "content": {"application/json": {"schema": schema}},
    }


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def schema_of(tp: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema of a type; classes are added to ``schemas`` and referred to."""
    members = [m for m in union_members(tp) if m is not Unset]
    if len(members) > 1:
        return {"anyOf": [schema_of(m, schemas) for m in members]}
    tp = members[0]
    origin, args = typing.get_origin(tp), typing.get_args(tp)
    if tp in _SCALARS:
        return {"type": _SCALARS[tp]}
    if tp is type(None):
        return {"type": "null"}
    if tp is datetime:
        return {"type": "string", "format": "date-time"}
    if origin is typing.Literal:
        return {"enum": list(args)}
    if origin is tuple:
        return {"type": "array", "items": schema_of(args[0], schemas)}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of(args[1], schemas)}
    if isinstance(tp, type) and issubclass(tp, enum.Enum):
        return {"type": "string", "enum": [m.value for m in tp]}
    return _class_schema(tp, schemas)


def _class_schema(cls: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    name = cls.__name__
    if name not in schemas:
        schemas[name] = {}  # stands in while the class refers to itself
        fields = fields_of(cls)
        properties = {name_of(f): _field_schema(f, schemas) for f in fields}
        schemas[name] = _object(properties, [name_of(f) for f in fields if f.default is attrs.NOTHING])
        if (cls.__doc__ or "").strip() and not cls.__doc__.startswith("Method generated"):
            schemas[name]["description"] = cls.__doc__.strip().split("\n")[0].replace("``", "")
    return {"$ref": f"#/components/schemas/{name}"}


def _field_schema(field: attrs.Attribute[Any], schemas: dict[str, Any]) -> dict[str, Any]:
    schema = schema_of(field.type, schemas)
    limits = {k: v for check in field.metadata.get("checks", ()) for k, v in check.schema.items()}
    if limits and "anyOf" in schema:
        # Limits belong to the one type beside null.
        inner = schema_of(single_type(field.type), schemas)
        schema = {"anyOf": [m | limits if m == inner else m for m in schema["anyOf"]]}
    else:
        schema = schema | limits
    if field.metadata.get("doc"):
        schema = schema | {"description": field.metadata["doc"]}
    if field.default not in (attrs.NOTHING, None, Unset.UNSET) and not isinstance(field.default, attrs.Factory):  # type: ignore[arg-type]
        schema = schema | {"default": dump(field.default)}
    return schema
