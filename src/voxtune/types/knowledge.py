"""A small knowledge graph of one disease: findings, what they are part of and what they go with, each statement with its source."""

import re
import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from voxtune.types.settings import Settings

MOST_NODES, MOST_RELATIONS = 200, 500
_OTHER = "АВЕЅІЈКМНОРСТХаеѕіјорсухΑΒΕΖΗΙΚΜΝΟΡΤΥΧο"  # noqa: RUF001
LOOK_ALIKE = str.maketrans(_OTHER, "ABESIJKMHOPCTXaesijopcyxABEZHIKMNOPTYXo")
"""Cyrillic and Greek letters that nobody tells from Latin ones."""
ABBREVIATION = 3
"""Letters up to which a class with capitals is found as it is written alone."""


def _plain_line(text: str) -> str:
    """One line without marks that a page or a template could take for more than words."""
    if not text.isprintable() or text != text.strip() or set(text) & set("{}<>"):
        raise ValueError(f"{text[:80]!r}: expected one line of words, without braces and angle brackets")
    return text


def _clause(text: str) -> str:
    if re.search(r"[.!?:;,]$|[.!?]\s", text):
        raise ValueError(
            f"'{text[:80]}': expected one sentence without a full stop or another mark at its end, which the text sets itself"
        )
    return text


Words = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain_line)]
Clause = Annotated[Words, AfterValidator(_clause)]
"""A sentence without its capital and full stop."""
Wordings = tuple[Clause, ...]
"""Sentences that say the same."""


class Node(Settings):
    """A finding of a scan, or a process or stage that findings belong to."""

    kind: Literal["finding", "process", "stage"] = "finding"
    concept: Annotated[str, AfterValidator(_plain_line)] = Field("", max_length=80)
    """What explanations put together: ``medial temporal lobe``."""
    column: str = Field("", max_length=80)
    """The measured region, or the column of the finding, that says whether it is there."""
    side: Literal["low", "high"] | None = None
    """The end of the percentiles at which a measured region has the finding; ``None``: it is no measured one."""
    present: Wordings = Field((), max_length=10)
    mild: Wordings = Field((), max_length=10)
    absent: Wordings = Field((), max_length=10)
    sources: tuple[str, ...] = Field(min_length=1, max_length=10)

    @model_validator(mode="after")
    def _worded(self) -> "Node":
        if self.kind != "finding" and (self.side or self.column or self.present or self.mild or self.absent):
            raise ValueError("only a finding has column, side, present, mild and absent")
        if self.kind == "finding" and not (self.present and self.absent and self.concept and self.column):
            raise ValueError("a finding has present, absent, concept and column")
        return self


class Relation(Settings):
    """Something that is known of two nodes, in several wordings."""

    start: str
    end: str
    words: Wordings = Field(min_length=1, max_length=10)
    sources: tuple[str, ...] = Field(min_length=1, max_length=10)


class ClassSigns(Settings):
    """What scans of a class show more often than others, as findings of the graph."""

    present: tuple[str, ...] = ()
    mild: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    sources: tuple[str, ...] = Field(min_length=1, max_length=10)

    @model_validator(mode="after")
    def _some(self) -> "ClassSigns":
        if not (self.present or self.mild or self.absent):
            raise ValueError("a class has at least one sign")
        return self


