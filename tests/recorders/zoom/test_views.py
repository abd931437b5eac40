"""Which views go left and right: a case for each line of what was asked for."""

from __future__ import annotations

from itertools import combinations

import pytest

from recorders.zoom.views import PAIRS, VIEWS, has_captions, right_alone, sides_of, view_of

ASKED_FOR = """
AS GV -> AS GV;  AS SS -> AS SS;  AS SP -> AS SP;  AS SG -> AS SG
GV SS -> SS GV;  GV SP -> SP GV;  GV SG -> SG GV
SS SP -> SP SS;  SS SG -> SS SG;  SP SG -> SP SG
AS GV SS -> AS SS;  AS GV SP -> AS GV;  AS GV SG -> AS GV
AS SS SP -> AS SS;  AS SS SG -> AS SS;  AS SP SG -> AS SG
GV SS SP -> SP SS;  GV SS SG -> SS SG;  GV SP SG -> SP SG;  SS SP SG -> SP SS
AS GV SS SP -> AS SS;  AS GV SS SG -> AS SS;  AS GV SP SG -> AS GV
AS SS SP SG -> AS SS;  GV SS SP SG -> SP SS
AS GV SS SP SG -> AS SS
"""
ROWS = [row.strip() for row in ASKED_FOR.replace("\n", ";").split(";") if row.strip()]


@pytest.mark.parametrize("row", ROWS)
def test_two_or_more_views(row: str) -> None:
    there, _, wanted = row.partition(" -> ")
    assert sides_of(there.split()) == tuple(wanted.split())
    assert sides_of(there.split()[::-1]) == tuple(wanted.split())


@pytest.mark.parametrize("view", sorted(set(VIEWS.values())))
def test_one_view_stands_alone(view: str) -> None:
    assert sides_of([view]) == (view, None)


# Where a camera has the left side: what differs from the right of the table.
ALONE = """
SS -> SS;  SP -> SP;  SG -> SG
GV SS -> SS;  GV SP -> SP;  GV SG -> SG
AS GV SP -> SP;  AS GV SG -> SG;  AS GV SP SG -> SG
"""


def test_beside_a_camera_what_is_shared_stands_right() -> None:
    differs = dict(row.strip().split(" -> ") for row in ALONE.replace("\n", ";").split(";") if row)
    assert len(differs) == 9
    for key in PAIRS:
        right = sides_of(key.split())[1]
        assert right_alone(key.split()) == differs.get(key, right)
        assert key not in differs or differs[key] != right


def test_every_set_of_views_is_decided() -> None:
    views = ["AS", "GV", "SS", "SP", "SG"]
    every = {" ".join(some) for n in range(1, 6) for some in combinations(views, n)}
    assert set(PAIRS) == every and len(ROWS) == len(every) - 5
    for key, pair in PAIRS.items():
        assert set(pair.split("/")) <= set(key.split())


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("active_speaker", "AS"), ("gallery_view", "GV"), ("shared_screen", "SS"),
        ("shared_screen_with_speaker_view", "SP"), ("shared_screen_with_gallery_view", "SG"),
        ("shared_screen_with_speaker_view(CC)", "SP"), ("Shared_Screen (CC)", "SS"),
        ("SHARED SCREEN WITH GALLERY VIEW", "SG"), ("speaker_view", "AS"),
        ("audio_only", None), ("chat_file", None), ("audio_transcript", None), ("", None),
        ("hologram", None), ("shared_screen_with_hologram", None), ("(CC)", None),
    ],
)  # fmt: skip
def test_what_a_recording_type_shows(text: str, view: str | None) -> None:
    assert view_of(text) == view


def test_a_variant_with_captions() -> None:
    assert has_captions("shared_screen_with_speaker_view(CC)")
    assert not has_captions("shared_screen_with_speaker_view")
