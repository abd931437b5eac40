"""What kind `zoom` finds, loads and refuses, beyond what every kind does."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from merger.errors import Broken, Refused, Temporary
from merger.media.sidecar import Sidecar, load_sidecar
from merger.network.addresses import NotAllowed
from merger.network.resolve import allowed_addresses
from merger.ports.meetings import MeetingEvent
from merger.storage.copying import sha256_of
from merger.timeline.clock import Span
from recorders import base
from recorders.base import Collected, Found, SourceOfRoom
from recorders.zoom import api
from recorders.zoom.download import check_address, rules_of
from recorders.zoom.source import Zoom
from recorders.zoom.views import VIEWS
from tests.fakes.zoom import NUMBER, UUID, Fault, ZoomServer, instant, zoom_served
from tests.recorders.conftest import CLIP_S, MOSCOW, TEN, never, span

Clip = Callable[[datetime], bytes]
NOW = TEN + timedelta(days=1)
HOUR = span(0, 3600)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.Client.__init__, "__defaults__", (lambda seconds: None,))
    monkeypatch.setattr(base, "BLOCK", 1000)


@pytest.fixture
def zoom() -> Iterator[ZoomServer]:
    with zoom_served() as server:
        server.add_meeting()
        yield server


def source(role: str = "speaker", **changes: Any) -> SourceOfRoom:
    """Return a source that is the speaker, or what it is beside that."""
    name = "zoom" if role == "speaker" else f"zoom/{role}"
    made = SourceOfRoom("504", name, role, "zoom", f"zoom:{NUMBER}", MOSCOW)
    return dataclasses.replace(made, **changes)


def find(zoom: ZoomServer, role: str = "speaker", during: Span = HOUR) -> Found:
    return Zoom(zoom.account).find(source(role), during, NOW)


def collect(zoom: ZoomServer, into: Path, role: str = "speaker") -> list[Collected]:
    return Zoom(zoom.account).collect(source(role), HOUR, into, NOW, never)


def views(found: Found) -> list[str]:
    return [item.origin.split(" ")[1] for item in found.items]


def test_each_role_has_its_view(zoom: ZoomServer) -> None:
    for view in ("shared_screen", "Active_Speaker", "gallery_view", "hologram"):
        zoom.add_file(view, TEN, 3600)
    zoom.add_file("audio_only", TEN, 3600, file_type="M4A")
    assert views(find(zoom)) == ["Active_Speaker"]
    assert views(find(zoom, "screen")) == ["shared_screen"]
    assert views(find(zoom, "board")) == ["shared_screen"]
    assert views(find(zoom, "audio")) == ["Active_Speaker"]
    assert not find(zoom).more_expected and not find(zoom, "screen").more_expected


def test_one_view_alone_has_nothing_for_the_right_side(zoom: ZoomServer) -> None:
    zoom.add_file("gallery_view", TEN, 3600)
    assert views(find(zoom)) == ["gallery_view"]
    assert find(zoom, "screen") == Found((), False)


@pytest.mark.parametrize("role", ["screen", "board"])
@pytest.mark.parametrize("views_", [("SP",), ("SS",), ("SG",), ("GV", "SP")], ids="-".join)
def test_beside_a_camera_what_is_shared_is_not_lost(
    zoom: ZoomServer, role: str, views_: tuple[str, ...]
) -> None:
    names = {view: name for name, view in VIEWS.items()}
    for view in views_:
        zoom.add_file(names[view], TEN, 3600)
    beside = source(role, name="zoom")
    found = Zoom(zoom.account).find(beside, HOUR, NOW)
    assert views(found) == [names[views_[-1]]] and not found.more_expected


def test_each_segment_has_the_views_that_it_has(zoom: ZoomServer) -> None:
    zoom.add_file("active_speaker", TEN, 1200)
    zoom.add_file("active_speaker", TEN + timedelta(seconds=1800), 1800)
    zoom.add_file("shared_screen", TEN + timedelta(seconds=1800), 1800)
    assert len(find(zoom).items) == 2 and len(find(zoom, "screen").items) == 1
    assert not find(zoom).more_expected  # a gap inside of a meeting is a gap


def test_a_screen_that_was_shared_later_is_of_the_same_segment(zoom: ZoomServer) -> None:
    zoom.add_file("active_speaker", TEN, 3600)
    zoom.add_file("shared_screen", TEN + timedelta(minutes=5), 600)
    zoom.add_file("shared_screen", TEN + timedelta(minutes=30), 600)
    assert views(find(zoom)) == ["active_speaker"]
    assert views(find(zoom, "screen")) == ["shared_screen"] * 2


def test_captions_are_the_second_choice(zoom: ZoomServer) -> None:
    zoom.add_file("shared_screen_with_speaker_view(CC)", TEN, 3600)
    assert views(find(zoom)) == ["shared_screen_with_speaker_view(CC)"]
    zoom.add_file("shared_screen_with_speaker_view", TEN, 3600)
    assert views(find(zoom)) == ["shared_screen_with_speaker_view"]
    assert find(zoom, "screen").items == ()


@pytest.mark.parametrize(
    ("first_s", "second_s", "starts"),
    [(90, 3000, 1), (119, 120, 1), (120, 3000, 2), (90, 80, 2), (90, 0, 1)],
)
def test_a_false_start(zoom: ZoomServer, first_s: int, second_s: int, starts: int) -> None:
    zoom.add_file("active_speaker", TEN, first_s)
    if second_s:
        zoom.add_file("active_speaker", TEN + timedelta(minutes=5), second_s)
    found = find(zoom)
    assert len(found.items) == starts
    assert bool(found.notes) == (starts == 1 and second_s > 0)


@pytest.mark.parametrize("status", ["processing", None, "", "wat"])
def test_what_zoom_has_not_finished_is_waited_for(zoom: ZoomServer, status: str | None) -> None:
    zoom.add_file("active_speaker", TEN, 3600)
    zoom.add_file("shared_screen", TEN, 3600, status=status)
    found = find(zoom)
    assert [item.settled for item in found.items] == [True] and found.more_expected
    assert [item.settled for item in find(zoom, "screen").items] == [False]


def test_a_file_that_is_still_recorded_has_no_end(zoom: ZoomServer) -> None:
    zoom.add_file("active_speaker", TEN, 0, status="recording", recording_end="", file_size=0)
    found = find(zoom)
    assert [(item.end, item.settled) for item in found.items] == [(None, False)]
    assert found.more_expected


@pytest.mark.parametrize("length_s", [0, -1])
def test_a_finished_file_without_any_length_is_not_waited_for(
    zoom: ZoomServer, length_s: int
) -> None:
    zoom.add_file("active_speaker", TEN, 3600)
    zoom.add_file("shared_screen", TEN, length_s)
    assert views(find(zoom)) == ["active_speaker"] and not find(zoom).more_expected
    assert find(zoom, "screen").items == ()


def test_other_meetings_and_other_days_are_not_meant(zoom: ZoomServer) -> None:
    zoom.add_file("active_speaker", TEN - timedelta(hours=2), 3600)
    zoom.add_meeting("other==", 999_999_999)
    zoom.add_file("active_speaker", TEN, 3600, uuid="other==")
    found = find(zoom)
    assert found.items == () and found.more_expected
    assert zoom.count("/v2/meetings/") == 1


def test_a_meeting_that_was_begun_twice(zoom: ZoomServer) -> None:
    zoom.add_file("active_speaker", TEN, 1000)
    zoom.add_meeting("again==")
    zoom.add_file("gallery_view", TEN + timedelta(seconds=1500), 2100, uuid="again==")
    found = find(zoom)
    assert views(found) == ["active_speaker", "gallery_view"]
    assert found.more_expected  # what lies between may still be on its way


def test_a_sidecar_tells_both_ends_to_a_second(
    zoom: ZoomServer, clip_at: Clip, tmp_path: Path
) -> None:
    zoom.add_file("active_speaker", TEN, CLIP_S, clip_at(TEN))
    (one,) = collect(zoom, tmp_path / "into")
    digest = sha256_of(one.path, lambda: None)
    ends, second = TEN + timedelta(seconds=CLIP_S), timedelta(seconds=1)
    assert load_sidecar(one.path) == Sidecar(TEN, ends, digest, exact_to=second)


def reported(*at_s: tuple[str, float]) -> list[MeetingEvent]:
    """Return what Zoom has reported of the meeting: a kind, and when."""
    return [
        MeetingEvent(UUID, str(NUMBER), f"recording.{kind}", TEN + timedelta(seconds=at))
        for kind, at in at_s
    ]


PAUSED = reported(("started", 0), ("paused", 3), ("resumed", 8), ("stopped", CLIP_S + 5))


def test_a_sidecar_says_when_a_recording_that_was_paused_ran(
    zoom: ZoomServer, clip_at: Clip, tmp_path: Path
) -> None:
    zoom.add_file("active_speaker", TEN, CLIP_S + 5, clip_at(TEN))
    asked: list[str] = []

    def collect_with(events: list[MeetingEvent], into: str) -> tuple[str, Sidecar | None]:
        def events_of(uuid: str) -> list[MeetingEvent]:
            asked.append(uuid)
            return events

        recorder = Zoom(zoom.account, events_of=events_of)
        (one,) = recorder.collect(source(), HOUR, tmp_path / into, NOW, never)
        assert recorder.find(source(), HOUR, NOW).items == (one.item,)
        return one.item.fingerprint, load_sidecar(one.path)

    print_, sidecar = collect_with(PAUSED, "paused")
    assert sidecar is not None and sidecar.end == TEN + timedelta(seconds=CLIP_S + 5)
    assert sidecar.stretches == (span(0, 3), span(8, CLIP_S + 5))
    assert set(asked) == {UUID}
    assert collect_with([*PAUSED[::-1], *PAUSED], "in another order") == (print_, sidecar)

    whole, unpaused = collect_with([], "without events")
    assert whole != print_ and unpaused is not None and unpaused.stretches == ()
    # One that was never resumed ends at its pause, and that is no reason for a warning.
    same, ended = collect_with(PAUSED[:2], "not resumed")
    assert same == whole and ended is not None and ended.stretches == ()
    assert ended.end == TEN + timedelta(seconds=3)


@pytest.mark.parametrize(
    "faults",
    [
        [Fault("/rec/", "drop")],
        [Fault("/rec/", "status", 503)],
        [Fault("/rec/", "status", 429)],
        [Fault("/rec/", "truncate", 5000)],
        [Fault("/rec/", "short", 5000)],
        [Fault("/rec/", "truncate", 5000), Fault("/rec/", "drop"), Fault("/rec/", "truncate", 99)],
    ],
    ids=["drop", "503", "429", "truncate", "short", "several"],
)
@pytest.mark.parametrize("resumes", [True, False])
def test_a_download_goes_on(
    zoom: ZoomServer, clip_at: Clip, tmp_path: Path, faults: list[Fault], resumes: bool
) -> None:
    data = clip_at(TEN)
    zoom.add_file("active_speaker", TEN, CLIP_S, data)
    zoom.faults, zoom.resumes = [dataclasses.replace(fault) for fault in faults], resumes
    (one,) = collect(zoom, tmp_path / "into")
    assert one.path.read_bytes() == data
    if faults[0].what in ("truncate", "short"):
        assert zoom.ranges[0] == "bytes=5000-"


def test_an_address_that_has_expired_is_asked_for_again(
    zoom: ZoomServer, clip_at: Clip, tmp_path: Path
) -> None:
    zoom.add_file("active_speaker", TEN, CLIP_S, clip_at(TEN))
    expire_at_once(zoom)
    assert len(collect(zoom, tmp_path / "into")) == 1
    assert zoom.count("g=1") == 1 == zoom.count("g=2")


def expire_at_once(zoom: ZoomServer, *, has_ids: bool = True) -> None:
    """Have the addresses expire that the list and the meeting tell first."""
    told, asked = zoom.told, []

    def expired_at_first(uuid: str) -> dict[str, Any]:
        said = told(uuid)
        asked.append(uuid)
        zoom.generation = 1 if len(asked) < 2 else 2
        if not has_ids:
            files = [{k: v for k, v in f.items() if k != "id"} for f in said["recording_files"]]
            said = {**said, "recording_files": files}
        return said

    zoom.told = expired_at_first  # type: ignore[method-assign]


def test_a_file_without_an_id_is_asked_for_again_as_that_of_its_view(
    zoom: ZoomServer, clip_at: Clip, tmp_path: Path
) -> None:
    later = TEN + timedelta(seconds=CLIP_S)
    zoom.add_file("active_speaker", TEN, CLIP_S, clip_at(TEN))
    zoom.add_file("shared_screen", TEN, CLIP_S, clip_at(later))
    expire_at_once(zoom, has_ids=False)
    (one,) = collect(zoom, tmp_path / "into", "screen")
    assert one.path.read_bytes() == clip_at(later)


def test_a_page_instead_of_a_file(zoom: ZoomServer, clip_at: Clip, tmp_path: Path) -> None:
    zoom.add_file("active_speaker", TEN, CLIP_S, clip_at(TEN))
    zoom.faults = [Fault("/rec/", "page", times=9)]
    with pytest.raises(Refused, match="deleted, or the app is not allowed to download it") as told:
        collect(zoom, tmp_path / "into")
    assert UUID in str(told.value)
    assert list((tmp_path / "into").iterdir()) == []


def test_one_file_less_does_not_stop_the_others(
    zoom: ZoomServer, clip_at: Clip, tmp_path: Path
) -> None:
    zoom.add_file("active_speaker", TEN, CLIP_S, clip_at(TEN))
    second = TEN + timedelta(seconds=CLIP_S + 10)
    bad = zoom.add_file("active_speaker", second, CLIP_S, clip_at(second))
    del zoom.media[bad["id"]]
    assert len(collect(zoom, tmp_path / "into")) == 1


@pytest.mark.parametrize("data", [b"no video " * 900, b""])
def test_what_is_no_video(zoom: ZoomServer, tmp_path: Path, data: bytes) -> None:
    zoom.add_file("active_speaker", TEN, CLIP_S, data)
    with pytest.raises(Temporary, match="is not a video"):
        collect(zoom, tmp_path / "into")


def test_a_file_that_is_larger_than_zoom_says(
    zoom: ZoomServer, clip_at: Clip, tmp_path: Path
) -> None:
    data = clip_at(TEN)
    zoom.add_file("active_speaker", TEN, CLIP_S, data + b"more", file_size=len(data))
    with pytest.raises(Temporary):
        collect(zoom, tmp_path / "into")


def asked_too_often(zoom: ZoomServer) -> Callable[[], bool]:
    """Stop what would go on for ever."""
    return lambda: zoom.count("/rec/download") > 20


def test_a_file_that_is_shorter_than_zoom_says_is_all_there_is(
    zoom: ZoomServer, clip_at: Clip, tmp_path: Path
) -> None:
    data = clip_at(TEN)
    zoom.add_file("active_speaker", TEN, CLIP_S, data, file_size=len(data) + 1000)
    recorder, into = Zoom(zoom.account), tmp_path / "into"
    for _ in range(2):  # it is not loaded again
        (one,) = recorder.collect(source(), HOUR, into, NOW, asked_too_often(zoom))
        assert one.path.read_bytes() == data
        assert zoom.count("/rec/download") == 2 and zoom.ranges == [f"bytes={len(data)}-"]


@pytest.mark.parametrize("resumes", [True, False])
def test_a_short_file_that_is_no_video_does_not_stop_the_others(
    zoom: ZoomServer, clip_at: Clip, tmp_path: Path, resumes: bool
) -> None:
    zoom.resumes = resumes
    zoom.add_file("active_speaker", TEN, CLIP_S, b"no video" * 900, file_size=9000)
    second = TEN + timedelta(seconds=CLIP_S + 10)
    zoom.add_file("active_speaker", second, CLIP_S, clip_at(second))
    found = Zoom(zoom.account).collect(
        source(), HOUR, tmp_path / "into", NOW, asked_too_often(zoom)
    )
    assert [one.item.start for one in found] == [second]


@pytest.mark.parametrize("status", [200, 416])
def test_a_server_that_never_says_how_long_a_file_is(
    zoom: ZoomServer, clip_at: Clip, tmp_path: Path, status: int
) -> None:
    """The whole file again and again, or refusals in between, are no progress."""
    data = clip_at(TEN)
    zoom.resumes = False
    zoom.add_file("active_speaker", TEN, CLIP_S, data, file_size=len(data) + 1000)
    zoom.refuses_ranges = status == 416
    with pytest.raises(Temporary, match="keeps breaking"):
        Zoom(zoom.account).collect(source(), HOUR, tmp_path / "into", NOW, asked_too_often(zoom))
    assert zoom.count("/rec/download") == 5


@pytest.mark.parametrize(
    "to",
    ["http://10.0.0.1/x", "http://169.254.169.254/latest", "https://example.org/x", "file:///etc/passwd",
     "https://zoom.us.example.org/", "http://localhost/x", "//127.0.0.2/x", "gopher://127.0.0.1/"],
)  # fmt: skip
def test_a_redirect_to_elsewhere(zoom: ZoomServer, tmp_path: Path, to: str) -> None:
    zoom.add_file("active_speaker", TEN, CLIP_S, b"media")
    zoom.faults = [Fault("/rec/", "redirect", to, times=9)]
    with pytest.raises(Broken, match="MERGER_ZOOM_HOSTS"):
        collect(zoom, tmp_path / "into")


def test_redirects_are_followed_to_zoom_and_not_for_ever(
    zoom: ZoomServer, clip_at: Clip, tmp_path: Path
) -> None:
    zoom.add_file("active_speaker", TEN, CLIP_S, clip_at(TEN))
    zoom.add_file("gallery_view", TEN, CLIP_S, clip_at(TEN))
    other = f"{zoom.address}/rec/download/00000000-file?g=1&r"
    zoom.faults = [Fault("/00000000-file?g=1", "redirect", other)]
    assert len(collect(zoom, tmp_path / "into")) == 1
    zoom.faults = [Fault("/00000001-file", "redirect", f"{zoom.address}/00000001-file", times=99)]
    with pytest.raises(Temporary, match="circles"):
        collect(zoom, tmp_path / "into", "screen")


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://zoom.us/rec/x", True), ("https://us02web.zoom.us/rec", True),
        ("https://ssrweb.zoomgov.com/x", True), ("https://ZOOM.us./x", True),
        ("http://zoom.us/rec", False), ("https://zoom.us@evil.org/", False),
        ("https://evilzoom.us/", False), ("https://zoom.us.evil.org", False), ("", False),
        ("https://", False), ("https://[::1]/", False), ("https://[", False),
        ("ftp://zoom.us/", False), ("https://127.0.0.1/", False),
        ("https://evil.example\\.zoom.us/", False), ("https://evil.example\\@zoom.us/", False),
        ("https://zoom.us\\.evil.example/", False), ("https:\\\\zoom.us/", False),
        ("https://user@zoom.us/", False), ("https://zoom.us:443:80/", False),
        ("https://evil.example#.zoom.us/", False), ("https://evil.example?.zoom.us/", False),
        ("https://evil.example%2f.zoom.us/", False), ("https://evil.example\t.zoom.us/", False),
        ("https://zoom。us/", False), ("https://ⓩoom.us/", False), ("https://zo\u043em.us/", False),
        ("https://zoom.us:8443/x", True),
    ],
)  # fmt: skip
def test_which_addresses_are_zooms(url: str, good: bool) -> None:
    if good:
        check_address(url, api.Account().hosts)
        return
    with pytest.raises(Broken, match=r"not one of zoom\.us, zoomgov\.com"):
        check_address(url, api.Account().hosts)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fe80::1%lo", "64:ff9b::10.1.2.3",
     "2002:7f00:1::", "100.64.0.1", "fd00::1"],
)  # fmt: skip
def test_a_name_of_zooms_that_leads_into_our_network(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    def told(*_: Any, **__: Any) -> list[Any]:
        return [(0, 0, 0, "", ("170.114.52.2", 443)), (0, 0, 0, "", (address, 443))]

    monkeypatch.setattr(socket, "getaddrinfo", told)
    with pytest.raises(NotAllowed, match=address.partition("%")[0]):
        allowed_addresses("us02web.zoom.us", 443, rules_of(("zoom.us",)))


def test_a_connection_goes_where_it_was_checked(
    zoom: ZoomServer, clip_at: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that resolves to another address the second time is never asked twice."""
    zoom.add_file("active_speaker", TEN, CLIP_S, clip_at(TEN))
    zoom.faults = [Fault("/rec/", "redirect", "https://us02web.zoom.us/rec/x", times=9)]
    hosts = ("127.0.0.1", "zoom.us")
    account = dataclasses.replace(zoom.account, hosts=hosts)
    asked: list[str] = []
    real = socket.getaddrinfo

    def told(host: Any, *more: Any, **options: Any) -> Any:
        if str(host).endswith("zoom.us"):
            asked.append(host)
            return [(0, 0, 0, "", ("127.0.0.1", 443))]
        return real(host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", told)
    with pytest.raises(Broken, match="not a public address"):
        Zoom(account).collect(source(), HOUR, tmp_path / "into", NOW, never)
    assert asked == ["us02web.zoom.us"]


@pytest.mark.parametrize("credentials", ["one", "a:b", "a::c", "a:b:c:d"])
def test_credentials_of_another_form(zoom: ZoomServer, credentials: str) -> None:
    with pytest.raises(Refused, match="account_id:client_id:client_secret") as told:
        Zoom(zoom.account).check(source(credentials=credentials))
    assert told.value.code == "credentials" and credentials not in str(told.value)


def test_no_credentials_at_all() -> None:
    with pytest.raises(Refused, match="MERGER_ZOOM_CREDENTIALS"):
        Zoom().check(source())
    Zoom().check(source(credentials="a:b:c"))


def test_what_was_written_and_said_is_kept(zoom: ZoomServer, tmp_path: Path) -> None:
    zoom.add_file("active_speaker", TEN, 3600)
    zoom.add_file("chat_file", TEN, 3600, b"10:00 Ann: hello", file_type="CHAT")
    zoom.add_file("audio_transcript", TEN, 3600, b"WEBVTT", file_type="TRANSCRIPT")
    bare = zoom.add_file("", TEN, 3600, b"WEBVTT", file_type="CC", status=None)
    bare["file_size"] = None
    zoom.add_file("", TEN, 3600, b"{}", file_type="TIMELINE")
    gone = zoom.add_file("chat_file", TEN, 3600, b"gone", file_type="CHAT")
    del zoom.media[gone["id"]]
    recorder = Zoom(zoom.account)
    there = recorder.collect_transcripts(source(), HOUR, tmp_path, never)
    names = [one.name for one in there]
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
    assert sorted(name.split("-")[0] for name in names) == ["audio_transcript", "cc", "chat_file"]
    assert {(tmp_path / name).read_bytes() for name in names} == {b"10:00 Ann: hello", b"WEBVTT"}
    asked = zoom.count("/rec/download")
    assert recorder.collect_transcripts(source(), HOUR, tmp_path, never) == there
    assert zoom.count("/rec/download") == asked + 2  # the one that is gone, twice
    assert not find(zoom).more_expected  # nobody waits for them


@pytest.mark.parametrize("resumes", [True, False])
def test_the_size_of_what_was_written_is_not_believed(
    zoom: ZoomServer, tmp_path: Path, resumes: bool
) -> None:
    zoom.resumes = resumes
    zoom.add_file("active_speaker", TEN, 3600)
    zoom.add_file("chat_file", TEN, 3600, b"10:00 Ann: hello", file_type="CHAT", file_size=999)
    stop = asked_too_often(zoom)
    (chat,) = Zoom(zoom.account).collect_transcripts(source(), HOUR, tmp_path, stop)
    assert (tmp_path / chat.name).read_bytes() == b"10:00 Ann: hello"


def test_where_the_times_of_what_was_written_and_said_lie(zoom: ZoomServer, tmp_path: Path) -> None:
    """A chat counts from the start of the meeting, a transcript goes with its recording."""
    began = TEN - timedelta(seconds=130)
    zoom.meetings[UUID]["start_time"] = instant(began)
    for view, kind in (
        ("active_speaker", "MP4"), ("chat_file", "CHAT"), ("audio_transcript", "TRANSCRIPT"),
        ("closed_caption", "CC"),
    ):  # fmt: skip
        zoom.add_file(view, TEN, 600, view.encode(), file_type=kind)
    events = [
        MeetingEvent(UUID, str(NUMBER), f"recording.{kind}", TEN + timedelta(seconds=s))
        for kind, s in (("started", 0), ("paused", 120), ("resumed", 330), ("stopped", 600))
    ]
    recorder = Zoom(zoom.account, events_of=lambda uuid: events)
    there = recorder.collect_transcripts(source(), HOUR, tmp_path, never)
    ran = span(0, 120), span(330, 600)
    assert [(one.kind, one.zero, one.stretches) for one in there] == [
        ("chat", began, ()), ("transcript", TEN, ran), ("transcript", None, ran),
    ]  # fmt: skip
    del zoom.meetings[UUID]["start_time"]
    del zoom.meetings[UUID]["recording_files"][2]
    chat, captions = recorder.collect_transcripts(source(), HOUR, tmp_path, never)
    assert chat.zero is None
    assert captions.zero == TEN  # nothing else says what they say


def test_one_paper_less_does_not_stop_the_others(zoom: ZoomServer, tmp_path: Path) -> None:
    zoom.add_file("active_speaker", TEN, 3600)
    for view in ("chat_file", "closed_caption"):
        zoom.add_file(view, TEN, 3600, view.encode(), file_type="CHAT")
    name = zoom.meetings[UUID]["recording_files"][1]["id"]
    zoom.faults = [Fault(f"/rec/download/{name}", "drop", times=99)]
    recorder = Zoom(zoom.account)
    (brought,) = recorder.collect_transcripts(source(), HOUR, tmp_path, never)
    assert brought.name.startswith("closed_caption")
    del zoom.meetings[UUID]["recording_files"][2]
    with pytest.raises(Temporary, match="keeps breaking"):
        recorder.collect_transcripts(source(), HOUR, tmp_path, never)


def test_all_views_for_the_archive(zoom: ZoomServer, clip_at: Clip, tmp_path: Path) -> None:
    wanted = [
        "active_speaker", "shared_screen", "gallery_view", "shared_screen_with_gallery_view",
        "shared_screen_with_speaker_view", "shared_screen_with_speaker_view_cc", "hologram",
    ]  # fmt: skip
    told = ["hologram", "shared_screen_with_speaker_view(CC)", *reversed(wanted[:-2])]
    for view in told:
        zoom.add_file(view, TEN, CLIP_S, clip_at(TEN))
    zoom.add_file("chat_file", TEN, CLIP_S, b"hello", file_type="CHAT")
    recorder = Zoom(zoom.account)
    for _ in range(2):
        there = recorder.collect_views(source(), HOUR, tmp_path, never)
        names = [recorder.view_of(file.item.origin) for file in there]
        assert sorted(names) == sorted(wanted) and names[-1] == "hologram"
        assert names[:4] == wanted[:4] and all(file.path.is_file() for file in there)
    assert zoom.count("/rec/download") == len(wanted)
