"""The pages, put together, with the functions that their templates use."""

from __future__ import annotations

from flask import Flask, redirect

from merger.web.pages import (
    access,
    base,
    discovered,
    operations,
    record_edit,
    records,
    request,
    rooms,
    selected,
    stills,
)
from merger.web.pages.base import Answer, blueprint
from merger.web.pages.people import account, confirm, people
from merger.web.pages.timetable import days_off, feeds, importing, lecture, series, week, words

__all__ = [
    "access", "account", "blueprint", "confirm", "days_off", "discovered", "feeds", "importing",
    "lecture", "operations", "people", "record_edit", "records", "register", "request", "rooms",
    "selected", "series", "stills", "week",
]  # fmt: skip


@blueprint.get("/")
def home() -> Answer:
    """Show the records first."""
    return redirect("/records", 303)


def register(app: Flask) -> None:
    """Add the pages to an application."""
    app.jinja_env.globals.update(
        {**base.HELPERS, **access.HELPERS, **stills.HELPERS, **words.HELPERS}
    )
    app.register_blueprint(blueprint)
    app.after_request(base.add_language_headers)
