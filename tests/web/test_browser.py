"""A real browser and the whole service: asked for in the form, watched, played, merged again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from sqlalchemy import update
from sqlalchemy.orm import Session

from merger.accounts import password_links, users
from merger.accounts.tokens import digest_of
from merger.analysis import thumbnails
from merger.db.engine import writing
from merger.i18n import Message
from merger.rooms import store
from merger.series import days_off, documents
from merger.series import store as series_store
from merger.series.store import OccurrenceEdit
from merger.storage import paths
from merger.timeline.captions import Transcript, chat_captions
from merger.timeline.clock import Span, utc
from merger.timetable.recurrence import DayOff, Recurrence
from merger.timetable.spec import SeriesSpec
from models import (
    AccessAsk,
    AccessRequest,
    Confirmation,
    Record,
    RecordUser,
    Rendition,
    Slide,
    Still,
    StillSighting,
    User,
)
from tests.conftest import START
from tests.support.selection import rarely
from tests.support.site import ROOT, Site
from tests.support.waiting import DEADLINE_S, until
from tests.web.conftest import PASSWORD

# What runs for these tests takes a while to begin: one process begins it.
pytestmark = pytest.mark.xdist_group("browser")

# Screenshots are kept here, where somebody has made this folder to look at them.
SHOTS = ROOT / "tests" / "web" / "out"
DEADLINE_MS = 1000 * DEADLINE_S
JPEG = b"\xff\xd8 a picture"
CONTROLS = "main a[href], main :is(button, input:not([type=hidden]), select, summary)"
NARROW = {"width": 360, "height": 740}


def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    if os.environ.get("TESTS_NEED_BROWSER") == "1":
        pytest.fail("there is no chromium, and TESTS_NEED_BROWSER says that there must be")
    pytest.skip("no chromium is installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    with sync_playwright() as playwright:
        # Nothing is drawn by a graphics card here: to try costs a minute of a processor.
        arguments = ["--no-sandbox", "--disable-gpu"]
        started = playwright.chromium.launch(executable_path=path, args=arguments)
        expect.set_options(timeout=DEADLINE_MS)
        yield started
        started.close()


@dataclass
class Running:
    """A service that runs."""

    site: Site
    address: str

    def context(self, browser: Browser, locale: str = "en-GB", **options: object) -> BrowserContext:
        made = browser.new_context(base_url=self.address, locale=locale, **options)  # type: ignore[arg-type]
        made.set_default_timeout(DEADLINE_MS)
        return made

    def signed_in(self, browser: Browser, who: str, locale: str = "en-GB") -> Page:
        page = self.context(browser, locale).new_page()
        page.goto("/records")
        page.locator("#email").fill(f"{who}@example.org")
        page.locator("#password").fill(PASSWORD)
        page.locator("main form button").click()
        expect(page).to_have_url(re.compile("/records$"))
        return page


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, upgraded_sqlite: Path) -> Iterator[Running]:
    """The service as an operator starts it, with people, and a minute in its library, the speaker for half of it."""
    folder = tmp_path_factory.mktemp("browser")
    site = Site(folder, f"sqlite:///{folder / 'database.sqlite'}")
    shutil.copyfile(upgraded_sqlite, folder / "database.sqlite")
    site.add_room(roles=("speaker", "screen", "board"), chunk_s=30)
    for name, role in (("ann", "user"), ("bob", "user"), ("ada", "admin")):
        user, _ = users.invite_user(site.engine, f"{name}@example.org", None, role)
        users.set_password(site.engine, user["id"], PASSWORD)
    for role, length_s in (("speaker", 30), ("screen", 60), ("board", 60)):
        site.film(role, 0, length_s, rate=Fraction(5), sound=role == "speaker")
    log = site.folder / "log"
    with log.open("wb") as file:
        child = subprocess.Popen(
            [sys.executable, "app.py", "run", "--port", "0"], cwd=ROOT, stdin=subprocess.DEVNULL,
            env={**os.environ, **site.variables}, stdout=file, stderr=file,
        )  # fmt: skip

    def address() -> str | None:
        assert child.poll() is None, log.read_text()
        found = re.search(r"listening on (http://\S+?)/?\s", log.read_text())
        return found and found[1]

    try:
        yield Running(site, until(address) or "")
    finally:
        child.terminate()
        child.wait(60)
        site.engine.dispose()


def shoot(page: Page, name: str) -> None:
    """Keep a picture of a page as it is wide, and as it is on a phone; it must fit there, too."""
    if SHOTS.exists():
        page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
    wide = page.viewport_size
    page.set_viewport_size(NARROW)
    if SHOTS.exists():
        page.screenshot(path=SHOTS / f"{name}-phone.png", full_page=True)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= NARROW["width"], f"{name} scrolls sideways on a phone: {width}"
    assert wide is not None
    page.set_viewport_size(wide)


def accessible(page: Page) -> None:
    """Check a page with axe."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def ask(page: Page, *, name: str, layout: str = "side_by_side") -> int:
    """Ask for the lecture in the form."""
    page.goto("/request")
    page.locator("#f-room").select_option("504")
    page.locator("#f-date").fill("2026-11-20")
    page.locator("#f-start").fill("10:00")
    page.locator("#f-end").fill("10:01")
    page.locator("#f-name").fill(name)
    page.locator(f"input[name=layout][value={layout}]").check()
    page.get_by_text("More options").click()
    page.locator("#f-profile").select_option("540p")
    page.locator("main form button").last.click()
    expect(page).to_have_url(re.compile(r"/records/\d+$"))
    return int(page.url.rpartition("/")[2])


