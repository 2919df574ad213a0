"""What a disease adds to VoxTune, as one frozen object: classes, report fields, regions, what defines the class, words, citation."""

import fnmatch
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_serializer, model_validator

from voxtune.types.knowledge import Knowledge, as_seen, names_class
from voxtune.types.settings import Settings

MOST_FIELDS = 200
"""Fields and regions of one profile."""
_UNITS = (
    "mm3", "cm3", "mm", "cm", "ml", "mg", "kg", "years", "year", "yrs", "months", "days", "points", "pts", "percent", "pct",
)  # fmt: skip
_GENERAL = ("dx*", "diag*", "group*", "label*", "class*", "mmse*", "cdr*")
_GENERAL_WORDS = ("MMSE", "CDR", "CDR-SB")
_RESERVED = frozenset(
    {"label", "listed", "and", "or", "not", "if", "else", "in", "is", "true", "false", "none"}
)


def plain(name: str) -> str:
    """A column name as a template can write it: lower case, letters, digits and ``_`` (``MR Delay`` is ``mr_delay``)."""
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


def bare(name: str) -> str:
    """A column name without case, separators and unit: ``UPDRS.Total (points)`` and ``updrs_total`` are both ``updrstotal``."""
    words = plain(name.replace("^", "")).split("_")
    while len(words) > 1 and words[-1] in _UNITS:
        words.pop()
    return "".join(words)


def inside(name: str) -> str:
    """A name inside a sentence: ``hippocampal volume``; a first word with another capital stays (``MTL volume``, ``DaT ratio``)."""
    first = name.split(" ", 1)[0]
    return name if any(letter.isupper() for letter in first[1:]) else name[:1].lower() + name[1:]


