"""The commands that keep running: web, daemon, both in one process; and what the daemon starts."""

from __future__ import annotations

import argparse
import gc
import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from commands.base import (
    Context,
    Printed,
    database_when_there,
    load_settings,
    now,
    process_name,
    say,
)
from commands.recording import recording
from merger import logs
from merger.errors import Broken, MergerError

if TYPE_CHECKING:
    from merger.config import Settings
    from merger.service import Service
    from merger.web.server import Server

_POLL_S = 0.2


def web(options: argparse.Namespace, context: Context) -> Printed:
    """Serve the pages and the API until asked to stop."""
    from merger.monitoring.alarms import NO_DAEMON

    service = _start(options, context)
    server = _listen(service, context)
    look_at = service.now() + NO_DAEMON
    try:
        while server.lives and not context.stopping():
            if service.now() >= look_at:
                look_at = service.now() + NO_DAEMON
                _watch_daemons(service)
            time.sleep(_POLL_S)
        _require_running(server)
    finally:
        server.stop()
    return {}, ""


def daemon(options: argparse.Namespace, context: Context) -> Printed:
    """Process recordings as they become due, until asked to stop."""
    service = _start(options, context)
    _run_daemon(service, context, context.stopping.requests, once=options.once)
    return {}, ""


def run(options: argparse.Namespace, context: Context) -> Printed:
    """Run web, daemon and recorder in one process."""
    service = _start(options, context)
    server = _listen(service, context)
    try:
        # Pages are served until the last worker has handed its recording back.
        with recording(service, context.stopping.requests):
            _run_daemon(
                service, context, lambda: context.stopping.requests() or int(not server.lives)
            )
        _require_running(server)
    finally:
        server.stop()
    return {}, ""


def work(options: argparse.Namespace, context: Context) -> Printed:
    """Process a recording that was claimed."""
    # What is imported stays: to look for garbage in it is an eighth of the time that a start takes.
    gc.disable()
    from merger.db.engine import connect
    from merger.records.processing.queue import Claim
    from merger.worker.run import run_record

    settings = load_settings()
    logs.start_logging(settings.log_form)
    logs.set_context(record=options.record, attempt=options.attempt)
    service = context.create_service(settings, connect(settings.database_address))
    gc.freeze()
    gc.enable()
    run_record(service, Claim(options.record, options.attempt, options.worker), context.stopping)
    return {}, ""


def keep_house(_: argparse.Namespace, context: Context) -> Printed:
    """Look for late media, and remove what nobody needs."""
    from merger.daemon.housekeeping import keep_house
    from merger.db.engine import connect

    settings = load_settings()
    logs.start_logging(settings.log_form)
    keep_house(context.create_service(settings, connect(settings.database_address)), now())
    return {}, ""


def errands(_: argparse.Namespace, context: Context) -> Printed:
    """Send the notifications, read calendars and timetables, unroll series: what is due."""
    from merger.db.engine import connect
    from merger.intake.calendar_sync import read_calendars
    from merger.notifications.sender import send_due
    from merger.series.timetables.refreshing import refresh_due
    from merger.series.unroll import unroll_due

    settings = load_settings()
    logs.start_logging(settings.log_form)
    service = context.create_service(settings, connect(settings.database_address))
    jobs = (
        partial(send_due, service, now(), context.stopping),
        partial(read_calendars, service, now()),
        partial(refresh_due, service, now()),
        partial(unroll_due, service, now()),
    )
    for job in jobs:
        if context.stopping():
            break
        try:
            job()
        except MergerError as error:  # the others are done all the same
            logging.warning("%s", error.message)
    return {}, ""


def _start(options: argparse.Namespace, context: Context) -> Service:
    """Return the service, once its database is there."""
    options_of_web = {name: getattr(options, name, None) for name in ("host", "port")}
    changes = {name: value for name, value in options_of_web.items() if value is not None}
    settings = load_settings().model_copy(update=changes)
    logs.start_logging(settings.log_form)
    if options.command != "web":
        context.stopping.most = 2  # at the second, workers are killed
        check_machine(settings)
    return context.create_service(settings, database_when_there(settings, context.stopping))


def check_machine(settings: Settings) -> None:
    """Raise Broken for what would fail every recording: better no daemon than a failed queue."""
    from merger.render import ffmpeg
    from merger.storage.files import make_folder

    ffmpeg.find_tool(settings.ffmpeg or None)
    make_folder(settings.data, "MERGER_DATA")
    make_folder(settings.cache, "MERGER_CACHE")


def _run_daemon(
    service: Service, context: Context, stop_requests: Callable[[], int], *, once: bool = False
) -> None:
    from merger.daemon import loop, processes
    from merger.daemon.daemon import Daemon

    this = [sys.executable, str(context.program)]
    daemon = Daemon(
        service,
        start=processes.worker_starter([*this, "work"]),
        start_housekeeping=lambda: processes.start_process([*this, "keep-house"]),
        start_jobs=lambda: processes.start_process([*this, "errands"]),
        name=process_name(),
        check_machine=lambda: check_machine(service.settings),
    )
    signals = loop.Signals(stop_requests, time.sleep)
    if once:
        loop.run_once(daemon, signals)
        return
    logging.info("the daemon %s is at work, %s at a time", daemon.name, service.settings.workers)
    loop.run(daemon, signals)
    logging.info("the daemon %s has ended", daemon.name)


def _listen(service: Service, context: Context) -> Server:
    """Start to answer requests. Raises Broken where another program has the port."""
    from merger.web.server import Server

    settings = service.settings
    server = Server(context.create_web(service), settings.host, settings.port)
    _make_first_account(service)
    server.start()
    logging.info("listening on %s", server.address)
    return server


def _watch_daemons(service: Service) -> None:
    """Look whether there is a daemon; pages are served whatever comes of it."""
    from merger.monitoring.alarms import watch_daemons

    try:
        watch_daemons(service, service.now())
    except MergerError as error:
        logging.warning("looking for a daemon: %s", error.message)


def _require_running(server: Server) -> None:
    """Raise Broken where a server has ended by itself."""
    if not server.lives:
        raise Broken("web", "commands.web_ended")


def _make_first_account(service: Service) -> None:
    """Create an administrator where nobody could sign in, and say which file has the password."""
    from merger.accounts import users
    from merger.storage.files import make_folder, translate_write_errors
    from merger.storage.private import create_private_file

    settings = service.settings
    if settings.oidc_issuer or users.can_anybody_sign_in(service.engine):
        return
    # In a file, and not in the log, which others read. It is there before the account: so it has
    # the password wherever this is cut off, and that of two processes that begin at once.
    file = settings.first_password
    make_folder(settings.data, "MERGER_DATA")
    with translate_write_errors(settings.data):
        create_private_file(file, users.new_password() + "\n")
        password = file.read_text().strip()
    account = users.create_first_account(service.engine, password)
    if account is not None:
        text = say("first_account", address=account[0], file=str(file))
        print(text, file=sys.stderr, flush=True)
