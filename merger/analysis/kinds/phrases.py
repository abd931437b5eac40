"""What words on a screen mean: the phrases of devices, and how little else stands beside them.

Words are evidence only where there are few of them. What is read may be wrong in some letters, so
phrases are looked for with differences; what else stands in a phrase's clause must be words of
devices, too: "No signal processing" is a title.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from merger.analysis.words.reading import Line
from merger.timeline.plan import Verdict

# Words beside a phrase, on all lines together. Cards of devices have up to 16, of sharing systems
# and locked computers more: they explain how to go on.
MOST_WORDS: dict[Verdict, int] = {"no_signal": 20, "standby": 26, "lock": 45, "desktop": 40}
MOST_LINES = 7  # and so many lines: a slide with bullets has more words or more lines
# Letters of a phrase for one error: "no signal" may have one, and "no sigmas" has two.
LETTERS_PER_ERROR = 8
# A line that is read with less than this is small or blurred. There a long phrase may have more
# errors, and words beside it that mean nothing; titles are large, and read well.
CLEAR = 0.88
LONG, GARBLED_LETTERS_PER_ERROR, MOST_GARBLED = 12, 4.5, 5
# Words that are no device's, in lines that are read well: the names of a maker and a room.
MOST_STRANGE = 2
SURE = 0.6  # of a line's reading: what is read from patterns has 0.5 at most

# In each language that devices speak: as read, without accents, signs, or upper case. A word of
# another meaning within one error must not be among them.
_PHRASES: dict[Verdict, str] = {
    "no_signal": """
        no signal / no input signal / no valid signal / no valid input / no video signal
        no hdmi signal / no vga signal / no dvi signal / no displayport signal / no usb c signal
        no computer signal / no pc signal / no input detected / no input is detected
        no source detected / no source selected / no video input / no video source / no input
        no connection detected / no device connected / signal not found / input not found
        input signal not found / signal not detected / signal lost / loss of signal
        lost signal / signal loss / video signal lost / unsupported input / unsupported signal
        unsupported format / unsupported resolution / input not supported / signal not supported
        mode not supported / invalid format / invalid signal / invalid input
        input signal out of range / check signal cable / check video cable
        check the signal cable / check cable connection / searching for signal
        searching for source / searching for input / looking for signal / looking for source
        waiting for signal / waiting for input / waiting for video / waiting for source
        presenter to share / waiting for the presenter / waiting for the host / hdcp content
        hdcp error / hdcp protected / hdcp encrypted / content is protected / protected content
        no camera connected / no connected camera / camera disconnected / camera offline
        stream offline / connection lost / kein signal / kein eingangssignal / kein videosignal
        kein bildsignal / signal nicht gefunden / kein hdmi signal / keine quelle
        signal nicht erkannt / kein eingang / ungultiges signal / aucun signal / pas de signal
        absence de signal / signal absent / aucune source / aucun signal video
        signal non detecte / aucune entree / sin senal / no hay senal / ninguna senal
        senal no detectada / sin senal de entrada / sin entrada / nessun segnale
        segnale assente / assenza di segnale / segnale non rilevato / nessun ingresso
        sem sinal / nenhum sinal / sinal nao detectado / nenhuma fonte / geen signaal
        geen ingangssignaal / geen bron / brak sygnalu / brak sygnalu wejsciowego / brak wejscia
        brak zrodla / sinyal yok / sinyal bulunamadi / giris sinyali yok / inget signal
        ingen signal / ei signaalia / intet signal / zadny signal / neni signal / ziadny signal
        bez signalu / nincs jel / fara semnal / nema signala / 无信号 / 無信號 / 无视频信号
        无输入信号 / 没有信号 / 沒有信號 / 無訊號 / 無輸入訊號 / 没有输入信号 / 信号丢失
        视频丢失 / 未检测到信号 / 无视频输入 / 請檢查訊號線 / 请检查信号线 / 信号なし
        信号がありません / 入力信号なし / 入力信号がありません / 信号が検出されません / 無信号
    """,
    "standby": """
        ready to cast / ready for you to connect / ready to connect / ready to present
        ready to share / connect to this display / plug in your button / enter code
        enter the code / login code / room code / access code / room is not in use
        room is not available / room not in use / show your screen / share your screen from
        press laptop / configure this display / standby mode / is in standby / stand by mode
        entering standby / going to sleep / entering power save / power saving mode
        power save mode / share content / start presenting / to present connect
        to start presenting / to share your screen / open airplay / use airplay
        screen mirroring / wireless presentation / connect your laptop / connect your device
        connect your computer / plug in your laptop / press start / tap to start
        touch to start / press any button to start / touch the panel / welcome press
        system is off / bereit zur verbindung / tippen sie zum starten / raum nicht belegt
        bildschirm teilen / pret a se connecter / touchez pour commencer / listo para conectar
        toque para comenzar
    """,
    "lock": """
        ctrl alt del / ctrl alt delete / working on updates / dont turn off / do not turn off
        to unlock / touch id or enter / enter password / enter your password / forgot password
        ran into a problem / stop code / no boot device / no bootable device
        american megatrends / computer is asleep / press any key to reboot / gnu grub
        not listed / other user / getting windows ready / please wait for the
        collecting some error info / switch user / reboot and select proper boot device
        operating system not found / windows boot manager / passwort eingeben
        kennwort eingeben / mot de passe / introducir contrasena
    """,
    "desktop": """
        type here to search / recycle bin / this pc / papierkorb / corbeille
        papelera de reciclaje
    """,
}
# Phrases that lectures use, too: they count only where another clause is a device's.
_WEAK: dict[Verdict, str] = {
    "no_signal": """
        out of range / video loss / no video / no source / reconnecting / no image / no picture
        no display / disconnected / not connected / hdcp / video lost / kein bild / kein video
        pas d image / geen beeld / sem video / sin video / brak obrazu
    """,
    "standby": "standby / stand by / welcome / please wait",
    "lock": "password / login / username / sign in / restarting / shutting down / starting windows",
}

# What stands beside phrases: of devices, in the languages above.
_OF_DEVICES = """
    a an the is are was to of on in at for from by or and be has been your this that please
    it input inputs output source sources signal signals video image picture display screen
    monitor projector hdmi dvi vga dp displayport sdi usb usbc typec type rgb component
    composite svideo pc computer laptop device devices port ports cable cables connection
    connected connect connector detected detect found available selected select present
    valid active lost check make sure power turn turned off mode save sleep auto minutes
    minute seconds sec min resolution frequency hz khz mhz mode format supported support
    unsupported disabled protected recorded cannot not no analog digital channel ch cam
    camera hd uhd fhd recorder encoder decoder line main sub stream network ip address press
    button key menu remote control change switch press try again then retry now currently
    presenter host start share screen meeting code enter open browser connect wifi ssid not
    found will go into content support searching looking waiting missing hdcp mhl loop out
    of range january february march april june july august september october november
    december mon tue wed thu fri sat sun monday tuesday wednesday thursday friday saturday
    sunday und das die der ein eingang quelle kabel prufen bitte verbindung gerat sie
    verifiez le la cable entree source veuillez de du sur comprobar compruebe verifique el
    cable entrada fuente de por favor controllare cavo ingresso sorgente verificare il
    verifique cabo entrada sprawdz kabel wejscie kabloyu kontrol edin giris
