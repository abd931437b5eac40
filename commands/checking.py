"""Commands that look whether all is well: `check` the surroundings, `verify` what is kept."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from commands.base import BROKEN, DONE, Context, Printed, connected, load_settings, now
from merger.errors import Cancelled, MergerError
from merger.i18n import Message
from merger.logs import printable

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from merger.config import Settings
    from merger.monitoring.findings import Check, Finding

_WIDEST = 40  # of the column that says what a line is about
_MAIL_ANSWERS_WITHIN_S = 10.0


def check(options: argparse.Namespace, context: Context) -> Printed:
    """Check whether everything that the service needs is in place."""
    from commands import connections
    from merger.monitoring import doctor
    from merger.monitoring.findings import Check

    settings = load_settings()
    engine = connected(settings)
    # Without Google, so that all the rest is checked even where Google does not let us in.
    plain = settings.model_copy(update={"google_credentials": None})
    recorder_of = context.create_service(plain, engine).recorder_of
    more = () if options.here else _elsewhere(settings, engine)
    addresses = Check("addresses", partial(connections.findings, settings, engine), True)
    return _findings(doctor.check(settings, engine, recorder_of, now, (*more, addresses)), context)


def _elsewhere(settings: Settings, engine: Engine) -> tuple[Check, ...]:
    """Return the checks that connect to other machines."""
    from commands.cameras import look_at_cameras
    from commands.google import look_at_google
    from merger.monitoring.findings import Check

    return (
        Check("google", partial(look_at_google, settings)),
        Check("mail", partial(_look_at_mail, settings)),
        Check("webhook", partial(_look_at_webhook, settings, engine), needs_tables=True),
        Check("cameras", partial(look_at_cameras, settings, engine, now()), needs_tables=True),
    )


def _look_at_mail(settings: Settings) -> Iterator[Finding]:
    from merger.monitoring.findings import Finding
    from merger.notifications import smtp

    if not settings.mail_server:
        return
    if not settings.web_address:
        yield Finding("mail links", "warning", Message("monitoring.mail_without_address"))
    server = smtp.server_of(settings.mail_server, settings.mail_password.reveal())
    patient = replace(server, timeout_s=_MAIL_ANSWERS_WITHIN_S)
    yield Finding("mail", "ok", smtp.check_server(patient))


def _look_at_webhook(settings: Settings, engine: Engine) -> Iterator[Finding]:
    """Look whether the webhook answers; without it, recordings are made all the same."""
    from merger.db.connection_rules import rules_of
    from merger.monitoring.findings import Finding
    from merger.notifications import webhook

    if not settings.webhook_url:
        return
    try:
        found = webhook.check_webhook(settings.webhook_url, rules_of(settings, engine, "webhooks"))
    except MergerError as error:
        advice = Message("monitoring.webhook_away", why=error.message)
        yield Finding("webhook", "warning", advice)
    else:
        yield Finding("webhook", "ok", found)


def verify(_: argparse.Namespace, context: Context) -> Printed:
    """Read all that is kept, and compare it with what was written down when it was made."""
    from merger.db.schema import require_current
    from merger.monitoring import integrity

    def go_on() -> None:
        if context.stopping():
            raise Cancelled("cancelled", "commands.nothing_changed")

    settings = load_settings()
    engine = connected(settings)
    require_current(engine)
    findings = integrity.verify(settings, engine, go_on)
    integrity.keep_result(engine, findings, now())
    return _findings(findings, context)


def _findings(findings: Sequence[Finding], context: Context) -> Printed:
    """Return findings for programs and for people; the exit code says whether any is bad."""
    context.exit = BROKEN if any(f.level == "broken" for f in findings) else DONE
    width = min(max((len(f.what) for f in findings), default=0), _WIDEST)
    text = "\n".join(printable(f"{f.level:8} {f.what:{width}}  {f.text}") for f in findings)
    return {"findings": [f.document for f in findings]}, text
