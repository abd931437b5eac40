"""Settings from the environment, read once: the only module that looks at it.

What a room records is data, not configuration. The table in docs/operating.md and `.env.example`
are generated from the fields here (`python -m merger.config`), and a test fails when they differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from merger.errors import Refused
from merger.i18n import languages

Language = str  # one that has a catalogue: of i18n.languages()
EncoderChoice = Literal["auto", "software", "nvenc", "vaapi"]


def _text(text: str) -> str:
    return text


def _folder(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise ValueError("there is no such home folder; write an absolute path") from error


class Secret:
    """A text that must not be seen: it prints as ***."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text, for the one place that needs it."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "***"


def _count(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return read


def _seconds(least: float, most: float) -> Callable[[str], timedelta]:
    def read(text: str) -> timedelta:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text):
            raise ValueError("write a number of seconds")
        if not least <= float(text) <= most:
            raise ValueError(f"from {least:g} to {most:g} seconds")
        return timedelta(seconds=float(text))

    return read


def _days(text: str) -> timedelta:
    return timedelta(days=_count(0, 3650)(text))


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)\s*([KMGT]?)i?B?", text.strip(), re.IGNORECASE)
    if not match:
        raise ValueError("write a number of bytes, like 20G")
    power = " KMGT".index(match[2].upper() or " ")
    value = int(match[1]) * int(1024**power)
    if value < 64 * 1024**2:
        raise ValueError("at least 64M, or no part survives until it is needed")
    return value


def _path_or_none(text: str) -> Path | None:
    return _folder(text) if text else None