class Knowledge(Settings):
    """The graph of a profile."""

    controls: tuple[str, ...] = ()
    """Classes of people without the disease."""
    scan: Words = Field("A scan in which", max_length=80)
    """How a class text begins that describes a class by its signs."""
    sources: dict[str, Annotated[str, Field(min_length=1, max_length=500)]] = Field(
        min_length=1, max_length=100
    )
    """By the short name under which statements cite them."""
    nodes: dict[str, Node] = Field(min_length=1, max_length=MOST_NODES)
    relations: tuple[Relation, ...] = Field((), max_length=MOST_RELATIONS)
    classes: dict[str, ClassSigns] = Field(default_factory=dict, max_length=100)

    @model_validator(mode="after")
    def _cited(self) -> "Knowledge":
        cited = {name: one.sources for name, one in self.nodes.items()}
        cited |= {f"{one.start} to {one.end}": one.sources for one in self.relations}
        cited |= {f"class {name}": one.sources for name, one in self.classes.items()}
        for name, sources in cited.items():
            if unknown := [one for one in sources if one not in self.sources]:
                raise ValueError(f"'{name}' cites '{unknown[0]}', which is no source")
        return self

    @model_validator(mode="after")
    def _related(self) -> "Knowledge":
        told = [(one.start, one.end) for one in self.relations]
        for start, end in told:
            if missing := [one for one in (start, end) if one not in self.nodes]:
                raise ValueError(f"a relation names '{missing[0]}', which is no node")
            if start == end:
                raise ValueError(f"a relation of '{start}' leads to itself")
            if told.count((start, end)) > 1:
                raise ValueError(f"'{start}' to '{end}' stands twice: 'words' holds several wordings")
        return self

    @model_validator(mode="after")
    def _ends(self) -> "Knowledge":
        first: dict[tuple[str, str | None], str] = {}
        for name, node in self.nodes.items():
            if node.column and (other := first.setdefault((node.column.lower(), node.side), name)) != name:
                raise ValueError(f"'{other}' and '{name}' are findings of the same column and side")
        return self

    @model_validator(mode="after")
    def _worded(self) -> "Knowledge":
        """No wording says that a finding is there and that it is not."""
        first: dict[str, str] = {}
        for name, node in self.nodes.items():
            for way in ("present", "mild", "absent"):
                for words in getattr(node, way):
                    if first.setdefault(words.casefold(), way) != way:
                        raise ValueError(
                            f"'{name}': '{words}' stands in {first[words.casefold()]} and in {way}"
                        )
        return self

    @model_validator(mode="after")
    def _signed(self) -> "Knowledge":
        for name, signs in self.classes.items():
            named = (*signs.present, *signs.mild, *signs.absent)
            for sign in named:
                if sign not in self.nodes or self.nodes[sign].kind != "finding":
                    raise ValueError(f"class '{name}' names '{sign}', which is no finding")
                if named.count(sign) > 1:
                    raise ValueError(f"class '{name}' has '{sign}' in more than one way")
            if bare := [one for one in signs.mild if not self.nodes[one].mild]:
                raise ValueError(f"'{bare[0]}' has no mild wording")
        return self

    @property
    def measured(self) -> dict[str, Node]:
        """Findings that a measured region says, by name."""
        return {name: one for name, one in self.nodes.items() if one.side is not None}

    @property
    def sentences(self) -> list[str]:
        """Everything that a text of a person may be made of."""
        found = [text for one in self.nodes.values() for text in (*one.present, *one.mild, *one.absent)]
        return found + [text for one in self.relations for text in one.words]

    def after(self, node: str) -> list[Relation]:
        """What is known from a node on."""
        return [one for one in self.relations if one.start == node]


def as_seen(text: str) -> str:
    """Full-width letters, ligatures, letters with marks and those of other scripts that look like Latin ones as the plain letters."""
    plain = unicodedata.normalize("NFKD", text).translate(LOOK_ALIKE)
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def names_class(text: str, classes: tuple[str, ...]) -> str | None:
    """The first class that a text names as a whole word; short names are abbreviations, a bare number or letter is no word.

    ``mild_atrophy``, ``Mild-Atrophy`` and ``MildAtrophy`` are ``mild atrophy``.
    """
    text = as_seen(text)
    for name in classes:
        plain = as_seen(name)
        if re.fullmatch(r"[\d.]+|\w", plain):
            continue
        words = [word for word in re.split(r"[\W_]+|(?<=[a-z])(?=[A-Z])", plain) if word]
        # AD is no 'ad'; 'low' begins a sentence as 'Low'.
        flags = 0 if len(plain) <= ABBREVIATION and not plain.islower() else re.IGNORECASE
        spelled = r"[\W_]*".join(map(re.escape, words))
        if words and re.search(rf"(?<!\w){spelled}(?!\w)", text, flags):
            return name
    return None
