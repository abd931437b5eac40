"""The timetables of the settings: read hourly, kept through failures, and never emptied by half."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import requests.adapters
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

import app
from merger.daemon.daemon import background_jobs_are_due
from merger.db.engine import reading
from merger.errors import MergerError, Refused, Temporary
from merger.monitoring.checks.timetables import look_at_timetables
from merger.network import fetching
from merger.series.timetables import refreshing
from merger.series.timetables.source_state import configured_sources, findings_of_sources, sheet_id
from merger.service import Service
from models import Series
from tests.fakes.google import google_served
from tests.support.databases import ON_SQLITE
from tests.support.site import Site

NOW = datetime(2026, 10, 12, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
HEADINGS = "course,days,start,end,room"
ALGEBRA, LOGIC = "MATH-101,M,10:00,11:30,504", "LOG-2,T,9:15,10:45,504"


def sheet(*rows: str) -> str:
    return "\n".join((HEADINGS, *rows))


def courses(site: Site) -> list[str]:
    """Return the courses whose series go on."""
    with reading(site.engine) as session:
        wanted = select(Series.course_code).where(Series.state == "active").order_by(Series.id)
        return [course or "" for course in session.scalars(wanted)]


def problems(service: Service) -> list[str]:
    found = findings_of_sources(service.engine, service.settings)
    return [str(problem) for _, _, problem in found if problem is not None]


# --- a URL ----------------------------------------------------------------------------------------


@dataclass
class Place:
    """A web server with a certificate. answer: what it does; asked: the headers of requests."""

    url: str = ""
    text: str = sheet(ALGEBRA)
    answer: Callable[[BaseHTTPRequestHandler, Place], None] = field(
        default_factory=lambda: give_text
    )
    asked: list[dict[str, str]] = field(default_factory=list)


def give(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def give_text(handler: BaseHTTPRequestHandler, place: Place) -> None:
    etag = f'"{hash(place.text)}"'
    if handler.headers.get("If-None-Match") == etag:
        give(handler, 304, ETag=etag)
    else:
        give(handler, 200, place.text.encode(), ETag=etag)


def certify(folder: Path) -> Path:
    """Write a certificate of 127.0.0.1, with its key, and return its file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return file


@contextmanager
def served(file: Path) -> Iterator[Place]:
    place = Place()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place.asked.append(dict(self.headers))
            place.answer(self, place)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    place.url = f"https://127.0.0.1:{server.server_port}/term.csv?token=hush"
    try:
        yield place
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    file = certify(tmp_path)
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(file))
    with served(file) as place:
        yield place


@pytest.fixture
def by_url(site: Site, place: Place) -> Service:
    site.add_room(zone="Europe/Berlin")
    site.environ["MERGER_TIMETABLE_URL"] = place.url
    return site.service


def test_a_url_is_read_hourly(site: Site, by_url: Service, place: Place) -> None:
    assert configured_sources(by_url.settings) == ("url",)
    assert background_jobs_are_due(by_url, NOW)
    refreshing.refresh_due(by_url, NOW)
    assert courses(site) == ["MATH-101"]
    assert not refreshing.is_due(by_url, NOW + HOUR / 2)
    refreshing.refresh_due(by_url, NOW + HOUR / 2)
    assert len(place.asked) == 1
    refreshing.refresh_due(by_url, NOW + HOUR)
    assert "If-None-Match" in place.asked[1]
    report = refreshing.refresh_timetable(by_url, "url", "few", NOW + HOUR, dry_run=True)
    assert report is not None and len(report.changes.unchanged) == 1  # people always get an answer
    place.text = sheet(LOGIC)
    refreshing.refresh_due(by_url, NOW + 2 * HOUR)
    assert courses(site) == ["LOG-2"]  # few may end by themselves


def test_what_was_not_complete_is_read_again_as_a_whole(
    site: Site, by_url: Service, place: Place
) -> None:
    place.text = sheet(ALGEBRA, "LOG-2,T,9:15,10:45,505")
    refreshing.refresh_due(by_url, NOW)
    assert courses(site) == ["MATH-101"] and "1 line" in problems(by_url)[0]
    site.add_room("505", zone="Europe/Berlin")
    refreshing.refresh_due(by_url, NOW + HOUR)
    assert courses(site) == ["MATH-101", "LOG-2"] and problems(by_url) == []


