"""Slides with known headings, drawn in several styles."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

ENGLISH = """Limits of functions|The chain rule|Newton's method|Convex sets|Gradient descent
Eigenvalues and eigenvectors|The spectral theorem|Linear regression|Hash tables|Binary search trees
Shortest paths|Dynamic programming|Sorting in linear time|Regular expressions|Context-free grammars
The halting problem|Public key cryptography|Error correcting codes|Markov chains|The normal distribution
Hypothesis testing|Bayes' theorem|Maximum likelihood|Principal components|Neural networks
Convolutional layers|Backpropagation|Operating systems|Virtual memory|Deadlocks and how to avoid them
Transaction isolation|Query optimisation|The relational model|Supply and demand|Market equilibrium
Game theory|Nash equilibrium|Thermodynamics|Conservation of energy|Questions and answers""".replace("\n", "|").split("|")  # fmt: skip

RUSSIAN = """Пределы функций|Производная сложной функции|Метод Ньютона|Выпуклые множества|Градиентный спуск
Собственные числа и векторы|Спектральная теорема|Линейная регрессия|Хеш-таблицы|Двоичные деревья поиска
Кратчайшие пути|Динамическое программирование|Сортировка за линейное время|Регулярные выражения|Контекстно-свободные грамматики
Проблема остановки|Криптография с открытым ключом|Коды, исправляющие ошибки|Цепи Маркова|Нормальное распределение
Проверка гипотез|Теорема Байеса|Наибольшее правдоподобие|Главные компоненты|Нейронные сети
Свёрточные слои|Обратное распространение ошибки|Операционные системы|Виртуальная память|Взаимные блокировки
Уровни изоляции транзакций|Оптимизация запросов|Реляционная модель|Спрос и предложение|Равновесие на рынке
Теория игр|Равновесие Нэша|Термодинамика|Закон сохранения энергии|Вопросы и ответы""".replace("\n", "|").split("|")  # fmt: skip

_TEXTS = {
    "en": ["let f be continuous on a closed interval", "then it is bounded there", "an example follows",
           "the proof is by induction on n", "compare with what was shown last week",
           "what happens for n = 0 ?", "cost: O(n log n) in the worst case"],
    "ru": ["пусть функция непрерывна на отрезке", "тогда она ограничена на нём", "рассмотрим пример",
           "доказательство по индукции", "сравните с прошлой лекцией", "что будет при n = 0 ?",
           "сложность: O(n log n) в худшем случае"],
}  # fmt: skip


@dataclass(frozen=True)
class _Style:
    ground: tuple[int, int, int]
    ink: tuple[int, int, int]
    banner: tuple[int, int, int] | None
    heading: int  # px of its letters
    text: int
    face: str
    centred: bool = False


_STYLES = (
    _Style((255, 255, 255), (20, 20, 20), None, 52, 30, "sans"),
    _Style((250, 250, 250), (60, 40, 20), (120, 70, 30), 46, 28, "sans"),
    _Style((40, 30, 25), (235, 235, 235), None, 54, 32, "sans", centred=True),
    _Style((235, 245, 250), (30, 30, 90), None, 44, 30, "serif"),
    _Style((255, 255, 255), (30, 30, 30), (60, 20, 110), 42, 26, "serif", centred=True),
)


def draw_slide(heading: str, number: int, language: str, bullets: int | None = None) -> Picture:
    """Draw a slide of 1280x720, each number in another style, with other text below the heading."""
    style, random = _STYLES[number % len(_STYLES)], np.random.default_rng(number)
    face = cv2.FontFace(style.face)
    picture = np.full((720, 1280, 3), style.ground, np.uint8)
    if style.banner:
        cv2.rectangle(picture, (0, 0), (1280, 110), style.banner, cv2.FILLED)
    width = cv2.getTextSize((0, 0), heading, (0, 0), face, style.heading, 600)[2]
    left = (1280 - width) // 2 if style.centred else 60
    ink = (255, 255, 255) if style.banner else style.ink
    cv2.putText(picture, heading, (left, 78), ink, face, style.heading, 600)
    texts = random.permutation(_TEXTS[language])[: bullets or 3 + number % 4]
    for n, text in enumerate(texts):
        at = (100, 210 + n * 2 * style.text)
        cv2.putText(picture, f"• {text}", at, style.ink, face, style.text, 400)
    cv2.putText(picture, f"{number + 1} / 40", (1160, 700), style.ink, face, 18, 400)
    return picture
