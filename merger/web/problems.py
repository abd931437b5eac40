"""Errors on the web: RFC 9457 problem details for programs, a page for people."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from flask import Flask, Response, current_app, json, render_template, request
from flask_wtf.csrf import CSRFError
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import BadRequest, HTTPException

from merger import i18n
from merger.errors import (
    Broken,
    Conflict,
    Forbidden,
    InvalidFields,
    MergerError,
    NotFound,
    Refused,
)
from merger.i18n import Message, sentences, verbatim
from merger.web.access_log import logged_path
from merger.web.language import language

log = logging.getLogger(__name__)

API = "/api/"
INVALID = Message("web.title.invalid")
_BROKEN = Message("web.title.broken")
# What pydantic reports most often, in our words; for the rest it has its own.
_MESSAGES_OF_PYDANTIC = {
    "extra_forbidden": Message("web.unknown_field"),
    "missing": Message("error.missing"),
    "model_type": Message("web.not_an_object"),
}

Field = tuple[str, Message]


class BadBody(BadRequest):
    """A request holds what nobody can use."""

    def __init__(self, message: Message) -> None:
        super().__init__(str(message))
        self.message = message


class FieldProblem(BaseModel):
    """An invalid field of the request."""

    field: str
    message: str
    key: str
    params: dict[str, Any]


class Problem(BaseModel):
    """What went wrong (RFC 9457); `code` is a stable word for programs."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    key: str
    params: dict[str, Any]
    errors: list[FieldProblem] = []


def problem(
    status: int, title: Message, detail: Message, code: str, fields: Sequence[Field] = ()
) -> Response:
    """Return a response that tells a program what went wrong, in its reader's language.

    Args:
        status: of the response.
        title: what kind of problem it is.
        detail: what to do about this one.
        code: a stable word for programs.
        fields: of the request that cannot be used, and why.
    """
    body = Problem(
        title=_words(title), status=status, detail=_words(detail), code=code,
        errors=[
            FieldProblem(field=field, message=_words(why), **i18n.to_json(why))
            for field, why in fields
        ],
        **i18n.to_json(detail),
    )  # fmt: skip
    response = Response(
        json.dumps(body.model_dump()), status=status, content_type="application/problem+json"
    )
    response.vary.add("Accept-Language")
    return response


def _words(message: Message) -> str:
    return i18n.render(language(), message)


def status_and_title(error: MergerError) -> tuple[int, Message]:
    """Return the status and the title of one of our errors. Pure."""
    if isinstance(error, NotFound):
        return 404, Message("web.title.not_found")
    if isinstance(error, Conflict):
        return 409, Message("web.title.conflict")
    if isinstance(error, Forbidden):
        return 403, Message("web.title.forbidden")
    if isinstance(error, Refused):
        return 422, INVALID
    if isinstance(error, Broken):
        return 500, _BROKEN
    return 503, Message("web.title.not_now")


def explain_invalid(error: ValidationError) -> Response:
    """Return a response that names every invalid field of a request."""
    fields = []
    for mistake in error.errors(include_url=False, include_context=False, include_input=False):
        field = ".".join(str(part) for part in mistake["loc"]) or "body"
        why = _MESSAGES_OF_PYDANTIC.get(mistake["type"]) or verbatim(mistake["msg"])
        fields.append((field, why))
    detail = sentences(Message("error.of_field", field=field, why=why) for field, why in fields)
    return problem(422, INVALID, detail, "validation", fields)


def register(app: Flask) -> None:
    """Answer all errors of an application in this way."""

    @app.errorhandler(MergerError)
    def answer_ours(error: MergerError) -> Any:
        status, title = status_and_title(error)
        if status >= 500:
            log.error("%s %s: %s", request.method, logged_path(), error.message)
        detail = error.message if status < 500 else Message("error.see_log", title=title)
        fields = [(error.code, error.message)] if status == 422 else []
        if isinstance(error, InvalidFields):
            fields = list(error.fields.items())
        return _answer(status, title, detail, error.code, fields)

    @app.errorhandler(CSRFError)
    def answer_old_form(error: CSRFError) -> Any:
        return _answer(400, Message("web.title.old_form"), Message("web.old_form"), "csrf")

    @app.errorhandler(HTTPException)
    def answer_http(error: HTTPException) -> Any:
        status = error.code or 500
        code = error.name.lower().replace(" ", "_")
        ours: Message | None = getattr(error, "message", None)
        # Pages say what a status means in words of their own, not in those of the library.
        detail = ours or verbatim(error.description or error.name)
        response = _answer(status, verbatim(error.name), detail, code, is_ours=ours is not None)
        for name, value in error.get_headers():
            if name.lower() not in ("content-type", "content-length"):
                response.headers[name] = value  # Allow, Retry-After
        return response

    @app.errorhandler(Exception)  # the web's last resort
    def answer_mistake(error: Exception) -> Any:
        log.exception("%s %s: a bug in this program", request.method, logged_path())
        return _answer(500, _BROKEN, Message("error.program_mistake"), "internal")


def _answer(
    status: int,
    title: Message,
    detail: Message,
    code: str,
    fields: Sequence[Field] = (),
    *,
    is_ours: bool = True,
) -> Response:
    if request.path.startswith(API) or "pages" not in current_app.blueprints:
        return problem(status, title, detail, code, fields)
    page = render_template(
        "problem.html", status=status, title=_words(title), detail=detail if is_ours else ""
    )
    return Response(page, status=status, content_type="text/html; charset=utf-8")
