"""Settings from the environment, and the documents that are made from their fields."""

import re
from datetime import date, timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest

from merger import config
from merger.errors import Refused

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[1]
GIB = 1024**3


VARIABLES = [str(field.validation_alias) for field in config.Settings.model_fields.values()]


def refusal(environ: dict[str, str]) -> str:
    with pytest.raises(Refused) as caught:
        config.load(environ)
    assert caught.value.code == "config"
    return str(caught.value.message)


def test_the_defaults_need_nothing() -> None:
    settings = config.load({})
    assert dict(settings) == {
        "ffmpeg": "",
        "confine": "auto",
        "cache": Path.home() / ".cache/lecture-merger",
        "cache_bytes": 20 * GIB,
        "encoder": "auto",
        "screen_still": timedelta(seconds=60),
        "sync": True,
        "read_words": True,
        "loudness": -18.0,
        "language": "en",
        "data": Path.home() / ".local/share/lecture-merger",
        "secret_path": None,
        "output": None,
        "private_output": False,
        "database": config.Secret(""),
        "allow_local_cameras": False,
        "allowed_networks": (),
        "workers": 1,
        "parallel": 0,
        "poll": timedelta(seconds=10),
        "lease": timedelta(seconds=60),
        "keep_segments": timedelta(days=14),
        "keep_segments_share": 50,
        "keep_videos": timedelta(0),
        "host": "127.0.0.1",
        "port": 8080,
        "web_address": "",
        "trusted_proxy": "",
        "oidc_issuer": "",
        "oidc_client": "",
        "oidc_secret": config.Secret(""),
        "oidc_domains": (),
        "access": "",
        "external_users": 20,
        "zoom_credentials": config.Secret(""),
        "zoom_hook_secret": config.Secret(""),
        "zoom_api": "https://api.zoom.us/v2",
        "zoom_oauth": "https://zoom.us/oauth/token",
        "zoom_hosts": ("zoom.us", "zoomgov.com"),
        "shortest": timedelta(minutes=2),
        "timetable_tolerance": timedelta(minutes=30),
        "unmatched": "keep",
        "default_course": "",
        "google_credentials": None,
        "google_subject": "",
        "google_address": "",
        "drive_folder": "root",
        "drive_tells": False,
        "courses_sheet": "",
        "courses_range": "A2:B",
        "timetable_sheet": "",
        "timetable_tabs": "",
        "timetable_url": config.Secret(""),
        "timetable_zone": "",
        "timetable_from": None,
        "timetable_until": None,
        "mail_server": "",
        "mail_password": config.Secret(""),
        "mail_from": "",
        "mail_redirect": "",
        "webhook_url": "",
        "webhook_secret": config.Secret(""),
        "webhook_old_headers": True,
        "log_form": "text",
    }
    assert settings.destination == settings.data / "merged"
    assert settings.database_address == f"sqlite:///{settings.data}/merger.db"
    assert settings.secret_file == settings.data / "secret.key"
    elsewhere = config.load({"MERGER_SECRET_FILE": "/run/secrets/merger"})
    assert elsewhere.secret_file == Path("/run/secrets/merger")
    # Empty is as good as absent: that is what a compose file makes of a variable without a value.
    assert config.load(dict.fromkeys(VARIABLES, "")) == settings
    assert config.load(dict.fromkeys(VARIABLES, "  ")) == settings


