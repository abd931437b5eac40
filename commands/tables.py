"""What the commands of the service print for people, in English. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from commands.base import say
from merger import i18n
from merger.logs import printable


def records_table(records: Sequence[Mapping[str, Any]]) -> str:
    """Return recordings as lines of a table."""
    if not records:
        return say("no_recordings")
    rows = [("ID", "STATUS", "ROOM", "START", "END", "NAME")]
    rows += [
        (
            str(r["id"]), state_words(r), r["room"] or "-", _moment(r["start"]),
            _moment(r["end"])[11:], r["name"],
        )
        for r in records
    ]  # fmt: skip
    return columns(rows)


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as lines of a table; the last column may be as wide as it likes."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]) - 1)]
    return "\n".join(
        printable(
            "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]])
        )
        for row in rows
    )


def state_words(record: Mapping[str, Any]) -> str:
    """Return the state of a recording in a few words."""
    status = str(record["status"])
    if status == "running":
        return f"{record['stage']} {100 * record['progress']:.0f} %"
    if status == "queued" and record["run_after"]:
        return say("queued_for", instant=record["run_after"][:16].replace("T", " "))
    return status


def record_page(record: Mapping[str, Any]) -> str:
    """Return all details of a recording as lines."""
    start, end = _moment(record["start"]), _moment(record["end"])[11:]
    lines = [
        say("page.title", record=record["id"], name=record["name"]),
        "  "
        + say("page.when", room=record["room"] or "-", start=start, end=end, zone=record["zone"]),
        f"  {_label('layout', record['layout'])}, {_label('profile', record['profile'])}",
        "  " + say("page.state", state=state_words(record), version=record["version"]),
    ]
    if record["users"]:
        lines.append("  " + say("page.requested_by", users=tuple(record["users"])))
    if error := record["error"]:
        lines.append("  " + say("page.error", code=error["code"], message=error["message"]))
    lines += ["  " + say("page.warning", message=text) for text in record["warnings"]]
    lines += [
        "  "
        + say(
            "page.chunk",
            start=_moment(c["start"]),
            verdict=_label("verdict", c["verdict"]),
            count=c["samples"],
        )
        for c in record["chunks"]
    ]
    lines += [
        "  "
        + say(
            "page.delivery",
            kind=_label("rendition", d["kind"]),
            destination=_label("destination", d["destination"]),
            state=d["status"],
        )
        + (f" {d['link']}" if d["link"] else "")
        for d in record["deliveries"]
    ]
    lines.append("  " + say("page.history"))
    lines += [
        f"    {e['at'][:19]} {_label('event', e['kind'])}: {e['text']}" for e in record["events"]
    ]
    return "\n".join(printable(line) for line in lines)


def rooms_table(rooms: Sequence[Mapping[str, Any]]) -> str:
    """Return rooms and their sources as lines."""
    if not rooms:
        return say("no_rooms")
    lines = []
    for room in rooms:
        lines.append(f"{room['name']} ({room['zone']})")
        lines += [
            f"  {s['role']}: {s['name']} ({s['kind']}, {s['address']})" for s in room["sources"]
        ]
    return "\n".join(printable(line) for line in lines)


def _label(group: str, value: str) -> str:
    """Return what the pages call a value of a column."""
    key = f"{group}.{value}"
    return i18n.say(i18n.SOURCE, key) if i18n.has(key) else value


def _moment(instant: str) -> str:
    """Return an instant without its offset, and without seconds where there are none."""
    return instant[: 16 if instant[16:19] == ":00" else 19].replace("T", " ")


def where_page(answer: Mapping[str, Any]) -> str:
    """Return where a lecture is as lines."""
    lines = [answer["note"]] if answer["note"] else []
    for meeting in answer["meetings"]:
        lines.append("  ".join(filter(None, (meeting["number"], meeting["room"], meeting["live"]))))
        lines += [f"  {one['name']}  {one['next'] or '-'}" for one in meeting["timetable"]]
        for one in meeting["recordings"]:
            record, offer = one["record"], one["offer"]
            if record is not None:
                what = f"{record['id']}  {record['status']}  {record['name']}"
            else:
                what = f"-  {offer['state']}  {offer['name']}  {offer['reason'] or ''}".rstrip()
            lines.append(f"  {_moment(one['start'])}  {what}")
            lines += [f"    {_moment(line['at'])}  {line['text']}" for line in one["history"]]
    return "\n".join(map(printable, lines))
