"""The classes of pictures, drawn, put through an encoder, and near misses of each."""

import io
from collections.abc import Callable
from functools import cache
from typing import Any

import av
import cv2
import numpy as np
import pytest

from merger.analysis.cards import BT709, Card, card_from_picture, draw_cards, shipped_cards
from merger.analysis.classify import Sample, classify
from merger.analysis.kinds.noise import noise_share
from merger.analysis.words.networks import are_there
from merger.analysis.words.reading import Line
from tests.support.sweeps import for_each, for_each_in_turn

WHITE, BLACK, BLUE, GREY = (255, 255, 255), (0, 0, 0), (192, 0, 0), (128, 128, 128)
WIDE, ODD, SMALL, SQUARE = (1920, 1080), (1366, 768), (320, 180), (1024, 768)


def plain(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((1080, 1920, 3), colour, np.uint8)


def write(
    picture: np.ndarray,
    text: str,
    at: tuple[int, int] | None,
    size: int,
    colour: tuple[int, int, int] = WHITE,
    weight: int = 400,
) -> np.ndarray:
    """Write at a baseline's left end, or centred as the shipped cards do."""
    font = cv2.FontFace("sans")
    if at is None:
        _, _, width, _ = cv2.getTextSize((1920, 1080), text, (0, 590), font, size, weight)
        at = ((1920 - width) // 2, 590)
    cv2.putText(picture, text, at, colour, font, size, weight)
    return picture


def pointer(picture: np.ndarray, at: tuple[int, int] = (700, 400), scale: int = 1) -> np.ndarray:
    shape = np.array([[0, 0], [0, 17], [4, 13], [7, 19], [9, 18], [7, 12], [12, 12]]) * scale + at
    cv2.fillPoly(picture, [shape.astype(np.int32)], WHITE)
    cv2.polylines(picture, [shape.astype(np.int32)], True, BLACK, scale)
    return picture


def noisy(picture: np.ndarray, sigma: float = 4) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, sigma, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def pillars(picture: np.ndarray, share: float = 0.75) -> np.ndarray:
    """Squeeze the picture into the middle of the width, between black bars."""
    width = picture.shape[1]
    inner = round(width * share)
    left = (width - inner) // 2
    result = np.zeros_like(picture)
    result[:, left : left + inner] = cv2.resize(
        picture, (inner, picture.shape[0]), interpolation=cv2.INTER_AREA
    )
    return result


def letterbox(picture: np.ndarray) -> np.ndarray:
    """Put the picture, unstretched, into 4:3."""
    result = np.zeros((1440, 1920, 3), np.uint8)
    result[180:1260] = picture
    return result


def photo(seed: int = 3) -> np.ndarray:
    """Draw a picture with detail of every size, as a photograph has."""
    random = np.random.default_rng(seed)
    total = np.zeros((1080, 1920, 3), np.float32)
    for cells, weight in ((4, 1.0), (12, 0.6), (40, 0.35), (160, 0.2), (640, 0.1)):
        layer = random.normal(0, weight, (cells * 9 // 16 + 1, cells, 3)).astype(np.float32)
        total += cv2.resize(layer, WIDE, interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 55 * total, 0, 255).astype(np.uint8)


def film_dark() -> np.ndarray:
    return (photo(5) * 0.16).astype(np.uint8)


def code() -> np.ndarray:
    picture = plain((30, 30, 30))
    for row, text in enumerate(("def area(r):", "    return 3.14 * r * r", "", "print(area(2))")):
        write(picture, text, (120, 90 + 34 * row), 26, ((200, 200, 120), (180, 180, 180))[row % 2])
    return picture


def chart_line() -> np.ndarray:
    picture = plain(WHITE)
    x = np.arange(300, 1600)
    points = np.stack([x, 700 - 200 * np.sin(x / 170)], 1).astype(np.int32)
    cv2.polylines(picture, [points], False, (200, 90, 30), 2, cv2.LINE_AA)
    return picture


def bar_chart() -> np.ndarray:
    picture = plain(WHITE)
    colours = ((191, 191, 191), (0, 191, 191), (191, 191, 0), (0, 191, 0), (191, 0, 191))
    for i, colour in enumerate((*colours, (0, 0, 191), (191, 0, 0), BLACK)):
        cv2.rectangle(
            picture, (140 + 210 * i, 120 + 90 * i), (320 + 210 * i, 1000), colour, cv2.FILLED
        )
    return picture


def about_bars(share: float = 0.33) -> np.ndarray:
    picture = plain(WHITE)
    width, height = round(1920 * share**0.5), round(1080 * share**0.5)
    bars = cv2.resize(draw_cards()["SMPTE bars"], (width, height), interpolation=cv2.INTER_AREA)
    left = (1920 - width) // 2
    picture[200 : 200 + height, left : left + width] = bars
    return write(picture, "Colour bars", (120, 140), 90, BLACK)


def desktop() -> np.ndarray:
    picture = (photo(7) * 0.5 + 60).astype(np.uint8)
    for row in range(5):
        cv2.rectangle(picture, (40, 60 + 150 * row), (110, 130 + 150 * row), WHITE, cv2.FILLED)
    picture[1040:] = (40, 40, 40)
    return picture


def bullets() -> np.ndarray:
    picture = write(plain(WHITE), "What the screen may show", (140, 180), 80, BLACK, 700)
    for row, text in enumerate(("a presentation", "NO SIGNAL", "one colour")):
        write(picture, "• " + text, (180, 400 + 150 * row), 60, BLACK)
    return picture


def logo_card() -> np.ndarray:
    """Draw what a user may give: a photo with a logo."""
    picture = photo(11)
    cv2.circle(picture, (960, 420), 180, (40, 160, 240), cv2.FILLED)
    cv2.circle(picture, (960, 420), 120, WHITE, 24)
    return picture


def template(words: str) -> np.ndarray:
    """Draw a page of one house style: its words alone make it a card or a slide."""
    picture = plain((250, 245, 240))
    picture[:110] = (120, 60, 20)
    cv2.circle(picture, (1780, 55), 40, WHITE, cv2.FILLED)
    picture[1050:] = (120, 60, 20)
    return write(picture, words, None, 90, (60, 30, 10), 600)


def bars_with_text() -> np.ndarray:
    picture = draw_cards()["EBU bars, 75 %"].copy()
    cv2.rectangle(picture, (560, 700), (1360, 860), BLACK, cv2.FILLED)
    return write(picture, "ROOM 12  CAM 1", (640, 810), 90)


def shade(level: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Draw a grey of each place: x and y from -1 to 1."""
    y, x = np.mgrid[-1:1:1080j, -1:1:1920j]
    return np.repeat(level(x, y)[:, :, None], 3, axis=2).clip(0, 255).astype(np.uint8)


def bars_of(colours: str) -> np.ndarray:
    """Draw columns of even width: white, yellow, cyan, green, magenta, red, blue, black."""
    levels = {
        "w": (1, 1, 1), "y": (0, 1, 1), "c": (1, 1, 0), "g": (0, 1, 0),
        "m": (1, 0, 1), "r": (0, 0, 1), "b": (1, 0, 0), "k": (0, 0, 0),
    }  # fmt: skip
    row = np.array([[levels[colour] for colour in colours]], np.uint8) * 220
    return cv2.resize(row, WIDE, interpolation=cv2.INTER_NEAREST)


def framed(picture: np.ndarray) -> np.ndarray:
    result = plain(WHITE)
    result[240:960, 240:1680] = resized(picture, (1440, 720))
    return write(result, "Colours that add", (240, 160), 80, BLACK)


def spectrum() -> np.ndarray:
    hues = np.linspace(0, 179, 1920).astype(np.uint8)
    row = np.stack([hues, np.full(1920, 255, np.uint8), np.full(1920, 255, np.uint8)], 1)[None]
    picture = plain(BLACK)
    picture[300:800] = cv2.cvtColor(row, cv2.COLOR_HSV2BGR)
    return write(picture, "Visible light", (120, 160), 80)


def tiles(
    columns: int, rows: int, colour: Callable[[int, int], tuple[int, int, int]]
) -> np.ndarray:
    cells = np.array([[colour(i, j) for i in range(columns)] for j in range(rows)], np.uint8)
    return cv2.resize(cells, WIDE, interpolation=cv2.INTER_NEAREST)


def round_card() -> np.ndarray:
    picture = plain(GREY)
    for x in range(0, 1920, 80):
        cv2.line(picture, (x, 0), (x, 1079), WHITE, 3)
    for y in range(20, 1080, 80):
        cv2.line(picture, (0, y), (1919, y), WHITE, 3)
    cv2.circle(picture, (960, 540), 480, (190,) * 3, cv2.FILLED)
    picture[360:540, 560:1360] = resized(bars_of("wycgmrb"), (800, 180))
    return picture


def empty_table() -> np.ndarray:
    picture = plain(WHITE)
    for row in range(8):
        picture[200 + 100 * row : 200 + 100 * row + 50, 200:1720] = (240, 220, 200)
    return write(picture, "Measurements", (200, 140), 80, BLACK)


def dense_words() -> np.ndarray:
    picture = plain((25, 25, 25))
    for row in range(44):
        write(
            picture,
            f"{row * 7919 % 97:02d} root  {row * 31337 % 9973:5d} " * 5,
            (5, 24 + 24 * row),
            22,
        )
    return picture


def snow(size: int) -> np.ndarray:
    grains = np.random.default_rng(2).integers(0, 256, (1080 // size, 1920 // size, 1), np.uint8)
    return np.repeat(cv2.resize(grains, WIDE, interpolation=cv2.INTER_NEAREST)[:, :, None], 3, 2)


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    shrinks = size[0] <= picture.shape[1]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def recompressed(bgr: np.ndarray, crf: int, full: bool = False) -> tuple[np.ndarray, ...]:
    """Encode one picture with x264 and give the decoded planes; `full` asks for full range."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as sink:
        stream: Any = sink.add_stream("libx264", rate=25)
        stream.height, stream.width = bgr.shape[:2]
        stream.pix_fmt = "yuvj420p" if full else "yuv420p"
        stream.options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}
        frame = av.VideoFrame.from_ndarray(bgr, "bgr24")
        sink.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        sink.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer) as source:
        decoded = next(source.decode(video=0))
    return tuple(
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in decoded.planes
    )


QUESTION = "Any questions left?"
DRAWN = draw_cards()
USERS = {"logo": logo_card, "template": lambda: template("Lecture starts soon")}

BLANK: dict[str, Callable[[], np.ndarray]] = {
    "white": lambda: plain(WHITE),
    "blue": lambda: plain(BLUE),
    "black, noise": lambda: noisy(plain(BLACK)),
    "white, noise": lambda: noisy(plain(WHITE)),
    "blue, noise": lambda: noisy(plain(BLUE)),
    "grey, noise": lambda: noisy(plain(GREY)),
    "black, pointer": lambda: pointer(plain(BLACK), scale=2),
    "white, pointer": lambda: pointer(plain(WHITE)),
    "blue, big pointer": lambda: pointer(plain(BLUE), scale=3),
    "white, pillars": lambda: pillars(plain(WHITE)),
    "blue, pillars": lambda: pillars(plain(BLUE)),
    "grey, pillars, noise": lambda: noisy(pillars(plain(GREY))),
    "white, pillars, pointer": lambda: pointer(pillars(plain(WHITE)), (960, 540)),
    "gradient": lambda: shade(lambda x, y: 60 + 30 * y),
    "gradient, diagonal, pointer": lambda: pointer(shade(lambda x, y: 120 + 50 * x + 30 * y)),
    "vignette": lambda: shade(lambda x, y: 150 - 60 * np.hypot(x, y)),
    "grey, green column": lambda: cv2.line(
        plain((17,) * 3), (1919, 0), (1919, 1079), (0, 255, 0), 3
    ),
}

BARS: dict[str, Callable[[], np.ndarray]] = {
    "other order": lambda: bars_of("rgbcmy"),
    "lying": lambda: resized(cv2.rotate(bars_of("ycgmrb"), cv2.ROTATE_90_CLOCKWISE), WIDE),
    "upper half, blue below": lambda: np.vstack([bars_of("wycgmrbk")[:540], plain(BLUE)[540:]]),
    "words over them": lambda: write(bars_of("wycgmrb"), "NO SIGNAL", None, 110),
    "in the middle of a round card": round_card,
    "in 4:3": lambda: pillars(bars_of("wycgmrbk")),
    "checker board": lambda: tiles(12, 9, lambda i, j: ((i + j) % 2 * 255,) * 3),
    "colour chart": lambda: tiles(6, 4, lambda i, j: (40 * i + 20, 60 * j + 20, 230 - 35 * i)),
    "grey steps": lambda: tiles(16, 1, lambda i, j: (17 * i,) * 3),
}

NOISE: dict[str, Callable[[], np.ndarray]] = {
    "grey": lambda: snow(4),
    "coarse": lambda: snow(8),
    "words in a box": lambda: write(
        cv2.rectangle(snow(4), (560, 440), (1360, 640), BLACK, cv2.FILLED), "NO SIGNAL", None, 100
    ),
    "between bars": lambda: pillars(snow(4)),
}

# What is read, and what is drawn for it: scripts, grounds and places that no card has.
WORDS: dict[str, tuple[str, Callable[[], np.ndarray]]] = {
    "card's words elsewhere": (
        "no_signal", lambda: write(plain(BLUE), "NO SIGNAL", (529, 800), 150, weight=700)
    ),
    "floating box": (
        "no_signal",
        lambda: write(
            cv2.rectangle(plain(BLACK), (300, 200), (1000, 380), (150, 80, 20), cv2.FILLED),
            "Check signal cable", (340, 310), 60,
        ),
    ),
    "maker above": (
        "no_signal",
        lambda: write(
            write(plain(WHITE), "LUMENCAST", None, 150, BLACK, 700),
            "Input 2: no signal", (700, 700), 56, (90, 90, 90),
        ),
    ),
    "French": ("no_signal", lambda: write(plain(GREY), "Pas de signal", (300, 420), 80)),
    "Chinese": ("no_signal", lambda: write(plain(BLUE), "无信号", (800, 560), 90)),
    "Russian": ("no_signal", lambda: write(plain(BLACK), "Сигнал не обнаружен", (200, 300), 80)),
    "sharing": (
        "standby",
        lambda: write(
            write(plain((70, 40, 30)), "Room 12", (780, 400), 90, weight=600),
            "Enter the code 48 15 16 to show your screen", (480, 560), 50,
        ),
    ),
    "locked": ("lock", lambda: write(plain((140, 80, 10)), "Press Ctrl+Alt+Del to unlock", None, 70)),
    "input told in a corner": ("blank", lambda: write(plain(BLACK), "HDMI 1", (1600, 110), 60)),
}  # fmt: skip

PRESENTATION: dict[str, Callable[[], np.ndarray]] = {
    "white, three words": lambda: write(plain(WHITE), QUESTION, (300, 820), 32, BLACK),
    "white, grey words": lambda: write(plain(WHITE), QUESTION, (800, 520), 44, (215,) * 3),
    "white, grey words, pointer": lambda: pointer(
        write(plain(WHITE), QUESTION, (800, 520), 44, (215,) * 3)
    ),
    "white, one word": lambda: write(plain(WHITE), "Why?", (900, 520), 44, BLACK),
    "black, three words": lambda: write(plain(BLACK), QUESTION, (800, 520), 32),
    "black, dark words": lambda: write(plain(BLACK), QUESTION, (800, 520), 44, (70,) * 3),
    "black, prompt in the corner": lambda: write(plain(BLACK), "C:\\> dir", (0, 22), 22),
    "pillars, three words": lambda: pillars(write(plain(WHITE), QUESTION, None, 44, BLACK)),
    "pillars, black, three words": lambda: pillars(write(plain(BLACK), QUESTION, None, 44)),
    "black, white square": lambda: cv2.rectangle(plain(BLACK), (760, 90), (1160, 490), WHITE, -1),
    "black, blue stripe": lambda: cv2.rectangle(plain(BLACK), (0, 390), (1919, 690), BLUE, -1),
    "white, black box": lambda: cv2.rectangle(plain(WHITE), (400, 220), (1520, 860), BLACK, -1),
    "blue, title": lambda: write(plain(BLUE), "QUESTIONS", None, 150, weight=700),
    "blue, other words": lambda: write(plain(BLUE), "NO SIGMAS", None, 150, weight=700),
    "black, other words": lambda: write(plain(BLACK), "SO SIMPLE", None, 150, weight=700),
    "grey, other words": lambda: write(plain((96,) * 3), "GO DIGITAL", None, 150, weight=700),
    "blue, Russian title": lambda: write(plain(BLUE), "Нет вопроса", None, 150, weight=700),
    "card and more words": lambda: write(
        DRAWN["no signal, blue"].copy(), "chapter three of the course", (500, 900), 60
    ),
    "title of a lecture": lambda: write(plain(BLUE), "No signal processing", None, 110),
    "question": lambda: write(plain(WHITE), "No signal?", None, 110, BLACK),
    "connection in a title": lambda: write(
        plain(BLACK), "Searching for signals in noise", None, 80
    ),
    "input on a slide": lambda: write(plain(WHITE), "HDMI", None, 110, BLACK),
    "timer": lambda: write(plain(BLACK), "04:59", (1650, 80), 60),
    "gradient, pale title": lambda: write(
        shade(lambda x, y: 150 + 70 * y), "Chapter 5", (120, 900), 60, (232, 232, 232)
    ),
    "spectrum": spectrum,
    "colours in a row, on white": lambda: framed(bars_of("ycgmrb")),
    "empty table": empty_table,
    "dense words": dense_words,
    "gravel": lambda: noisy(photo(13), 20),
    "user's card and more words": lambda: write(logo_card(), "Optics, part 3", (200, 900), 60),
    "user's card and small words": lambda: write(logo_card(), "Optics, part 3", (200, 900), 32),
    "user's template, other words": lambda: template("Lecture 5: Waves"),
    "user's template, no words": lambda: template(""),
    "code": code,
    "film": photo,
    "film, dark": film_dark,
    "chart line": chart_line,
    "bar chart": bar_chart,
    "about bars, a third": about_bars,
    "about bars, most": lambda: about_bars(0.6),
    "desktop": desktop,
    "bullets": bullets,
}


@cache
def cards() -> tuple[Card, ...]:
    users = (card_from_picture(name, draw()) for name, draw in USERS.items())
    return (*shipped_cards(), *users)


@cache
def drawn(name: str) -> np.ndarray:
    return {**BLANK, **PRESENTATION, **USERS, "bars, text": bars_with_text}[name]()


def card_picture(name: str) -> np.ndarray:
    return DRAWN[name] if name in DRAWN else drawn(name)


def kind_of(name: str) -> str:
    return "bars" if "bars" in name else "no_signal"


def seen(bgr: np.ndarray, size: tuple[int, int], crf: int = 35, full: bool = False) -> Sample:
    luma, *chroma = recompressed(resized(bgr, size), crf, full)
    return classify(luma, (chroma[0], chroma[1]), cards())


CARDS = [*DRAWN, *USERS]
SHAPES = {
    "as it is": (lambda picture: picture, (WIDE, ODD, SMALL)),
    "stretched": (lambda picture: picture, (SQUARE, (720, 576))),
    "pillars": (pillars, (WIDE, SMALL)),
    "letterbox": (letterbox, (SQUARE, (320, 240))),
}
LEVELS = ((0.9, 15), (1.0, -8), (255 / 219, -18.6))
SHAPED = [(shape, size) for shape, (_, sizes) in SHAPES.items() for size in sizes]


@for_each_in_turn("name, shaped", CARDS, SHAPED, why="each card in each shape")
def test_card_in_any_shape(name: str, shaped: tuple[str, tuple[int, int]]) -> None:
    shape, size = shaped
    sight = seen(SHAPES[shape][0](card_picture(name)), size)
    # How strong the colours of bars were cannot be told once the range may be mistaken.
    assert (sight.verdict, name.split(" bars")[0] in str(sight.reason)) == (kind_of(name), True)


@pytest.mark.parametrize("size", [WIDE, SMALL])
def test_bars_with_a_text_are_a_card(size: tuple[int, int]) -> None:
    assert seen(drawn("bars, text"), size).verdict == "bars"


def test_card_in_4k() -> None:
    assert seen(DRAWN["no signal, blue"], (3840, 2160)).verdict == "no_signal"


@for_each("full", [False, True])
@for_each_in_turn("name, levels", CARDS, LEVELS, why="each card at each level")
def test_card_at_other_levels(name: str, full: bool, levels: tuple[float, float]) -> None:
    gain, offset = levels
    picture = np.clip(card_picture(name) * gain + offset, 0, 255).astype(np.uint8)
    assert seen(picture, SMALL, full=full).verdict == kind_of(name)


@for_each("name", CARDS)
def test_card_by_the_matrix_of_high_definition(name: str) -> None:
    planes = np.einsum("pc,hwc->phw", np.array(BT709), card_picture(name)[::2, ::2])
    luma = (planes[0] * 219 / 255 + 16).astype(np.uint8)
    blue, red = (planes[1:, ::2, ::2] * 224 / 255 + 128).astype(np.uint8)
    assert classify(luma, (blue, red), cards()).verdict == kind_of(name)


@for_each("name", CARDS)
def test_card_without_chroma(name: str) -> None:
    luma = cv2.cvtColor(card_picture(name), cv2.COLOR_BGR2GRAY)
    assert classify(luma, None, cards()).verdict == kind_of(name)


@for_each_in_turn("name, size", BLANK, [WIDE, ODD, SMALL, SQUARE], why="each colour in each size")
def test_one_colour(name: str, size: tuple[int, int]) -> None:
    assert seen(drawn(name), size).verdict == "blank"


@for_each("name", BLANK)
def test_one_colour_hardly_compressed(name: str) -> None:
    """Noise is added after resizing here, and the encoder keeps it."""
    luma, *chroma = recompressed(noisy(resized(drawn(name), (640, 360)), 3), 8)
    assert classify(luma, (chroma[0], chroma[1]), cards()).verdict == "blank"


@for_each("size", [WIDE, (960, 540)])
@for_each("name", BARS)
def test_test_cards_of_any_make(name: str, size: tuple[int, int]) -> None:
    assert seen(BARS[name](), size).verdict == "bars"


@for_each("size", [WIDE, (960, 540)])
@for_each("name", NOISE)
def test_noise(name: str, size: tuple[int, int]) -> None:
    assert seen(NOISE[name](), size).verdict == "noise"


@pytest.mark.skipif(not are_there(), reason="words are not read on this system")
@for_each("size", [WIDE, (960, 540)])
@for_each("name", WORDS)
def test_words_of_devices(name: str, size: tuple[int, int]) -> None:
    kind, draw = WORDS[name]
    assert seen(draw(), size).verdict == kind


def test_words_are_read_only_where_little_is_drawn() -> None:
    asked: list[np.ndarray] = []

    def read(picture: np.ndarray) -> list[Line]:
        asked.append(picture)
        return [Line("no signal", (0.4, 0.4, 0.6, 0.5), 0.9)]

    for draw in (dense_words, round_card, lambda: plain(WHITE), lambda: DRAWN["no signal, blue"]):
        luma, *chroma = recompressed(resized(draw(), (960, 540)), 35)
        classify(luma, (chroma[0], chroma[1]), cards(), read)
    assert asked == []
    luma, *chroma = recompressed(resized(write(plain(WHITE), "Why?", None, 90, BLACK), WIDE), 35)
    assert classify(luma, (chroma[0], chroma[1]), cards(), read).verdict == "no_signal"
    assert [picture.shape for picture in asked] == [(1080, 1920, 3)]


def test_words_that_are_lost_in_the_whole_are_read_from_nearer() -> None:
    """At the edge, that is what tells which input has no picture: the place must be right."""
    asked: list[tuple[int, ...]] = []

    def read(picture: np.ndarray) -> list[Line]:
        asked.append(picture.shape[:2])
        is_whole = picture.shape[:2] == (1080, 1920)
        return [] if is_whole else [Line("HDMI 2", (0.2, 0.2, 0.8, 0.4), 0.9)]

    luma, *chroma = recompressed(write(plain(GREY), "HDMI 2", (60, 1020), 40), 20)
    sample = classify(luma, (chroma[0], chroma[1]), cards(), read)
    assert (sample.verdict, sample.reason.key) == ("blank", "analysis.says")
    [whole, (rows, columns)] = asked
    assert whole == (1080, 1920) and rows < 400 and columns < 600


def test_weak_noise_is_not_its_own_ground() -> None:
    random = np.random.default_rng(2)
    weak = np.clip(random.normal(120, 6.5, (270, 480)), 0, 255).astype(np.uint8)
    assert noise_share(weak) is not None
    assert noise_share(np.clip(random.normal(120, 4, (270, 480)), 0, 255).astype(np.uint8)) is None


@for_each_in_turn(
    "name, size", PRESENTATION, [SMALL, WIDE, SQUARE, ODD], why="each slide in each size"
)
def test_presentation(name: str, size: tuple[int, int]) -> None:
    if (name, size) == ("card and more words", SMALL):
        return  # words of 10 px cannot be read any more
    assert seen(drawn(name), size).verdict == "presentation"


@for_each_in_turn(
    "name, size", PRESENTATION, [(1280, 720), (2560, 1440)], why="each slide in each size"
)
def test_presentation_hardly_compressed(name: str, size: tuple[int, int]) -> None:
    luma, *chroma = recompressed(resized(drawn(name), size), 18)
    assert classify(luma, (chroma[0], chroma[1]), cards()).verdict == "presentation"


def test_words_of_the_same_brightness_as_their_ground() -> None:
    words = write(plain((40, 40, 200)), QUESTION, (300, 520), 60, (200, 60, 20))
    assert seen(words, SMALL).verdict == "presentation"


def test_a_card_that_is_not_given_is_a_presentation() -> None:
    luma, *chroma = recompressed(resized(logo_card(), WIDE), 23)
    assert classify(luma, (chroma[0], chroma[1]), shipped_cards()).verdict == "presentation"


@for_each("shape", [(36, 64), (2160, 3840), (1080, 608), (1081, 1919), (600, 3840)])
@for_each("subsampling", [(1, 1), (1, 2), (2, 2), (1, 4)])
def test_any_size_and_subsampling(shape: tuple[int, int], subsampling: tuple[int, int]) -> None:
    luma = np.full(shape, 235, np.uint8)
    rows, columns = (-(-side // step) for side, step in zip(shape, subsampling, strict=True))
    chroma = np.full((rows, columns), 128, np.uint8)
    assert classify(luma, (chroma, chroma), cards()).verdict == "blank"
    luma[shape[0] // 3 : shape[0] // 2, shape[1] // 4 : shape[1] // 2] = 60
    assert classify(luma, (chroma, chroma), cards()).verdict == "presentation"


def test_the_planes_are_not_changed() -> None:
    luma, *chroma = recompressed(resized(code(), SMALL), 23)
    before = [plane.copy() for plane in (luma, *chroma)]
    classify(luma, (chroma[0], chroma[1]), cards())
    assert all(np.array_equal(a, b) for a, b in zip(before, (luma, *chroma), strict=True))