def test_every_setting_is_read() -> None:
    settings = config.load(
        {
            "MERGER_FFMPEG": " /usr/bin/ffmpeg ",
            "MERGER_CONFINE": "off",
            "MERGER_CACHE": "/srv/cache",
            "MERGER_CACHE_BYTES": "64M",
            "MERGER_ENCODER": "software",
            "MERGER_SCREEN_STILL": "90",
            "MERGER_SYNC": "no",
            "MERGER_READ_WORDS": "no",
            "MERGER_LOUDNESS": "-23.5",
            "MERGER_LANGUAGE": "ru",
            "MERGER_DATA": "/srv/data",
            "MERGER_SECRET_FILE": "/srv/secret.key",
            "MERGER_OUTPUT": "/srv/merged",
            "MERGER_PRIVATE_OUTPUT": "yes",
            "SQLALCHEMY_DATABASE_URI": "mysql+pymysql://merger:hush@db/merger",
            "MERGER_ALLOW_LOCAL_CAMERAS": "yes",
            "MERGER_ALLOWED_NETWORKS": "cameras=fd12:3456::/32, oidc = 127.0.0.1",
            "MERGER_WORKERS": "3",
            "MERGER_PARALLEL": "2",
            "MERGER_POLL": "2.5",
            "MERGER_LEASE": "90",
            "MERGER_KEEP_SEGMENTS_DAYS": "0",
            "MERGER_KEEP_SEGMENTS_SHARE": "100",
            "MERGER_KEEP_VIDEOS_DAYS": "365",
            "MERGER_HOST": "0.0.0.0",
            "MERGER_PORT": "80",
            "MERGER_WEB_ADDRESS": "https://lectures.example.edu/",
            "MERGER_TRUSTED_PROXY": "10.0.0.2",
            "MERGER_OIDC_ISSUER": "https://id.example.edu",
            "MERGER_OIDC_CLIENT_ID": "merger",
            "MERGER_OIDC_CLIENT_SECRET": "hush",
            "MERGER_OIDC_DOMAINS": "example.edu, Example.org",
            "MERGER_ACCESS": "ask",
            "MERGER_EXTERNAL_USERS_PER_DAY": "0",
            "MERGER_ZOOM_CREDENTIALS": "account:client:hush",
            "MERGER_ZOOM_HOOK_SECRET": "hush",
            "MERGER_ZOOM_API": "https://api.zoomgov.com/v2",
            "MERGER_ZOOM_OAUTH": "https://zoomgov.com/oauth/token",
            "MERGER_ZOOM_HOSTS": "zoomgov.com",
            "MERGER_SHORTEST": "90s",
            "MERGER_TIMETABLE_TOLERANCE": "1h",
            "MERGER_UNMATCHED": "ignore",
            "MERGER_DEFAULT_COURSE": "MISC",
            "MERGER_GOOGLE_CREDENTIALS": "/run/secrets/google.json",
            "MERGER_GOOGLE_SUBJECT": "lectures@example.edu",
            "MERGER_GOOGLE_ADDRESS": "http://127.0.0.1:9000/",
            "MERGER_DRIVE_FOLDER": "folder",
            "MERGER_DRIVE_TELLS": "yes",
            "MERGER_COURSES_SHEET": "sheet",
            "MERGER_COURSES_RANGE": "Codes!A2:B",
            "MERGER_TIMETABLE_SHEET": "timetable",
            "MERGER_TIMETABLE_TABS": "foo , bar",
            "MERGER_TIMETABLE_URL": "https://example.edu/a.ics?token=hush",
            "MERGER_TIMETABLE_ZONE": "Europe/Moscow",
            "MERGER_TIMETABLE_FROM": "2026-09-01",
            "MERGER_TIMETABLE_UNTIL": "2026-12-20",
            "MERGER_MAIL_SERVER": "smtp://merger@mail.example.edu:587/",
            "MERGER_MAIL_PASSWORD": "hush",
            "MERGER_MAIL_FROM": "lectures@example.edu",
            "MERGER_MAIL_REDIRECT": "me@example.edu",
            "MERGER_WEBHOOK_URL": "https://chat.example.edu/hook?room=1",
            "MERGER_WEBHOOK_SECRET": "hush",
            "MERGER_WEBHOOK_OLD_HEADERS": "no",
            "MERGER_LOG": "json",
            "PATH": "/bin",
        }
    )
    assert [value for _, value in settings] == [
        "/usr/bin/ffmpeg", "off", Path("/srv/cache"), 64 * 1024**2, "software", timedelta(seconds=90),
        False, False, -23.5, "ru", Path("/srv/data"), Path("/srv/secret.key"), Path("/srv/merged"), True,
        config.Secret("mysql+pymysql://merger:hush@db/merger"), True,
        (("cameras", IPv6Network("fd12:3456::/32")), ("oidc", IPv4Network("127.0.0.1/32"))), 3, 2,
        timedelta(seconds=2.5), timedelta(seconds=90), timedelta(0), 100, timedelta(days=365),
        "0.0.0.0", 80, "https://lectures.example.edu", "10.0.0.2", "https://id.example.edu", "merger",
        config.Secret("hush"), ("example.edu", "example.org"), "ask", 0, config.Secret("account:client:hush"),
        config.Secret("hush"), "https://api.zoomgov.com/v2", "https://zoomgov.com/oauth/token",
        ("zoomgov.com",), timedelta(seconds=90), timedelta(hours=1), "ignore", "MISC",
        Path("/run/secrets/google.json"), "lectures@example.edu",
        "http://127.0.0.1:9000", "folder", True, "sheet", "Codes!A2:B",
        "timetable", "foo , bar", config.Secret("https://example.edu/a.ics?token=hush"),
        "Europe/Moscow", date(2026, 9, 1), date(2026, 12, 20),
        "smtp://merger@mail.example.edu:587", config.Secret("hush"), "lectures@example.edu",
        "me@example.edu", "https://chat.example.edu/hook?room=1", config.Secret("hush"), False, "json",
    ]  # fmt: skip