def _one_of(*names: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return text

    return read


def _language(text: str) -> Language:
    return _one_of(*languages())(text)


def _yes_or_no(text: str) -> bool:
    return _one_of("yes", "no")(text) == "yes"


def _web_address(text: str) -> str:
    if text and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", text):
        raise ValueError("write it like https://lectures.example.edu")
    return text.rstrip("/")


def _hook_address(text: str) -> str:
    if text and not re.fullmatch(r"https?://[^\s/@#]+(/[^\s#]*)?", text):
        raise ValueError("write it like https://chat.example.edu/hooks/lectures")
    return text


def _mail_server(text: str) -> str:
    if text and not re.fullmatch(r"smtps?://([^\s/:@]+@)?[^\s/:@]+(:\d{1,5})?/?", text):
        raise ValueError(
            "write it like smtp://user@mail.example.edu:587; the password has a variable of its own"
        )
    port = re.search(r":(\d+)/?$", text)
    if port and not 1 <= int(port[1]) <= 65535:
        raise ValueError("a port is a number from 1 to 65535")
    return text.rstrip("/")


def _mail_address(text: str) -> str:
    word = r"[\w!#$%&'*+/=?^`{|}~-]+"
    if text and not re.fullmatch(rf"{word}(\.{word})*@[\w-]+(\.[\w-]+)*", text, re.ASCII):
        raise ValueError("write it like lectures@example.edu")
    return text


def _domains(text: str) -> tuple[str, ...]:
    names = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    for name in names:
        if not re.fullmatch(r"[\w-]+(\.[\w-]+)+", name):
            raise ValueError("write domains with commas between them, like example.edu")
    return names


def _setting(variable: str, default: str, read: Callable[[str], Any], unit: str, about: str) -> Any:
    return field(
        metadata={
            "variable": variable,
            "default": default,
            "read": read,
            "unit": unit,
            "about": about,
        }
    )


@dataclass(frozen=True)
class Settings:
    """What the operator decides, for a whole process."""

    ffmpeg: str = _setting(
        "MERGER_FFMPEG",
        "",
        _text,
        "path or name",
        "The ffmpeg program, 5.1 or newer; empty for the one that imageio-ffmpeg carries.",
    )
    cache: Path = _setting(
        "MERGER_CACHE",
        "~/.cache/lecture-merger",
        _folder,
        "folder",
        "Where finished parts are kept, so that nothing is encoded twice.",
    )
    cache_bytes: int = _setting(
        "MERGER_CACHE_BYTES",
        "20G",
        _bytes,
        "bytes, at least 64M",
        "How much the cache may hold; parts not used for longest go first.",
    )
    encoder: EncoderChoice = _setting(
        "MERGER_ENCODER",
        "auto",
        _one_of("auto", "software", "nvenc", "vaapi"),
        "auto, software, nvenc, vaapi",
        "What encodes H.264; auto tries the hardware with one frame and falls back to software.",
    )
    language: Language = _setting(
        "MERGER_LANGUAGE", "en", _language, ", ".join(languages()),
        "The language of the slates in the video, of announcements, and of mails to those whose"
        " language is not known.",
    )  # fmt: skip

    data: Path = _setting(
        "MERGER_DATA", "~/.local/share/lecture-merger", _folder, "folder",
        "Where the service keeps its database, collected segments and finished videos.",
    )  # fmt: skip
    output: Path | None = _setting(
        "MERGER_OUTPUT", "", _path_or_none, "folder",
        "Where the service delivers videos; empty for `merged` in MERGER_DATA.",
    )  # fmt: skip
    database: Secret = _setting(
        "SQLALCHEMY_DATABASE_URI", "", Secret, "URL",
        "The database, like mysql+pymysql://user:password@host/name; empty: SQLite in MERGER_DATA.",
    )  # fmt: skip
    allow_local_cameras: bool = _setting(
        "MERGER_ALLOW_LOCAL_CAMERAS", "no", _yes_or_no, "yes, no",
        "Whether cameras may be at addresses of this machine or its link (127.0.0.1, 169.254.…).",
    )  # fmt: skip
    workers: int = _setting(
        "MERGER_WORKERS", "1", _count(1, 64), "1 to 64",
        "How many records the daemon works on at a time.",
    )  # fmt: skip
    parallel: int = _setting(
        "MERGER_PARALLEL", "0", _count(0, 64), "0 to 64",
        "How many parts are encoded at once, by all workers together; 0 for one per four cores.",
    )  # fmt: skip
    poll: timedelta = _setting(
        "MERGER_POLL", "10", _seconds(0.1, 3600), "seconds, 0.1 to 3600",
        "How often the daemon looks for records that are due.",
    )  # fmt: skip
    lease: timedelta = _setting(
        "MERGER_LEASE", "60", _seconds(1, 3600), "seconds, 1 to 3600",
        "For how long a record stays with a worker that gives no sign of life; it gives one four"
        " times as often.",
    )  # fmt: skip
    keep_segments: timedelta = _setting(
        "MERGER_KEEP_SEGMENTS_DAYS", "14", _days, "days, 0 to 3650",
        "How long collected segments stay in MERGER_DATA; longer while a record needs them.",
    )  # fmt: skip
    keep_segments_share: int = _setting(
        "MERGER_KEEP_SEGMENTS_SHARE", "50", _count(1, 100), "percent, 1 to 100",
        "How much of the disk of MERGER_DATA collected segments may hold; beyond it the oldest that"
        " no record needs go sooner.",
    )  # fmt: skip
    keep_videos: timedelta = _setting(
        "MERGER_KEEP_VIDEOS_DAYS", "0", _days, "days, 0 to 3650",
        "How long finished videos stay in MERGER_DATA after their delivery; 0 for ever.",
    )  # fmt: skip

    host: str = _setting(
        "MERGER_HOST", "127.0.0.1", _text, "address",
        "Where the web service listens; 0.0.0.0 for all of this machine's addresses.",
    )  # fmt: skip
    port: int = _setting(
        "MERGER_PORT", "8080", _count(0, 65535), "0 to 65535",
        "The port of the web service.",
    )  # fmt: skip
    web_address: str = _setting(
        "MERGER_WEB_ADDRESS", "", _web_address, "URL",
        "How people reach the web service, like https://lectures.example.edu; with https, cookies"
        " are sent over it alone.",
    )  # fmt: skip
    trusted_proxy: str = _setting(
        "MERGER_TRUSTED_PROXY", "", _text, "address",
        "The address of a proxy in front of the web service, whose X-Forwarded-… are believed.",
    )  # fmt: skip
    oidc_issuer: str = _setting(
        "MERGER_OIDC_ISSUER", "", _web_address, "URL",
        "Who tells us who people are (OpenID Connect), like https://accounts.google.com.",
    )  # fmt: skip
    oidc_client: str = _setting(
        "MERGER_OIDC_CLIENT_ID", "", _text, "text",
        "How the issuer knows this service.",
    )  # fmt: skip
    oidc_secret: Secret = _setting(
        "MERGER_OIDC_CLIENT_SECRET", "", Secret, "text",
        "The secret that the issuer gave to this service.",
    )  # fmt: skip
    oidc_domains: tuple[str, ...] = _setting(
        "MERGER_OIDC_DOMAINS", "", _domains, "domains, by commas",
        "Whose verified addresses may sign in, like example.edu; others only when invited.",
    )  # fmt: skip
    zoom_credentials: Secret = _setting(
        "MERGER_ZOOM_CREDENTIALS", "", Secret, "account_id:client_id:client_secret",
        "A server-to-server OAuth app of Zoom, for sources that have no credentials of their own.",
    )  # fmt: skip
    zoom_hook_secret: Secret = _setting(
        "MERGER_ZOOM_HOOK_SECRET", "", Secret, "text",
        "The secret token of the Zoom app, by which /hooks/zoom knows who calls; empty: nobody.",
    )  # fmt: skip
    zoom_api: str = _setting(
        "MERGER_ZOOM_API", "https://api.zoom.us/v2", _web_address, "URL",
        "Where Zoom's API is; https://api.zoomgov.com/v2 for governments.",
    )  # fmt: skip
    zoom_oauth: str = _setting(
        "MERGER_ZOOM_OAUTH", "https://zoom.us/oauth/token", _web_address, "URL",
        "Where Zoom gives tokens.",
    )  # fmt: skip
    zoom_hosts: tuple[str, ...] = _setting(
        "MERGER_ZOOM_HOSTS", "zoom.us,zoomgov.com", _domains, "domains, by commas",
        "From where, and from below which, recordings are loaded; an address that stands here may"
        " be of this machine.",
    )  # fmt: skip
    google_credentials: Path | None = _setting(
        "MERGER_GOOGLE_CREDENTIALS", "", _path_or_none, "file",
        "The JSON of a service account's key, or of a user's token; empty: nothing of Google is"
        " used. See docs/google.md.",
    )  # fmt: skip
    google_subject: str = _setting(
        "MERGER_GOOGLE_SUBJECT", "", _text, "address",
        "The user of the domain for whom the service account acts (domain-wide delegation).",
    )  # fmt: skip
    google_address: str = _setting(
        "MERGER_GOOGLE_ADDRESS", "", _web_address, "URL",
        "Where all of Google is taken to be; empty for where it is. For trials without an account.",
    )  # fmt: skip
    drive_folder: str = _setting(
        "MERGER_DRIVE_FOLDER", "root", _text, "id of a folder",
        "The folder of Drive below which rooms without a folder of their own get one.",
    )  # fmt: skip
    drive_tells: bool = _setting(
        "MERGER_DRIVE_TELLS", "no", _yes_or_no, "yes, no",
        "Whether Drive itself writes to people that they may read a video.",
    )  # fmt: skip
    courses_sheet: str = _setting(
        "MERGER_COURSES_SHEET", "", _text, "id of a spreadsheet",
        "A sheet with codes of courses and their ids in Classroom, in two columns.",
    )  # fmt: skip
    courses_range: str = _setting(
        "MERGER_COURSES_RANGE", "A2:B", _text, "range",
        "Where the codes and ids stand in that sheet.",
    )  # fmt: skip
    mail_server: str = _setting(
        "MERGER_MAIL_SERVER", "", _mail_server, "URL",
        "Who takes our mails, like smtp://user@mail.example.edu:587 or smtps://mail.example.edu;"
        " empty: no mails are sent.",
    )  # fmt: skip
    mail_password: Secret = _setting(
        "MERGER_MAIL_PASSWORD", "", Secret, "text",
        "The password of the user in MERGER_MAIL_SERVER.",
    )  # fmt: skip
    mail_from: str = _setting(
        "MERGER_MAIL_FROM", "", _mail_address, "address",
        "From whom mails are, like lectures@example.edu.",
    )  # fmt: skip
    mail_redirect: str = _setting(
        "MERGER_MAIL_REDIRECT", "", _mail_address, "address",
        "To whom all mails go instead, for trials; the subject says whom each was for.",
    )  # fmt: skip
    webhook_url: str = _setting(
        "MERGER_WEBHOOK_URL", "", _hook_address, "URL",
        "Who is told of ready and failed records by a signed POST, such as a chat bot.",
    )  # fmt: skip
    webhook_secret: Secret = _setting(
        "MERGER_WEBHOOK_SECRET", "", Secret, "text",
        "With what those calls are signed: docs/operating.md.",
    )  # fmt: skip
    log_form: Literal["text", "json"] = _setting(
        "MERGER_LOG", "text", _one_of("text", "json"), "text, json",
        "How the log is written to stderr: a line of text, or a JSON object in a line.",
    )  # fmt: skip

    @property
    def database_address(self) -> str:
        """The address of the database, which may hold a password."""
        return self.database.reveal() or f"sqlite:///{self.data / 'merger.db'}"

    @property
    def recorded(self) -> Path:
        """The folder of what is recorded live, below that of the service."""
        return self.data / "recorded"

    @property
    def destination(self) -> Path:
        """The folder that videos are delivered to."""
        return self.output or self.data / "merged"


def wants_trace(environ: Mapping[str, str]) -> bool:
    """Return whether a mistake in the program is to show where it happened."""
    return bool(environ.get("MERGER_DEBUG"))


def load(environ: Mapping[str, str]) -> Settings:
    """Return the settings. Raises Refused, which names every mistake at once."""
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for f in fields(Settings):
        about = f.metadata
        text = about["default"]
        try:
            text = _said(environ, about["variable"]) or text
            values[f.name] = about["read"](text)
        except ValueError as error:
            shown = "***" if about["read"] is Secret else repr(text)
            mistakes.append(f"{about['variable']}={shown}: {error}")
    if not mistakes and values["oidc_issuer"] and not values["oidc_client"]:
        mistakes.append("MERGER_OIDC_CLIENT_ID: the issuer gave one; without it nobody signs in")
    if not mistakes and values["mail_server"] and not values["mail_from"]:
        mistakes.append("MERGER_MAIL_FROM: say from whom mails are, like lectures@example.edu")
    if not mistakes and values["webhook_url"] and not values["webhook_secret"]:
        mistakes.append("MERGER_WEBHOOK_SECRET: without it, nobody can tell our calls from others")
    if mistakes:
        raise Refused("config", "; ".join(mistakes))
    return Settings(**values)


def _said(environ: Mapping[str, str], variable: str) -> str:
    """Return what the environment says; `…_FILE` names a file that holds it, as for secrets."""
    text = environ.get(variable, "").strip()
    file = environ.get(f"{variable}_FILE", "").strip()
    if text or not file:
        return text
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{variable}_FILE={file} cannot be read ({error})") from error


def secrets(environ: Mapping[str, str]) -> Callable[[str], str | None]:
    """Return what gives the value of a variable that a file of rooms names."""

    def secret(variable: str) -> str | None:
        try:
            return _said(environ, variable) or None
        except ValueError as error:
            raise Refused("config", str(error)) from error

    return secret


def table() -> str:
    """Return the settings as a Markdown table."""
    rows = ["| variable | default | values | what it does |", "|---|---|---|---|"]
    for f in fields(Settings):
        about = f.metadata
        default = f"`{about['default']}`" if about["default"] else "(empty)"
        rows.append(f"| `{about['variable']}` | {default} | {about['unit']} | {about['about']} |")
    return "\n".join(rows) + "\n"


def example() -> str:
    """Return the text of `.env.example`."""
    return "\n".join(
        f"# {f.metadata['about']} ({f.metadata['unit']})\n"
        f"#{f.metadata['variable']}={f.metadata['default']}\n"
        for f in fields(Settings)
    )


if __name__ == "__main__":
    print(table())
    print(example())
