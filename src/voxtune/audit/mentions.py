"""Words that name a class or a score in report texts, and whether they say anything of the scan's own class.

A word that stands in the same sentence of every text ('Alzheimer's Disease Neuroimaging Initiative', 'quality control passed')
tells nothing and is a note. A score with a number is refused wherever it varies. Any other word is refused where it goes with the
class over participants, and warned of where it stands in too few texts to know.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from voxtune.audit.permutation import told
from voxtune.audit.report import Level
from voxtune.types.profile import Profile

ALPHA = 0.004
"""Of each word."""
CONSTANT = 0.98
"""Share of texts with the same sentence from which it is the same for all."""
FEW = 5
"""Participants whose texts hold a word below which nothing is known of it."""
_SENTENCE = re.compile(r"(?<=[.;!?])\s+")
_LABELLED = (
    r"(?:class|group|label|diagnosis|diagnosed|diagnostic|dx|stage|category)\W{0,3}(?:is|of|as)?\W{0,3}"
)
_INNOCENT = re.compile(
    r"\b(?:no|not|without|unknown|history|family|relative|mother|father|parent|initiative|study|cohort|clinic|centre|center|unit|"
    r"registry|network|excluded?|screen\w*|risk|quality)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Body:
    """One text without its label sentence, and whose it is."""

    scan: str
    participant: str
    diagnosis: str | None
    text: str


@dataclass(frozen=True)
class Mention:
    """A reason for a finding, its level, the scans and the word itself."""

    reason: str
    level: Level
    scans: tuple[str, ...]
    word: str


@dataclass(frozen=True)
class _Seen:
    body: Body
    sentence: str
    word: str
    scored: bool
    """Whether a number follows a score's name."""


def mentions(bodies: Sequence[Body], classes: Sequence[str], profile: Profile) -> list[Mention]:
    """Every class name and telling word of the texts, weighed."""
    seen: dict[str, list[_Seen]] = {}
    for one in bodies:
        for sentence in _SENTENCE.split(one.text):
            for name in classes:
                if found := _class_word(name, sentence):
                    reason = f"say the class '{name}' outside the label sentence"
                    seen.setdefault(reason, []).append(_Seen(one, sentence, found, scored=False))
            for word, scored in _telling(sentence, profile) if classes else ():
                reason = f"say '{word}', which gives the diagnosis away"
                seen.setdefault(reason, []).append(_Seen(one, sentence, word, scored))
    return [Mention(reason, *_weigh(found, bodies, reason), found[0].word) for reason, found in seen.items()]


def _class_word(name: str, sentence: str) -> str | None:
    """A class name as a word; a bare number or letter only where words say that it is a class ('DX: 3')."""
    if re.fullmatch(r"[\d.]+|\w", name):
        found = re.search(rf"(?i:{_LABELLED})({re.escape(name)})(?![\w.]*\w)", sentence)
        return found.group(0) if found else None
    # Short names are abbreviations: 'AD' is a class, 'ad' is a word.
    flags = 0 if len(name) <= 3 else re.IGNORECASE
    found = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", sentence, flags)
    return found.group(0) if found else None


def _telling(sentence: str, profile: Profile) -> list[tuple[str, bool]]:
    """Telling words of a sentence, each with whether a number follows; a score before a number is found in any letter case."""
    found = []
    if word := profile.said(sentence):
        found.append((word, bool(re.search(rf"{re.escape(word)}[^.;]{{0,20}}?\d", sentence))))
    for word in profile.telling:
        if sum(letter.isupper() for letter in word) > 1:
            parts = r"[\W_]*".join(re.escape(part) for part in re.split(r"[\W_]+", word) if part)
            scored = re.search(rf"(?<!\w)({parts})(?!\w)[^\d.;]{{0,15}}\d", sentence, re.IGNORECASE)
            if scored and scored.group(1) not in {one for one, _ in found}:
                found.append((scored.group(1), True))
    return found


def _weigh(found: Sequence[_Seen], bodies: Sequence[Body], reason: str) -> tuple[Level, tuple[str, ...]]:
    scans = tuple(dict.fromkeys(one.body.scan for one in found))
    scored = any(one.scored for one in found)
    # A number beside a class name ('TE 2.9 ms') does not make it another phrase; beside a score's name it is the score.
    phrases = {one.sentence if scored else re.sub(r"\d+(?:[.,]\d+)*", "#", one.sentence) for one in found}
    if len(phrases) == 1 and len(scans) >= CONSTANT * len(bodies) and len(bodies) > 1:
        return "note", scans
    if scored:
        return "refuse", scans
    people = {one.participant: one.diagnosis for one in bodies}
    having = {one.body.participant for one in found}
    own = all(one.body.diagnosis is not None and f"'{one.body.diagnosis}'" in reason for one in found)
    if len({label for label in people.values() if label}) < 2:
        return "refuse", scans
    if len(having) < FEW or len(having) > len(people) - FEW:
        if all(_INNOCENT.search(one.sentence) for one in found):
            return "note", scans
        abbreviation = sum(letter.isupper() for letter in found[0].word) > 1
        return ("refuse" if own and abbreviation else "warn"), scans
    return ("refuse" if _goes_with_class(having, people) else "note"), scans


def _goes_with_class(having: set[str], people: Mapping[str, str | None]) -> bool:
    names = sorted({label for label in people.values() if label})
    known = [person for person, label in people.items() if label]
    labels = np.array([names.index(str(people[person])) for person in known])
    present = np.array([[float(person in having)] for person in known])
    return bool(told(present, labels).p[0] <= ALPHA)