def test_other_settings_make_another_timetable_of_it(
    site: Site, by_url: Service, place: Place
) -> None:
    refreshing.refresh_due(by_url, NOW)
    site.environ["MERGER_TIMETABLE_UNTIL"] = "2026-12-20"
    refreshing.refresh_due(site.service, NOW + HOUR)
    with reading(site.engine) as session:
        assert str(session.scalars(select(Series)).one().until_day) == "2026-12-20"


def redirect(to: str) -> Callable[[BaseHTTPRequestHandler, Place], None]:
    def answer(handler: BaseHTTPRequestHandler, place: Place) -> None:
        if handler.path == "/moved":
            give_text(handler, place)
        else:
            give(handler, 302, Location=to)

    return answer


def never_end(handler: BaseHTTPRequestHandler, _: Place) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65536)


FAILURES: dict[str, tuple[Callable[[BaseHTTPRequestHandler, Place], None], str]] = {
    "not there": (lambda handler, _: give(handler, 404), "status 404"),
    "elsewhere": (redirect("https://localhost:1/x"), "leads to another host"),
    "in the clear": (redirect("http://127.0.0.1:1/x"), "leads to another host"),
    "round and round": (redirect("/again"), "leads on and on"),
    "too large": (never_end, "larger than 1 MB"),
    "no text": (lambda handler, _: give(handler, 200, b"\xff\xfe"), "UTF-8"),
    "a page": (lambda handler, _: give(handler, 200, b"<html>Sign in</html>"), "lacks the columns"),
    "empty": (lambda handler, _: give(handler, 200), "no rows"),
    "ends early": (lambda *_: None, "doesn't answer"),
}


@pytest.mark.parametrize("failure", FAILURES)
@ON_SQLITE
def test_a_failure_keeps_the_last_timetable(
    site: Site, by_url: Service, place: Place, failure: str
) -> None:
    refreshing.refresh_due(by_url, NOW)
    good, (place.answer, why) = place.answer, FAILURES[failure]
    for n in (1, 2):
        refreshing.refresh_due(by_url, NOW + n * HOUR)
        assert courses(site) == ["MATH-101"]
        [problem] = problems(by_url)
        assert "since 2026-10-12 07:00 UTC" in problem and why in problem
        assert "hush" not in problem
    [finding] = look_at_timetables(by_url.settings, site.engine)
    assert finding.level == "warning" and why in str(finding.text)
    with pytest.raises(MergerError):
        refreshing.refresh_timetable(by_url, "url", "all", NOW + 2 * HOUR)
    place.answer = good
    refreshing.refresh_due(by_url, NOW + 3 * HOUR)
    assert problems(by_url) == []
    [finding] = look_at_timetables(by_url.settings, site.engine)
    assert finding.level == "ok"


@ON_SQLITE
def test_a_redirect_on_the_same_host_is_followed(site: Site, by_url: Service, place: Place) -> None:
    place.answer = redirect("/moved")
    refreshing.refresh_due(by_url, NOW)
    assert courses(site) == ["MATH-101"]


@ON_SQLITE
def test_a_certificate_that_nobody_knows_is_refused(
    site: Site, by_url: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    with pytest.raises(Temporary, match="SSLError"):
        refreshing.refresh_timetable(by_url, "url", "few", NOW)


@ON_SQLITE
def test_nobody_waits_for_ever(
    by_url: Service, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 15))
    monkeypatch.setattr(fetching.time, "monotonic", lambda: float(next(clock)))
    place.answer = never_end
    with pytest.raises(Temporary, match="longer than 20 seconds"):
        refreshing.refresh_timetable(by_url, "url", "few", NOW)


def test_half_a_timetable_waits_for_a_person(site: Site, by_url: Service, place: Place) -> None:
    rows = [
        f"C-{n},M,{n // 6}:{n % 6}0,,504".replace(",,", f",{n // 6}:{n % 6}5,") for n in range(33)
    ]
    place.text = sheet(*rows)
    refreshing.refresh_due(by_url, NOW)
    place.text = sheet(*rows[:5], ALGEBRA)
    for n in (1, 2):
        refreshing.refresh_due(by_url, NOW + n * HOUR)
        assert len(courses(site)) == 33 and "confirm" in problems(by_url)[0]
    report = refreshing.refresh_timetable(by_url, "url", "few", NOW, dry_run=True)
    assert report is not None and len(report.changes.ended) == 28
    refreshing.refresh_timetable(by_url, "url", "all", NOW + 2 * HOUR)
    assert len(courses(site)) == 6 and problems(by_url) == []


