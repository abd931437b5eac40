"""Settings from the environment, read once: the only module that looks at it.

What a room records is data, not configuration. The table in docs/operating.md and `.env.example`
are generated from the fields here (`python -m merger.config`), and a test fails when they differ.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from merger.errors import Refused
from merger.i18n import Message, from_json, languages, sentences, to_json
from merger.network.addresses import Purpose, listed_networks

Language = str
EncoderChoice = Literal["auto", "software", "nvenc", "vaapi"]
LogForm = Literal["text", "json"]
Access = Literal["", "ask", "open"]
Confinement = Literal["auto", "off"]
Unmatched = Literal["keep", "ignore"]

_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}
_SMALLEST_CACHE = 64 * 1024**2  # with less, no part survives until it is needed


class Secret(SecretStr):
    """A text that must not be seen: it prints as ***."""

    def _display(self) -> str:
        return "***"

    def reveal(self) -> str:
        """Return the text, for the one place that needs it."""
        return self.get_secret_value()


# --- what may be written --------------------------------------------------------------------------


def _require(pattern: str, text: str) -> re.Match[str]:
    match = re.fullmatch(pattern, text, re.ASCII)
    if match is None:
        raise ValueError(pattern)
    return match


def _seconds(text: str) -> timedelta:
    return timedelta(seconds=float(_require(r"\d{1,9}(\.\d{1,6})?", text)[0]))


def _length(text: str) -> timedelta:
    number, unit = _require(r"(\d{1,6})([smh])", text).groups()
    return int(number) * _UNITS[unit]


def _loudness(text: str) -> float | None:
    if text.lower() == "off":
        return None
    lufs = float(_require(r"-\d{2}(\.\d)?", text)[0])
    if not -30 <= lufs <= -10:
        raise ValueError(text)
    return lufs


def _days(text: str) -> timedelta:
    return timedelta(days=int(_require(r"\d{1,6}", text)[0]))


def _bytes(text: str) -> int:
    number, power = _require(r"(\d{1,18})\s*([KMGTkmgt]?)[iI]?[bB]?", text).groups()
    return int(number) * int(1024 ** " KMGT".index(power.upper() or " "))


def _absolute(path: Path | None) -> Path | None:
    try:
        return path and path.expanduser().absolute()
    except RuntimeError as error:  # nobody has that home folder
        raise ValueError(str(path)) from error


def _domains(text: str) -> tuple[str, ...]:
    names = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    for name in names:
        if not re.fullmatch(r"[\w-]+(\.[\w-]+)+", name):
            raise ValueError(name)
    return names


def _without_slash(address: str) -> str:
    return address.rstrip("/")


def _check_webhook_secret(secret: Secret) -> Secret:
    prefix, mark, key = secret.reveal().partition("whsec_")
    padding = "=" * (-len(key) % 4)
    if mark and not prefix and not base64.b64decode(key + padding, validate=True):
        raise ValueError("no key")
    return secret


def _check_https(address: Secret) -> Secret:
    _require(r"(https://[^\s/?#@]+(/[^\s#]*)?)?", address.reveal())
    return address


def _check_zone(name: str) -> str:
    try:
        return ZoneInfo(name).key if name else name
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(name) from error


def _check_language(name: str) -> str:
    if name not in languages():
        raise ValueError(name)
    return name


def _check_port(address: str) -> str:
    port = re.search(r":(\d+)$", address)
    if port and not 1 <= int(port[1]) <= 65535:
        raise ValueError(address)
    return address


Seconds = Annotated[timedelta, BeforeValidator(_seconds)]
Length = Annotated[timedelta, BeforeValidator(_length)]
Loudness = Annotated[float | None, BeforeValidator(_loudness)]
Days = Annotated[timedelta, BeforeValidator(_days)]
Bytes = Annotated[int, BeforeValidator(_bytes)]
Folder = Annotated[Path, AfterValidator(_absolute)]
MaybePath = Annotated[Path | None, BeforeValidator(lambda text: text or None),
                      AfterValidator(_absolute)]  # fmt: skip
Domains = Annotated[tuple[str, ...], BeforeValidator(_domains)]
Networks = Annotated[tuple[tuple[Purpose, IPv4Network | IPv6Network], ...],
                     BeforeValidator(listed_networks)]  # fmt: skip
WebAddress = Annotated[str, AfterValidator(_without_slash)]
MaybeDay = Annotated[date | None, BeforeValidator(lambda text: text or None)]
MailServer = Annotated[str, AfterValidator(_without_slash), AfterValidator(_check_port)]


@dataclass(frozen=True)
class Values:
    """What may be written for a setting. limits: of its field, as pydantic names them."""

    what: Message
    limits: Mapping[str, Any] = field(default_factory=dict)


def _between(least: int, most: int) -> Values:
    what = Message("config.values.whole_number", least=least, most=most)
    return Values(what, {"ge": least, "le": most})


def _seconds_between(least: float, most: float) -> Values:
    what = Message("config.values.seconds", least=f"{least:g}", most=f"{most:g}")
    return Values(what, {"ge": timedelta(seconds=least), "le": timedelta(seconds=most)})


def _lengths_until(hours: int) -> Values:
    what = Message("config.values.length", most=hours)
    return Values(what, {"le": timedelta(hours=hours)})


def _days_until(most: int) -> Values:
    what = Message("config.values.days", most=most)
    return Values(what, {"le": timedelta(days=most)})


def _choice(names: tuple[str, ...]) -> Values:
    return Values(Message("config.values.one_of", names=names))


def _shape(key: str, pattern: str) -> Values:
    return Values(Message(f"config.values.{key}"), {"pattern": f"^({pattern})?$"})


def _any(key: str) -> Values:
    return Values(Message(f"config.values.{key}"))


def _setting(variable: str, default: str, values: Values, about: str) -> Any:
    return Field(
        default, validate_default=True, validation_alias=variable, description=about,
        json_schema_extra={"what": to_json(values.what)}, **values.limits,
    )  # fmt: skip


def _what(setting: FieldInfo) -> Message:
    """Return what may be written for a setting."""
    assert isinstance(setting.json_schema_extra, dict)
    return from_json(setting.json_schema_extra["what"])


# --- the settings ---------------------------------------------------------------------------------

_HTTP = r"https?://[^\s/?#@]+(/[^\s?#]*)?"
_WORD = r"[A-Za-z0-9_!#$%&'*+/=?^`{|}~-]+"
_EMAIL = rf"{_WORD}(\.{_WORD})*@[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*"

FOLDER = _any("folder")
SECRET = _any("secret")
TEXT = _any("text")
DOMAINS = _any("domains")
YES_NO = _any("yes_no")
WEB_ADDRESS = _shape("web_address", _HTTP)
EMAIL = _shape("email", _EMAIL)


class Settings(BaseSettings):
    """What the operator decides, for a whole process."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    ffmpeg: str = _setting(
        "MERGER_FFMPEG", "", _any("program"),
        "The ffmpeg program, 5.1 or newer; if empty, the one that comes with imageio-ffmpeg.",
    )  # fmt: skip
    confine: Confinement = _setting(
        "MERGER_CONFINE", "auto", _choice(get_args(Confinement)),
        "Whether what decodes media (ffmpeg, and the processes that read files) is kept from all"
        " other files and from the network, as far as the system can do it.",
    )  # fmt: skip
    cache: Folder = _setting(
        "MERGER_CACHE", "~/.cache/lecture-merger", FOLDER,
        "Where finished parts are kept so that nothing is encoded twice.",
    )  # fmt: skip
    cache_bytes: Bytes = _setting(
        "MERGER_CACHE_BYTES", "20G", Values(Message("config.values.size"), {"ge": _SMALLEST_CACHE}),
        "The maximum size of the cache; the least recently used parts are removed first.",
    )  # fmt: skip
    encoder: EncoderChoice = _setting(
        "MERGER_ENCODER", "auto", _choice(get_args(EncoderChoice)),
        "The H.264 encoder; auto tests the hardware with one frame and falls back to software.",
    )  # fmt: skip
    screen_still: Seconds = _setting(
        "MERGER_SCREEN_STILL", "60", _seconds_between(0, 86400),
        "How long a picture of a screen may stand while its file has no other, but says that it"
        " goes on; then the screen counts as missing.",
    )  # fmt: skip
    sync: bool = _setting(
        "MERGER_SYNC", "yes", YES_NO,
        "Whether sources whose recorders did not write down when they began are moved by their"
        " sound, so that both sides show the same instant.",
    )  # fmt: skip
    read_words: bool = _setting(
        "MERGER_READ_WORDS", "yes", YES_NO,
        "Whether words on the screen are read: slides get headings and can be searched, and more"
        " pictures of devices that show no presentation are recognised.",
    )  # fmt: skip
    loudness: Loudness = _setting(
        "MERGER_LOUDNESS", "-18", _any("loudness"),
        "How loud videos are made, in LUFS, with peaks of at most -1 dBTP; off leaves the sound as"
        " loud as it was recorded.",
    )  # fmt: skip
    language: Annotated[Language, AfterValidator(_check_language)] = _setting(
        "MERGER_LANGUAGE", "en", _choice(languages()),
        "The language of slates in the video, of announcements, and of emails to people whose"
        " language is unknown.",
    )  # fmt: skip

    data: Folder = _setting(
        "MERGER_DATA", "~/.local/share/lecture-merger", FOLDER,
        "Where the service keeps its SQLite database, collected segments and finished videos.",
    )  # fmt: skip
    secret_path: MaybePath = _setting(
        "MERGER_SECRET_FILE", "", _any("file"),
        "The key file, with which secrets are encrypted in the database; if empty, `secret.key` in"
        " MERGER_DATA. Back it up.",
    )  # fmt: skip
    output: MaybePath = _setting(
        "MERGER_OUTPUT", "", FOLDER,
        "Where the service delivers videos; if empty, `merged` in MERGER_DATA.",
    )  # fmt: skip
    private_output: bool = _setting(
        "MERGER_PRIVATE_OUTPUT", "no", YES_NO,
        "Whether delivered videos, too, can be read only by the user that the service runs as;"
        " otherwise the umask decides.",
    )  # fmt: skip
    database: Secret = _setting(
        "SQLALCHEMY_DATABASE_URI", "", _any("database"),
        "The database, like mysql+pymysql://user:password@host/name; if empty, SQLite in"
        " MERGER_DATA.",
    )  # fmt: skip
    allow_local_cameras: bool = _setting(
        "MERGER_ALLOW_LOCAL_CAMERAS", "no", YES_NO,
        "Whether cameras may have loopback or link-local addresses (127.0.0.1, 169.254.…).",
    )  # fmt: skip
    allowed_networks: Networks = _setting(
        "MERGER_ALLOWED_NETWORKS", "", _any("networks"),
        "Networks that connections to cameras, to the webhook, to the OpenID Connect issuer or to"
        " the timetable may lead to although they are refused by default; see docs/operating.md.",
    )  # fmt: skip
    workers: int = _setting(
        "MERGER_WORKERS", "1", _between(1, 64),
        "How many recordings the daemon processes at a time.",
    )  # fmt: skip
    parallel: int = _setting(
        "MERGER_PARALLEL", "0", _between(0, 64),
        "How many parts all workers together encode at once; 0 means one per four cores.",
    )  # fmt: skip
    poll: Seconds = _setting(
        "MERGER_POLL", "10", _seconds_between(0.1, 3600),
        "How often the daemon looks for recordings that are due.",
    )  # fmt: skip
    lease: Seconds = _setting(
        "MERGER_LEASE", "60", _seconds_between(1, 3600),
        "How long a worker may go without a heartbeat before its recording is given to another;"
        " heartbeats are four times as frequent.",
    )  # fmt: skip
    keep_segments: Days = _setting(
        "MERGER_KEEP_SEGMENTS_DAYS", "14", _days_until(3650),
        "How long collected segments stay in MERGER_DATA; longer if a recording still needs them.",
    )  # fmt: skip
    keep_segments_share: int = _setting(
        "MERGER_KEEP_SEGMENTS_SHARE", "50", _between(1, 100),
        "How much of the disk of MERGER_DATA collected segments may fill; beyond that, the oldest"
        " that no recording needs are removed early.",
    )  # fmt: skip
    keep_videos: Days = _setting(
        "MERGER_KEEP_VIDEOS_DAYS", "0", _days_until(3650),
        "How long finished videos stay in MERGER_DATA after delivery; 0 means forever.",
    )  # fmt: skip

    host: str = _setting(
        "MERGER_HOST", "127.0.0.1", _any("address"),
        "The address on which the web service listens; 0.0.0.0 means all addresses.",
    )  # fmt: skip
    port: int = _setting(
        "MERGER_PORT", "8080", _between(0, 65535),
        "The port on which the web service listens; 0 means any free port.",
    )  # fmt: skip
    web_address: WebAddress = _setting(
        "MERGER_WEB_ADDRESS", "", WEB_ADDRESS,
        "The public address of the web service, like https://lectures.example.edu; with https,"
        " cookies are sent only over https.",
    )  # fmt: skip
    trusted_proxy: str = _setting(
        "MERGER_TRUSTED_PROXY", "", _any("address"),
        "The address of a reverse proxy whose X-Forwarded-… headers are trusted.",
    )  # fmt: skip
    oidc_issuer: WebAddress = _setting(
        "MERGER_OIDC_ISSUER", "", WEB_ADDRESS,
        "The OpenID Connect issuer used for signing in, like https://accounts.google.com.",
    )  # fmt: skip
    oidc_client: str = _setting(
        "MERGER_OIDC_CLIENT_ID", "", TEXT,
        "The client ID that the issuer gave to this service.",
    )  # fmt: skip
    oidc_secret: Secret = _setting(
        "MERGER_OIDC_CLIENT_SECRET", "", SECRET,
        "The client secret that the issuer gave to this service.",
    )  # fmt: skip
    oidc_domains: Domains = _setting(
        "MERGER_OIDC_DOMAINS", "", DOMAINS,
        "Domains whose verified email addresses may sign in, like example.edu; others need an"
        " invitation.",
    )  # fmt: skip
    access: Access = _setting(
        "MERGER_ACCESS", "", _choice(("ask", "open")),
        "Whether a request for somebody else's recording, or for a time that is over, needs the"
        " leave of its owner or of an editor (ask), or is granted to everyone who may sign in"
        " (open); if empty, new installations ask, upgraded ones are open.",
    )  # fmt: skip
    external_users: int = _setting(
        "MERGER_EXTERNAL_USERS_PER_DAY", "20", _between(0, 10_000),
        "How many people outside MERGER_OIDC_DOMAINS, not known yet, a user may share recordings"
        " with within a day; each of them is asked first, by one email. Editors are not limited.",
    )  # fmt: skip
    zoom_credentials: Secret = _setting(
        "MERGER_ZOOM_CREDENTIALS", "", _any("zoom_credentials"),
        "Credentials of a Zoom server-to-server OAuth app, for sources without their own.",
    )  # fmt: skip
    zoom_hook_secret: Secret = _setting(
        "MERGER_ZOOM_HOOK_SECRET", "", SECRET,
        "The secret token of the Zoom app, which authenticates calls to /hooks/zoom; if empty,"
        " all are refused.",
    )  # fmt: skip
    zoom_api: WebAddress = _setting(
        "MERGER_ZOOM_API", "https://api.zoom.us/v2", WEB_ADDRESS,
        "The address of Zoom's API; for Zoom for Government, https://api.zoomgov.com/v2.",
    )  # fmt: skip
    zoom_oauth: WebAddress = _setting(
        "MERGER_ZOOM_OAUTH", "https://zoom.us/oauth/token", WEB_ADDRESS,
        "The address at which Zoom issues tokens.",
    )  # fmt: skip
    zoom_hosts: Domains = _setting(
        "MERGER_ZOOM_HOSTS", "zoom.us,zoomgov.com", DOMAINS,
        "Domains, including their subdomains, from which recordings are downloaded; an IP address"
        " listed here may be a local one.",
    )  # fmt: skip
    shortest: Length = _setting(
        "MERGER_SHORTEST", "2m", _lengths_until(24),
        "Recordings that nobody requested, such as Zoom meetings, are ignored if they are shorter;"
        " rooms may have a length of their own.",
    )  # fmt: skip
    timetable_tolerance: Length = _setting(
        "MERGER_TIMETABLE_TOLERANCE", "30m", _lengths_until(12),
        "How far the start of a recording may be from that of a lecture in the timetable to be of"
        " that lecture.",
    )  # fmt: skip
    unmatched: Unmatched = _setting(
        "MERGER_UNMATCHED", "keep", _choice(get_args(Unmatched)),
        "What becomes of recordings that nobody requested and that are of no lecture in the"
        " timetable; rooms may decide otherwise.",
    )  # fmt: skip
    default_course: str = _setting(
        "MERGER_DEFAULT_COURSE", "", TEXT,
        "The code of the course of recordings that nobody requested, if neither the timetable nor"
        " their room names one.",
    )  # fmt: skip
    google_credentials: MaybePath = _setting(
        "MERGER_GOOGLE_CREDENTIALS", "", _any("file"),
        "The JSON file of a service account key or of a user's token; if empty, Google is not"
        " used. See docs/google.md.",
    )  # fmt: skip
    google_subject: str = _setting(
        "MERGER_GOOGLE_SUBJECT", "", _any("user"),
        "The user on whose behalf the service account acts (domain-wide delegation).",
    )  # fmt: skip
    google_address: WebAddress = _setting(
        "MERGER_GOOGLE_ADDRESS", "", WEB_ADDRESS,
        "An address to use instead of Google's, for trials without an account; normally empty.",
    )  # fmt: skip
    drive_folder: str = _setting(
        "MERGER_DRIVE_FOLDER", "root", _any("folder_id"),
        "The Drive folder in which rooms without a folder of their own get one.",
    )  # fmt: skip
    drive_tells: bool = _setting(
        "MERGER_DRIVE_TELLS", "no", YES_NO,
        "Whether Drive notifies people by email that a video was shared with them.",
    )  # fmt: skip
    courses_sheet: str = _setting(
        "MERGER_COURSES_SHEET", "", _any("sheet_id"),
        "A Google sheet with two columns: course codes and their Classroom IDs.",
    )  # fmt: skip
    courses_range: str = _setting(
        "MERGER_COURSES_RANGE", "A2:B", _any("range"),
        "The range of cells with the codes and IDs in that sheet.",
    )  # fmt: skip
    timetable_sheet: str = _setting(
        "MERGER_TIMETABLE_SHEET", "", _any("sheet"),
        "A Google sheet with the timetable, read hourly; see docs/timetable.md.",
    )  # fmt: skip
    timetable_tabs: str = _setting(
        "MERGER_TIMETABLE_TABS", "", _any("tabs"),
        "Its tabs with lectures; if empty, the first. A tab `Days off` is read as well.",
    )  # fmt: skip
    timetable_url: Annotated[Secret, AfterValidator(_check_https)] = _setting(
        "MERGER_TIMETABLE_URL", "", _any("https_address"),
        "Where the timetable is as CSV or iCalendar, read hourly.",
    )  # fmt: skip
    timetable_zone: Annotated[str, AfterValidator(_check_zone)] = _setting(
        "MERGER_TIMETABLE_ZONE", "", _any("zone"),
        "The time zone of lectures that a timetable gives no room; if empty, that of all rooms.",
    )  # fmt: skip
    timetable_from: MaybeDay = _setting(
        "MERGER_TIMETABLE_FROM", "", _any("day"),
        "The first day of the term, for rows that do not say so; if empty, the day on which each is"
        " read first.",
    )  # fmt: skip
    timetable_until: MaybeDay = _setting(
        "MERGER_TIMETABLE_UNTIL", "", _any("day"),
        "The last day of the term, for rows that do not say so; if empty, they go on.",
    )  # fmt: skip
    mail_server: MailServer = _setting(
        "MERGER_MAIL_SERVER", "",
        _shape("mail_server", r"smtps?://([^\s/:@]+@)?[^\s/:@]+(:\d{1,5})?/?"),
        "The mail server, like smtp://user@mail.example.edu:587 or smtps://mail.example.edu; if"
        " empty, no emails are sent.",
    )  # fmt: skip
    mail_password: Secret = _setting(
        "MERGER_MAIL_PASSWORD", "", SECRET,
        "The password of the user in MERGER_MAIL_SERVER.",
    )  # fmt: skip
    mail_from: str = _setting(
        "MERGER_MAIL_FROM", "", EMAIL,
        "The address that emails come from, like lectures@example.edu.",
    )  # fmt: skip
    mail_redirect: str = _setting(
        "MERGER_MAIL_REDIRECT", "", EMAIL,
        "Send all emails to this address instead, for trials; the subject names the real"
        " recipient.",
    )  # fmt: skip
    webhook_url: str = _setting(
        "MERGER_WEBHOOK_URL", "", _shape("hook_address", r"https?://[^\s/@#]+(/[^\s#]*)?"),
        "URL notified (signed POST) when a recording is ready or fails, such as a chat bot.",
    )  # fmt: skip
    webhook_secret: Annotated[Secret, AfterValidator(_check_webhook_secret)] = _setting(
        "MERGER_WEBHOOK_SECRET", "", _any("webhook_secret"),
        "The secret with which these notifications are signed; see docs/programs.md.",
    )  # fmt: skip
    webhook_old_headers: bool = _setting(
        "MERGER_WEBHOOK_OLD_HEADERS", "yes", YES_NO,
        "Whether these notifications also have the headers and fields from before Standard"
        " Webhooks; the next release will not, unless this is yes.",
    )  # fmt: skip
    log_form: LogForm = _setting(
        "MERGER_LOG", "text", _choice(get_args(LogForm)),
        "The format of the log on stderr: lines of text, or one JSON object per line.",
    )  # fmt: skip

    @property
    def database_address(self) -> str:
        """The address of the database, which may hold a password."""
        return self.database.reveal() or f"sqlite:///{self.data / 'merger.db'}"

    @property
    def secret_file(self) -> Path:
        """The key file, with which secrets are encrypted in the database."""
        return self.secret_path or self.data / "secret.key"

    @property
    def first_password(self) -> Path:
        """The file that holds the password of the first account, as it was made."""
        return self.data / "first-password"

    @property
    def recorded(self) -> Path:
        """The folder for live recordings, in the data folder."""
        return self.data / "recorded"

    @property
    def destination(self) -> Path:
        """The folder that videos are delivered to."""
        return self.output or self.data / "merged"


