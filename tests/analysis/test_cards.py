"""Reading a user's card, and the cards that ship."""

import zlib
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from merger.analysis import cards as cards_module
from merger.analysis.cards import card_from_picture, draw_cards, read_card, shipped_cards
from merger.analysis.classify import classify
from merger.analysis.image_size import image_size
from merger.errors import Refused

pytestmark = pytest.mark.quick


def logo() -> np.ndarray:
    picture = np.full((720, 1280, 3), (120, 80, 30), np.uint8)
    cv2.circle(picture, (640, 300), 160, (60, 200, 250), cv2.FILLED)
    cv2.rectangle(picture, (300, 560), (980, 600), (255, 255, 255), cv2.FILLED)
    return picture


def saved(path: Path, picture: np.ndarray) -> Path:
    """Save by bytes, as a path outside ASCII need not work in the encoder."""
    path.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes())
    return path


def luma_of(bgr: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.cvtColor(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)


@pytest.mark.parametrize("size", [(320, 180), (640, 480), (1920, 1080)])
@pytest.mark.parametrize("name", ["Заставка зала.png", "card.jpg", "card.bmp"])
def test_users_card_is_recognised_in_other_sizes(
    tmp_path: Path, name: str, size: tuple[int, int]
) -> None:
    card = read_card(saved(tmp_path / name, logo()))
    sight = classify(luma_of(logo(), size), None, [*shipped_cards(), card])
    assert (sight.verdict, name in str(sight.reason)) == ("no_signal", True)


def test_grey_and_transparent_images_are_cards(tmp_path: Path) -> None:
    grey = saved(tmp_path / "grey.png", cv2.cvtColor(logo(), cv2.COLOR_BGR2GRAY))
    clear = saved(tmp_path / "clear.png", cv2.cvtColor(logo(), cv2.COLOR_BGR2BGRA))
    for path in (grey, clear):
        sight = classify(luma_of(logo(), (640, 360)), None, [read_card(path)])
        assert sight.verdict == "no_signal"


def refusal(path: Path) -> str:
    with pytest.raises(Refused) as caught:
        read_card(path)
    assert caught.value.code == "card"
    assert path.name in str(caught.value)
    return str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "absent.png")
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("data", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n" + bytes(60)])
def test_what_is_no_image_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "card.png"
    path.write_bytes(data)
    assert "not a readable image" in refusal(path)


def test_a_huge_image_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "big.png", logo())
    monkeypatch.setattr(cards_module, "LARGEST_CARD", 1280 * 720)
    read_card(path)
    monkeypatch.setattr(cards_module, "LARGEST_CARD", 1280 * 720 - 1)
    assert "1280x720" in refusal(path)


@pytest.mark.parametrize("kind", [".png", ".jpg", ".bmp", ".gif", ".webp"])
@pytest.mark.parametrize("size", [(64, 36), (301, 170)])
def test_a_header_says_how_large_an_image_is(kind: str, size: tuple[int, int]) -> None:
    data = cv2.imencode(kind, cv2.resize(logo(), size))[1].tobytes()
    assert image_size(data) == size
    for length in range(64):  # whatever is missing
        image_size(data[:length])


@pytest.mark.parametrize(
    ("options", "mark"),
    [
        ([".webp", cv2.IMWRITE_WEBP_QUALITY, 50], b"VP8 "),
        ([".webp", cv2.IMWRITE_WEBP_QUALITY, 101], b"VP8L"),
        ([".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1], b"\xff\xc2"),
    ],
)
def test_headers_come_in_several_forms(options: list[Any], mark: bytes) -> None:
    kind, *how = options
    data = cv2.imencode(kind, cv2.resize(logo(), (301, 170)), how)[1].tobytes()
    assert mark in data and image_size(data) == (301, 170)


def test_a_header_with_metadata_before_it() -> None:
    plain = cv2.imencode(".jpg", logo())[1].tobytes()
    exif = b"\xff\xe1" + (70).to_bytes(2, "big") + b"\xff\xc0" * 34
    assert image_size(plain[:2] + exif + b"\xff\xff" + plain[2:]) == (1280, 720)
    extended = b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + b"\x2c\x01\0" + b"\xa9\0\0"
    assert image_size(extended) == (301, 170)


def test_an_image_that_is_too_large_is_never_decoded(tmp_path: Path) -> None:
    """All of it but its header is missing, which a decoder would complain about."""
    size = (20_000).to_bytes(4, "big")
    header = b"IHDR" + size + size + b"\x08\x02\0\0\0"
    checksum = zlib.crc32(header).to_bytes(4, "big")
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + header + checksum)
    assert "20000x20000" in refusal(path)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (192, 0, 0), (90, 120, 40)])
def test_a_plain_image_is_refused(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    noise = np.random.default_rng(1).normal(0, 3, (720, 1280, 3))
    picture = np.clip(noise + colour, 0, 255).astype(np.uint8)
    assert "one plain colour" in refusal(saved(tmp_path / "plain.jpg", picture))


def test_a_card_with_one_line_of_words_is_not_plain(tmp_path: Path) -> None:
    picture = np.zeros((720, 1280, 3), np.uint8)
    cv2.putText(picture, "stand by", (560, 360), (180,) * 3, cv2.FontFace("sans"), 36, 400)
    assert read_card(saved(tmp_path / "words.png", picture)).name == "words.png"


def test_shipped_cards_have_distinct_names_and_signatures() -> None:
    assert [card.name for card in shipped_cards()] == list(draw_cards())
    for one, other in combinations(shipped_cards(), 2):
        assert np.abs(one.signatures - other.signatures).max() > 20


@pytest.mark.parametrize("name", draw_cards())
def test_each_shipped_card_is_recognised_as_itself(name: str) -> None:
    planes = card_from_picture(name, draw_cards()[name]).signatures[0].clip(0, 255)
    luma, blue, red = planes.astype(np.uint8)
    sight = classify(luma, (blue, red), shipped_cards())
    # How strong the colours of bars were cannot be told once the range may be mistaken.
    kind = "bars" if "bars" in name else "no_signal"
    assert (sight.verdict, name.split(" bars")[0] in str(sight.reason)) == (kind, True)


@pytest.mark.parametrize("name", draw_cards())
def test_the_drawn_cards_are_whole_pictures(name: str) -> None:
    picture = draw_cards()[name]
    assert (picture.shape, picture.dtype) == ((1080, 1920, 3), np.uint8)
    assert picture[400:700].std() > 10


def test_cyrillic_words_are_drawn_as_letters() -> None:
    """Without a glyph, each letter would be the same box or question mark."""
    unknown = np.zeros((1080, 1920, 3), np.uint8)
    cv2.putText(unknown, "??? ???????", (500, 590), (255,) * 3, cv2.FontFace("sans"), 150, 700)
    drawn = draw_cards()["нет сигнала, black"]
    sight = classify(luma_of(unknown, (960, 540)), None, [card_from_picture("drawn", drawn)])
    assert sight.verdict == "presentation"
