"""A label rule a person can write: ``age<40:younger than 40;age>=40:40 and older``, or the name of a column."""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from voxtune.cohorts.quantities import StyleError, number
from voxtune.errors import SettingError

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le, ">=": operator.ge, "!=": operator.ne, "==": operator.eq, "<": operator.lt, ">": operator.gt, "=": operator.eq,
}  # fmt: skip
_TEST = re.compile(r"^\s*(?P<column>[^<>=!]+?)\s*(?P<sign><=|>=|!=|==|<|>|=)\s*(?P<value>.+?)\s*$")


@dataclass(frozen=True)
class Comparison:
    """One comparison of a column with a number or a word."""

    column: str
    sign: str
    value: str

    def holds(self, text: str | None) -> bool | None:
        """Whether a cell passes; ``None`` where that cannot be told: the cell is missing, or a word where a number is compared.

        Raises:
            ValueError: the cell is a number in another style (``0,5``), which equals no number by chance only.
        """
        if text is None:
            return None
        compare = _COMPARE[self.sign]
        try:
            wanted = number(self.value)
        except ValueError:
            wanted = None
        if wanted is not None:
            try:
                return compare(number(text), wanted)
            except StyleError as error:
                raise ValueError(f"column '{self.column}': {error}") from None
            except ValueError:
                return None
        if self.sign in {"==", "=", "!="}:
            return compare(text.strip().lower(), self.value.strip().lower())
        return None


@dataclass(frozen=True)
class LabelRule:
    """Cases in order; the first whose tests all hold names the class."""

    text: str
    cases: tuple[tuple[tuple[Comparison, ...], str], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns the rule looks at, in order of first use."""
        return tuple(dict.fromkeys(test.column for tests, _ in self.cases for test in tests))

    def label(self, cell: Callable[[str], str | None]) -> str | None:
        """The class of a row, given how to look a column up; ``None`` where no case holds.

        ``*`` is the rest of what is known: where an earlier case could not be told, there is no class.

        Raises:
            ValueError: a cell is a number in another style than the rule's.
        """
        unknown = False
        for tests, name in self.cases:
            holds = [test.holds(cell(test.column)) for test in tests]
            if all(holds) and (tests or not unknown):
                return name
            unknown = unknown or (False not in holds and None in holds)
        return None


def is_rule(text: str) -> bool:
    """Whether a text is a rule; otherwise it is the name of a column."""
    return ":" in text and _TEST.match(text.partition(":")[0]) is not None


def parse_rule(text: str) -> LabelRule:
    """Read ``TEST[&TEST...]:CLASS`` cases separated by ``;`` (or ``,`` where there is no ``;``); ``*:CLASS`` is the rest.

    Raises:
        SettingError: a case is not of that form; the message shows it.
    """
    cases = []
    for case in filter(None, (part.strip() for part in text.split(";" if ";" in text else ","))):
        condition, colon, name = case.partition(":")
        tests = [] if condition.strip() == "*" else [_TEST.match(part) for part in condition.split("&")]
        if not colon or not name.strip() or not all(tests):
            raise SettingError("diagnosis", "cases like 'age<40:younger than 40;age>=40:40 and older'", case)
        cases.append((tuple(Comparison(**found.groupdict()) for found in tests if found), name.strip()))
    if not cases:
        raise SettingError("diagnosis", "a column name or at least one case", text)
    return LabelRule(text, tuple(cases))


def cell_class(cell: str, classes: Mapping[str, str]) -> str:
    """The class that ``classes`` names for a cell, by its text, its number (``1.0`` is 1) or its letters in any case; else the cell."""
    if cell in classes:
        return classes[cell]
    for code, name in classes.items():
        try:
            same = number(code) == number(cell)
        except ValueError:
            same = code.casefold() == cell.casefold()
        if same:
            return name
    return cell


def pairs(value: Any) -> Any:
    """``a:b;c:d`` (or with commas) as a mapping, so that a mapping can be given on the command line."""
    if not isinstance(value, str):
        return value
    parts = [part for part in re.split(r"[;,]", value) if part.strip()]
    if not all(":" in part for part in parts):
        raise ValueError(f"expected pairs like 'old:new,old2:new2', got {value!r}")
    split = [(left.strip(), right.strip()) for left, _, right in (part.partition(":") for part in parts)]
    twice = next((left for left, _ in split if len({right for one, right in split if one == left}) > 1), None)
    if twice is not None:
        raise ValueError(f"'{twice}' stands twice with different values in {value!r}")
    return dict(split)


Pairs = Annotated[dict[str, str], BeforeValidator(pairs)]


def code(text: str | None) -> str | None:
    """A code as it was before a spreadsheet or pandas made it a float: ``1.0`` is ``1``, ``40817.0`` is ``40817``."""
    if text is None or not re.fullmatch(r"\s*[-+]?\d+\.0*\s*", text):
        return text
    return text.strip().partition(".")[0]


def missing_code(text: str | None, codes: Iterable[int]) -> str | None:
    """The text, or ``None`` where it is one of a source's codes for missing however it is written: ``-4``, ``-4.0``, ``-4.00``."""
    return None if text is not None and code(text) in {str(one) for one in codes} else text


VeryMild = Literal["apart", "MCI", "AD", "drop"]


def cdr_class(cdr: str | None, very_mild: VeryMild) -> str | None:
    """The class of a global CDR: 0 is NC, 1 and above AD, 0.5 as the setting says; ``None`` where there is none.

    ``apart`` keeps CDR 0.5 as a class of its own: it is very mild impairment, near MCI, and not dementia of AD degree.

    Raises:
        ValueError: not a CDR.
    """
    if cdr is None:
        return None
    value = float(cdr)
    if value not in {0.0, 0.5, 1.0, 2.0, 3.0}:
        raise ValueError(f"a CDR is 0, 0.5, 1, 2 or 3, got {cdr}")
    if value == 0.5:
        return {"apart": "CDR 0.5", "MCI": "MCI", "AD": "AD", "drop": None}[very_mild]
    return "AD" if value else "NC"


def cdr_rule(very_mild: VeryMild) -> str:
    """That rule in words, as ``diagnosis_rule`` holds it."""
    half = {"apart": "0.5 its own class", "MCI": "0.5 MCI", "AD": "0.5 AD", "drop": "0.5 dropped"}[very_mild]
    return f"CDR of the visit: 0 NC, {half}, 1 and above AD"