def test_a_secret_is_seen_nowhere(tmp_path: Path) -> None:
    settings = config.load({"SQLALCHEMY_DATABASE_URI": "mysql+pymysql://merger:hush@db/merger"})
    assert "hush" not in repr(settings) and "hush" not in f"{settings.database}"
    assert settings.database_address == "mysql+pymysql://merger:hush@db/merger"
    file = tmp_path / "uri"
    file.write_text("mysql+pymysql://merger:hush@db/merger\n")
    assert config.load({"SQLALCHEMY_DATABASE_URI_FILE": str(file)}) == settings
    none = str(tmp_path / "none")
    missing = refusal({"SQLALCHEMY_DATABASE_URI_FILE": none, "MERGER_POLL": "x"})
    assert f"SQLALCHEMY_DATABASE_URI_FILE='{none}' cannot be read" in missing
    assert "MERGER_POLL='x'" in missing
    assert config.secrets({"CAMERA_FILE": str(file)})("CAMERA") == file.read_text().strip()
    assert config.secrets({})("CAMERA") is None
    with pytest.raises(Refused, match="CAMERA_FILE"):
        config.secrets({"CAMERA_FILE": none})("CAMERA")
    timetable = refusal({"MERGER_TIMETABLE_URL": "http://example.edu/a.ics?token=hush"})
    assert "https" in timetable and "hush" not in timetable
    # A password in an address is a mistake, which is reported without repeating it.
    address = refusal({"MERGER_MAIL_SERVER": "smtp://merger:hush@mail.example.edu"})
    assert "without the password" in address and "hush" not in address


@pytest.mark.parametrize(
    ("variable", "text"),
    [("MERGER_ALLOW_LOCAL_CAMERAS", "perhaps"), ("MERGER_ALLOWED_NETWORKS", "fd00::/8"),
     ("MERGER_ALLOWED_NETWORKS", "mail=10.0.0.0/8"), ("MERGER_ALLOWED_NETWORKS", "cameras=10.0.0.5/8"),
     ("MERGER_TIMETABLE_ZONE", "Moscow"),
     ("MERGER_TIMETABLE_FROM", "1 September"), ("MERGER_WORKERS", "0"), ("MERGER_WORKERS", "two"), ("MERGER_PARALLEL", "-1"), ("MERGER_POLL", "0"),
     ("MERGER_POLL", "soon"), ("MERGER_LEASE", "1e3"), ("MERGER_LEASE", "inf"), ("MERGER_LEASE", "3601"),
     ("MERGER_KEEP_VIDEOS_DAYS", "3651"), ("MERGER_OIDC_DOMAINS", "example.edu,edu"), ("MERGER_MAIL_FROM", "ada"),
     ("MERGER_MAIL_SERVER", "smtp://mail.example.edu:0"), ("MERGER_WEB_ADDRESS", "example.edu"), ("MERGER_WEBHOOK_URL", "chat/"),
     ("MERGER_KEEP_SEGMENTS_DAYS", "1.5"), ("MERGER_LOUDNESS", "-31"), ("MERGER_LOUDNESS", "-9"),
     ("MERGER_LOUDNESS", "18"), ("MERGER_LOUDNESS", "no"),
     ("MERGER_KEEP_SEGMENTS_SHARE", "0"), ("MERGER_KEEP_SEGMENTS_SHARE", "50%"), ("MERGER_KEEP_VIDEOS_DAYS", "-1")],
)  # fmt: skip
def test_what_is_out_of_range_is_refused(variable: str, text: str) -> None:
    assert f"{variable}={text!r}: write " in refusal({variable: text})


@pytest.mark.parametrize("text", ["off", "Off"])
def test_loudness_can_be_left_alone(text: str) -> None:
    assert config.load({"MERGER_LOUDNESS": text}).loudness is None


@pytest.mark.parametrize("text", ["yes", "true", "on", "1", "YES"])
def test_yes_has_many_names(text: str) -> None:
    assert config.load({"MERGER_DRIVE_TELLS": text}).drive_tells


