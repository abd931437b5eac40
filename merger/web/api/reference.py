"""The OpenAPI document, and a page that shows it without any script."""

from __future__ import annotations

import copy
from typing import Any, cast

from flask import Blueprint, Response, current_app, json, render_template
from flask_openapi3 import OpenAPI

from merger.web.problems import Problem

SECURITY_SCHEMES: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "key": {"type": "apiKey", "in": "header", "name": "key", "description": "An API key."},
    "session": {
        "type": "apiKey", "in": "cookie", "name": "merger",
        "description": "The session of a signed-in user; read-only.",
    },
}  # fmt: skip

blueprint = Blueprint("reference", __name__)


def document(app: OpenAPI) -> dict[str, Any]:
    """Return the OpenAPI document of an application."""
    found = copy.deepcopy(cast("dict[str, Any]", app.api_doc))
    schemas = found["components"].setdefault("schemas", {})
    for item in found["paths"].values():
        for operation in item.values():
            if "description" in operation:  # the library writes it for HTML
                text = operation["description"].replace("<br/>", "\n").strip()
                operation["description"] = text
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {})
    schemas["Problem"] = problem
    return found


@blueprint.get("/api/openapi.json")
def openapi() -> Response:
    """Give the OpenAPI document."""
    found = document(cast(OpenAPI, current_app))
    return Response(json.dumps(found), content_type="application/json")


@blueprint.get("/api/docs")
def docs() -> str:
    """Show the OpenAPI document to people."""
    found = document(cast(OpenAPI, current_app))
    return render_template("reference.html", document=found, operations=_operations(found))


def _operations(openapi: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the operations of a document by tag, in its order. Pure."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path, item in openapi["paths"].items():
        for method, operation in item.items():
            tag = operation.get("tags", ["other"])[0]
            found.setdefault(tag, []).append({"path": path, "method": method, **operation})
    return found
