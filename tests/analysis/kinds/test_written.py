"""Phrases in scripts that are not read, wider and of another weight, against titles as long."""

import cv2
import numpy as np
import pytest

from merger.analysis.kinds.written import written_phrase

pytestmark = pytest.mark.quick


def line(text: str, size: int, ground: int = 30, ink: int = 200) -> np.ndarray:
    """Write a line as other typefaces do: with other weights and widths, and soft edges."""
    font, at = cv2.FontFace("sans"), (size // 2, 3 * size // 2)
    _, _, width, _ = cv2.getTextSize((4000, 400), text, at, font, size, 550)
    picture = np.full((2 * size, width + size), ground, np.uint8)
    cv2.putText(picture, text, at, (ink,), font, size, 550)
    return cv2.GaussianBlur(cv2.resize(picture, None, fx=1.12, fy=1.0), (3, 3), 0)


@pytest.mark.parametrize("size", [20, 60])
@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Нет сигнала", "no_signal"),
        ("НЕТ СИГНАЛА", "no_signal"),
        ("Сигнал отсутствует", "no_signal"),
        ("Немає сигналу", "no_signal"),
        ("Режим ожидания", "standby"),
        ("Введите пароль", "lock"),
        ("Нет вопросов", None),
        ("Нет смысла", None),
        ("Сигнал и шум", None),
        ("Выход не обнаружен", None),
        ("Введите данные", None),
        ("No signal", None),
    ],
)
def test_a_line_that_is_not_read(text: str, size: int, verdict: str | None) -> None:
    found = written_phrase(line(text, size))
    assert (found and found[0]) == verdict


def test_dark_words_on_a_light_ground() -> None:
    found = written_phrase(line("Нет сигнала", 40, ground=240, ink=40))
    assert found is not None and found[1] == "Нет сигнала"


@pytest.mark.parametrize("shape", [(1, 1), (4, 300), (40, 2), (40, 300)])
def test_a_line_without_words(shape: tuple[int, int]) -> None:
    assert written_phrase(np.full(shape, 90, np.uint8)) is None
