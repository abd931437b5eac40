"""Commands about discovered recordings: list them, match them again."""

from __future__ import annotations

import argparse

from commands.base import Context, Printed, check_utf8, database, load_settings, say
from merger.logs import printable


def offers(options: argparse.Namespace, context: Context) -> Printed:
    """List discovered recordings, or match them again with the timetable."""
    return _again(options, context) if options.again else _listing(options)


def _listing(options: argparse.Namespace) -> Printed:
    from merger.intake import discovered_rows

    chosen = discovered_rows.Filter(state=options.state)
    found, _ = discovered_rows.page_of_discovered(database(), chosen, limit=options.limit or 100)
    lines = [
        say(
            "offer", id=row["id"], at=(row["start"] or row["offered_at"])[:16].replace("T", " "),
            address=row["address"], name=row["name"], state=row["state"],
            record=row["record"] or "-", reason=row["reason"] or "",
        ).rstrip()
        for row in found
    ]  # fmt: skip
    return {"offers": found}, "\n".join(map(printable, lines or [say("no_offers")]))


def _again(options: argparse.Namespace, context: Context) -> Printed:
    from merger.i18n import to_json
    from merger.intake.again import match_again

    service = context.create_service(load_settings(), database())
    found = match_again(service, options.state, options.limit)
    changed = [row for row in found if row.is_changed]
    document = {
        "matched": len(found),
        "offers": [
            {
                "id": row.id, "name": row.name, "record": row.record, "is_changed": row.is_changed,
                "reason": str(row.reason) if row.reason else None,
                "reason_message": to_json(row.reason) if row.reason else None,
            }
            for row in found
        ],
    }  # fmt: skip
    lines = [
        say("offer_matched", id=row.id, name=row.name, record=row.record or "-") for row in changed
    ]
    lines.append(say("offers_matched", count=len(found), changed=len(changed)))
    return document, "\n".join(map(printable, lines))


def where(options: argparse.Namespace, context: Context) -> Printed:
    """Find a lecture, and say what became of its recordings."""
    from commands import tables
    from merger.intake import where

    check_utf8(options, "text")
    service = context.create_service(load_settings(), database())
    document = where.find(service, " ".join(options.text), None, limit=options.limit)
    return document, tables.where_page(document)