def test_a_lecture_from_the_form_to_the_video(running: Running, browser: Browser) -> None:
    page = running.signed_in(browser, "ann")
    record = ask(page, name="Networks, lecture 9")
    page.goto("/records")
    # Nobody loads the page again: it moves by itself.
    row = page.locator("li", has_text="Networks, lecture 9")
    expect(row.locator(".badge.delivered")).to_be_visible()
    shoot(page, "records")
    accessible(page)
    page.get_by_role("link", name="Networks, lecture 9").first.click()
    video = page.locator("video")
    expect(video).to_be_visible()
    length = (
        "video => new Promise(told => { const say = () => told(video.duration);"
        " video.readyState ? say() : video.addEventListener('loadedmetadata', say) })"
    )
    assert round(video.evaluate(length)) == 60
    # Chromium of Debian decodes H.264: it really plays, and can be moved to the middle.
    played = video.evaluate(
        "async video => { video.muted = true; video.currentTime = 20; await video.play();"
        " await new Promise(on => video.addEventListener('timeupdate', on, {once: true}));"
        " video.pause(); return video.currentTime }"
    )
    assert played >= 20
    # What stands for an instant leads there: the speaker's files end after half a minute.
    page.locator(".timeline a:has(.gap)").click()
    at = "video => new Promise(at => { const say = () => video.currentTime == 30 ? at(30) : setTimeout(say, 20); say() })"
    assert video.evaluate(at) == 30
    expect(page).to_have_url(re.compile("#t=30.0$"))
    page.locator("summary", has_text="Timeline as text").click()
    page.get_by_role("link", name="10:00:00").first.click()
    assert video.evaluate(at.replace("30", "0")) == 0
    expect(page.locator(".samples img").first).to_be_visible()
    loaded = "image => image.decode().then(() => image.naturalWidth)"
    assert page.locator(".samples img").first.evaluate(loaded) > 50
    shoot(page, "record")
    accessible(page)
    page.locator("summary", has_text="new version").click()
    video.evaluate("video => { video.currentTime = 30 }")
    page.get_by_role("button", name="Start at the video's position").click()
    expect(page.locator("#f-start")).to_have_value("2026-11-20T10:00:30")
    page.locator("#f-start").fill("2026-11-20T10:00")
    page.locator("input[name=layout][value=speaker_only]").check()
    accessible(page)
    shoot(page, "record-again")
    page.get_by_role("button", name="Make a new version").click()
    expect(page.locator("dd", has_text="2").first).to_be_visible()
    expect(page.locator(".badge.delivered")).to_be_visible()
    kept = running.site.row(record)
    assert (kept.version, kept.delivered_version, kept.layout) == (2, 2, "speaker_only")

    other = running.signed_in(browser, "bob")
    there = other.goto(f"/records/{record}")
    assert there is not None and there.status == 404
    accessible(other)
    video_of_ann = other.goto(f"/api/v1/records/{record}/renditions/merge")
    assert video_of_ann is not None and video_of_ann.status == 404
    other.goto("/records")
    expect(other.get_by_text("Networks, lecture 9")).to_have_count(0)


