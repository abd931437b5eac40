"""Commands of whoever runs the service: tables, rooms, people, and what is missing."""

from __future__ import annotations

import argparse
import getpass
import os
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from commands.base import BROKEN, DONE, Context, Printed, database, now, settings
from commands.google import findings_of, set_up_room
from merger import config
from merger.config import Settings
from merger.errors import Cancelled, Refused
from merger.logs import printable

if TYPE_CHECKING:
    from merger.monitoring.doctor import Finding


def init_db(_: argparse.Namespace, __: Context) -> Printed:
    """Make the tables, or bring them up to date."""
    from merger.db.engine import connect
    from merger.db.schema import upgrade

    done = upgrade(connect(settings().database_address))
    text = f"applied {', '.join(done)}" if done else "the tables are up to date"
    return {"applied": done}, text


def check(options: argparse.Namespace, context: Context) -> Printed:
    """Explain what is missing."""
    from merger.db.engine import connect
    from merger.monitoring import doctor

    known = settings()
    engine = connect(known.database_address)
    # Without Google, so that all the rest is told, too, where we are not let in there.
    plain = replace(known, google_credentials=None)
    recorder_of = context.create_service(plain, engine).recorder_of
    findings = [*doctor.check(known, engine, recorder_of, now), *findings_of(known), *_mail(known)]
    context.exit = BROKEN if any(f.level == "broken" for f in findings) else DONE
    document = {"findings": [{"what": f.what, "level": f.level, "text": f.text} for f in findings]}
    return document, "\n".join(printable(f"{f.level:8} {f.what}: {f.text}") for f in findings)


def _mail(known: Settings) -> list[Finding]:
    if not known.mail_server:
        return []
    from merger.monitoring.doctor import Finding
    from merger.notifications import smtp

    server = smtp.server_of(known.mail_server, known.mail_password.reveal())
    ok, text = smtp.check_server(replace(server, timeout_s=10.0))
    return [Finding("mail", "ok" if ok else "broken", text)]


def rooms(options: argparse.Namespace, context: Context) -> Printed:
    """List the rooms, import them from a file, or set one up at Google."""
    if options.action == "google-setup":
        return set_up_room(options, context)
    from commands import tables
    from merger.rooms import spec, yaml_file
    from merger.rooms import store as stored
    from recorders.registry import kinds

    engine = database()
    if options.action is None:
        found = stored.rooms_document(engine)
        return {"rooms": found}, tables.rooms_table(found)
    try:
        text = options.file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused("file", f"{options.file} cannot be read ({error})") from error
    specs = yaml_file.parse_rooms(text, kinds(), config.secrets(os.environ))
    for warning in spec.warnings(specs):
        print(f"warning: {printable(str(warning))}", file=sys.stderr)
    changes = (
        stored.differences(engine, specs) if options.dry_run else stored.apply_rooms(engine, specs)
    )
    texts = [printable(str(change)) for change in changes]
    words = [f"would have {text}" if options.dry_run else text for text in texts]
    return {"changes": texts, "dry_run": options.dry_run}, "\n".join(words or ["no change"])


def user(options: argparse.Namespace, _: Context) -> Printed:
    """Let somebody sign in, or change their role."""
    from merger.accounts import users

    engine, domains = database(), settings().oidc_domains
    known = users.get_user_by_address(engine, options.email)
    if known is None:
        told, _is_new = users.invite_user(engine, options.email, None, options.role, domains)
    else:
        changes = {"role": options.role, "invited": True}
        told = users.change_user(engine, known["id"], changes, domains)
    return told, f"{told['email']} may sign in, as {told['role']}"


def set_password(options: argparse.Namespace, _: Context) -> Printed:
    """Give somebody another password."""
    from merger.accounts import users

    engine = database()
    known = users.get_user_by_address(engine, options.email)
    if known is None:
        add = f"python app.py user {options.email} --role user"
        raise Refused("email", f"there is no user {options.email}; add them with: {add}")
    users.set_password(engine, known["id"], _typed_password(known["email"]))
    users.change_user(engine, known["id"], {"invited": True})  # or it would be good for nothing
    return {"id": known["id"]}, f"{known['email']} has another password; old sessions have ended"


def _typed_password(email: str) -> str:
    """Return a password that was typed twice, or came through a pipe."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    # Ctrl-C ends the typing, and the terminal shows again what is typed.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        password = getpass.getpass(f"New password of {email}: ")
        again = getpass.getpass("The same once more: ")
    except (KeyboardInterrupt, EOFError) as error:
        raise Cancelled("cancelled", "nothing was changed") from error
    if password != again:
        raise Refused("password", "the second was another one; nothing was changed")
    return password
