"""What the server understands, as OpenAPI 3.1 from its routes and the very shapes that read the requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute, Route

from headstart.serve.job_request import JobRequest
from headstart.serve.shelf_request import ForecastRequest, PlanRequest, RenameRequest, RestoreRequest
from headstart.serve.shelving import FORMS
from headstart.serve.wire import AdapterRequest, ChatRequest, CompletionRequest

BODIES: Mapping[str, type[BaseModel]] = {
    "/v1/chat/completions": ChatRequest,
    "/v1/completions": CompletionRequest,
    "/v1/load_lora_adapter": AdapterRequest,
    "/v1/unload_lora_adapter": AdapterRequest,
    "/v1/fine_tuning/jobs": JobRequest,
    "/v1/fine_tuning/forecast": ForecastRequest,
    "/v1/plan": PlanRequest,
    "/v1/adapters/{id}/rename": RenameRequest,
    "/v1/removed/restore": RestoreRequest,
}
"""What is sent as JSON: path -> its shape."""
_IN_PATH: dict[str, dict[str, Any]] = {
    "id": {"type": "string", "minLength": 1},
    "form": {"type": "string", "enum": list(FORMS)},
}
_ASKED: Mapping[tuple[str, str], dict[str, Any]] = {
    ("GET", "/v1/fine_tuning/jobs/{id}/events"): {"stream": {"type": "string", "enum": ["true", "false"]}},
    ("DELETE", "/v1/removed"): {"id": {"type": "string"}},
}
"""Behind the question mark."""
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {"message": {"type": "string"}, "type": {"type": "string"}},
        }
    },
}
_FORM = {
    "type": "object",
    "required": ["file", "purpose"],
    "properties": {"file": {"type": "string", "format": "binary"}, "purpose": {"const": "fine-tune"}},
}


def document(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """The whole description of what is served, ready for JSON."""
    shapes, named = models_json_schema([(shape, "validation") for shape in BODIES.values()], ref_template="#/components/schemas/{model}")
    bodies = {path: {"application/json": {"schema": shapes[shape, "validation"]}} for path, shape in BODIES.items()}
    bodies["/v1/files"] = {"multipart/form-data": {"schema": _FORM}}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if isinstance(route, Route) and route.include_in_schema:
            for method in (route.methods or set()) - {"HEAD"}:
                body = bodies.get(route.path_format) if method == "POST" else None
                paths.setdefault(route.path_format, {})[method.lower()] = _operation(route, method, body)
    schemas = named.get("$defs", {}) | {"Error": _ERROR}
    parts = {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}, "schemas": schemas}
    about = {"title": "headstart", "version": version("headstart"), "description": "A base and its adapters over OpenAI's API."}
    return {"openapi": "3.1.0", "info": about, "paths": paths, "components": parts, "security": [{}, {"key": []}]}


def _operation(route: Route, method: str, body: dict[str, Any] | None) -> dict[str, Any]:
    wrong = {"description": "What is wrong.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    told: dict[str, Any] = {"responses": {"200": {"description": "The answer."}, "4XX": wrong}}
    there = [{"name": it, "in": "path", "required": True, "schema": _IN_PATH[it]} for it in route.param_convertors]
    asked = _ASKED.get((method, route.path_format), {})
    there += [{"name": it, "in": "query", "required": False, "schema": shape} for it, shape in asked.items()]
    if there:
        told["parameters"] = there
    if body is not None:
        told["requestBody"] = {"required": True, "content": body}
    return told
