"""What all resources of the API share: their address, their answers, their errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from flask import Response, current_app, json, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ValidationError

from merger.accounts.permissions import Principal
from merger.errors import Invalid, Refused
from merger.i18n import Message
from merger.records import lookup
from merger.web import problems
from merger.web.api.schemas.base import RequestModel
from merger.web.auth import service
from merger.web.language import translate_document

T = TypeVar("T")

VERSION = "/api/v1"
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"key": []}, {"session": []}]
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_PROBLEMS = {
    "400": "The request cannot be parsed",
    "401": "No valid API key was sent, and nobody is signed in",
    "403": "The key or its owner lacks permission",
    "404": "It does not exist, or you may not see it",
    "409": "Not possible in the current state",
    "413": "The request is too large",
    "415": "The body is not JSON",
    "422": "A field is invalid; `errors` names it",
    "429": "Too many wrong keys from this address",
    "500": "Internal error",
    "503": "Temporarily unavailable; the same request may succeed later",
}
PROBLEMS: dict[Any, Any] = {
    status: {"description": text, "content": _PROBLEM} for status, text in _PROBLEMS.items()
}
NOTHING: dict[str, Any] = {"description": "Done"}
_NOT_MODIFIED: dict[str, Any] = {"description": "Not modified: you have it, as If-None-Match says"}


def responses_of(answer: Any) -> dict[Any, Any]:
    """Return the responses of a route that shows something.

    Args:
        answer: the model of what it shows.
    """
    return {"200": answer, "304": _NOT_MODIFIED}


def resources(name: str, about: str) -> APIBlueprint:
    """Return a blueprint for the resources of one kind."""
    blueprint = APIBlueprint(
        name, __name__, url_prefix=VERSION, abp_tags=[Tag(name=name, description=about)],
        abp_security=SECURITY, abp_responses=PROBLEMS,
    )  # fmt: skip
    blueprint.before_request(check_query)
    return blueprint


def check_query() -> Response | None:
    """Refuse a query where a route takes none; where it takes one, a model says which."""
    view = current_app.view_functions[request.endpoint or ""]
    if request.args and "query" not in inspect.signature(view).parameters:
        try:
            RequestModel.model_validate(request.args.to_dict())
        except ValidationError as error:
            return problems.explain_invalid(error)
    return None


def sees_record(who: Principal, record: int) -> bool:
    """Return whether somebody who acts on a record may see more of it than its id.

    A key that may only write sees what was requested with it.
    """
    return who.may("read") or lookup.is_made_with(service().engine, record, who.key)


def reply(
    document: BaseModel | dict[str, Any], status: int = 200, location: str | None = None
) -> Response:
    """Return a response in JSON, with its sentences in the reader's language.

    Whoever has what a GET would show is told so (304), and need not read it again.

    Args:
        location: where what was created is, below the API.
    """
    values = document.model_dump() if isinstance(document, BaseModel) else document
    text = json.dumps(translate_document(values))
    response = Response(text, status=status, content_type="application/json")
    response.vary.add("Accept-Language")
    if location is not None:
        response.headers["Location"] = f"{VERSION}{location}"
    if request.method == "GET" and status == 200:
        response.add_etag()
        response.make_conditional(request)
    return response


def note_refusal(wrong: dict[str, Message], check: Callable[..., T], *args: Any) -> T | None:
    """Return what a check returns; note by its field what it refuses, and return None."""
    try:
        return check(*args)
    except Refused as error:
        wrong.setdefault(error.code, error.message)
        return None


def changes_of(model: BaseModel, required: Iterable[str] = ()) -> dict[str, Any]:
    """Return the fields that a request has.

    Args:
        model: of the request.
        required: fields that cannot be null, only left out.

    Raises:
        Invalid: one of them is null.
    """
    changes = model.model_dump(exclude_unset=True)
    for name in required:
        if name in changes and changes[name] is None:
            raise Invalid(name, "web.not_null")
    return changes
