"""Composition root and command line."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

try:
    from commands import checking, discovered, google, merging, recording, records, serving, upkeep
    from commands.arguments import parser
    from commands.base import (
        BROKEN,
        INTERRUPTED,
        NO_MEDIA,
        REFUSED,
        Command,
        Context,
        Stopping,
        database,
        load_settings,
        now,
    )
    from commands.timetables import importing, series
    from merger import logs
    from merger.errors import Broken, Cancelled, MergerError, NoMedia, Refused
    from merger.i18n import Message
    from merger.logs import printable
except ModuleNotFoundError as missing:
    sys.exit(
        f"app.py: the package {missing.name} is missing."
        " Run script/bootstrap, then .venv/bin/python app.py ..."
    )

if TYPE_CHECKING:  # heavy libraries are imported once the command line makes sense
    from flask import Flask
    from sqlalchemy import Engine

    from google_apis.account import Account as GoogleAccount
    from merger.config import Settings
    from merger.ports.discovery import Discovery
    from merger.service import Service
    from recorders.rtsp.source import Rtsp
    from recorders.zoom.api import Account as ZoomAccount
    from recorders.zoom.source import Zoom

COMMANDS: dict[str, Command] = {
    "merge": merging.merge,
    "request": records.request,
    "fetch-zoom": records.fetch_zoom,
    "records": records.listing,
    "show": records.show,
    "cancel": records.cancel,
    "retry": records.retry,
    "offers": discovered.offers,
    "where": discovered.where,
    "rooms": upkeep.rooms,
    "courses": google.courses,
    "timetable": importing.timetable,
    "days-off": importing.days_off,
    "series": series.series,
    "user": upkeep.user,
    "set-password": upkeep.set_password,
    "password-link": upkeep.password_link,
    "release-account": upkeep.release_account,
    "init-db": upkeep.init_db,
    "rotate-key": upkeep.rotate_key,
    "check": checking.check,
    "verify": checking.verify,
    "web": serving.web,
    "daemon": serving.daemon,
    "run": serving.run,
    "recorder": recording.recorder,
    "work": serving.work,
    "keep-house": serving.keep_house,
    "errands": serving.errands,
}


def create_service(settings: Settings, engine: Engine) -> Service:
    """Return the service with all its parts plugged in."""
    from google_apis.account import Account as GoogleAccount
    from merger.delivery.folder import FolderDestination
    from merger.lazy import LazyMapping
    from merger.live.raw_folder import RawFolder
    from merger.service import Service
    from recorders.registry import EXAMPLES, kinds, recorder_of

    zoom, rtsp = partial(_zoom, settings, engine), partial(_rtsp, settings, engine)
    kept = {"is_ours": settings.output is None, "is_private": settings.private_output}
    folder = FolderDestination(settings.destination, **kept)
    raw = RawFolder(settings.destination, **kept)
    account = GoogleAccount(
        settings.google_credentials, settings.google_subject, settings.google_address
    )
    recorders = kinds(settings.ffmpeg or None, zoom, rtsp, account)
    service = Service(
        engine, settings, partial(recorder_of, recorders), (folder,), now,
        LazyMapping({"zoom": lambda: _zoom_discovery(_zoom_account(settings))}),
        kinds=EXAMPLES, raw_destinations=(raw,),
    )  # fmt: skip
    return _with_google(service, account) if account.credentials else service


# What a worker or the pages may never look at is imported when it is: most records need no Zoom.


def _zoom_account(settings: Settings) -> ZoomAccount:
    from recorders.zoom.api import Account

    return Account(
        settings.zoom_api, settings.zoom_oauth, settings.zoom_hosts,
        settings.zoom_credentials.reveal(),
    )  # fmt: skip


def _zoom(settings: Settings, engine: Engine) -> Zoom:
    from merger.intake.meetings import events_of
    from recorders.zoom.source import Zoom

    return Zoom(_zoom_account(settings), events_of=partial(events_of, engine))


def _zoom_discovery(account: ZoomAccount) -> Discovery:
    from recorders.zoom.discovery import ZoomDiscovery

    return ZoomDiscovery(account)


def _rtsp(settings: Settings, engine: Engine) -> Rtsp:
    from merger.db.connection_rules import rules_of
    from recorders.rtsp.source import Rtsp
    from recorders.supervisor.probe import probe_camera

    return Rtsp(settings.recorded, rules_of(settings, engine, "cameras"), look=probe_camera)


def _with_google(service: Service, account: GoogleAccount) -> Service:
    """Return the service with delivery to Google, announcements there, and calendars."""
    from google_apis.calendar.announcer import EventAnnouncer
    from google_apis.calendar.reader import Calendars
    from google_apis.classroom.announcer import CourseAnnouncer
    from google_apis.classroom.courses import Courses
    from google_apis.drive.destination import DriveDestination
    from google_apis.drive.folders import Folders
    from google_apis.drive.raw import RawDrive
    from google_apis.sheets import Sheets
    from merger.db.key_value import KeyValueStore
    from merger.delivery.announce import announcement_text
    from merger.rooms import store
    from merger.rooms.course_codes import course_of

    settings, engine, google = service.settings, service.engine, account.google()
    drive = DriveDestination(
        google, Folders(google, KeyValueStore(engine)), settings.drive_folder, settings.drive_tells
    )
    courses = Courses(
        google, partial(course_of, engine), settings.courses_sheet, settings.courses_range
    )
    hook = f"{settings.web_address}/hooks/google/calendar"
    return replace(
        service,
        destinations=(*service.destinations, drive),
        raw_destinations=(
            *service.raw_destinations,
            RawDrive(drive, partial(store.drive_folder_of, engine)),
        ),
        announcers=(
            EventAnnouncer(google),
            CourseAnnouncer(google, courses, partial(announcement_text, settings.language)),
        ),
        # Google calls only addresses with a certificate that it can check.
        calendars=Calendars(google, hook if hook.startswith("https://") else ""),
        sheets=Sheets(google),
    )


def create_web(service: Service) -> Flask:
    """Return the web application of a service, with the routes that Zoom and Google call."""
    from google_apis.calendar import webhook as calendar_webhook
    from merger.intake import calendar_sync
    from merger.intake.discovered import ensure_record
    from merger.intake.late_transcripts import take_up_transcript
    from merger.intake.meetings import save_event
    from merger.web import app
    from recorders.zoom import webhook as zoom_webhook

    secret = service.settings.zoom_hook_secret.reveal()
    zoom = zoom_webhook.blueprint(
        secret, service.now, partial(ensure_record, service), partial(save_event, service.engine),
        partial(take_up_transcript, service),
    )  # fmt: skip
    calendar = calendar_webhook.blueprint(
        lambda channel, token: calendar_sync.mark_calendar_stale(
            service.engine, channel, token, service.now()
        )
    )
    return app.create_web(service, (zoom, calendar))


def create_app() -> Flask:
    """Return the web application for another WSGI server: `gunicorn "app:create_app()"`."""
    settings = load_settings()
    logs.start_logging(settings.log_form)
    return create_web(create_service(settings, database(settings)))


def main(arguments: Sequence[str] | None = None, stopping: Stopping | None = None) -> int:
    """Run a command; return its exit code: 0 done, 1 broken, 2 refused, 3 no media for the span.

    Args:
        stopping: counts requests to stop, after which the exit code is 130, as of a shell.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    context = Context(
        arguments, stopping or Stopping(), Path(__file__).resolve(), create_service, create_web
    )
    text = ""
    try:
        options = parser().parse_args(arguments)
        document, text = COMMANDS[options.command](options, context)
        code = context.exit
    except MergerError as error:
        code, document = _report(error, context)
    except Exception as error:  # the one place: a person gets a sentence, the operator the trace
        from merger.config import wants_trace

        if wants_trace():
            raise
        mistake = Broken("internal", "commands.mistake", kind=type(error).__name__, why=str(error))
        code, document = _report(mistake, context)
    is_printed = True
    if "--json" in arguments:
        is_printed = _print(json.dumps(document, ensure_ascii=False))
    elif text:
        is_printed = _print(text)
    return code if is_printed else BROKEN