def test_who_watches_goes_on_while_another_version_is_made(
    running: Running, browser: Browser
) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)

    def version(record: int, number: int) -> Rendition:
        return Rendition(
            record_id=record, version=number, kind="merge", path=f"{number}.mp4", size_bytes=1,
            sha256=f"{number}" * 64, frames=1, width=1280, height=360, made_at=START,
        )  # fmt: skip

    def add(session: Session) -> int:
        """Add a record on which another machine works."""
        row = Record(
            room_id=1, start_at=START, end_at=START + timedelta(minutes=2), zone="Europe/Moscow",
            event_name="Watched", layout="side_by_side", profile="540p", created_at=START,
            updated_at=START, run_after=START, status="running", stage="collect", version=2,
            delivered_version=1, claimed_by="another", claimed_at=START, lease_until=later,
            users=[RecordUser(user=users.user_row(session, "bob@example.org"), position=0)],
        )  # fmt: skip
        session.add(row)
        session.flush()
        session.add(version(row.id, 1))
        return row.id

    def put(**values: object) -> None:
        writing(
            running.site.engine,
            lambda session: session.execute(
                update(Record).where(Record.id == record).values(**values)
            ),
        )

    record = writing(running.site.engine, add)
    page = running.signed_in(browser, "bob")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page.goto(f"/records/{record}")
    expect(page.get_by_text("Version 1 is on show; version 2 is being made.")).to_be_visible()
    page.evaluate("window.watched = document.querySelector('video')")
    page.get_by_role("link", name="Cancel").focus()
    is_kept = "document.querySelector('video') === window.watched"
    for stage in ("analyse", "encode"):
        put(stage=stage)
        expect(page.locator("#status")).to_have_attribute("data-state", f"running {stage} 2")
        assert page.evaluate(is_kept), stage
    expect(page.get_by_role("link", name="Cancel")).to_have_count(1)
    put(progress=0.5)
    expect(page.locator("#status .progress")).to_contain_text("57%")
    assert "events" in asked  # nobody asks every few seconds
    assert page.evaluate("document.getElementById('main').contains(document.activeElement)")
    assert (
        page.locator("main > .watching > section.player").count()
        == page.locator("main > h1").count()
        == 1
    )
    writing(running.site.engine, lambda session: session.add(version(record, 2)))
    put(status="delivered", delivered_version=2, claimed_by=None, lease_until=None)
    expect(page.locator(".badge.delivered")).to_be_visible()
    assert not page.evaluate(is_kept)
    expect(page.locator("video")).to_have_attribute("data-sha256", "2" * 64)


def test_what_strangers_wrote_in_a_chat_is_text_in_the_player(
    running: Running, browser: Browser
) -> None:
    span = Span(utc(START), utc(START + timedelta(minutes=1)))
    said = "<script>alert(1)</script> <b>--></b> &amp; \u202e<c.x><00:00:01.000>"
    file = f"00:00:05\tAnn <v>:\t{said}\r\n".encode()
    captions = chat_captions([(Transcript("chat.txt", "chat", span.start), file)], span)
    assert captions is not None

    def add(session: Session) -> int:
        row = Record(
            room_id=1, start_at=span.start, end_at=span.end, zone="Europe/Moscow",
            event_name="Chatty", layout="side_by_side", profile="540p", created_at=START,
            updated_at=START, run_after=START, status="delivered", stage="deliver",
            delivered_version=1,
            users=[RecordUser(user=users.user_row(session, "bob@example.org"), position=0)],
        )  # fmt: skip
        session.add(row)
        session.flush()
        folder = paths.attempt_folder(running.site.settings.data, row.id, 1)
        folder.mkdir(parents=True)
        for kind, path in (("merge", folder / "merge.mp4"), ("chat", folder / "chat.vtt")):
            path.write_text(captions)
            row_of_file = Rendition(
                record_id=row.id, version=1, kind=kind, frames=0, width=1280, height=360,
                path=str(path.relative_to(running.site.settings.data)), size_bytes=1,
                sha256=kind * 12, made_at=START,
            )  # fmt: skip
            session.add(row_of_file)
        for number, title in enumerate(("Limits", said)):
            slide = Slide(
                record_id=row.id, version=1, number=number, start_ms=12_500 * number,
                end_ms=30_000, title=title, words=title, picture=JPEG,
            )  # fmt: skip
            session.add(slide)
        return row.id

    record = writing(running.site.engine, add)
    page = running.signed_in(browser, "bob")
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(f"/records/{record}")
    track = page.locator("video track")
    expect(track).to_have_attribute("label", "Chat")
    cues = track.evaluate(
        "track => new Promise(told => { track.addEventListener('load', () =>"
        " told([...track.track.cues].map(cue => [cue.startTime, cue.getCueAsHTML().textContent,"
        " cue.getCueAsHTML().childElementCount]))); track.track.mode = 'showing' })"
    )
    assert cues == [[5, f"Ann <v>: {said}", 0]]
    slides = page.locator(".slides a")
    expect(slides).to_have_count(2)
    expect(slides.last).to_contain_text("<script>alert(1)</script> <b>--></b>")
    slides.last.click()
    expect(page).to_have_url(re.compile("#t=12.5$"))
    accessible(page)
    shoot(page, "record-with-slides")
    assert not [text for text in refused if "Content Security Policy" in text]