"""
_IS_OF_DEVICES = re.compile(
    r"\d{1,4}[:.\-/]\d{1,2}([:.\-/]\d{1,4})?|\b(hdmi|vga|dvi|displayport|sdi|k?h[z2]|ch|input|camera)\b"
)
# On one colour, near an edge, a display tells which of its inputs it shows, and how.
_ON_SCREEN_DISPLAY = re.compile(
    r"(hdmi|vga|dvi|dp|displayport|display port|sdi|usb c|input|source|pc|rgb|computer|av|video"
    r"|freeze|blank|mute|no image|type c|component|4k|1080[ip]?|720p?|2160p?|k?hz|\d{1,4}|x|[a-d]"
    r"|on|off)"
)
_NAMES_AN_INPUT = re.compile(r"hdmi|vga|dvi|displayport|display port|sdi|usb c|input|source|mute")
_EDGE, _SMALL = 0.25, 0.09  # of the height: where such a line lies, and how high it is

_CLAUSE_ENDS = re.compile(r"[.:;·•!—–―()\[\]…]+|\s-\s|,\s")
_QUESTION = re.compile(r"[?？]")


@dataclass(frozen=True)
class Meaning:
    """What words say of a picture. words: those that say so."""

    verdict: Verdict
    words: str


def meaning_of(lines: Sequence[Line]) -> Meaning | None:
    """Return what the words of a picture with few strokes mean; None: perhaps a presentation."""
    read = [line for line in lines if line.text and line.score >= SURE]
    if not read or len(lines) > MOST_LINES or any(_QUESTION.search(line.text) for line in read):
        return None
    clauses = [clause for line in read for clause in _clauses(line)]
    count = sum(len(clause.text.split()) for clause in clauses)
    strange = sum(
        len(word) > 2 and not _is_word_of_devices(word)
        for clause in clauses
        if clause.clear
        for word in clause.text.split()
    )
    for verdict, most in MOST_WORDS.items():
        if count > most or (verdict == "no_signal" and strange > MOST_STRANGE):
            continue
        for n, clause in enumerate(clauses):
            others = clauses[:n] + clauses[n + 1 :]
            is_device = any(_IS_OF_DEVICES.search(other.text) for other in others)
            for book in (_PHRASES, _WEAK) if is_device else (_PHRASES,):
                phrase = _phrase_in(clause, book.get(verdict, ""), free=verdict != "no_signal")
                if phrase:
                    return Meaning(verdict, phrase)
    if all(_is_on_screen_display(line) for line in read) and any(
        _NAMES_AN_INPUT.search(clause.text) for clause in clauses
    ):
        return Meaning("blank", " ".join(line.text for line in read))
    return None


@dataclass(frozen=True)
class _Clause:
    """Words between two signs, simplified. clear: they are read well."""

    text: str
    clear: bool


def _clauses(line: Line) -> list[_Clause]:
    return [
        _Clause(text, line.score >= CLEAR)
        for part in _CLAUSE_ENDS.split(line.text)
        if (text := simplify(part))
    ]


def simplify(text: str) -> str:
    """Return a text in lower case, without accents and signs, its words one blank apart."""
    plain = unicodedata.normalize("NFKD", text.replace("ł", "l").replace("ı", "i")).lower()
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    plain = unicodedata.normalize("NFC", plain.replace("'", "").replace("’", "").replace("|", "i"))
    return " ".join(re.sub(r"[^\w:./\-]+|_|(?<!\w)[:./\-]|[:./\-](?!\w)", " ", plain).split())


def _phrase_in(clause: _Clause, book: str, free: bool) -> str | None:
    """Return the phrase that a clause says.

    Args:
        free: any other words may stand in the clause, else those of devices alone.
    """
    phrases = _split(book)
    if not phrases:
        return None
    lengths = np.array([len(phrase) for phrase in phrases])
    is_garbled = (lengths >= LONG) & (not clause.clear)
    errors, ends = _nearest(clause.text, phrases)
    allowed = lengths // np.where(is_garbled, GARBLED_LETTERS_PER_ERROR, LETTERS_PER_ERROR)
    for n in sorted(np.flatnonzero(errors <= allowed), key=lambda n: -lengths[n]):
        begin = max(0, int(ends[n] - lengths[n] - errors[n]))
        beside = [*clause.text[:begin].split(), *clause.text[int(ends[n]) :].split()]
        strange = sum(not _is_word_of_devices(word) for word in beside)
        if free or strange <= (MOST_GARBLED if is_garbled[n] else 0):
            return phrases[n]
    return None


def _is_word_of_devices(word: str) -> bool:
    if any(sign.isdigit() for sign in word):
        return True
    return all(_is_known(part) for part in re.split(r"[:./\-]", word))


def _is_known(word: str) -> bool:
    known = _words_of_devices()
    if word in known or len(word) <= 1:
        return True
    if len(word) < LETTERS_PER_ERROR:
        return False
    alike = tuple(other for other in known if abs(len(other) - len(word)) <= 1)
    return bool(alike) and int(_nearest(word, alike)[0].min()) <= 1


@cache
def _split(book: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in re.split(r"[/\n]", book) if phrase.strip())


@cache
def _words_of_devices() -> tuple[str, ...]:
    return tuple(dict.fromkeys(_OF_DEVICES.split()))


def _is_on_screen_display(line: Line) -> bool:
    at_edge = line.box[3] < _EDGE or line.box[1] > 1 - _EDGE
    words = simplify(line.text)
    is_told = re.fullmatch(rf"({_ON_SCREEN_DISPLAY.pattern}\s*)+", words) is not None
    return at_edge and line.height < _SMALL and is_told


Numbers = npt.NDArray[np.int64]


def _nearest(text: str, phrases: tuple[str, ...]) -> tuple[Numbers, Numbers]:
    """Return for each phrase the fewest errors with which it stands in a text, and where it ends.

    Errors are letters that are other, missing or too many. All phrases are compared at once, a
    letter of the text at a time.
    """
    letters, lengths = _as_numbers(phrases)
    count, longest = letters.shape
    places = np.arange(longest + 1)
    # errors[p, i]: between the first i letters of phrase p and what ends at this letter of the text
    errors = np.tile(places, (count, 1))
    which = np.arange(count)
    fewest, ends = lengths.copy(), np.zeros(count, np.int64)
    for end, letter in enumerate(text, 1):
        new = np.empty_like(errors)
        new[:, 0] = 0
        new[:, 1:] = np.minimum(errors[:, :-1] + (letters != ord(letter)), errors[:, 1:] + 1)
        # What a phrase has too many, in one step: the least of all places before, and the way here.
        errors = np.minimum.accumulate(new - places, axis=1) + places
        whole = errors[which, lengths]
        is_better = whole < fewest
        fewest[is_better], ends[is_better] = whole[is_better], end
    return fewest, ends


@cache
def _as_numbers(phrases: tuple[str, ...]) -> tuple[Numbers, Numbers]:
    lengths = np.array([len(phrase) for phrase in phrases], np.int64)
    letters = np.full((len(phrases), int(lengths.max())), -1, np.int64)
    for n, phrase in enumerate(phrases):
        letters[n, : len(phrase)] = [ord(letter) for letter in phrase]
    return letters, lengths
