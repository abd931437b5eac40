"""Fixtures: the ffmpeg programs, a library to film into, and one call that merges it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings

from merger.config import load
from merger.isolation import confinement
from merger.media.library import read_library
from merger.render import ffmpeg
from merger.render import merge as pipeline
from merger.render.context import MergeRequest, RenderContext, Watch
from merger.render.progress import Silent
from merger.render.screen.presence import Presence, analyse_presence
from merger.storage.cache import Cache
from merger.storage.files import work_folder
from merger.timeline import profiles
from merger.timeline.clock import Span, utc
from merger.timeline.plan import Chunk, Sources
from merger.timeline.profiles import Profile
from merger.timeline.report import MergeResult
from recorders.testing.clock import Picture, plain
from tests.support import films
from tests.support.fast_encoder import FAST_ENCODERS

pytest.register_assert_rewrite("tests.support.aftermath")  # it checks; others only help

pytest_plugins = [
    "tests.support.selection", "tests.support.databases", "tests.support.line", "tests.support.site",
    "tests.daemon.crew", "tests.delivery.places",
]  # fmt: skip


# Words of a picture cost a third of a second: who tests what they say has them read.
os.environ["MERGER_READ_WORDS"] = "no"

# A machine that is busy is no mistake of a test that makes up examples.
settings.register_profile("tests", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--live", action="store_true", help="ask Google itself, as MERGER_GOOGLE_… say"
    )


MOSCOW = ZoneInfo("Europe/Moscow")
START = datetime(2026, 11, 20, 10, 0, tzinfo=MOSCOW)
SMALL = (320, 180)
NUMBERS = {"speaker": 1, "screen": 2, "board": 3, "audio": 4}
PITCHES = {"speaker": 440.0, "screen": 660.0, "board": 880.0, "audio": 1320.0}

CARRIED = ffmpeg.find_tool(None)


def system_ffmpeg() -> ffmpeg.Tool | None:
    path = shutil.which("ffmpeg")
    return ffmpeg.find_tool(path) if path else None


def seconds(value: float) -> timedelta:
    return timedelta(milliseconds=round(value * 1000))


@pytest.fixture(scope="session", params=["carried", "system"])
def tool(request: pytest.FixtureRequest) -> ffmpeg.Tool:
    """Both ffmpeg programs, where both are there."""
    if request.param == "carried":
        return CARRIED
    found = system_ffmpeg()
    if found is None:
        message = "NOT TESTED: no ffmpeg is installed beside the one that a package carries"
        if os.environ.get("TESTS_NEED_FFMPEG") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="session", autouse=True)
def shelf() -> None:
    films.keep()


def pytest_sessionstart(session: pytest.Session) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        films.throw_old_away()


@pytest.fixture(autouse=True)
def tiny_profile(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile that encodes fast, for tests that read the result rather than admire it."""
    # A command that is run in this process may say otherwise, for the whole process.
    monkeypatch.setattr(confinement, "_is_wanted", True)
    if request.node.get_closest_marker("real_encoder") is None:
        monkeypatch.setattr(profiles, "ENCODERS", FAST_ENCODERS)
    table = {
        **profiles.PROFILES,
        "tiny": Profile("tiny", 180, "h264"),
        "tiny_av1": Profile("tiny_av1", 180, "av1"),
    }
    monkeypatch.setattr(profiles, "PROFILES", table)


@dataclass
class Room:
    """A library being filmed into, and merged."""

    folder: Path
    tool: ffmpeg.Tool = CARRIED
    zone: ZoneInfo = MOSCOW
    environ: dict[str, str] = field(default_factory=dict)
    rate: Fraction = Fraction(25)  # of what is filmed

    @property
    def library(self) -> Path:
        return self.folder / "library"

    @property
    def output(self) -> Path:
        return self.folder / "output"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def film(
        self,
        source: str,
        at_s: float = 0.0,
        length_s: float = 10.0,
        *,
        start: datetime = START,
        name: str | None = None,
        container: str = "mp4",
        ground: Picture | None = None,
        sound: bool = True,
        size: tuple[int, int] = SMALL,
        **options: Any,
    ) -> Path:
        """Film a source from some seconds after the start, into a file named as a recorder would."""
        begun = start + seconds(at_s)
        local = begun.astimezone(self.zone)
        path = self.library / (name or f"{local:%Y-%m-%d_%H-%M-%S}_504_{source}.{container}")
        path.parent.mkdir(parents=True, exist_ok=True)
        options.setdefault("rate", self.rate)
        options.setdefault("codec", ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25"))
        films.film(
            CARRIED.path, path, begun, seconds(length_s),
            ground=plain(*size) if ground is None else ground,
            source=NUMBERS[source], pitch_hz=PITCHES[source] if sound else None, **options,
        )  # fmt: skip
        return path

    def request(
        self, until_s: float = 10.0, *, from_s: float = 0.0, start: datetime = START, **changes: Any
    ) -> MergeRequest:
        roles: Sequence[str] = changes.pop("roles", ("speaker", "screen"))
        values: dict[str, Any] = {
            "room": "504",
            "span": Span(utc(start + seconds(from_s)), utc(start + seconds(until_s))),
            "zone": self.zone,
            "sources": Sources(**{role: role for role in roles}),
            "profile": "tiny",
            "chunk": timedelta(seconds=10),
        }
        return MergeRequest(**{**values, **changes})

    def merge(self, until_s: float = 10.0, **changes: Any) -> MergeResult:
        library = changes.pop("library", self.library)
        configured = load(
            {
                "MERGER_CACHE": str(self.cache),
                "MERGER_ENCODER": "software",
                "MERGER_READ_WORDS": "no",
                **self.environ,
            }
        )
        return pipeline.merge(
            self.request(until_s, **changes),
            library,
            self.output,
            configured,
            self.tool,
            Silent(),
        )

    def chunks(self, until_s: float = 10.0, **changes: Any) -> list[Chunk]:
        """Decide in which chunks a presentation is shown, and encode nothing."""
        return self.presence(until_s, **{"decide": "chunk", **changes}).chunks

    def presence(self, until_s: float = 10.0, **changes: Any) -> Presence:
        """Decide what is shown when, and encode nothing."""
        request = self.request(until_s, **changes)
        configured = load(
            {"MERGER_CACHE": str(self.cache), "MERGER_READ_WORDS": "no", **self.environ}
        )
        library = read_library(
            self.library, request.room, request.sources.names, request.span, request.zone
        )
        self.cache.mkdir(exist_ok=True)
        with work_folder(self.cache) as work:
            context = RenderContext(configured, self.tool, Watch(Silent()), lambda: False, work)
            return analyse_presence(context, request, library)

    def cached(self) -> set[str]:
        """Return the names of all finished files in the cache, without verdicts about chunks."""
        names = {path.name for path in Cache(self.cache, limit_bytes=0).files()}
        return {name for name in names if not name.endswith((".chunk.json", ".watched.json"))}


@pytest.fixture
def room(tmp_path: Path, tool: ffmpeg.Tool) -> Room:
    """A room whose lectures are merged by either ffmpeg."""
    return Room(tmp_path, tool)


@pytest.fixture
def one_room(tmp_path: Path) -> Iterator[Room]:
    """A room whose lectures are merged by the carried ffmpeg: where the program is not in question."""
    yield Room(tmp_path)


FILM_RATE = Fraction(25)
