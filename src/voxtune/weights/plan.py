"""Which tensor of a published file goes where: key rules, and the plan that accounts for every key before any is read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

LISTED = 12
"""Keys that an error names of each kind; the rest are counted."""

HARMLESS: tuple[tuple[str, str], ...] = (
    (r"(^|\.)embeddings\.position_ids$", "integer buffer 0, 1, 2, ... of older transformers"),
    (r"(^|\.)num_batches_tracked$", "counter of batch normalisation, never read"),
)
"""Extras that any published file may hold: pattern of the file's key, and why it does not matter."""


@dataclass(frozen=True)
class KeyRules:
    """How the keys of one model's published files map to the names of our modules."""

    model: str
    """Catalogue name, for messages."""
    rename: tuple[tuple[str, str], ...] = ()
    """Regular expression in the file's key, replacement; applied in order."""
    drop: tuple[tuple[str, str], ...] = ()
    """Regular expression of keys that cannot change any output, reason; searched in the file's key."""
    new: tuple[str, ...] = ()
    """Our names (regular expressions) that the file may lack: they start new and the report says so."""
    alone: str = ""
    """Our prefix of the vision tower, for files that hold it alone and without a prefix."""
    others: tuple[tuple[str, str], ...] = ()
    """Regular expression of keys by which another model is known that people take for this one, and what to say of it."""


BERT_RULES = KeyRules(
    model="bert",
    rename=((r"^(bert|text_transformer|language_encoder|text_model\.model|text\.transformer)\.", ""),),
    drop=((r"^(cls|classifier)\.|^(bert\.)?pooler\.", "head of the encoder's own pretraining"),),
)
"""A BERT checkpoint as hubs hold it; what is put on top of the encoder is dropped."""


@dataclass(frozen=True)
class Plan:
    """Where each tensor of a file goes, before any is read, and what does not fit."""

    places: Mapping[str, str]
    """Our name -> the file's key."""
    dropped: Mapping[str, str]
    """The file's key -> why it does not matter."""
    new: tuple[str, ...]
    """Our names that the file lacks by rule."""
    unknown: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    shaped: tuple[str, ...] = ()
    """Keys of another shape, with both shapes."""
    absent: tuple[str, ...] = ()
    """``missing`` by the names a published file has for them."""
    alone: bool = False
    """The file is the vision tower alone and was read as a whole one."""
    other: str = ""
    """Which other model the file is, where its keys tell."""

    @property
    def fits(self) -> bool:
        """Every key has its place and every place its key."""
        return not (self.unknown or self.missing or self.shaped)

    def misfit(self, model: str) -> str:
        """What does not fit, for a person."""
        total = len(self.places) + len(self.missing) + len(self.new)
        lines = [
            f"The file does not fit model '{model}': {len(self.places)} of {total} places found their key."
        ]
        if self.other:
            lines.append(self.other)
        elif self.alone:
            lines.append("It holds the vision tower alone: part='vision' loads it and starts the rest new.")
        elif len(self.places) < total / 10:
            lines.append("It seems to belong to another model.")
        for kind, keys in (
            ("unknown", self.unknown),
            ("missing", self.absent),
            ("wrong shape", self.shaped),
        ):
            if keys:
                more = f", and {len(keys) - LISTED} more" if len(keys) > LISTED else ""
                lines.append(f"{len(keys)} {kind}: {', '.join(keys[:LISTED])}{more}.")
        if self.shaped:
            lines.append("Sizes are settings of the model and must be those of the file.")
        return " ".join(lines)


def plan(
    theirs: Mapping[str, tuple[int, ...]],
    ours: Mapping[str, tuple[int, ...]],
    rules: KeyRules,
    *,
    part: str = "whole",
) -> Plan:
    """Give every key of a file its place in the model, from names and shapes alone.

    Args:
        theirs: the file's keys with their shapes.
        ours: the model's names with their shapes.
        rules: renames and harmless extras.
        part: ``whole`` or ``vision`` (the file holds the vision tower alone).
    """
    dropped: dict[str, str] = {}
    places: dict[str, str] = {}
    unknown: list[str] = []
    for key in theirs:
        name = _our_name(key, rules, part)
        reason = next((why for pattern, why in (*HARMLESS, *rules.drop) if re.search(pattern, key)), None)
        if name in ours and name not in places:
            places[name] = key
        elif reason is not None:
            dropped[key] = reason
        else:
            unknown.append(key)
    optional = (rf"^(?!{re.escape(rules.alone)})",) if part == "vision" else rules.new
    absent = [name for name in ours if name not in places]
    new = tuple(name for name in absent if any(re.search(pattern, name) for pattern in optional))
    missing = tuple(name for name in absent if name not in set(new))
    shaped = tuple(
        f"{key} (file {list(theirs[key])}, model {list(ours[name])})"
        for name, key in places.items()
        if theirs[key] != ours[name]
    )
    alone = part == "whole" and bool(rules.alone) and all(rules.alone + key in ours for key in theirs)
    lacking = tuple(_their_name(name, rules, part) for name in missing)
    told = (why for pattern, why in rules.others if any(re.search(pattern, key) for key in theirs))
    return Plan(places, dropped, new, tuple(unknown), missing, shaped, lacking, alone, next(told, ""))


def _our_name(key: str, rules: KeyRules, part: str) -> str:
    # Training checkpoints of torch's data parallel wrappers put "module." before every key.
    name = key.removeprefix("module.")
    for pattern, replacement in rules.rename:
        name = re.sub(pattern, replacement, name)
    return rules.alone + name if part == "vision" and not name.startswith(rules.alone) else name


def _their_name(name: str, rules: KeyRules, part: str) -> str:
    """The published name of one of ours, as far as it differs by a prefix."""
    if part == "vision":
        return name.removeprefix(rules.alone)
    prefixes = (
        (ours, pattern[1:].replace(r"\.", ".")) for pattern, ours in rules.rename if pattern.startswith("^")
    )
    plain = [
        (ours, theirs)
        for ours, theirs in prefixes
        if ours.endswith(".") and not set(theirs) & set("\\()[]*+?$|")
    ]
    ours, theirs = max(
        (pair for pair in plain if name.startswith(pair[0])), key=lambda pair: len(pair[0]), default=("", "")
    )
    return theirs + name.removeprefix(ours)
