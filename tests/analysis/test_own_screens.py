"""A room's own screen: compared day by day, and found again with what varies on it."""

from __future__ import annotations

import io

import av
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from merger.analysis.cards import Card
from merger.analysis.classify import classify
from merger.analysis.decoding import planes
from merger.analysis.own_screens import (
    Described,
    count_differences,
    describe,
    differences_between,
    look_at,
    own_card,
    roughly_alike,
)
from merger.analysis.words.memory import read_nothing

pytestmark = pytest.mark.quick

Bgr = npt.NDArray[np.uint8]
SIZE = (960, 540)


def desktop(clock: str = "10:05", *, popup: bool = False, seed: int = 1) -> Bgr:
    """Draw an idle desktop: hills, icons with names, a bar with a clock."""
    random = np.random.default_rng(seed)
    hills = random.integers(30, 200, (5, 8, 3), np.uint8)
    picture = np.asarray(cv2.resize(hills, SIZE, interpolation=cv2.INTER_CUBIC), np.uint8)
    for n in range(6):
        left, top = 20 + 90 * (n // 4), 20 + 110 * (n % 4)
        colour = [int(level) for level in random.integers(40, 255, 3)]
        cv2.rectangle(picture, (left, top), (left + 44, top + 44), colour, cv2.FILLED)
        write(picture, f"Icon {n}", (left, top + 64), 13)
    picture[510:] = (40, 30, 30)
    write(picture, clock, (880, 532), 18)
    if popup:
        picture[380:470, 700:940] = (45, 45, 45)
        write(picture, "A new message", (715, 430), 20)
    return picture


def slide(words: str, ground: Bgr | None = None) -> Bgr:
    picture = np.full((SIZE[1], SIZE[0], 3), 250, np.uint8) if ground is None else ground.copy()
    for n, line in enumerate(words.split(", ")):
        write(picture, line, (90, 120 + 70 * n), 34, (30, 30, 30))
    return picture


def write(picture: Bgr, text: str, at: tuple[int, int], size: int, colour: tuple[int, ...] = (240, 240, 240)) -> None:  # fmt: skip
    cv2.putText(picture, text, at, colour, cv2.FontFace("sans"), size, 400)


def sent(picture: Bgr, crf: int) -> av.VideoFrame:
    """Send a picture through an encoder."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}
        frame = av.VideoFrame.from_ndarray(picture, "bgr24")
        out.mux([*stream.encode(frame), *stream.encode(None)])
    file.seek(0)
    with av.open(file) as media:
        return next(media.decode(video=0))


def kept(picture: Bgr) -> Described:
    """Return a picture as a room keeps it, after an encoder had it."""
    bgr = sent(picture, 26).to_ndarray(format="bgr24")
    (described,) = describe([cv2.imencode(".jpg", bgr)[1].tobytes()])
    assert described is not None
    return described


def card_of(picture: Bgr, differed: bytes = b"", compared: int = 0) -> Card:
    card = own_card(3, "desktop", kept(picture).picture, differed, compared)
    assert card is not None
    return card


def verdict(picture: Bgr, *cards: Card) -> str:
    return classify(*planes(sent(picture, 40)), cards, read_nothing).verdict


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (desktop(), "desktop"),
        (desktop("18:42"), "desktop"),
        (desktop("11:11", popup=True), "desktop"),
        (desktop(seed=2), "presentation"),
        (slide("Limits, and what they are for"), "presentation"),
    ],
    ids=["itself", "later", "with a message", "another desktop", "a slide"],
)
def test_a_room_knows_its_own_screen(picture: Bgr, expected: str) -> None:
    assert verdict(picture, card_of(desktop())) == expected


def test_other_words_on_the_same_ground_are_another_slide() -> None:
    ground = cv2.GaussianBlur(desktop(seed=3), (0, 0), 30)
    first = slide("Limits, of sequences, and of functions", np.asarray(ground, np.uint8))
    other = slide("Series, are long sums, that may end", np.asarray(ground, np.uint8))
    assert verdict(first, card_of(first)) == "desktop"
    assert verdict(other, card_of(first)) == "presentation"
    bars = np.zeros_like(first)
    bars[:, 120:-120] = 250
    card = card_of(slide("Title", bars))
    assert verdict(slide("Goals", bars), card) == "presentation"


def test_what_varies_is_learned() -> None:
    """A clock in large digits is too much for a card that has been met once."""

    def locked(clock: str) -> Bgr:
        picture = np.asarray(cv2.GaussianBlur(desktop(seed=4), (0, 0), 5), np.uint8)
        write(picture, clock, (180, 350), 120)
        return picture

    first = kept(locked("10:05"))
    before = look_at(first.picture)
    assert before is not None
    differed = b""
    for compared, clock in enumerate(("10:48", "10:27", "11:36", "12:19")):
        again = look_at(kept(locked(clock)).picture)
        assert again is not None
        mask = differences_between(again, before, differed, compared)
        assert mask is not None, clock
        differed = count_differences(differed, mask)
    assert verdict(locked("23:48"), card_of(locked("10:05"))) == "presentation"
    assert verdict(locked("23:48"), card_of(locked("10:05"), differed, 4)) == "desktop"


def test_pictures_are_looked_for_roughly() -> None:
    here = [kept(slide("Limits, of sequences")), kept(desktop("9:00")), kept(desktop(seed=2))]
    assert roughly_alike(kept(desktop("17:30")).rough, [one.rough for one in here])[0] == 1
    assert roughly_alike(here[0].rough, []) == roughly_alike(here[0].rough, [b"older"]) == []


def test_what_is_empty_or_no_picture_is_not_kept() -> None:
    plain = cv2.imencode(".jpg", np.full((540, 960, 3), 90, np.uint8))[1].tobytes()
    assert describe([plain, b"nothing", b""]) == [None, None, None]
    assert own_card(1, "lock", b"nothing", b"", 0) is None