# --- a Google sheet -------------------------------------------------------------------------------


@pytest.fixture
def by_sheet(site: Site, tmp_path: Path) -> Iterator[tuple[Service, Any]]:
    site.add_room(zone="Europe/Berlin")
    with google_served() as google:
        site.environ |= {
            "MERGER_GOOGLE_CREDENTIALS": str(google.credentials_file(tmp_path)),
            "MERGER_GOOGLE_ADDRESS": google.address,
            "MERGER_TIMETABLE_SHEET": "https://docs.google.com/spreadsheets/d/sheet-1/edit#gid=0",
            "MERGER_TIMETABLE_TABS": "foo , bar,, it's",
        }
        yield replace(app.create_service(site.settings, site.engine), now=lambda: NOW), google


@ON_SQLITE
def test_tabs_of_a_sheet_and_its_days_off(site: Site, by_sheet: tuple[Service, Any]) -> None:
    service, google = by_sheet
    google.sheets.put_tab("sheet-1", "notes", "whatever")
    google.sheets.put_tab("sheet-1", "foo", HEADINGS, ALGEBRA)
    google.sheets.put_tab("sheet-1", "Bar", HEADINGS, "", LOGIC, LOGIC)
    google.sheets.put_tab("sheet-1", "it's", HEADINGS, ALGEBRA)
    google.sheets.put_tab("sheet-1", "Days off", "date,name", "2026-10-19,Break")
    report = refreshing.refresh_timetable(service, "sheet:sheet-1", "few", NOW)
    assert report is not None and courses(site) == ["MATH-101", "LOG-2", "MATH-101"]
    [complaint] = report.timetable.complaints
    assert str(complaint.sentence).startswith("tab 'Bar', line 4: this is the same")
    assert [day.name for day in report.days_off.added] == ["Break"]
    report = refreshing.refresh_timetable(service, "sheet:sheet-1", "few", NOW)
    assert report is not None and not report.has_changes
    del google.sheets.values["sheet-1", "'Days off'"]
    report = refreshing.refresh_timetable(service, "sheet:sheet-1", "few", NOW)
    assert report is not None and [day.name for day in report.days_off.removed] == ["Break"]


@ON_SQLITE
def test_a_sheet_that_is_away_changes_nothing(site: Site, by_sheet: tuple[Service, Any]) -> None:
    service, google = by_sheet
    for name in ("foo", "bar", "it's"):
        google.sheets.put_tab("sheet-1", name, HEADINGS, ALGEBRA)
    refreshing.refresh_due(service, NOW)
    assert len(courses(site)) == 3
    del google.sheets.values["sheet-1", "'bar'"]
    with pytest.raises(Refused, match="no tab 'bar'"):
        refreshing.refresh_timetable(service, "sheet:sheet-1", "all", NOW)
    google.sheets.values.clear()
    refreshing.refresh_due(service, NOW + HOUR)
    [problem] = problems(service)
    assert "isn't shared with" in problem and len(courses(site)) == 3


@ON_SQLITE
def test_a_sheet_is_imported_by_the_command_line(site: Site, by_sheet: tuple[Service, Any]) -> None:
    _, google = by_sheet
    google.sheets.put_tab("sheet-2", "Autumn", HEADINGS, ALGEBRA)
    google.sheets.put_tab("sheet-2", "Spring", HEADINGS, LOGIC)
    link = "https://docs.google.com/spreadsheets/d/sheet-2/edit?usp=sharing"
    assert sheet_id(link) == "sheet-2"
    found = site.said("timetable", "import", "--sheet", link)
    assert [one["course"] for one in found["added"]] == ["MATH-101"]
    found = site.said("timetable", "import", "--sheet", "sheet-2", "--tabs", "Autumn, spring")
    assert [one["course"] for one in found["added"]] == ["LOG-2"]