def test_the_form_says_at_once_what_is_wrong(running: Running, browser: Browser) -> None:
    page = running.signed_in(browser, "ann")
    page.goto("/request")
    accessible(page)
    shoot(page, "request")
    page.locator("#f-start").fill("11:00")
    page.locator("#f-end").fill("10:00")
    page.locator("#f-name").focus()
    expect(page.locator("#f-end-error")).to_be_visible()
    page.locator("main form button").last.click()
    expect(page.locator(".summary")).to_be_focused()
    shoot(page, "request-wrong")
    accessible(page)


def test_the_form_follows_the_chosen_room(running: Running, browser: Browser) -> None:
    running.site.add_room("Berlin", zone="Europe/Berlin")
    page = running.signed_in(browser, "ann")
    page.goto("/request?room=504")
    berlin = page.locator("#f-room option[value=Berlin]")
    expect(berlin).to_have_text("Berlin (Europe/Berlin)")
    proposed = berlin.get_attribute("data-start") or ""
    assert proposed and page.locator("#f-start").input_value() != proposed
    page.locator("#f-room").select_option("Berlin")
    expect(page.locator("#f-start")).to_have_value(proposed)
    # In the night in which clocks are put back, which time is meant is asked at once.
    expect(page.locator("#f-end_which")).to_be_hidden()
    page.locator("#f-date").fill("2026-10-25")
    page.locator("#f-start").fill("01:30")
    page.locator("#f-end").fill("02:30")
    page.locator("#f-name").focus()
    expect(page.locator("#f-end-error")).to_contain_text("happens twice")
    page.locator("#f-end_which").select_option("second")
    expect(page.locator("#f-end-error")).to_be_hidden()
    accessible(page)
    shoot(page, "request-twice")
    page.locator("#f-room").select_option("504")  # what was typed stays
    expect(page.locator("#f-end_which")).to_be_hidden()
    assert page.locator("#f-end").input_value() == "02:30"


def plan(running: Running) -> tuple[int, int]:
    """Plan a weekly lecture in a room of its own; return the numbers of the series and its first."""
    site, now = running.site, datetime.now(UTC)
    site.add_room("Timetable")
    tomorrow = now.replace(tzinfo=None, hour=10, minute=0, second=0, microsecond=0) + timedelta(
        days=1
    )
    weekly = Recurrence("Europe/Moscow", tomorrow, timedelta(minutes=90), "FREQ=WEEKLY")
    spec = SeriesSpec(
        "", "MATH-301", "Algebraic topology", weekly, room="Timetable", owners=("ada@example.org",)
    )
    series = series_store.add_series(site.engine, spec, now)
    days_off.add_day_off(
        site.engine, DayOff(*[tomorrow.date() + timedelta(days=14)] * 2, "Holiday"), now
    )
    month = Span(now, now + timedelta(days=30))
    first, second, *_ = documents.list_occurrences(site.engine, month, series=series)
    series_store.edit_occurrence(site.engine, second["id"], OccurrenceEdit(is_off=True), now, None)
    return series, first["id"]


