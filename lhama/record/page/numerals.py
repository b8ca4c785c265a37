"""Numbers as people read them: rounded, grouped, with a unit that leaves few digits.

In: plain numbers in base units (tokens, seconds, bytes, kWh, kg). Out: short texts, a no-break space between number
and unit, so that no line ends there. Subtle: rounding may lift a number into the next unit (999,999 bytes are 1.00 MB,
not 1,000 kB), so the unit is chosen after rounding.
"""

import math
from collections.abc import Callable

SPACE = "\u00a0"  # no-break; the narrow one, U+202F, is missing in many fonts and then looks like none
MINUS = "\u2212"
LARGE = ((1e12, "trillion", "T"), (1e9, "billion", "B"), (1e6, "million", "M"), (1e3, "thousand", "k"))
LANGUAGES = {
    "ar": "Arabic",
    "bn": "Bengali",
    "ca": "Catalan",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "eu": "Basque",
    "fi": "Finnish",
    "fr": "French",
    "gl": "Galician",
    "gn": "Guarani",
    "hi": "Hindi",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "qu": "Quechua",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "sw": "Swahili",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "yo": "Yoruba",
    "zh": "Chinese",
}


def significant(value: float, digits: int = 3) -> str:
    """Write a number with so many significant digits, grouped, never in exponent notation."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "not finite"
    rounded = float(f"{value:.{digits - 1}e}")
    places = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{places}f}".replace("-", MINUS)


def whole(value: float) -> str:
    """Write a count in full, grouped by thousands."""
    return f"{round(value):,}".replace("-", MINUS)


def fixed(value: float, places: int) -> str:
    """Write a number with so many decimal places."""
    return f"{value:,.{places}f}".replace("-", MINUS)


def to_places(places: int) -> Callable[[float], str]:
    """Make the function that writes numbers with so many decimal places."""
    return lambda value: fixed(value, places)


def large(value: float, short: bool = False) -> str:
    """Write a large count in words (3.75 billion), or short for figures (3.75 B)."""
    rounded = float(f"{value:.2e}")
    for size, word, letter in LARGE:
        if abs(rounded) >= size and (size >= 1e6 or short):
            return f"{significant(rounded / size)}{SPACE}{letter if short else word}"
    return whole(value) if float(value).is_integer() else significant(value)


def tick(value: float) -> str:
    """Write the label at a tick of an axis: as few digits as tell it from its neighbours."""
    if value == 0:
        return "0"
    for size, _, letter in LARGE:
        if abs(value) >= size and (size >= 1e6 or abs(value) >= 1e4):
            return f"{value / size:.12g}{SPACE}{letter}".replace("-", MINUS)
    return f"{value:,.12g}".replace("-", MINUS)


def scientific(value: float) -> str:
    """Write a very small or large number as digits times a power of ten."""
    digits, power = f"{value:.2e}".split("e")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{float(digits):.3g}{SPACE}×{SPACE}10{raised}".replace("-", MINUS)


def percent(share: float) -> str:
    """Write a share as a percentage, with a decimal place where it is small or close to all."""
    hundred = 100 * share
    if 0 < share < 1 and round(hundred, 1) in (0.0, 100.0):
        return f"<{SPACE}0.1{SPACE}%" if share < 0.5 else f">{SPACE}99.9{SPACE}%"
    places = 0 if round(hundred, 1) == round(hundred) or 10 <= hundred <= 90 else 1
    return f"{hundred:.{places}f}{SPACE}%"


def duration(seconds: float) -> str:
    """Write a time span with at most two units."""
    if seconds < 9.95:
        return f"{significant(seconds, 2)}{SPACE}s"
    total = round(seconds)
    for large_unit, size, small_unit, part in (("days", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if total >= size:
            count, rest = divmod(total, size)
            name = "day" if (large_unit, count) == ("days", 1) else large_unit
            tail = f" {rest // part}{SPACE}{small_unit}" if rest // part else ""
            return f"{count:,}{SPACE}{name}{tail}"
    return f"{total}{SPACE}s"


def size(count: float) -> str:
    """Write a number of bytes, decimal units."""
    rounded = float(f"{count:.2e}")
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if rounded >= limit:
            return f"{significant(rounded / limit)}{SPACE}{unit}"
    return f"{whole(count)}{SPACE}{'byte' if count == 1 else 'bytes'}"


def energy(kwh: float) -> str:
    """Write an amount of energy."""
    for limit, factor, unit in ((1e3, 1e-3, "MWh"), (1.0, 1.0, "kWh"), (1e-3, 1e3, "Wh"), (0.0, 1e6, "mWh")):
        if float(f"{kwh:.2e}") >= limit:
            return f"{significant(kwh * factor)}{SPACE}{unit}"
    return f"{significant(kwh)}{SPACE}kWh"


def carbon(kilograms: float) -> str:
    """Write a mass of carbon dioxide equivalents."""
    for limit, factor, unit in ((1e3, 1e-3, "t"), (1.0, 1.0, "kg"), (1e-3, 1e3, "g"), (0.0, 1e6, "mg")):
        if float(f"{kilograms:.2e}") >= limit:
            return f"{significant(kilograms * factor)}{SPACE}{unit}{SPACE}CO\u2082e"
    return f"{significant(kilograms)}{SPACE}kg{SPACE}CO\u2082e"


def money(amount: float, currency: str) -> str:
    """Write a sum of money: cents from one unit up, two significant digits below."""
    text = fixed(amount, 2) if amount >= 1 else significant(amount, 2)
    return f"{text}{SPACE}{currency}"


def counted(count: float, noun: str, plural: str | None = None) -> str:
    """Write a count with its noun."""
    return f"{whole(count)}{SPACE}{noun if count == 1 else plural or noun + 's'}"


def language(code: str) -> str:
    """Name a language in English; an unknown code stands for itself."""
    return LANGUAGES.get(code.lower().split("-")[0].split("_")[0], code)
