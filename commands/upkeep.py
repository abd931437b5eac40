"""Commands of the operator: tables, rooms and people."""

from __future__ import annotations

import argparse
import getpass
import signal
import sys
from typing import TYPE_CHECKING, Any

from commands.base import (
    Context,
    Printed,
    close_to_others,
    connected,
    database,
    load_settings,
    now,
    say,
)
from commands.google import set_up_room
from merger.errors import Cancelled, Invalid, Refused
from merger.i18n import to_json
from merger.logs import printable

if TYPE_CHECKING:
    from sqlalchemy import Engine


def init_db(_: argparse.Namespace, __: Context) -> Printed:
    """Create the tables, or bring them up to date; encrypt the secrets in there."""
    from commands.connections import remember_hosts, remember_no_hosts
    from merger.db.encryption import encrypt_secrets, ensure_key, erase_remains
    from merger.db.schema import state, upgrade
    from merger.records.access.mode import begin_with_asking

    settings = load_settings()
    engine = connected(settings)
    is_new = state(engine) == "empty"
    done = upgrade(engine)
    close_to_others(settings)
    ensure_key(engine)
    count = encrypt_secrets(engine)
    if is_new:
        remember_no_hosts(engine)
        begin_with_asking(engine)
    else:
        remember_hosts(settings, engine)
    lines = [say("applied", names=tuple(done)) if done else say("tables_are_current")]
    if count:
        lines.append(say("encrypted", count=count, file=str(settings.secret_file)))
        if not erase_remains(engine):
            lines.append(say("remains"))
    return {"applied": done, "encrypted": count}, "\n".join(lines)


def rotate_key(options: argparse.Namespace, _: Context) -> Printed:
    """Encrypt the secrets with a new key, or remove those whose key is lost."""
    from merger.db.encryption import change_key, forget_secrets
    from merger.db.schema import require_current

    settings = load_settings()
    if options.lost:
        engine = connected(settings)
        require_current(engine)
        count = forget_secrets(engine)
        return {"removed": count}, say("secrets_removed", count=count)
    count = change_key(database(settings))
    text = say("key_changed", count=count, file=str(settings.secret_file))
    return {"encrypted": count}, text


def rooms(options: argparse.Namespace, context: Context) -> Printed:
    """List the rooms, import them from a file, or set one up at Google."""
    if options.action == "google-setup":
        return set_up_room(options, context)
    from commands import tables
    from merger.config import secrets
    from merger.rooms import spec, yaml_file
    from merger.rooms import store as stored
    from recorders.registry import kinds

    engine = database()
    if options.action is None:
        there = stored.rooms_document(engine)
        return {"rooms": there}, tables.rooms_table(there)
    try:
        text = options.file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", "") or str(error)
        raise Refused(
            "file", "commands.file_unreadable", file=str(options.file), why=why
        ) from error
    specs = yaml_file.parse_rooms(text, kinds(), secrets())
    for warning in spec.warnings(specs):
        print(printable(say("warning", message=warning)), file=sys.stderr)
    if options.dry_run:
        changes = stored.differences(engine, specs)
        removed = tuple(stored.removals(engine, specs))
        if removed and not options.remove:
            needs = say("needs_remove", sources=removed)
            print(printable(say("warning", message=needs)), file=sys.stderr)
    else:
        changes = stored.apply_rooms(engine, specs, may_remove=options.remove)
    lines = [
        say("would_have", change=change) if options.dry_run else str(change) for change in changes
    ]
    result = {
        "changes": [str(change) for change in changes],
        "change_messages": [to_json(change) for change in changes], "dry_run": options.dry_run,
    }  # fmt: skip
    return result, "\n".join(lines or [say("no_changes")])


def user(options: argparse.Namespace, _: Context) -> Printed:
    """Let somebody sign in, or change their role."""
    from merger.accounts import users

    engine, domains = database(), load_settings().oidc_domains
    there = users.get_user_by_address(engine, options.email)
    if there is None:
        person, _is_new = users.invite_user(engine, options.email, None, options.role, domains)
    else:
        changes = {"role": options.role, "invited": True}
        person = users.change_user(engine, there["id"], changes, domains)
    return person, say("can_sign_in", email=person["email"], rights=person["role"])


def release_account(options: argparse.Namespace, _: Context) -> Printed:
    """Unbind somebody from the account at an OpenID provider with which they sign in."""
    from merger.accounts import users

    engine = database()
    person = users.release_accounts(engine, _person(engine, options.email)["id"])
    return person, say("account_released", email=person["email"])


def _person(engine: Engine, email: str) -> dict[str, Any]:
    """Return the user who has an address. Raises Refused where there is none."""
    from merger.accounts import users

    person = users.get_user_by_address(engine, email)
    if person is None:
        raise Refused("email", "commands.no_user", email=email)
    return person


def set_password(options: argparse.Namespace, _: Context) -> Printed:
    """Set somebody's password."""
    from merger.accounts import users

    engine = database()
    person = _person(engine, options.email)
    users.set_password(engine, person["id"], _read_password(person["email"]))
    users.change_user(engine, person["id"], {"invited": True})  # or they could not use it
    return {"id": person["id"]}, say("password_set", email=person["email"])


def password_link(options: argparse.Namespace, _: Context) -> Printed:
    """Print a link with which somebody sets their password."""
    from urllib.parse import urlencode

    from merger.accounts import password_links

    settings, engine, at = load_settings(), database(), now()
    person = _person(engine, options.email)
    token = password_links.create_token(engine, person["id"], at, settings.oidc_domains)
    web = settings.web_address or f"http://{settings.host}:{settings.port}"
    link = f"{web}/login/password?{urlencode({'token': token})}"
    result = {
        "email": person["email"], "link": link,
        "expires_at": (at + password_links.LASTS).isoformat(),
    }  # fmt: skip
    return result, link


def _read_password(email: str) -> str:
    """Read a password that is typed twice, or comes through a pipe."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    # Ctrl-C ends the typing, and the terminal shows again what is typed.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        password = getpass.getpass(say("new_password", email=email))
        again = getpass.getpass(say("repeat_password"))
    except (KeyboardInterrupt, EOFError) as error:
        raise Cancelled("cancelled", "commands.nothing_changed") from error
    if password != again:
        raise Invalid("password", "commands.passwords_differ")
    return password
