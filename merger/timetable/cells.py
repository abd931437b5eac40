"""Single cells of a sheet: days, times, dates, meetings. Pure.

Each function takes what somebody wrote, without spaces around it, and raises Invalid where it is
not what it should be; the message says what to write instead.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta

from merger.errors import Invalid
from merger.i18n import Message
from merger.mail_address import email_of
from merger.names import clean_name
from merger.timeline.clock import is_plausible
from merger.timeline.layout import layout_named
from merger.timeline.profiles import profile_named
from merger.timetable.spec import Mode

LONGEST_TEXT = 255  # characters, as the tables have it
MOST_DATES = 500
_MOST_OWNERS = 50
_LONGEST_SHOWN = 40
_DAY = timedelta(days=1)

CODES = "MTWRFSU"
# Names of the days, Monday first, as people write them beside the codes.
_NAMES: tuple[tuple[str, ...], ...] = (
    ("mon", "monday", "пн", "понедельник"),
    ("tue", "tues", "tuesday", "вт", "вторник"),
    ("wed", "wednesday", "ср", "среда"),
    ("thu", "thur", "thurs", "thursday", "чт", "четверг"),
    ("fri", "friday", "пт", "пятница"),
    ("sat", "saturday", "сб", "суббота"),
    ("sun", "sunday", "вс", "воскресенье"),
)
_DAY_OF_NAME: Mapping[str, int] = {name: day for day, names in enumerate(_NAMES) for name in names}
# Two letters that are one day to some and two days by the codes; and what to write instead.
_AMBIGUOUS = {"Tu": ("T", "T U"), "Su": ("U", "S U")}

_TIME = re.compile(r"([0-9]{1,2})[:.]([0-9]{2})(?::00)?\s*([ap])?\.?(?:m\.?)?", re.IGNORECASE)
_MINUTES = re.compile(r"([0-9]{1,4})\s*(?:m|min|minutes|м|мин|минут)?\.?", re.IGNORECASE)
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}"
_DATES = re.compile(rf"({_DATE})(?:\s*(?:\.\.|[-–—])\s*({_DATE}))?")
_LINK = re.compile(r"https://[\w.:-]+/(?:[^?#\s]*/)?([0-9-]+)/?(?:[?#].*)?", re.IGNORECASE)
# A number, and perhaps its passcode behind it.
_NUMBER = re.compile(r"([0-9][0-9 \u00a0-]*)(?:[^0-9.].*)?", re.DOTALL)
_DIGITS = re.compile(r"[0-9]{6,11}")
_FOLDER_LINK = re.compile(
    r"https://drive\.google\.com/drive/(?:u/[0-9]+/)?folders/([A-Za-z0-9_-]+)(?:[/?#].*)?"
)
_FOLDER = re.compile(r"[A-Za-z0-9_-]{19,255}")  # what is shorter is a name
_MODES: Mapping[str, Mode] = {
    "asks": "asks", "yes": "asks", "да": "asks", "names": "names", "no": "no", "нет": "no",
}  # fmt: skip


def of_field(field: str, why: Message) -> Message:
    """Return what is wrong with a field, with its name where it has one."""
    return Message("error.of_field", field=field, why=why) if field else why


def excerpt(text: str) -> str:
    """Return a text as a complaint repeats it: one line, and not all of a long one."""
    line = clean_name(text)
    return line if len(line) <= _LONGEST_SHOWN else f"{line[:_LONGEST_SHOWN]}…"


def read_name(text: str) -> str:
    """Return a name or title: one line, in one form of Unicode."""
    line = unicodedata.normalize("NFC", clean_name(text))
    if len(line) > LONGEST_TEXT:
        raise Invalid("text", "error.too_long", longest=LONGEST_TEXT)
    return line


def read_days(text: str) -> tuple[int, ...]:
    """Return days of the week, Monday is 0: of codes, run together or apart, and of names."""
    days: set[int] = set()
    for word in re.split(r"[\s,;/+&.]+", text):
        if (named := _DAY_OF_NAME.get(word.casefold())) is not None:
            days.add(named)
        else:
            days |= _days_of_codes(word)
    if not days:
        raise Invalid("days", "timetable.cell.no_days", text=excerpt(text))
    return tuple(sorted(days))


def _days_of_codes(word: str) -> set[int]:
    for letters, (one, two) in _AMBIGUOUS.items():
        if letters in word:
            raise Invalid("days", "timetable.cell.two_days", text=letters, first=one, both=two)
    if "TH" in word.upper():
        raise Invalid("days", "timetable.cell.thursday")
    if set(word.upper()) <= set(CODES):
        return {CODES.index(code) for code in word.upper()}
    raise Invalid("days", "timetable.cell.no_days", text=excerpt(word))


def read_time(text: str) -> time:
    """Return a time of the day, by 24 or by 12 hours."""
    match = _TIME.fullmatch(text)
    hour, minute = (int(match[1]), int(match[2])) if match else (-1, 0)
    half = match[3].lower() if match and match[3] else ""
    if half:
        # 12:05am is five past midnight, 12:05pm five past noon.
        hour = hour % 12 + (12 if half == "p" else 0) if 1 <= hour <= 12 else -1
    if not (0 <= hour <= 23 and minute <= 59):
        raise Invalid("time", "timetable.cell.no_time", text=excerpt(text))
    return time(hour, minute)


def read_minutes(text: str) -> timedelta:
    """Return a length that is written in minutes: 1 to 1440."""
    match = _MINUTES.fullmatch(text)
    minutes = int(match[1]) if match else 0
    if not 1 <= minutes <= 24 * 60:
        raise Invalid("minutes", "timetable.cell.no_minutes", text=excerpt(text))
    return timedelta(minutes=minutes)


def read_date(text: str) -> date:
    """Return a day."""
    first, last = read_date_range(text)
    if first != last:
        raise _no_date(text)
    return first


def read_date_range(text: str) -> tuple[date, date]:
    """Return the first and the last of some days, written with two dots or a dash between them."""
    match = _DATES.fullmatch(text)
    if not match:
        raise _no_date(text)
    first = _date(match[1])
    last = _date(match[2]) if match[2] else first
    if last < first:
        raise Invalid("date", "timetable.cell.backwards", first=str(first), last=str(last))
    return first, last


def read_dates(text: str) -> tuple[date, ...]:
    """Return the days of a list of dates and ranges."""
    days: set[date] = set()
    for piece in filter(None, (piece.strip() for piece in re.split(r"[,;\n]", text))):
        ranges = [piece] if _DATES.fullmatch(piece) else piece.split()
        for first, last in map(read_date_range, ranges):
            if (last - first) // _DAY >= MOST_DATES - len(days):
                raise Invalid("dates", "timetable.too_many_dates", most=MOST_DATES)
            days |= {first + n * _DAY for n in range((last - first) // _DAY + 1)}
    return tuple(sorted(days))


def _date(text: str) -> date:
    try:
        form = "%d.%m.%Y" if "." in text else "%Y-%m-%d"
        day = datetime.strptime(text, form)  # noqa: DTZ007  # a day has no zone
    except ValueError as error:
        raise _no_date(text) from error
    if not is_plausible(day):
        raise _no_date(text)
    return day.date()


def _no_date(text: str) -> Invalid:
    return Invalid("date", "timetable.cell.no_date", text=excerpt(text))


def read_meeting(text: str) -> str:
    """Return the digits of a meeting's number: of one, or of the last part of a link's path.

    Nothing of a wrong one is repeated: there may be a passcode in it.
    """
    link = _LINK.fullmatch(text)
    match = _NUMBER.fullmatch(link[1] if link else text)
    number = re.sub(r"[^0-9]", "", match[1]) if match else ""
    if not _DIGITS.fullmatch(number):
        raise Invalid("meeting", "timetable.cell.no_meeting")
    return number


def read_owners(text: str) -> tuple[str, ...]:
    """Return email addresses."""
    words = [word for word in re.split(r"[\s,;]+", text) if word]
    if len(words) > _MOST_OWNERS:
        raise Invalid("owners", "timetable.cell.too_many_owners", most=_MOST_OWNERS)
    return tuple(dict.fromkeys(email_of(word, "owners") for word in words))


def read_external(text: str) -> str:
    """Return an id in another system: what a link has after its #, without slashes, or a text."""
    return read_name(text.rpartition("#")[2].replace("/", "") if "#" in text else text)


def read_folder(text: str) -> str:
    """Return the id of a folder in Drive, of itself or of its link. Raises Invalid."""
    name = read_name(text)
    link = _FOLDER_LINK.fullmatch(name)
    if link is None and not _FOLDER.fullmatch(name):
        raise Invalid("folder", "timetable.cell.no_folder", text=excerpt(text))
    return link[1] if link else name


def read_layout(text: str) -> str:
    """Return the name of a layout."""
    return layout_named(_word(text)).name


def read_profile(text: str) -> str:
    """Return the name of a profile."""
    return profile_named(_word(text)).name


def _word(text: str) -> str:
    return excerpt(re.sub(r"[\s-]+", "_", text.casefold()))


def read_mode(text: str) -> Mode:
    """Return a mode: whether a row asks for recordings, or only names them."""
    if text.casefold() not in _MODES:
        raise Invalid("records", "timetable.cell.no_mode", text=excerpt(text))
    return _MODES[text.casefold()]
