"""Describes the API as OpenAPI 3.1, from the table of its routes and the models that they name."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from taglane_scheduler.web.api.table import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import BaseModel

    from taglane_scheduler.web.api.route import ApiRoute

REF = "#/components/schemas/{model}"

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "What went wrong, as RFC 9457 has it.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "field": {"type": "string", "description": "Which field of the request it is about."},
        "position": {"type": "integer", "description": "At which character of a query."},
        "line": {"type": "integer", "description": "Of a jobs file."},
        "column": {"type": "integer"},
        "retry_after": {"type": "number", "description": "Seconds."},
    },
}

_ERRORS = {
    "400": "The body is no JSON.",
    "401": "Nobody that is known asks.",
    "403": "The role does not reach that far.",
    "404": "What is named is not there.",
    "409": "What is asked for is there already, or can't be done as things are.",
    "413": "The body is too long.",
    "415": "The body is of another kind than JSON.",
    "422": "A field can't be so.",
    "429": "A limit is in the way.",
    "503": "The server behind it gives no answer.",
}


@cache
def document() -> bytes:
    """Return the whole description, as JSON."""
    return json.dumps(described(ROUTES), separators=(",", ":")).encode()


def described(routes: Iterable[ApiRoute]) -> dict[str, Any]:
    """Return the description of these routes."""
    schemas: dict[str, Any] = {"Problem": PROBLEM}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Taglane",
            "version": version("taglane"),
            "description": "Jobs, runs, tenants and what goes on around them. Instants are ISO 8601 in UTC.",
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"key": []}, {"login": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "Made by `taglane key create`."},
                "login": {"type": "apiKey", "in": "cookie", "name": "taglane_session"},
            },
        },
    }


def _operation(route: ApiRoute, schemas: dict[str, Any]) -> dict[str, Any]:
    whom = " for all tenants" if route.for_all else ""
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    if route.query is not None:
        parameters += _parameters(route.query, schemas)
    done: dict[str, Any] = {"description": "Done."}
    if route.returns is not None:
        done["content"] = {route.media: {"schema": _of_answer(route.returns, schemas)}}
    problem = {"application/problem+json": {"schema": {"$ref": REF.format(model="Problem")}}}
    found: dict[str, Any] = {
        "operationId": f"{route.method.lower()}{re.sub(r'[^a-z]+', '_', route.path)}".rstrip("_"),
        "summary": route.summary,
        "description": f"Takes the role `{route.role}`{whom}.",
        "tags": [route.group],
        "parameters": parameters,
        "responses": {
            str(route.status): done,
            **{status: {"description": told, "content": problem} for status, told in _ERRORS.items()},
        },
    }
    if route.body is not None:
        needed = any(field.is_required() for field in route.body.model_fields.values())
        found["requestBody"] = {
            "required": needed,
            "content": {"application/json": {"schema": _of_request(route.body, schemas)}},
        }
    return found


def _parameters(model: type[BaseModel], schemas: dict[str, Any]) -> list[dict[str, Any]]:
    whole = model.model_json_schema(ref_template=REF)
    schemas |= whole.pop("$defs", {})
    needed = whole.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in needed, "schema": schema}
        for name, schema in whole["properties"].items()
    ]


def _of_request(model: type[BaseModel], schemas: dict[str, Any]) -> dict[str, Any]:
    _, found = models_json_schema([(model, "validation")], ref_template=REF)
    schemas |= found["$defs"]
    return {"$ref": REF.format(model=model.__name__)}


def _of_answer(shape: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    found = TypeAdapter(shape).json_schema(mode="serialization", ref_template=REF)
    schemas |= found.pop("$defs", {})
    return found
