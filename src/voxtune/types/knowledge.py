"""A small knowledge graph of one disease: findings, what they are part of and what they go with, each statement with its source."""

from typing import Literal

from pydantic import Field, model_validator

from voxtune.types.settings import Settings

Wordings = tuple[str, ...]
"""Sentences that say the same, each without its capital and full stop."""
MOST_NODES, MOST_RELATIONS = 200, 500


class Node(Settings):
    """A finding of a scan, or a process or stage that findings belong to."""

    kind: Literal["finding", "process", "stage"] = "finding"
    concept: str = Field("", max_length=80)
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
    scan: str = Field("A scan in which", min_length=1, max_length=80)
    """How a class text begins that describes a class by its signs."""
    sources: dict[str, str] = Field(min_length=1, max_length=100)
    """By the short name under which statements cite them."""
    nodes: dict[str, Node] = Field(min_length=1, max_length=MOST_NODES)
    relations: tuple[Relation, ...] = Field((), max_length=MOST_RELATIONS)
    classes: dict[str, ClassSigns] = Field(default_factory=dict, max_length=100)

    @model_validator(mode="after")
    def _closed(self) -> "Knowledge":
        cited = {name: one.sources for name, one in self.nodes.items()}
        cited |= {f"{one.start} to {one.end}": one.sources for one in self.relations}
        cited |= {f"class {name}": one.sources for name, one in self.classes.items()}
        for name, sources in cited.items():
            if unknown := [one for one in sources if one not in self.sources]:
                raise ValueError(f"'{name}' cites '{unknown[0]}', which is no source")
        for one in self.relations:
            if missing := [end for end in (one.start, one.end) if end not in self.nodes]:
                raise ValueError(f"a relation names '{missing[0]}', which is no node")
        for name, signs in self.classes.items():
            for sign in (*signs.present, *signs.mild, *signs.absent):
                if sign not in self.nodes or self.nodes[sign].kind != "finding":
                    raise ValueError(f"class '{name}' names '{sign}', which is no finding")
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
