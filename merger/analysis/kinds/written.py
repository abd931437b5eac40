"""Phrases of devices in scripts that `words` does not read: drawn, and compared with a line.

Each word is stretched to the drawn one's width, as letters of other typefaces are wider.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from merger.analysis.cards import Picture, Plane
from merger.analysis.kinds.view import Mask
from merger.timeline.plan import Verdict

_PHRASES: dict[Verdict, str] = {
    "no_signal": """
        Нет сигнала / Нет входного сигнала / Нет видеосигнала / Нет сигнала на входе
        Сигнал отсутствует / Отсутствует сигнал / Сигнал не обнаружен / Сигнал не найден
        Сигнал потерян / Потеря сигнала / Поиск сигнала / Ожидание сигнала / Вход не обнаружен
        Источник не найден / Источник не обнаружен / Нет источника сигнала
        Проверьте сигнальный кабель / Проверьте кабель / Сигнал вне диапазона
        Сигнал не поддерживается / Режим не поддерживается / Формат не поддерживается
        Видеосигнал отсутствует / Немає сигналу / Сигнал відсутній / Няма сигнал / Нема сигнала
        Χωρίς σήμα / Δεν υπάρχει σήμα
    """,
    "standby": """
        Режим ожидания / Готово к подключению / Готов к подключению / Подключите ноутбук
        Коснитесь экрана / Помещение не используется
    """,
    "lock": """
        Введите пароль / Работа с обновлениями / Не выключайте компьютер
    """,
}
_SIZE = 30  # px, of the letters that are drawn
_FACES = (("sans", 400), ("sans", 700), ("uni", 400), ("uni", 700))

ROWS = 20  # of a line as it is compared: a stroke of thin letters is 1.5 wide
INK = 0.4  # of the strongest contrast: what has more is ink
WORD_GAP = 0.28  # of the line's height: between words 0.3 and more, between letters 0.15 at most
WIDER = 1.4  # a word over the drawn one, at most, either way: DejaVu is the widest typeface
# Correlation of words. Measured on the phrases in five typefaces after x264 at CRF 40, against
# titles of as many letters.
MATCH, WORD_MATCH = 0.72, 0.58


@dataclass(frozen=True)
class _Drawn:
    """A phrase as it is drawn: the ink of each of its words."""

    verdict: Verdict
    phrase: str
    words: tuple[Plane, ...]


def written_phrase(line: Picture) -> tuple[Verdict, str, float] | None:
    """Return which phrase a line shows, its meaning and its likeness, MATCH to 1.

    Args:
        line: (H, W) uint8, of one line of words, of any colours.
    """
    words = _words(line)
    best: tuple[Verdict, str, float] | None = None
    for drawn in _drawn_phrases() if words else ():
        likeness = _likeness(words, drawn.words)
        if likeness >= MATCH and (best is None or likeness > best[2]):
            best = (drawn.verdict, drawn.phrase, likeness)
    return best


def _likeness(words: Sequence[Plane], drawn: Sequence[Plane]) -> float:
    if len(words) != len(drawn):
        return 0.0
    total = 0.0
    for seen, model in zip(words, drawn, strict=True):
        if not 1 / WIDER < seen.shape[1] / model.shape[1] < WIDER:
            return 0.0
        same = cv2.resize(seen, (model.shape[1], ROWS), interpolation=cv2.INTER_AREA)
        likeness = float(np.corrcoef(same.ravel(), model.ravel())[0, 1])
        if likeness < WORD_MATCH:
            return 0.0
        total += likeness * model.shape[1]
    return float(total / sum(model.shape[1] for model in drawn))


def _words(line: Picture) -> tuple[Plane, ...]:
    """Return the words of a line as ink, 0 to 1, each ROWS high and as wide as it is."""
    edge = np.concatenate([line[0], line[-1]])
    contrast = cv2.absdiff(line, np.full_like(line, np.median(edge))).astype(np.float32)
    ink = contrast / max(1.0, float(np.quantile(contrast, 0.98)))
    marked = ink > INK
    rows = np.flatnonzero(marked.sum(axis=1) > 1)
    if rows.size < 6:
        return ()
    ink = ink[rows[0] : rows[-1] + 1].clip(0, 1)
    gap = max(2, round(WORD_GAP * ink.shape[0]))
    return tuple(
        _to_rows(ink[:, left:right]) for left, right in _runs(np.asarray(marked.any(axis=0)), gap)
    )


def _runs(columns: Mask, gap: int) -> Iterator[tuple[int, int]]:
    """Yield where ink is, [left, right), over gaps that are narrower."""
    inked = np.flatnonzero(columns)
    if not inked.size:
        return
    breaks = np.flatnonzero(np.diff(inked) > gap)
    for first, last in pairwise([-1, *breaks, inked.size - 1]):
        yield int(inked[first + 1]), int(inked[last]) + 1


def _to_rows(ink: Plane) -> Plane:
    columns = max(1, round(ink.shape[1] * ROWS / ink.shape[0]))
    method = cv2.INTER_AREA if ink.shape[0] > ROWS else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(ink, (columns, ROWS), interpolation=method), np.float32)


@cache
def _drawn_phrases() -> tuple[_Drawn, ...]:
    return tuple(
        _Drawn(verdict, phrase, _words(_draw(text, *face)))
        for verdict, book in _PHRASES.items()
        for row in book.split("\n")
        for phrase in filter(None, map(str.strip, row.split("/")))
        for text in (phrase, phrase.upper())
        for face in _FACES
    )


def _draw(text: str, face: str, weight: int) -> Picture:
    picture = np.zeros((2 * _SIZE, _SIZE * (len(text) + 2)), np.uint8)
    cv2.putText(picture, text, (_SIZE, 3 * _SIZE // 2), (255,), _font(face), _SIZE, weight)
    return picture


@cache
def _font(face: str) -> Any:
    return cv2.FontFace(face)