@pytest.fixture(scope="module")
def every_page(running: Running) -> dict[str, dict[str, str]]:
    """All addresses, by who opens them, and their names; something stands on each page."""
    site, now = running.site, datetime.now(UTC)
    series, lecture = plan(running)

    def add(session: Session) -> list[int]:
        user = {name: users.user_row(session, f"{name}@example.org") for name in ("ann", "bob")}
        rows = []
        for name, starts_in, status, more in (
            ("To come", timedelta(days=2), "queued", {}),
            (
                "Failed",
                timedelta(days=-2),
                "failed",
                {"error_code": "no_media", "error_message": Message("records.no_media")},
            ),
            (
                "Being made",
                timedelta(hours=-3),
                "running",
                {
                    "stage": "encode",
                    "progress": 0.4,
                    "claimed_by": "x",
                    "claimed_at": now,
                    "lease_until": now + timedelta(days=1),
                },
            ),
        ):
            start = now + starts_in
            row = Record(
                room_id=1,
                start_at=start,
                end_at=start + timedelta(minutes=90),
                zone="Europe/Moscow",
                event_name=f"{name}: an introduction to algebraic topology",
                layout="side_by_side",
                profile="720p",
                created_at=now,
                updated_at=now,
                run_after=start + timedelta(minutes=90),
                status=status,
                users=[RecordUser(user=user["ann"], position=0)],
                **more,
            )
            session.add(row)
            rows.append(row)
        asked = {
            "name": "Topology",
            "layout": "side_by_side",
            "profile": "720p",
            "course_code": None,
            "key": None,
            "users": [],
        }
        access = AccessRequest(
            user=user["bob"],
            room_id=1,
            start_at=rows[0].start_at,
            end_at=rows[0].end_at,
            asked=asked,
            state="pending",
            created_at=now,
            asks=[AccessAsk(user_id=user["ann"].id)],
        )
        guest = User(
            email="confirming@example.com",
            confirmation=Confirmation(named_at=now, digest=digest_of("a token")),
        )
        session.add_all([access, guest])
        for answer in (None, "desktop"):
            still = Still(
                room_id=1, rough=b"", picture=JPEG, differed=b"", compared=3, last_at=now,
                asked_at=now, answer=answer, answered_at=now if answer else None,
            )  # fmt: skip
            session.add(still)
            session.flush()
            sighting = StillSighting(
                still_id=still.id, record_id=rows[0].id, seconds=240.0, at_start=True, at_end=False,
                decided="presentation",
            )  # fmt: skip
            session.add(sighting)
        session.flush()
        return [*(row.id for row in rows), access.id]  # fmt: skip

    coming, failed, running_now, access = writing(site.engine, add)
    ann = users.get_user_by_address(site.engine, "ann@example.org")
    assert ann is not None
    token = password_links.create_token(site.engine, ann["id"], now)
    selected = f"record={coming}&record={failed}&record={running_now}"
    return {
        "ada": {
            "/records?whose=all": "records", "/records?whose=all&tab=recordings": "recordings",
            "/records?q=nothing": "records-none", "/request": "request", "/timetable": "timetable",
            f"/timetable/{lecture}": "lecture", "/timetable/days-off": "days-off",
            "/timetable/import": "import", f"/series/{series}": "series", f"/series/{series}/edit": "series-edit", "/where": "where",
            "/rooms": "rooms", "/rooms/new": "rooms-new", "/rooms/1/edit": "rooms-edit",
            "/operations": "operations", "/people": "people", "/account": "account",
            "/offers": "offers", "/stills": "stills", "/api/docs": "docs", "/records/4711": "problem",
            f"/records/selected?act=delete&{selected}": "delete",
            f"/records/selected?act=cancel&{selected}": "cancel",
        },
        "ann": {
            "/records": "records-of-ann", f"/records/{coming}": "record-coming",
            f"/records/{coming}/cancel": "cancel-one", f"/records/{failed}": "record-failed",
            f"/records/{running_now}": "record-running", f"/access/{access}": "access",
        },
        "bob": {"/records": "records-of-bob", f"/access/{access}": "access-of-bob"},
        "": {
            "/login": "login", "/login/forgotten": "forgotten", f"/login/password?token={token}": "password",
            "/confirm?token=a%20token": "confirm",
        },
    }  # fmt: skip


LOOKS = (("en-GB", "light"), ("ru-RU", "dark"))


