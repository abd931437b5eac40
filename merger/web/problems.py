"""Errors on the web: RFC 9457 problem details for programs, a page for people."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from flask import Flask, Response, current_app, json, render_template, request
from flask_wtf.csrf import CSRFError
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import HTTPException

from merger import i18n
from merger.errors import Broken, Conflict, Forbidden, MergerError, NotFound, Refused
from merger.i18n import Message
from merger.web.language import language

log = logging.getLogger(__name__)

API = "/api/"
# Codes of what is not there; everything else that is refused is a mistake in a field.
_NOT_FOUND = {"record", "user", "key", "source", "rendition", "paper", "picture", "room_id"}
_NOW_NOT = {"status", "conflict"}


class FieldProblem(BaseModel):
    """An invalid field of the request."""

    field: str
    message: str


class Problem(BaseModel):
    """What went wrong (RFC 9457); `code` is a stable word for programs."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    key: str | None = None
    params: dict[str, Any] = {}
    errors: list[FieldProblem] = []


_OLD_FORM = (
    "somebody has signed in or out here since this page was opened; sign in, go back to it, and"
    " send it once more"
)


def problem(
    status: int,
    title: str,
    detail: Message | str,
    code: str,
    errors: Sequence[FieldProblem] = (),
) -> Response:
    """Return a response that tells a program what went wrong, in its reader's language."""
    words = i18n.render(language(), detail) if isinstance(detail, Message) else detail
    told = Problem(title=title, status=status, detail=words, code=code, errors=list(errors))
    if isinstance(detail, Message) and detail.key != "verbatim":
        told = told.model_copy(update=i18n.to_json(detail))
    response = Response(
        json.dumps(told.model_dump()), status=status, content_type="application/problem+json"
    )
    response.vary.add("Accept-Language")
    return response


def status_and_title(error: MergerError) -> tuple[int, str]:
    """Return the status and the title of one of our errors. Pure."""
    if isinstance(error, NotFound):
        return 404, "Not found"
    if isinstance(error, Conflict):
        return 409, "Not possible now"
    if isinstance(error, Forbidden):
        return 403, "Not allowed"
    if isinstance(error, Refused):
        if error.code in _NOT_FOUND:
            return 404, "Not found"
        if error.code in _NOW_NOT:
            return 409, "Not possible in the current state"
        if error.code == "sign_in":
            return 403, "Not allowed"
        return 422, "The request is invalid"
    if isinstance(error, Broken):
        return 500, "Internal error"
    return 503, "Temporarily unavailable"


def explain_invalid(error: ValidationError) -> Response:
    """Return a response that names every invalid field of a request."""
    errors = []
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        field = ".".join(str(part) for part in one["loc"]) or "body"
        message = {
            "extra_forbidden": "there is no such field",
            "missing": "it is missing",
            "model_type": "send a JSON object with Content-Type: application/json",
        }.get(one["type"], one["msg"])
        errors.append(FieldProblem(field=field, message=message))
    detail = "; ".join(f"{one.field}: {one.message}" for one in errors)
    return problem(422, "The request is invalid", detail, "validation", errors)


def register(app: Flask) -> None:
    """Have all errors of an application told in this way."""

    @app.errorhandler(MergerError)
    def ours(error: MergerError) -> Any:
        status, title = status_and_title(error)
        if status >= 500:
            log.error("%s %s: %s", request.method, request.path, error.message)
        detail = error.message if status < 500 else Message("error.see_log", title=title)
        words = i18n.render(language(), error.message)
        errors = [FieldProblem(field=error.code, message=words)] if status == 422 else []
        return _answer(status, title, detail, error.code, errors)

    @app.errorhandler(CSRFError)
    def of_another_session(error: CSRFError) -> Any:
        return _answer(400, "The form is out of date", _OLD_FORM, "csrf")

    @app.errorhandler(HTTPException)
    def of_http(error: HTTPException) -> Any:
        status = error.code or 500
        code = error.name.lower().replace(" ", "_")
        # What the library says of a status is told to people in their language.
        is_ours = error.description != type(error).description
        detail = error.description or error.name
        response = _answer(status, error.name, detail, code, is_ours=is_ours)
        for name, value in error.get_headers():
            if name.lower() not in ("content-type", "content-length"):
                response.headers[name] = value  # Allow, Retry-After
        return response

    @app.errorhandler(Exception)  # the one place of the web
    def mistake(error: Exception) -> Any:
        log.exception("%s %s: a mistake in this program", request.method, request.path)
        return _answer(500, "Internal error", "a mistake in this program; see its log", "internal")


def _answer(
    status: int,
    title: str,
    detail: Message | str,
    code: str,
    errors: Sequence[FieldProblem] = (),
    *,
    is_ours: bool = True,
) -> Response:
    if request.path.startswith(API) or "pages" not in current_app.blueprints:
        return problem(status, title, detail, code, errors)
    said = detail if is_ours else ""
    page = render_template("problem.html", status=status, title=title, detail=said)
    return Response(page, status=status, content_type="text/html; charset=utf-8")
