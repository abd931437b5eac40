"""The commands that stay: web, daemon, all in one process; and what the daemon starts."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from commands.base import Context, Printed, database_when_there, now, settings
from commands.recording import recording
from merger import logs
from merger.config import Settings
from merger.errors import Broken, MergerError

if TYPE_CHECKING:
    from merger.service import Service
    from merger.web.server import Server

_LOOK_S = 0.2


def web(options: argparse.Namespace, context: Context) -> Printed:
    """Answer requests until asked to stop."""
    service = _begun(options, context)
    server = _listening(service, context)
    try:
        while server.lives and not context.stopping():
            time.sleep(_LOOK_S)
        _require(server)
    finally:
        server.stop()
    return {}, ""


def daemon(options: argparse.Namespace, context: Context) -> Printed:
    """Work on records as they become due, until asked to stop."""
    service = _begun(options, context)
    _work_on(service, context, context.stopping.asked, once=options.once)
    return {}, ""


def run(options: argparse.Namespace, context: Context) -> Printed:
    """Do all of it in one process."""
    service = _begun(options, context)
    server = _listening(service, context)
    try:
        # Who looks at a page may do so while workers hand their records back.
        with recording(service, context.stopping.asked):
            _work_on(service, context, lambda: context.stopping.asked() or int(not server.lives))
        _require(server)
    finally:
        server.stop()
    return {}, ""


def work(options: argparse.Namespace, context: Context) -> Printed:
    """Work on a record that was claimed."""
    # What is imported stays: to look for garbage in it is an eighth of the time that a start takes.
    gc.disable()
    from merger.db.engine import connect
    from merger.records.queue import Claim
    from merger.worker.run import run_record

    known = settings()
    logs.start_logging(known.log_form)
    logs.set_context(record=options.record, attempt=options.attempt)
    service = context.create_service(known, connect(known.database_address))
    gc.freeze()
    gc.enable()
    run_record(service, Claim(options.record, options.attempt, options.worker), context.stopping)
    return {}, ""


def keep_house(_: argparse.Namespace, context: Context) -> Printed:
    """Look for late media, and remove what nobody needs."""
    from merger.daemon.housekeeping import keep_house
    from merger.db.engine import connect

    known = settings()
    logs.start_logging(known.log_form)
    keep_house(context.create_service(known, connect(known.database_address)), now())
    return {}, ""


def errands(_: argparse.Namespace, context: Context) -> Printed:
    """Tell people what there is to tell, and read the calendars that are due."""
    from merger.db.engine import connect
    from merger.intake.calendar_sync import read_calendars
    from merger.notifications.sender import send_due

    known = settings()
    logs.start_logging(known.log_form)
    service = context.create_service(known, connect(known.database_address))
    telling = partial(send_due, service, now(), context.stopping)
    for errand in (telling, partial(read_calendars, service, now())):
        if context.stopping():
            break
        try:
            errand()
        except MergerError as error:  # one never keeps the other from being done
            logging.warning("%s", error.message)
    return {}, ""


def _begun(options: argparse.Namespace, context: Context) -> Service:
    """Return the service, once its database is there."""
    known = settings()
    given = {name: getattr(options, name, None) for name in ("host", "port")}
    known = replace(known, **{name: value for name, value in given.items() if value is not None})
    logs.start_logging(known.log_form)
    if options.command != "web":
        context.stopping.most = 2  # at the second, workers are killed
        check_machine(known)
    return context.create_service(known, database_when_there(known, context.stopping))


def check_machine(known: Settings) -> None:
    """Raise Broken for what would fail every record: better no daemon than a failed queue."""
    from merger.render import ffmpeg
    from merger.storage.files import make_folder

    ffmpeg.find_tool(known.ffmpeg or None)
    make_folder(known.data, "the data folder (MERGER_DATA)")
    make_folder(known.cache, "the cache folder (MERGER_CACHE)")


def _work_on(
    service: Service, context: Context, asked: Callable[[], int], *, once: bool = False
) -> None:
    from merger.daemon import loop, processes
    from merger.daemon.daemon import Daemon

    this = [sys.executable, str(context.program)]
    mine = Daemon(
        service,
        start=processes.worker_starter([*this, "work"]),
        start_housekeeping=lambda: processes.start_process([*this, "keep-house"]),
        start_jobs=lambda: processes.start_process([*this, "errands"]),
        name=f"{socket.gethostname()}-{os.getpid()}",
        check_machine=lambda: check_machine(service.settings),
    )
    signals = loop.Signals(asked, time.sleep)
    if once:
        loop.run_once(mine, signals)
        return
    logging.info("the daemon %s is at work, %s at a time", mine.name, service.settings.workers)
    loop.run(mine, signals)
    logging.info("the daemon %s has ended", mine.name)


def _listening(service: Service, context: Context) -> Server:
    """Answer requests from now on. Raises Broken where another program has the port."""
    from merger.web.server import Server

    known = service.settings
    server = Server(context.create_web(service), known.host, known.port)
    _make_first_account(service)
    server.start()
    logging.info("listening on %s", server.address)
    return server


def _require(server: Server) -> None:
    """Raise Broken where a server has ended by itself."""
    if not server.lives:
        raise Broken("web", "the web service has ended; the log says why")


def _make_first_account(service: Service) -> None:
    """Make an administrator where nobody could sign in, and say the password, this once."""
    from merger.accounts import users

    if service.settings.oidc_issuer:
        return
    account = users.create_first_account(service.engine)
    if account is None:
        return
    address, password = account
    # To whoever starts the service, past the log, which others read.
    print(
        f"Nobody could sign in yet. There is an administrator now:\n"
        f"    address   {address}\n"
        f"    password  {password}\n"
        f"It is shown this once. For another one: python app.py set-password {address}",
        file=sys.stderr,
        flush=True,
    )