@pytest.mark.parametrize("first", [0, rarely(1, why="each page in the other theme and language")])
def test_every_page_is_accessible_fits_and_needs_no_script(
    running: Running, every_page: dict[str, dict[str, str]], browser: Browser, first: int
) -> None:
    """In both themes in turn, each in a language of its own, wide and on a phone."""
    for who, pages in every_page.items():
        for turn, (locale, scheme) in enumerate(LOOKS):
            page = (
                running.signed_in(browser, who, locale)
                if who
                else running.context(browser, locale).new_page()
            )
            page.emulate_media(color_scheme=scheme)
            plain = running.context(
                browser,
                locale,
                java_script_enabled=False,
                storage_state=page.context.storage_state(),
            ).new_page()
            for path, name in list(pages.items())[turn ^ first :: 2]:
                page.goto(path)
                found = page.locator(CONTROLS).count()
                for closed in page.locator("main details > summary").all():
                    closed.click()
                expect(page.locator("html")).to_have_attribute("lang", locale[:2])
                accessible(page)
                shoot(page, f"{name}-{who or 'nobody'}-{locale[:2]}")
                # Without scripts nobody misses a link or a field.
                plain.goto(page.url)
                assert plain.locator(CONTROLS).count() >= found > 0, page.url
            plain.context.close()
            check_header(page)
            page.context.close()


def check_header(page: Page) -> None:
    """It has one line on a screen; on a phone, all places are in one."""
    header, places = (page.locator(f"header.site{inner}") for inner in ("", " nav > ul"))
    for width, element, most in ((1280, header, 70), (360, places, 45)):
        page.set_viewport_size({"width": width, "height": 800})
        if element.count():
            box = element.bounding_box()
            assert box is not None and box["height"] < most, (page.url, width, box)
    menu = page.locator(".menu")
    if menu.count():
        menu.locator("summary").click()
        for width in (1280, 390, 360):
            page.set_viewport_size({"width": width, "height": 800})
            expect(menu.get_by_role("link").first).to_be_in_viewport(ratio=1)
        accessible(page)
        shoot(page, f"menu-{page.locator('html').get_attribute('lang')}")


def test_a_link_of_an_administrator_lets_somebody_in(running: Running, browser: Browser) -> None:
    """In a browser that names no referrer, because the page with the link says so."""
    ada = running.signed_in(browser, "ada")
    ada.goto("/people")
    ada.locator("#f-email").fill("guest@example.org")
    ada.get_by_role("button", name="Invite").click()
    link = ada.locator("#the-link")
    expect(link).to_be_focused()
    accessible(ada)
    shoot(ada, "people-link")
    guest = running.context(browser).new_page()
    guest.goto(link.input_value())
    guest.get_by_role("button", name="Русский").click()  # which leads back here
    expect(guest.locator("html")).to_have_attribute("lang", "ru")
    guest.locator("#f-password").fill("short")
    guest.locator("#f-again").fill("short")
    guest.keyboard.press("Enter")
    expect(guest.locator("#f-password-error")).to_be_visible()
    accessible(guest)
    guest.locator("#f-password").fill(PASSWORD)
    guest.locator("#f-again").fill(PASSWORD)
    guest.keyboard.press("Enter")
    expect(guest).to_have_url(re.compile("/records$"))
    guest.get_by_role("link", name="guest@example.org").click()
    expect(guest).to_have_url(re.compile("/account$"))


def test_without_javascript_and_with_the_keyboard(running: Running, browser: Browser) -> None:
    context = running.context(browser, java_script_enabled=False)
    page = context.new_page()
    page.goto("/request")
    # A key that is pressed before goes nowhere: nobody types blindly.
    expect(page.get_by_label("Email address")).to_be_focused()
    page.keyboard.type("ann@example.org")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/request"))
    page.wait_for_load_state()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#main$"))
    page.locator("#f-name").focus()
    expect(page.locator("#f-name")).to_be_focused()
    page.keyboard.type("By keyboard")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/records/\d+$"))
    expect(page.get_by_role("heading", name="By keyboard")).to_be_visible()


