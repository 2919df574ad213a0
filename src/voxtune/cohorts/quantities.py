"""Numbers, ages and units as tables write them: read by a declared style, or refused with what to declare; never guessed."""

import math
import re
from typing import Literal

NumberStyle = Literal["1234.5", "1,234.5", "1'234.5", "1 234.5", "1234,5", "1.234,5", "1 234,5"]
"""How a table writes numbers, shown by one example: the sign for decimals and, where there is one, that for thousands."""

VOLUME_UNITS = {
    "mm3": 1.0, "mm^3": 1.0, "cubic millimeter": 1.0, "cubic millimetre": 1.0, "ul": 1.0, "µl": 1.0, "μl": 1.0,
    "cm3": 1e3, "cm^3": 1e3, "cc": 1e3, "ccm": 1e3, "cubic centimeter": 1e3, "cubic centimetre": 1e3, "ml": 1e3, "milliliter": 1e3,
    "millilitre": 1e3, "dl": 1e5, "l": 1e6, "liter": 1e6, "litre": 1e6,
}  # fmt: skip
"""Factor from a unit of volume to mm^3."""
AGE_UNITS = {
    "year": 1.0, "yr": 1.0, "y": 1.0, "a": 1.0, "annum": 1.0, "yo": 1.0, "jahre": 1.0, "month": 1 / 12, "mo": 1 / 12, "m": 1 / 12, "mon": 1 / 12,
    "week": 7 / 365.25, "wk": 7 / 365.25, "w": 7 / 365.25, "day": 1 / 365.25, "d": 1 / 365.25, "decade": 10.0,
}  # fmt: skip
"""Factor from a unit of age to years."""
_PARTS = {style: (style[-2], style[1] if not style[1].isdigit() else "") for style in NumberStyle.__args__}  # type: ignore[attr-defined]
_AGE = re.compile(
    r"^0*(\d+(?:\.\d+)?)\s*(y(?:ears?|rs?|o)?|m(?:onths?|o)?|w(?:eeks?|ks?)?|d(?:ays?)?)\.?(?:\s*old)?$",
    re.IGNORECASE,
)
_NO_ONE_AGE = re.compile(
    r"^(?:[<>≤≥]=?|over|above|under|below|older than)?\s*\d+(?:[.,]\d+)?\s*\+?(?:\s*(?:-|\u2013|\u2014|\bto\b|\.\.|/)\s*\d+(?:[.,]\d+)?)?\s*(?:\+|y\w*|(?:and|or) (?:over|above|older))?$",
    re.IGNORECASE,
)
_WITH_SEPARATORS = re.compile(r"^[+-]?\d[\d.,' \u00a0\u202f]*$")


def number(text: str, style: NumberStyle = "1234.5") -> float:
    """A finite number, written in a style.

    Raises:
        ValueError: it is none; the message says what came and, for a number of another style, that the style has to be declared.
    """
    decimal, thousands = _PARTS[style]
    text = text.strip().replace("\u00a0", " ").replace("\u202f", " ").replace("\u2212", "-")
    whole = rf"\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+|\d+" if thousands else r"\d+"
    if re.fullmatch(
        rf"[+-]?(?:(?:{whole})(?:{re.escape(decimal)}\d*)?|{re.escape(decimal)}\d+)(?:[eE][+-]?\d+)?", text
    ):
        value = float(text.replace(thousands or "\0", "").replace(decimal, "."))
        if math.isfinite(value):
            return value
    if re.fullmatch(r"[+-]?(inf(inity)?|nan)|[+-]?[\d.]+[eE][+-]?\d+", text, re.IGNORECASE):
        raise ValueError(f"expected a finite number, got '{text}'")
    if _WITH_SEPARATORS.match(text):
        raise StyleError(f"expected a number written like {style}, got '{text}'")
    raise ValueError(f"expected a number, got '{text}'")


class StyleError(ValueError):
    """A number in another style than the declared one."""


def years(text: str, style: NumberStyle = "1234.5") -> float | None:
    """An age in years: ``60``, ``060Y`` or ``18 months``; ``None`` for a bound or a range (``89+``, ``60-65``), which is no one age.

    Raises:
        ValueError: it is none of these.
    """
    text = text.strip()
    try:
        return number(text, style)
    except StyleError:
        raise
    except ValueError:
        found = _AGE.match(text)
        if found:
            return float(found.group(1)) * AGE_UNITS[found.group(2)[0].lower()]
        if _NO_ONE_AGE.match(text):
            return None
        raise


def factor(unit: str, field: str) -> float | None:
    """What a value in a unit is multiplied by to be in the unit of a manifest column (mm^3, years); ``None`` for an unknown unit."""
    name = unit.strip().lower().removesuffix(".").replace("³", "3").replace("**", "^").replace("_", " ")
    known = AGE_UNITS if field == "age" else VOLUME_UNITS if field.endswith("_mm3") else {}
    for one in (name, name.removesuffix("s"), name.replace(" ", "")):
        if one in known:
            return known[one]
    whole = {
        by
        for word, by in known.items()
        if len(word) > 2 and re.search(rf"(?<![a-z]){re.escape(word)}(?:s|\(s\))?(?![a-z0-9])", name)
    }
    return whole.pop() if len(whole) == 1 else None


def same_value(one: str | None, two: str | None) -> bool:
    """Whether two cells are one text or one number."""
    first, second = finite(one), finite(two)
    return one == two or (first is not None and first == second)


def finite(text: str | None) -> float | None:
    """A cell as a finite number in plain style; ``None`` for anything else."""
    try:
        return number(text) if text is not None else None
    except ValueError:
        return None
