"""Cells, canvases and columns of every layout, and where a picture goes in its cell."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merger.errors import Refused
from merger.timeline.layout import (
    ALONE,
    CORNERS,
    DEFAULT_CORNER,
    DEFAULT_LAYOUT,
    LAYOUTS,
    Corner,
    Lane,
    Pane,
    Size,
    canvas_of,
    cell_of,
    corner_named,
    fit_into,
    layout_named,
    layout_of_scene,
    least_hidden_corner,
    panes_of,
    round_to_even,
    slide_pane,
)

pytestmark = pytest.mark.quick

WIDE, OLD, TALL = Fraction(16, 9), Fraction(4, 3), Fraction(9, 16)
proven = settings(max_examples=100, deadline=None, derandomize=True)
aspects = st.fractions(Fraction(1, 4), Fraction(4), max_denominator=3000)
evens = st.integers(50, 1000).map(lambda n: 2 * n)


def cells(lines: int, left: Fraction, right: Fraction) -> dict[Lane, Size]:
    return {"left": cell_of(lines, [left]), "right": cell_of(lines, [right])}


@pytest.mark.parametrize(
    ("layout", "left", "right", "lines", "size"),
    [
        ("side_by_side", WIDE, WIDE, 720, Size(2560, 720)),
        ("side_by_side", OLD, OLD, 720, Size(1920, 720)),
        ("side_by_side", WIDE, OLD, 720, Size(2240, 720)),
        ("side_by_side", WIDE, WIDE, 1080, Size(3840, 1080)),
        ("side_by_side", WIDE, WIDE, 540, Size(1920, 540)),
        ("side_by_side", TALL, WIDE, 720, Size(404 + 1280, 720)),
        ("side_by_side_16x9", WIDE, WIDE, 1080, Size(1920, 1080)),
        ("side_by_side_16x9", OLD, OLD, 720, Size(1280, 720)),
        ("side_by_side_16x9", TALL, WIDE, 540, Size(960, 540)),
        ("screen_large", WIDE, WIDE, 720, Size(1280, 720)),
        ("screen_large", OLD, OLD, 720, Size(1280, 720)),
        ("screen_large", WIDE, WIDE, 1080, Size(1920, 1080)),
        ("speaker_only", WIDE, OLD, 720, Size(1280, 720)),
        ("speaker_only", OLD, WIDE, 720, Size(960, 720)),
    ],
)
def test_the_canvas(layout: str, left: Fraction, right: Fraction, lines: int, size: Size) -> None:
    assert canvas_of(LAYOUTS[layout], cells(lines, left, right)) == size


def boxes(panes: list[Pane]) -> list[tuple[Lane, Size]]:
    return [(pane.lane, pane.box) for pane in panes]


@pytest.mark.parametrize(
    ("layout", "row"),
    [
        ("side_by_side", [("left", 1280), ("right", 960)]),
        ("side_by_side_16x9", [("left", 426), ("right", 854)]),
        ("speaker_only", [("left", 1280)]),
        ("screen_only", [("right", 960)]),
    ],
)
def test_the_columns_of_each_layout(layout: str, row: list[tuple[Lane, int]]) -> None:
    sizes = cells(720, WIDE, OLD)
    whole = canvas_of(layout_of_scene(layout), sizes)
    found = panes_of(layout_of_scene(layout), whole, sizes)
    assert boxes(found) == [(lane, Size(width, 720)) for lane, width in row]
    assert [pane.x for pane in found] == [
        sum(width for _, width in row[:n]) for n in range(len(row))
    ]
    assert not any(pane.y or pane.border or pane.is_above for pane in found)


def test_the_table_is_tested() -> None:
    assert set(LAYOUTS) == {"side_by_side", "side_by_side_16x9", "screen_large", "speaker_only"}
    assert {DEFAULT_LAYOUT, ALONE} <= set(LAYOUTS)
    for name, layout in LAYOUTS.items():
        assert layout_named(name) is layout_of_scene(name) is layout
        assert layout.name == name
        lanes = [column.lane for column in layout.columns]
        assert lanes in (["left"], ["left", "right"], ["right"])  # the speaker on the left, always
        assert (lanes == ["right"]) == (layout.inset is not None)
        if layout.without_speaker:
            assert not layout_of_scene(layout.without_speaker).inset


@proven
@given(st.sampled_from(list(LAYOUTS)), st.sampled_from([540, 720, 1080]), aspects, aspects)
def test_columns_fill_the_canvas(name: str, lines: int, left: Fraction, right: Fraction) -> None:
    sizes = cells(lines, left, right)
    whole = canvas_of(LAYOUTS[name], sizes)
    # stretches with one side alone keep the record's canvas
    for shown in (name, ALONE, LAYOUTS[name].without_speaker or ALONE):
        panes = panes_of(layout_of_scene(shown), whole, sizes)
        row = [pane for pane in panes if not pane.is_above]
        assert sum(pane.box.width for pane in row) == whole.width
        assert {pane.box.height for pane in row} == {whole.height}
        assert all(pane.box.width > 0 and pane.box.width % 2 == 0 for pane in row)
        assert all(one.x + one.box.width == other.x for one, other in pairwise(row))
    assert whole.width % 2 == whole.height % 2 == 0


@proven
@given(aspects, aspects, st.sampled_from([540, 720, 1080]), st.sampled_from([None, *CORNERS]))
def test_a_slide_lies_within_the_board_and_never_above_the_speaker(
    board: Fraction, slide: Fraction, lines: int, speaker: Corner | None
) -> None:
    box, cell = cell_of(lines, [board]), cell_of(lines, [slide])
    pane = slide_pane(box, cell, speaker)
    assert (pane.lane, pane.is_above) == ("slide", True)
    assert pane.x > 0 and pane.x + pane.outer.width < box.width
    assert pane.y > 0 and pane.y + pane.outer.height < box.height
    is_right = 2 * pane.x + pane.outer.width > box.width
    assert is_right is (speaker != "bottom_right")


def inset(lines: int, speaker: Fraction, corner: Corner) -> tuple[Pane, Size]:
    """Return the speaker above the screen, and the canvas."""
    sizes = cells(lines, speaker, WIDE)
    whole = canvas_of(LAYOUTS["screen_large"], sizes)
    screen, speaker_pane = panes_of(LAYOUTS["screen_large"], whole, sizes, corner)
    assert screen == Pane("right", whole, 0)
    return speaker_pane, whole


@pytest.mark.parametrize("lines", [180, 360, 540, 720, 1080, 2160])
@pytest.mark.parametrize(
    "speaker",
    [WIDE, OLD, TALL, Fraction(1), Fraction(16, 10), Fraction(5), Fraction(1, 5)],
    ids=str,
)
def test_the_speaker_in_a_corner_hides_little(lines: int, speaker: Fraction) -> None:
    for corner in CORNERS:
        pane, whole = inset(lines, speaker, corner)
        share = Fraction(pane.outer.width * pane.outer.height, whole.width * whole.height)
        assert Fraction(43, 1000) <= share <= Fraction(60, 1000)
        numbers = (pane.x, pane.y, pane.border, pane.box.width, pane.box.height)
        assert all(number > 0 and number % 2 == 0 for number in numbers)
        right = whole.width - pane.x - pane.outer.width
        bottom = whole.height - pane.y - pane.outer.height
        across, down = (pane.x, right), (pane.y, bottom)
        assert min(across) == min(down) <= max(4, lines // 50)  # a small margin, in that corner
        assert (right < pane.x) == corner.endswith("right")
        assert (bottom < pane.y) == corner.startswith("bottom")
        shape = fit_into(min(max(speaker, Fraction(9, 20)), Fraction(32, 9)), pane.box)
        assert pane.box.width - shape.width <= 2 and pane.box.height - shape.height <= 2


@pytest.mark.parametrize(
    ("lines", "pane"),
    [
        (720, Pane("left", Size(292, 164), 970, 538, 2, is_above=True)),
        (1080, Pane("left", Size(440, 248), 1456, 808, 2, is_above=True)),
    ],
)
def test_where_the_speaker_lies_in_the_main_profiles(lines: int, pane: Pane) -> None:
    assert inset(lines, WIDE, DEFAULT_CORNER)[0] == pane


def drawn(*cells_drawn: tuple[int, int], level: float = 1.0) -> list[list[float]]:
    """Return a grid of 18 rows and 32 columns in which some cells are drawn in."""
    return [
        [level if (row, column) in cells_drawn else 0.0 for column in range(32)]
        for row in range(18)
    ]


MIDDLE = [(9, column) for column in range(32)]
IN_CORNER: dict[Corner, tuple[int, int]] = {
    "top_left": (2, 3), "top_right": (2, 28), "bottom_left": (15, 3), "bottom_right": (15, 28),
}  # fmt: skip


@pytest.mark.parametrize("free", CORNERS)
def test_the_speaker_goes_where_nothing_is_drawn(free: Corner) -> None:
    others = [IN_CORNER[corner] for corner in CORNERS if corner != free]
    assert least_hidden_corner(drawn(*MIDDLE, *others)) == free


@pytest.mark.parametrize(
    "ink",
    [
        [], drawn(), drawn(*MIDDLE), drawn(*IN_CORNER.values()),
        drawn(*((row, column) for row in range(18) for column in range(32)), level=0.01),
        # the number of a page is no reason
        [[*row[:-2], 0.1 if n == 16 else row[-2], row[-1]] for n, row in enumerate(drawn(*MIDDLE))],
    ],
)  # fmt: skip
def test_where_no_corner_is_better_it_is_the_bottom_right(ink: list[list[float]]) -> None:
    assert least_hidden_corner(ink) == DEFAULT_CORNER == "bottom_right"


def test_the_least_of_four_that_are_drawn_in() -> None:
    ink = drawn(*MIDDLE)
    for level, corner in enumerate(CORNERS[::-1]):
        row, column = IN_CORNER[corner]
        ink[row][column] = 3.0 + level
    assert least_hidden_corner(ink) == "top_left"


def test_the_speaker_alone_has_the_whole_canvas_of_a_wide_record() -> None:
    sizes = cells(720, WIDE, WIDE)
    panes = panes_of(LAYOUTS[ALONE], canvas_of(LAYOUTS["side_by_side"], sizes), sizes)
    assert boxes(panes) == [("left", Size(2560, 720))]


@pytest.mark.parametrize(
    ("lines", "found", "size"),
    [
        (720, [WIDE, OLD], Size(1280, 720)),
        (720, [OLD], Size(960, 720)),
        (720, [], Size(1280, 720)),
        (720, [Fraction(100)], Size(2560, 720)),
        (720, [Fraction(1, 100)], Size(324, 720)),
        (540, [Fraction(1366, 768)], Size(960, 540)),
    ],
)
def test_a_cell_is_as_wide_as_its_widest_picture(
    lines: int, found: list[Fraction], size: Size
) -> None:
    assert cell_of(lines, found) == size


@pytest.mark.parametrize(
    ("aspect", "into", "size"),
    [
        (WIDE, Size(1280, 720), Size(1280, 720)),
        (OLD, Size(1280, 720), Size(960, 720)),
        (WIDE, Size(960, 720), Size(960, 540)),
        (TALL, Size(1280, 720), Size(404, 720)),
        (WIDE, Size(320, 720), Size(320, 180)),
        (Fraction(1000), Size(1280, 720), Size(1280, 2)),
    ],
)
def test_a_picture_in_its_cell(aspect: Fraction, into: Size, size: Size) -> None:
    assert fit_into(aspect, into) == size


@proven
@given(aspects, evens, evens)
def test_a_picture_fits_and_keeps_its_aspect(aspect: Fraction, width: int, height: int) -> None:
    size = fit_into(aspect, Size(width, height))
    assert size.width <= width
    assert size.height <= height
    assert width == size.width or height == size.height  # as large as can be
    assert size.width % 2 == size.height % 2 == 0
    assert min(abs(size.width - size.height * aspect), abs(size.height - size.width / aspect)) <= 2


@proven
@given(st.fractions(0, 10_000, max_denominator=1000))
def test_even(value: Fraction) -> None:
    assert round_to_even(value) % 2 == 0
    assert round_to_even(value) >= 2
    assert value < 2 or abs(round_to_even(value) - value) <= 1


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(Refused, match="'tiles' is not one of side_by_side") as caught:
        layout_named("tiles")
    assert caught.value.code == "layout"


def test_an_unknown_corner_is_refused() -> None:
    assert [corner_named(corner) for corner in CORNERS] == list(CORNERS)
    with pytest.raises(Refused, match="'middle' is not one of bottom_right") as caught:
        corner_named("middle")
    assert caught.value.code == "corner"