def test_weekly_recordings_are_requested_without_javascript(
    running: Running, browser: Browser
) -> None:
    context = running.context(browser, java_script_enabled=False)
    page = context.new_page()
    page.goto("/request")
    page.get_by_label("Email address").fill("bob@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/request"))
    first = datetime.now(UTC) + timedelta(days=3)
    page.locator("#f-room").select_option("504")
    page.locator("#f-date").fill(f"{first:%Y-%m-%d}")
    page.locator("#f-start").fill("10:00")
    page.locator("#f-end").fill("11:30")
    page.locator("#f-name").fill("Every week")
    page.get_by_text("Repeat every week").click()
    page.locator("#f-until").fill(f"{first + timedelta(days=21):%Y-%m-%d}")
    page.get_by_role("button", name="Request recording").click()
    expect(page.get_by_role("heading", name="Request weekly recordings")).to_be_visible()
    shoot(page, "weekly")
    page.get_by_role("button", name="Request all 4 lectures").click()
    expect(page).to_have_url(re.compile(r"/series/\d+$"))
    expect(page.get_by_text("4 lectures requested.")).to_be_visible()


def test_enter_saves_a_room(running: Running, browser: Browser) -> None:
    page = running.signed_in(browser, "ada")
    page.goto("/rooms/1/edit")
    page.locator("#f-sources-0-credentials").focus()
    page.keyboard.press("Enter")  # folders take none, and none are typed
    expect(page).to_have_url(re.compile("/rooms$"))
    expect(page.get_by_text("Room 504 saved.")).to_be_visible()


def test_a_source_is_tested_in_the_form_and_nothing_is_typed_twice(
    running: Running, browser: Browser
) -> None:
    page = running.signed_in(browser, "ada")
    page.goto("/rooms/new")
    hint = page.locator("#f-sources-0-address-hint")
    expect(hint).to_contain_text("Choose the kind")
    page.locator("#f-sources-0-kind").select_option("rtsp")
    expect(hint).to_contain_text("rtsp://10.0.5.4/stream1")
    page.locator("#f-name").fill("Aula")
    page.locator("#f-zone").fill("Moscow")
    page.locator("#f-sources-0-name").fill("camera")
    page.locator("#f-sources-0-address").fill("http://10.0.5.4/stream1")
    page.locator("#f-sources-0-credentials").fill("user:s3cret")
    test = page.locator("button[name=test]").first
    test.press("Enter")
    answer = page.locator("#test-0 .trouble")
    expect(answer).to_contain_text("this is not the address of a camera")
    # The page is the one on which it was typed.
    assert page.locator("#f-sources-0-credentials").input_value() == "user:s3cret"
    expect(test).to_be_focused()
    page.locator("#f-name").press("Enter")
    expect(page.locator(".summary")).to_be_focused()
    expect(page.locator(".summary")).to_contain_text("camera, Address: ")
    assert "s3cret" not in page.content()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        accessible(page)
    shoot(page, "room-wrong")
    page.locator("#f-zone").fill("Europe/Moscow")
    page.locator("#f-sources-0-address").fill("rtsp://10.0.5.4/stream1")
    page.locator("#f-name").press("Enter")
    expect(page.get_by_text("Room Aula added.")).to_be_visible()
    [aula] = [
        room for room in store.stored_rooms(running.site.service.engine) if room.name == "Aula"
    ]
    assert [source.credentials for source in aula.sources] == ["user:s3cret"]

    page.goto("/rooms/1/edit")
    page.locator("button[name=test]").first.click()
    picture = page.locator("#test-0 .notice img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 50
    page.locator("#f-sources-1-address").fill("/nowhere")
    page.locator("button[name=test]").nth(1).click()
    expect(page.locator("#test-1 .trouble")).to_contain_text("/nowhere is not available")
    accessible(page)  # still dark
    shoot(page, "room-tested")
    page.goto("/rooms")
    page.evaluate("window.kept = document.querySelector('#sources-1')")
    thumbnails.save_thumbnail(running.site.settings, 3, datetime.now(UTC), JPEG)
    page.evaluate("window.kept.dataset.every = 0")
    expect(page.locator("#sources-1 img[src*='sources/3/picture?at=']")).to_have_count(1)
    assert page.evaluate("document.querySelector('#sources-1') === window.kept")


def test_nothing_comes_from_another_host_and_nothing_breaks_the_policy(
    running: Running, browser: Browser
) -> None:
    page = running.signed_in(browser, "ada")
    hosts, complaints = set(), []
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for path in (
        "/records",
        "/request",
        "/timetable",
        "/rooms",
        "/rooms/1/edit",
        "/people",
        "/account",
        "/offers",
        "/api/docs",
    ):
        page.goto(path)
        page.wait_for_load_state("networkidle")
    assert hosts == {running.address.split("/")[2]}
    assert complaints == []
