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

Language = Literal["en", "ru"]
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
        "The ffmpeg program, 5.1 or newer; if empty, the one that comes with imageio-ffmpeg.",
    )
    cache: Path = _setting(
        "MERGER_CACHE",
        "~/.cache/lecture-merger",
        _folder,
        "folder",
        "Where finished parts are kept so that nothing is encoded twice.",
    )
    cache_bytes: int = _setting(
        "MERGER_CACHE_BYTES",
        "20G",
        _bytes,
        "bytes, at least 64M",
        "The maximum size of the cache; the least recently used parts are removed first.",
    )
    encoder: EncoderChoice = _setting(
        "MERGER_ENCODER",
        "auto",
        _one_of("auto", "software", "nvenc", "vaapi"),
        "auto, software, nvenc, vaapi",
        "The H.264 encoder; auto tests the hardware with one frame and falls back to software.",
    )
    language: Language = _setting(
        "MERGER_LANGUAGE", "en", _one_of("en", "ru"), "en, ru",
        "The language of slates in the video, of announcements, and of mails to people whose"
        " language is unknown.",
    )  # fmt: skip

    data: Path = _setting(
        "MERGER_DATA", "~/.local/share/lecture-merger", _folder, "folder",
        "Where the service keeps its SQLite database, collected segments and finished videos.",
    )  # fmt: skip
    output: Path | None = _setting(
        "MERGER_OUTPUT", "", _path_or_none, "folder",
        "Where the service delivers videos; if empty, `merged` in MERGER_DATA.",
    )  # fmt: skip
    database: Secret = _setting(
        "SQLALCHEMY_DATABASE_URI", "", Secret, "URL",
        "The database, like mysql+pymysql://user:password@host/name; if empty, SQLite in"
        " MERGER_DATA.",
    )  # fmt: skip
    allow_local_cameras: bool = _setting(
        "MERGER_ALLOW_LOCAL_CAMERAS", "no", _yes_or_no, "yes, no",
        "Whether cameras may have loopback or link-local addresses (127.0.0.1, 169.254.…).",
    )  # fmt: skip
    workers: int = _setting(
        "MERGER_WORKERS", "1", _count(1, 64), "1 to 64",
        "How many recordings the daemon processes at a time.",
    )  # fmt: skip
    parallel: int = _setting(
        "MERGER_PARALLEL", "0", _count(0, 64), "0 to 64",
        "How many parts all workers together encode at once; 0 means one per four cores.",
    )  # fmt: skip
    poll: timedelta = _setting(
        "MERGER_POLL", "10", _seconds(0.1, 3600), "seconds, 0.1 to 3600",
        "How often the daemon looks for recordings that are due.",
    )  # fmt: skip
    lease: timedelta = _setting(
        "MERGER_LEASE", "60", _seconds(1, 3600), "seconds, 1 to 3600",
        "How long a worker may go without a heartbeat before its recording is given to another;"
        " heartbeats are four times as frequent.",
    )  # fmt: skip
    keep_segments: timedelta = _setting(
        "MERGER_KEEP_SEGMENTS_DAYS", "14", _days, "days, 0 to 3650",
        "How long collected segments stay in MERGER_DATA; longer if a recording still needs them.",
    )  # fmt: skip
    keep_segments_share: int = _setting(
        "MERGER_KEEP_SEGMENTS_SHARE", "50", _count(1, 100), "percent, 1 to 100",
        "How much of the disk of MERGER_DATA collected segments may fill; beyond that, the oldest"
        " that no recording needs are removed early.",
    )  # fmt: skip
    keep_videos: timedelta = _setting(
        "MERGER_KEEP_VIDEOS_DAYS", "0", _days, "days, 0 to 3650",
        "How long finished videos stay in MERGER_DATA after delivery; 0 means forever.",
    )  # fmt: skip

    host: str = _setting(
        "MERGER_HOST", "127.0.0.1", _text, "address",
        "The address on which the web service listens; 0.0.0.0 means all addresses.",
    )  # fmt: skip
    port: int = _setting(
        "MERGER_PORT", "8080", _count(0, 65535), "0 to 65535",
        "The port on which the web service listens; 0 means any free port.",
    )  # fmt: skip
    web_address: str = _setting(
        "MERGER_WEB_ADDRESS", "", _web_address, "URL",
        "The public address of the web service, like https://lectures.example.edu; with https,"
        " cookies are sent only over https.",
    )  # fmt: skip
    trusted_proxy: str = _setting(
        "MERGER_TRUSTED_PROXY", "", _text, "address",
        "The address of a reverse proxy whose X-Forwarded-… headers are trusted.",
    )  # fmt: skip
    oidc_issuer: str = _setting(
        "MERGER_OIDC_ISSUER", "", _web_address, "URL",
        "The OpenID Connect issuer for signing in, like https://accounts.google.com.",
    )  # fmt: skip
    oidc_client: str = _setting(
        "MERGER_OIDC_CLIENT_ID", "", _text, "text",
        "The client ID that the issuer gave to this service.",
    )  # fmt: skip
    oidc_secret: Secret = _setting(
        "MERGER_OIDC_CLIENT_SECRET", "", Secret, "text",
        "The client secret that the issuer gave to this service.",
    )  # fmt: skip
    oidc_domains: tuple[str, ...] = _setting(
        "MERGER_OIDC_DOMAINS", "", _domains, "domains, by commas",
        "Domains whose verified email addresses may sign in, like example.edu; others need an"
        " invitation.",
    )  # fmt: skip
    zoom_credentials: Secret = _setting(
        "MERGER_ZOOM_CREDENTIALS", "", Secret, "account_id:client_id:client_secret",
        "Credentials of a Zoom server-to-server OAuth app, for sources without their own.",
    )  # fmt: skip
    zoom_hook_secret: Secret = _setting(
        "MERGER_ZOOM_HOOK_SECRET", "", Secret, "text",
        "The secret token of the Zoom app, which authenticates calls of /hooks/zoom; if empty, all"
        " are refused.",
    )  # fmt: skip
    zoom_api: str = _setting(
        "MERGER_ZOOM_API", "https://api.zoom.us/v2", _web_address, "URL",
        "The address of Zoom's API; for Zoom for Government, https://api.zoomgov.com/v2.",
    )  # fmt: skip
    zoom_oauth: str = _setting(
        "MERGER_ZOOM_OAUTH", "https://zoom.us/oauth/token", _web_address, "URL",
        "The address at which Zoom issues tokens.",
    )  # fmt: skip
    zoom_hosts: tuple[str, ...] = _setting(
        "MERGER_ZOOM_HOSTS", "zoom.us,zoomgov.com", _domains, "domains, by commas",
        "Domains from which, subdomains included, recordings are downloaded; an IP address listed"
        " here may be a local one.",
    )  # fmt: skip
    google_credentials: Path | None = _setting(
        "MERGER_GOOGLE_CREDENTIALS", "", _path_or_none, "file",
        "The JSON file of a service account key or of a user's token; if empty, Google is not used."
        " See docs/google.md.",
    )  # fmt: skip
    google_subject: str = _setting(
        "MERGER_GOOGLE_SUBJECT", "", _text, "address",
        "The user on whose behalf the service account acts (domain-wide delegation).",
    )  # fmt: skip
    google_address: str = _setting(
        "MERGER_GOOGLE_ADDRESS", "", _web_address, "URL",
        "An address to use instead of Google's, for trials without an account; normally empty.",
    )  # fmt: skip
    drive_folder: str = _setting(
        "MERGER_DRIVE_FOLDER", "root", _text, "id of a folder",
        "The Drive folder in which rooms without a folder of their own get one.",
    )  # fmt: skip
    drive_tells: bool = _setting(
        "MERGER_DRIVE_TELLS", "no", _yes_or_no, "yes, no",
        "Whether Drive notifies people by email that a video was shared with them.",
    )  # fmt: skip
    courses_sheet: str = _setting(
        "MERGER_COURSES_SHEET", "", _text, "id of a spreadsheet",
        "A Google sheet with two columns: course codes and their Classroom IDs.",
    )  # fmt: skip
    courses_range: str = _setting(
        "MERGER_COURSES_RANGE", "A2:B", _text, "range",
        "The range of the codes and IDs in that sheet.",
    )  # fmt: skip
    mail_server: str = _setting(
        "MERGER_MAIL_SERVER", "", _mail_server, "URL",
        "The mail server, like smtp://user@mail.example.edu:587 or smtps://mail.example.edu; if"
        " empty, no mails are sent.",
    )  # fmt: skip
    mail_password: Secret = _setting(
        "MERGER_MAIL_PASSWORD", "", Secret, "text",
        "The password of the user in MERGER_MAIL_SERVER.",
    )  # fmt: skip
    mail_from: str = _setting(
        "MERGER_MAIL_FROM", "", _mail_address, "address",
        "The sender of mails, like lectures@example.edu.",
    )  # fmt: skip
    mail_redirect: str = _setting(
        "MERGER_MAIL_REDIRECT", "", _mail_address, "address",
        "Send all mails to this address instead, for trials; the subject names the real recipient.",
    )  # fmt: skip
    webhook_url: str = _setting(
        "MERGER_WEBHOOK_URL", "", _hook_address, "URL",
        "URL notified (signed POST) when a recording is ready or fails, such as a chat bot.",
    )  # fmt: skip
    webhook_secret: Secret = _setting(
        "MERGER_WEBHOOK_SECRET", "", Secret, "text",
        "The secret with which these notifications are signed; see docs/operating.md.",
    )  # fmt: skip
    log_form: Literal["text", "json"] = _setting(
        "MERGER_LOG", "text", _one_of("text", "json"), "text, json",
        "The format of the log on stderr: lines of text, or one JSON object per line.",
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
