"""The pages: put together, with what their templates use."""

from __future__ import annotations

from flask import Flask, redirect

from merger.web import page, pages_offers, pages_people, pages_records, pages_request, pages_rooms
from merger.web.page import Answer, blueprint

__all__ = [
    "blueprint", "pages_offers", "pages_people", "pages_records", "pages_request", "pages_rooms",
    "register",
]  # fmt: skip


@blueprint.get("/")
def home() -> Answer:
    """Begin with the records."""
    return redirect("/records", 303)


def register(app: Flask) -> None:
    """Add the pages to an application."""
    app.jinja_env.globals.update(page.HELPERS)
    app.register_blueprint(blueprint)
    app.after_request(page.mark)