# Where the first is set, so must be the second.
_NEEDS = (
    ("oidc_issuer", "oidc_client", Message("config.no_client")),
    ("mail_server", "mail_from", Message("config.no_sender")),
    ("webhook_url", "webhook_secret", Message("config.no_webhook_secret")),
)


# --- reading them ---------------------------------------------------------------------------------


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings. Raises Refused, which names every mistake at once."""
    source = _Environment(environ)
    try:
        settings = Settings(_build_sources=((source,), {}))  # type: ignore[call-arg]
        mistakes = source.unreadable
    except ValidationError as error:
        wrong = [str(e["loc"][0]) for e in error.errors(include_url=False)]
        mistakes = source.unreadable + [_mistake(v, _value(environ, v)) for v in wrong]
    if not mistakes:
        mistakes = [
            missing for name, needed, missing in _NEEDS
            if getattr(settings, name) and not getattr(settings, needed)
        ]  # fmt: skip
    if mistakes:
        raise Refused("config", sentences(mistakes))
    return settings


class _Environment(PydanticBaseSettingsSource):
    """The environment as a source of settings; empty variables count as absent."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(Settings)
        self.environ = environ
        self.unreadable: list[Message] = []

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str, str, bool]:
        variable = str(field.validation_alias)
        try:
            return _value(self.environ, variable), variable, False
        except Refused as error:
            self.unreadable.append(error.message)
            return "", variable, False

    def __call__(self) -> dict[str, Any]:
        fields = Settings.model_fields.items()
        values = (self.get_field_value(field, name) for name, field in fields)
        return {variable: text for text, variable, _ in values if text}


