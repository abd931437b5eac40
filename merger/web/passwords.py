"""Setting a password with a link, and asking for one.

Why so: docs/decisions/0036-links-that-set-a-password.md.
"""

from __future__ import annotations

import logging

from flask import Flask, after_this_request, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from merger.accounts import password_links, users
from merger.errors import Invalid
from merger.i18n import Message
from merger.mail_address import email_of
from merger.records import outbox
from merger.web import guessing
from merger.web.auth import check_form_token, service
from merger.web.language import Phrases, phrases_of, t
from merger.web.login import begin_session

log = logging.getLogger(__name__)

Answer = str | Response | tuple[str, int]


def register(app: Flask) -> None:
    """Let people set passwords with links."""
    app.add_url_rule("/login/forgotten", "forgotten", _show_forgotten, methods=["GET"])
    app.add_url_rule("/login/forgotten", "ask_for_link", _ask_for_link, methods=["POST"])
    app.add_url_rule("/login/password", "password", _show_password, methods=["GET"])
    app.add_url_rule("/login/password", "set_password", set_password, methods=["POST"])


def address_of_page(token: str) -> str:
    """Return the whole address of the page on which a link sets a password."""
    public = service().settings.web_address
    path = url_for("password", token=token)
    return f"{public}{path}" if public else url_for("password", token=token, _external=True)


# --- asking ---------------------------------------------------------------------------------------


def _show_forgotten() -> Answer:
    return _forgotten_page()


def _forgotten_page(email: str = "", error: Phrases = (), sent_to: str = "") -> Answer:
    page = render_template(
        "forgotten.html", email=email, errors={"email": error} if error else {}, sent_to=sent_to,
        can_mail=outbox.can_mail_links(service().settings), days=password_links.LASTS.days,
    )  # fmt: skip
    return (page, 422) if error else page


def _ask_for_link() -> Answer:
    """Have a link mailed to an address; who does not know whose it is does not learn it."""
    here, typed = service(), request.form.get("email", "").strip()
    if not outbox.can_mail_links(here.settings):
        return _forgotten_page()
    try:
        address = email_of(typed)
    except Invalid as error:
        return _forgotten_page(typed, phrases_of(error.message))
    guessing.add_request_for_link(address)
    outbox.add_password_link(here.engine, address, "password", here.now())
    return _forgotten_page(sent_to=address)


# --- setting --------------------------------------------------------------------------------------


def _show_password() -> Answer:
    """Ask for the password; nothing happens yet: some mail programs open each link."""
    _hide_address()
    return _password_page(request.args.get("token", ""), {})


def _password_page(token: str, errors: dict[str, Phrases]) -> Answer:
    here = service()
    domains = here.settings.oidc_domains
    email = password_links.address_of_token(here.engine, token, here.now(), domains)
    page = render_template(
        "password.html", email=email, token=token, errors=errors, shortest=users.SHORTEST_PASSWORD
    )
    return (page, 422) if errors else page


def set_password() -> Answer:
    """Set the password of whom the link was made for, and sign them in."""
    _hide_address()
    check_form_token()
    here = service()
    token, password, again = (request.form.get(name, "") for name in ("token", "password", "again"))
    if password != again:
        return _password_page(token, {"again": phrases_of(Message("wrong.passwords_differ"))})
    try:
        who = password_links.set_password(
            here.engine, token, password, here.now(), here.settings.oidc_domains
        )
    except Invalid as error:
        return _password_page(token, {"password": phrases_of(error.message)})
    begin_session(who)
    guessing.remember_browser(who.email)
    log.info("user %s set a password with a link, and is signed in", who.user)
    flash(t("password.done"))
    return redirect("/", 303)


def _hide_address() -> None:
    """Have the browser tell no page where the reader came from: the address holds the link."""

    @after_this_request
    def add_header(response: Response) -> Response:
        response.headers["Referrer-Policy"] = "no-referrer"
        return response