def _print(text: str) -> bool:
    """Print a result; return whether it could be printed."""
    try:
        print(text, flush=True)
    except BrokenPipeError:  # the reader has read enough; the work is done all the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        why = Message("commands.not_printed", why=str(error.strerror))
        print(f"app.py: {why}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def _report(error: MergerError, context: Context) -> tuple[int, dict[str, Any]]:
    """Print why a command failed; return its exit code and the document for programs."""
    from merger.timeline.report import failure_document

    message = str(error)
    if isinstance(error, Refused):
        # Somebody who typed an argument looks for its name; others never saw one.
        typed = {argument.partition("=")[0] for argument in context.arguments}
        message = f"--{error.code}: {message}" if f"--{error.code}" in typed else message
    print(f"app.py: {printable(message)}", file=sys.stderr)
    code = BROKEN
    if isinstance(error, NoMedia):
        code = NO_MEDIA
    elif isinstance(error, Refused):
        code = REFUSED
    elif isinstance(error, Cancelled):
        code = INTERRUPTED
    return code, failure_document(error, message, context.span, context.zone)


if __name__ == "__main__":
    if sys.stderr is None:  # closed by the process that started us
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    signals = Stopping()
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signals.handle)
    # Threads that multiply matrices would cost a start more than the rest of numpy does.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    exit_code = main(stopping=signals)
    gc.freeze()  # the end need not look for garbage among all that was imported
    sys.exit(exit_code)