def _value(environ: Mapping[str, str], variable: str) -> str:
    """Return the value of a variable; `…_FILE` may name a file that holds it, as with secrets."""
    text = environ.get(variable, "").strip()
    file = environ.get(f"{variable}_FILE", "").strip()
    if text or not file:
        return text
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", "") or str(error)
        raise Refused(
            "config", "config.unreadable", variable=variable, file=file, why=why
        ) from error


def _mistake(variable: str, text: str) -> Message:
    setting = next(f for f in Settings.model_fields.values() if f.validation_alias == variable)
    # Somebody may have written a password into an address, too.
    shown = "***" if setting.annotation is Secret else re.sub(r"//[^/@]*@", "//***@", text)
    return Message("config.wrong", variable=variable, value=shown, what=_what(setting))


def secrets(environ: Mapping[str, str] = os.environ) -> Callable[[str], str | None]:
    """Return a lookup of the variables that a file of rooms names; it raises Refused."""
    return lambda variable: _value(environ, variable) or None


def wants_trace(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether a mistake in the program is to show where it happened."""
    return bool(environ.get("MERGER_DEBUG"))


# --- as documents ---------------------------------------------------------------------------------


def table() -> str:
    """Return the settings as a Markdown table."""
    rows = ["| variable | default | values | what it does |", "|---|---|---|---|"]
    for f in Settings.model_fields.values():
        default = f"`{f.default}`" if f.default else "(empty)"
        rows.append(f"| `{f.validation_alias}` | {default} | {_what(f)} | {f.description} |")
    return "\n".join(rows) + "\n"


def example() -> str:
    """Return the text of `.env.example`."""
    return "\n".join(
        f"# {f.description} ({_what(f)})\n#{f.validation_alias}={f.default}\n"
        for f in Settings.model_fields.values()
    )


if __name__ == "__main__":
    print(table())
    print(example())
