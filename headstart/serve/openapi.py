"""What the server understands, as OpenAPI 3.1 from the very shapes that read the requests."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

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
"""POST routes that take JSON."""
_JOBS, _FILES, _ADAPTERS = "/v1/fine_tuning/jobs/{id}", "/v1/files/{id}", "/v1/adapters/{id}"
READS = (
    "/health", "/metrics", "/v1/models", "/v1/models/{id}", "/v1/files", _FILES, f"{_FILES}/content",
    "/v1/fine_tuning/jobs", _JOBS, f"{_JOBS}/events", f"{_JOBS}/checkpoints",
    "/v1/adapters", _ADAPTERS, f"{_ADAPTERS}/export/{{form}}", "/v1/starts", "/v1/removed", "/v1/machine",
)  # fmt: skip
"""GET routes."""
DELETES = (_FILES, _ADAPTERS, "/v1/removed")
_IN_PATH: dict[str, dict[str, Any]] = {
    "id": {"type": "string", "minLength": 1},
    "form": {"type": "string", "enum": list(FORMS)},
}
_ASKED = {f"{_JOBS}/events": {"stream": {"type": "string", "enum": ["true", "false"]}}}
"""Of a GET, behind the question mark."""
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


def document() -> dict[str, Any]:
    """The whole description, ready for JSON."""
    paths: dict[str, dict[str, Any]] = {}
    for path in READS:
        paths.setdefault(path, {})["get"] = _route(path)
    shapes, named = models_json_schema([(shape, "validation") for shape in BODIES.values()], ref_template="#/components/schemas/{model}")
    for path, shape in BODIES.items():
        paths.setdefault(path, {})["post"] = _route(path, {"application/json": {"schema": shapes[shape, "validation"]}})
    paths["/v1/files"]["post"] = _route("/v1/files", {"multipart/form-data": {"schema": _FORM}})
    for path in DELETES:
        paths[path]["delete"] = _route(path)
    paths[f"{_JOBS}/cancel"] = {"post": _route(_JOBS)}
    schemas = named.get("$defs", {}) | {"Error": _ERROR}
    parts = {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}, "schemas": schemas}
    about = {"title": "headstart", "version": version("headstart"), "description": "A base and its adapters over OpenAI's API."}
    return {"openapi": "3.1.0", "info": about, "paths": paths, "components": parts, "security": [{}, {"key": []}]}


def _route(path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
    wrong = {"description": "What is wrong.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    route: dict[str, Any] = {"responses": {"200": {"description": "The answer."}, "4XX": wrong}}
    there = [{"name": it, "in": "path", "required": True, "schema": shape} for it, shape in _IN_PATH.items() if f"{{{it}}}" in path]
    there += [{"name": it, "in": "query", "required": False, "schema": shape} for it, shape in _ASKED.get(path, {}).items()]
    if there:
        route["parameters"] = there
    if content is not None:
        route["requestBody"] = {"required": True, "content": content}
    return route
