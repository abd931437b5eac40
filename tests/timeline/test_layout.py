"""Cells, canvases and columns of every layout, and where a picture goes in its cell."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from merger.errors import Refused
from merger.timeline.layout import (
    ALONE,
    DEFAULT_LAYOUT,
    LAYOUTS,
    Lane,
    Size,
    canvas_of,
    cell_of,
    columns_of,
    fit_into,
    layout_named,
    round_to_even,
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
        ("screen_large", WIDE, WIDE, 720, Size(1280, 720)),
        ("screen_large", OLD, OLD, 720, Size(1280, 720)),
        ("speaker_only", WIDE, OLD, 720, Size(1280, 720)),
        ("speaker_only", OLD, WIDE, 720, Size(960, 720)),
    ],
)
def test_the_canvas(layout: str, left: Fraction, right: Fraction, lines: int, size: Size) -> None:
    assert canvas_of(LAYOUTS[layout], cells(lines, left, right)) == size


@pytest.mark.parametrize(
    ("layout", "row"),
    [
        ("side_by_side", [("left", 1280), ("right", 960)]),
        ("screen_large", [("left", 320), ("right", 960)]),
        ("speaker_only", [("left", 1280)]),
    ],
)
def test_the_columns_of_each_layout(layout: str, row: list[tuple[Lane, int]]) -> None:
    sizes = cells(720, WIDE, OLD)
    whole = canvas_of(LAYOUTS[layout], sizes)
    found = columns_of(LAYOUTS[layout], whole, sizes)
    assert found == [(lane, Size(width, 720)) for lane, width in row]


def test_the_table_is_tested() -> None:
    assert set(LAYOUTS) == {"side_by_side", "screen_large", "speaker_only"}
    assert {DEFAULT_LAYOUT, ALONE} <= set(LAYOUTS)
    for name, layout in LAYOUTS.items():
        assert layout_named(name) is layout
        assert layout.name == name
        assert layout.columns[0].lane == "left"  # the speaker, always


@proven
@given(st.sampled_from(list(LAYOUTS)), st.sampled_from([540, 720, 1080]), aspects, aspects)
def test_columns_fill_the_canvas(name: str, lines: int, left: Fraction, right: Fraction) -> None:
    sizes = cells(lines, left, right)
    whole = canvas_of(LAYOUTS[name], sizes)
    for shown in (name, ALONE):  # a stretch with the speaker alone keeps the record's canvas
        row = columns_of(LAYOUTS[shown], whole, sizes)
        assert sum(box.width for _, box in row) == whole.width
        assert {box.height for _, box in row} == {whole.height}
        assert all(box.width > 0 and box.width % 2 == 0 for _, box in row)
    assert whole.width % 2 == whole.height % 2 == 0


def test_the_speaker_alone_has_the_whole_canvas_of_a_wide_record() -> None:
    sizes = cells(720, WIDE, WIDE)
    row = columns_of(LAYOUTS[ALONE], canvas_of(LAYOUTS["side_by_side"], sizes), sizes)
    assert row == [("left", Size(2560, 720))]


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