class ReportField(Settings):
    """One column of the manifest that a report may state."""

    name: str = Field(min_length=1, max_length=80)
    """As a report says it: ``Hippocampal volume``."""
    unit: str = Field("", max_length=20)
    decimals: int | None = Field(2, ge=0, le=8)
    """Of a number; ``None``: a text, written as it stands."""
    range: tuple[float, float] | None = None
    """Lowest and highest plausible value in that unit; others are named as a likely mistake of unit."""
    labels: tuple[int, ...] = ()
    """Labels of the Desikan-Killiany atlas where it lies; empty: everywhere, or in no region of the atlas."""
    use: Literal["training", "inference"] = "training"
    """When it may be in a text; a measure of the image itself is supervision, so ``training``."""
    text: bool = True
    """Whether the profile's own text states it; a region that is not stated is still in the baseline of volumes."""

    @field_validator("name", "unit")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if not value.isprintable() or set(value) & set(",:{}"):
            raise ValueError("expected one line without comma, colon and braces")
        return value

    @field_validator("range")
    @classmethod
    def _rising(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not value[0] < value[1]:
            raise ValueError("expected the lowest, then the highest plausible value")
        return value


def _by_plain_name(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    found: dict[str, object] = {}
    for key, field in value.items():
        name = plain(str(key))
        if name in found:
            raise ValueError(f"'{key}' is the same column as another one: both are '{name}'")
        if not re.match(r"[a-z]", name) or name in _RESERVED:
            raise ValueError(
                f"'{key}' cannot name a column: expected a letter first, and no word of templates"
            )
        found[name] = field
    return found


Fields = Annotated[dict[str, ReportField], BeforeValidator(_by_plain_name), Field(max_length=MOST_FIELDS)]


class Profile(Settings):
    """What a disease adds. Columns are compared without case, spaces and punctuation; what it does not name is never text by itself."""

    name: str = Field(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    citation: str = Field("", max_length=1000)
    """The paper a page names for this disease's wording and fields."""
    classes: tuple[str, ...] = ()
    """In the order of the disease; other classes follow in alphabetical order."""
    class_texts: tuple[str, ...] = Field(("A photo of {name}",), min_length=1, max_length=20)
    """Wordings of a class; the first opens a report and stands for the class at inference, the others are tried beside it."""
    template: str = "fields"
    """The report template this profile writes by; ``fields`` lists its regions and fields."""
    opening: str = Field("The scan reveals the following measurements", min_length=1, max_length=200)
    """What comes before the list."""
    regions: Fields = Field(default_factory=dict)
    """Columns measured on the image, in the order of the text: features of the baseline of volumes."""
    fields: Fields = Field(default_factory=dict)
    """Other columns that may be in a text."""
    defining: tuple[str, ...] = ()
    """Columns that define the class or are part of how it is made: never text. ``*`` stands for any letters."""
    telling: tuple[str, ...] = ()
    """Words that give the class away. With two capitals or more (``MMSE``) they are found as written, otherwise in any case."""
    knowledge: Knowledge | None = None
    """The knowledge graph of a disease of one's own; those that come with VoxTune stand in files of their own."""

    @field_validator("class_texts")
    @classmethod
    def _with_name(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if without := [one for one in value if "{name}" not in one]:
            raise ValueError(f"'{without[0]}' has no {{name}}, where the class goes")
        return value

    @field_validator("classes", "defining", "telling")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not one.strip() for one in value) or len(set(value)) < len(value):
            raise ValueError("expected different words, none of them empty")
        return value

    @field_validator("telling")
    @classmethod
    def _words(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if without := [one for one in value if not any(letter.isalnum() for letter in one)]:
            raise ValueError(f"'{without[0]}' holds no letter: every text would have it")
        return value

    @field_validator("defining")
    @classmethod
    def _not_everything(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wide := [one for one in value if not _bare_pattern(one).strip("*")]:
            raise ValueError(f"'{wide[0]}' holds no letter: it would be every column")
        return value

    @model_validator(mode="after")
    def _sides_agree(self) -> "Profile":
        for name in self.columns:
            if name in self.regions and name in self.fields:
                raise ValueError(f"'{name}' stands in regions and in fields")
            if pattern := self.defined_by(name):
                raise ValueError(f"'{name}' cannot be text: it defines the class ('{pattern}')")
        return self

    @model_validator(mode="after")
    def _graph_fits(self) -> "Profile":
        if self.knowledge is not None:
            self.check(self.knowledge)
        return self

    @model_serializer(mode="wrap")
    def _without_nothing(self, write: Callable[["Profile"], dict[str, Any]]) -> dict[str, Any]:
        """A profile without a graph is written as before there were any."""
        found = write(self)
        if self.knowledge is None:
            found.pop("knowledge", None)
        return found

    def check(self, knowledge: Knowledge) -> None:
        """Refuse a graph that is of other columns, or that gives a class away.

        Raises:
            ValueError: names the node or the sentence.
        """
        stated = [name for name, one in self.regions.items() if one.text and one.decimals is not None]
        for name, node in knowledge.nodes.items():
            if node.side is not None and node.column not in stated:
                raise ValueError(
                    f"knowledge: '{name}' is of column '{node.column}', which is no region of the profile that texts state; it has {', '.join(stated) or 'none'}"
                )
            if node.kind == "finding" and node.side is None and plain(node.column) in self.regions:
                raise ValueError(
                    f"knowledge: '{name}' is of a measured region and has no 'side': low or high"
                )
        classes = (*self.classes, *knowledge.classes, *knowledge.controls)
        for sentence in (*knowledge.sentences, knowledge.scan):
            if said := self.said(as_seen(sentence)) or names_class(sentence, classes):
                raise ValueError(f"knowledge: '{sentence}' says '{said}', which gives a class away")
        # Generated sentences say these too; a telling word in them stands in every text and tells nothing.
        for words in (self.opening, *(one.name for one in self.regions.values() if one.text)):
            if said := names_class(words, classes):
                raise ValueError(f"knowledge: '{words}' says '{said}', which gives a class away")

    @property
    def columns(self) -> dict[str, ReportField]:
        """Regions, then fields, by column."""
        return self.regions | self.fields

    @property
    def biomarkers(self) -> dict[str, str]:
        """Regions that the text states: column without ``_mm3`` -> name."""
        return {column.removesuffix("_mm3"): one.name for column, one in self.regions.items() if one.text}

    def defined_by(self, column: str) -> str | None:
        """The entry by which a column defines the class under any spelling; ``None``: it does not, as far as is known."""
        name = bare(column)
        return next(
            (one for one in (*self.defining, *_GENERAL) if fnmatch.fnmatchcase(name, _bare_pattern(one))),
            None,
        )

    def class_text(self, name: str) -> str:
        """The words for a class, as a report opens with them."""
        return self.class_texts[0].replace("{name}", name)

    def said(self, text: str) -> str | None:
        """The first telling word of a text; columns named whole in ``defining`` are telling too."""
        for word in (*self.telling, *_GENERAL_WORDS, *(one for one in self.defining if "*" not in one)):
            if found := _word(word).search(text):
                return found.group(0)
        return None


def _bare_pattern(pattern: str) -> str:
    """``UPDRS *`` as ``updrs*``: as ``bare`` writes a name, with its stars."""
    return "*".join(bare(part) if part else "" for part in pattern.split("*"))


def _word(word: str) -> re.Pattern[str]:
    parts = [re.escape(part) for part in re.split(r"[\W_]+", word) if part]
    body = r"[\W_]*".join(parts)
    if sum(letter.isupper() for letter in word) > 1:
        return re.compile(rf"(?<!\w){body}(?!\w)")
    return re.compile(body, re.IGNORECASE)