@pytest.mark.parametrize(("text", "is_fine"), [
    ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", True), ("whsec_aHVzaA", True), ("whsec_aHVzaA==", True),
    ("hush whsec_", True), ("whsec_", False), ("whsec_hush!", False), ("whsec_a", False),
])  # fmt: skip
def test_a_secret_of_the_standard_is_base64(text: str, is_fine: bool) -> None:
    environ = {"MERGER_WEBHOOK_SECRET": text}
    if is_fine:
        assert config.load(environ).webhook_secret.reveal() == text
    else:
        assert "MERGER_WEBHOOK_SECRET='***': write text, or whsec_" in refusal(environ)


def test_the_cache_folder_is_absolute_wherever_the_program_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert config.load({"MERGER_CACHE": "parts"}).cache == tmp_path / "parts"
    assert config.load({"MERGER_CACHE": "~/parts"}).cache == Path.home() / "parts"


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("20G", 20 * GIB),
        ("20g", 20 * GIB),
        ("20GB", 20 * GIB),
        ("20GiB", 20 * GIB),
        (" 20 G ", 20 * GIB),
        ("1T", 1024 * GIB),
        ("65536K", 64 * 1024**2),
        ("67108864", 64 * 1024**2),
        ("67108864B", 64 * 1024**2),
    ],
)
def test_sizes(text: str, size_bytes: int) -> None:
    assert config.load({"MERGER_CACHE_BYTES": text}).cache_bytes == size_bytes


@pytest.mark.parametrize("text", ["63M", "0", "1", "64K", "67108863"])
def test_a_cache_that_is_too_small_is_refused(text: str) -> None:
    refused = refusal({"MERGER_CACHE_BYTES": text})
    assert f"MERGER_CACHE_BYTES={text!r}: write a number of bytes, at least 64M" in refused


@pytest.mark.parametrize("text", ["much", "20X", "-20G", "1.5G", "20 G G", "G", "0x40000000"])
def test_what_is_no_size_is_refused(text: str) -> None:
    assert f"MERGER_CACHE_BYTES={text!r}: write a number" in refusal({"MERGER_CACHE_BYTES": text})


@pytest.mark.parametrize(
    ("variable", "text", "names"),
    [
        ("MERGER_ENCODER", "qsv", "auto, software, nvenc, vaapi"),
        ("MERGER_ENCODER", "NVENC", "auto, software, nvenc, vaapi"),
        ("MERGER_LANGUAGE", "de", "en, ru"),
    ],
)
def test_an_unknown_choice_is_refused_with_those_there_are(
    variable: str, text: str, names: str
) -> None:
    assert f"{variable}={text!r}: write one of {names}" in refusal({variable: text})


def test_a_home_folder_that_nobody_has_is_refused() -> None:
    assert "MERGER_CACHE=" in refusal({"MERGER_CACHE": "~no-such-user-here/parts"})


def test_all_mistakes_are_reported_together() -> None:
    message = refusal(
        {"MERGER_CACHE_BYTES": "few", "MERGER_ENCODER": "gpu", "MERGER_LANGUAGE": "tlh"}
    )
    for variable in ("MERGER_CACHE_BYTES", "MERGER_ENCODER", "MERGER_LANGUAGE"):
        assert f"{variable}=" in message


def test_the_operating_manual_holds_the_table_of_settings() -> None:
    manual = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
    begin, end = "<!-- settings: python -m merger.config -->\n", "<!-- end of settings -->"
    assert manual.split(begin)[1].split(end)[0].strip() == config.table().strip()


def test_the_example_is_the_one_of_the_fields() -> None:
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == config.example()


def test_the_example_says_the_defaults() -> None:
    lines = [line[1:] for line in config.example().splitlines() if re.match("#[A-Z_]+=", line)]
    example = dict(line.split("=", 1) for line in lines)
    assert list(example) == VARIABLES
    assert config.load(example) == config.load({})


def test_each_setting_is_explained_once() -> None:
    for field in config.Settings.model_fields.values():
        about = str(field.description)
        assert config.table().count(f"| `{field.validation_alias}` |") == 1
        assert about.endswith(".")
        assert f"# {about}" in config.example()


def test_an_issuer_without_a_client_id_is_refused() -> None:
    assert "MERGER_OIDC_CLIENT_ID" in refusal({"MERGER_OIDC_ISSUER": "https://id.example.edu"})


def test_what_belongs_together_is_missed_together() -> None:
    message = refusal(
        {"MERGER_MAIL_SERVER": "smtp://mail.example.edu", "MERGER_WEBHOOK_URL": "http://chat/"}
    )
    assert "MERGER_MAIL_FROM" in message and "MERGER_WEBHOOK_SECRET" in message
