"""Are scans without labels like those an adapter was made with, and what follows: for figures, for the mix of classes, for accuracy."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from voxtune.evaluation.calibration import ENOUGH
from voxtune.evaluation.calibration import FEWEST as FEWEST_OF_CLASS
from voxtune.evaluation.class_mix import ClassMix, class_mix
from voxtune.evaluation.expected_accuracy import ExpectedAccuracy, expected_accuracy
from voxtune.evaluation.reference import SCANNER, Seen
from voxtune.evaluation.scan_figures import FEATURES, KINDS, QUALITY, TAKEN
from voxtune.evaluation.two_sample import (
    FEWEST,
    LEVEL,
    FigureTest,
    figure_tests,
    group_test,
    smallest_found,
)
from voxtune.evaluation.weighted_metrics import Floats
from voxtune.types.reference import OTHER, ReferencePeople
from voxtune.types.reliability import FamiliarScans

State = Literal["drift", "taken otherwise", "no drift found", "cannot be told"]
WITHIN = 0.1
"""Half the width of the interval of an accuracy that is measured on labelled cases."""
WIDEST_SHIFT = 1.0
"""A test that would find no shift smaller than this many standard deviations says little by finding nothing."""


@dataclass(frozen=True)
class ScannerTest:
    """Whether new people were scanned on the scanners of the reference."""

    p: float
    """Corrected over all tests."""
    unseen: Mapping[str, int]
    """New people on scanners that the reference does not name."""

    @property
    def found(self) -> bool:
        """Whether they differ."""
        return self.p <= LEVEL


@dataclass(frozen=True)
class Drift:
    """What was found."""

    reference: int
    """Participants of the reference."""
    people: int
    scans: int
    tests: Sequence[FigureTest]
    scanner: ScannerTest | None
    smallest: float | None
    """Shift of one figure, in standard deviations, that is found in 80 of 100 cases; ``None``: none could be."""
    beyond: int | None
    """People whose scan is unlike the training scans by the adapter's own limit."""
    mix: ClassMix | None
    no_mix: str
    """Why there is no estimate of the mix."""
    accuracy: ExpectedAccuracy | None
    no_accuracy: str
    measure: int
    """Labelled people that measure accuracy within 10 points."""
    recalibrate: int | None
    """Labelled people by which an adapter is calibrated anew; ``None`` where nothing is calibrated."""

    @property
    def state(self) -> State:
        """The answer in three words at most; another scanner alone is no drift, if the model sees no difference."""
        if drifted(self.kinds()):
            return "drift"
        if self.found:
            return "taken otherwise"
        return "cannot be told" if self.smallest is None or not self.tests else "no drift found"

    @property
    def found(self) -> tuple[str, ...]:
        """What differs."""
        names = [one.name for one in self.tests if one.found]
        return (*names, *([SCANNER] if self.scanner is not None and self.scanner.found else []))

    def kinds(self) -> tuple[str, ...]:
        """What of: features, acquisition, quality."""
        kinds = [KINDS.get(name, TAKEN) for name in self.found]
        return tuple(one for one in (FEATURES, TAKEN, QUALITY) if one in kinds)

    @property
    def sentence(self) -> str:
        """For a clinician."""
        if self.state == "drift":
            what = {FEATURES: "look otherwise to the model", TAKEN: "were taken otherwise", QUALITY: "are of other quality"}  # fmt: skip
            said = " and ".join(what[kind] for kind in self.kinds())
            return f"Drift: these scans {said} than the scans this adapter was made with. Do not rely on its answers here before some are checked."
        if self.state == "cannot be told":
            return (
                f"Cannot be told: {self.people} people here and {self.reference} in the reference are too few, or nothing of both is known. "
                "That is no sign that all is well."
            )
        weak = (
            " Only a large difference could have been found."
            if self.smallest is not None and self.smallest > WIDEST_SHIFT
            else ""
        )
        if self.state == "taken otherwise":
            return (
                "Taken otherwise: these scans are of another scanner or protocol than those this adapter was made with; in what the model sees and "
                f"in their quality no difference was found.{weak} Check some answers before you rely on them."
            )
        return f"No drift found: these scans look like those this adapter was made with.{weak}"

    @property
    def power(self) -> str:
        """What the test could find."""
        if self.smallest is None:
            return f"With {self.reference} participants of the reference and {self.people} here no difference could be told from chance."
        return (
            f"With {self.reference} participants of the reference and {self.people} here, a shift of one figure by {self.smallest:.1f} standard "
            f"deviations is found in 80 of 100 cases; in 5 of 100 cohorts like the reference something is found all the same."
        )

    def advice(self) -> tuple[str, ...]:
        """What to do, the first first."""
        measure = (
            f"Label {self.measure} people (one scan each, taken as they come) and run 'voxtune evaluate' on them: accuracy is then known "
            f"within {100 * WITHIN:.0f} points."
        )
        anew = (
            f"To calibrate anew takes about {self.recalibrate} labelled people, {FEWEST_OF_CLASS} of every class among them: put them on the "
            "validation side of a split and train again."
            if self.recalibrate is not None
            else ""
        )
        found = self.kinds()
        if self.state == "cannot be told":
            return (f"Collect scans of at least {max(FEWEST, 20)} people and ask again.", measure)
        if not found and self.mix is not None and self.mix.shifted:
            return (
                "The mix of classes alone seems to differ: the ranking of answers holds, their probabilities do not.",
                *([anew] if anew else []),
            )
        if not found:
            return (
                "Go on, and ask again when more scans have come, and whenever a scanner or a protocol changes.",
            )
        steps = []
        if found != (FEATURES,):
            steps.append(
                "Look at how the scans were taken and prepared first (the rows marked below): a preset or a protocol may be the whole cause."
            )
        steps.append(measure)
        if self.state != "drift":
            return tuple(steps)
        steps.append(
            "If the model looks otherwise at the scans of this site alone, embeddings can be harmonised without labels, unless site and "
            "diagnosis go together: 'voxtune embed ... --harmonise site' says which."
        )
        if anew:
            steps.append(anew)
        steps.append(
            "If accuracy has fallen, train again with scans of this site in training and validation."
        )
        return tuple(steps)

    def as_json(self) -> dict[str, Any]:
        """``drift.json``, without versions."""
        return {
            "state": self.state,
            "sentence": self.sentence,
            "found": list(self.found),
            "reference_participants": self.reference,
            "participants": self.people,
            "scans": self.scans,
            "power": self.power,
            "smallest_shift_sd": self.smallest,
            "figures": [
                asdict(one) | {"kind": KINDS[one.name], "medians": list(one.medians), "found": one.found}
                for one in self.tests
            ],
            "scanner": None if self.scanner is None else asdict(self.scanner) | {"found": self.scanner.found},
            "unlike_training": self.beyond,
            "class_mix": None if self.mix is None else asdict(self.mix) | {"sentence": self.mix.sentence},
            "class_mix_withheld": self.no_mix or None,
            "accuracy": None
            if self.accuracy is None
            else asdict(self.accuracy) | {"sentence": self.accuracy.sentence},
            "accuracy_withheld": self.no_accuracy or None,
            "label_to_measure": self.measure,
            "label_to_recalibrate": self.recalibrate,
            "advice": list(self.advice()),
        }


def find_drift(
    new: Seen,
    kept: ReferencePeople | None,
    reference: Seen | None = None,
    familiar: FamiliarScans | None = None,
    seed: int = 0,
    chances: ArrayLike | None = None,
) -> Drift:
    """Compare the scans of new people with a reference.

    Args:
        new: scans without labels.
        kept: what the adapter keeps of its validation participants.
        reference: scans of the reference, in the place of what is kept of it.
        familiar: the adapter's limit of distance.
        seed: of the draws.
        chances: calibrated probabilities (n, k) of the new scans, where one class among several is asked.
    """
    places = new.one_each(seed)
    people = new.at(places)
    said = None if chances is None else np.asarray(chances, dtype=float)[places]
    known = kept.figures if kept is not None else {}
    scanners = kept.groups.get(SCANNER, {}) if kept is not None else {}
    count = kept.n_participants if kept is not None else 0
    if reference is not None:
        same = reference.at(reference.one_each(seed))
        known = {name: tuple(values) for name, values in same.by_figure().items()}
        scanners = _counted(same.scanners)
        count = len(same.participants)
    figures = {name: values for name, values in known.items() if name in KINDS}
    of_scanner = _scanners(scanners, people.scanners, seed)
    tests, corrected = figure_tests(figures, people.by_figure(), seed, [of_scanner.p] if of_scanner else [])
    scanner = replace(of_scanner, p=corrected[0]) if of_scanner else None
    smallest = (
        smallest_found(
            max(one.reference for one in tests),
            max(one.people for one in tests),
            len(tests) + len(corrected),
        )
        if tests
        else None
    )
    away = [one["distance"] for one in people.figures if "distance" in one]
    beyond = sum(one > familiar.limit for one in away) if familiar is not None and away else None
    found = drifted([KINDS[one.name] for one in tests if one.found])
    mix, no_mix = _mix(kept, said, seed)
    accuracy, no_accuracy = _accuracy(kept, said, found=found, told=smallest is not None)
    rarest = min((share for share, _, _ in mix.shares.values()), default=0.0) if mix is not None else None
    return Drift(
        reference=count,
        people=len(people.participants),
        scans=len(new.participants),
        tests=tests,
        scanner=scanner,
        smallest=smallest,
        beyond=beyond,
        mix=mix,
        no_mix=no_mix,
        accuracy=accuracy,
        no_accuracy=no_accuracy,
        measure=labels_to_measure(_right(kept)),
        recalibrate=None
        if kept is None or not kept.classes
        else labels_to_recalibrate(rarest if rarest is not None else 1 / len(kept.classes)),
    )


def drifted(kinds: Sequence[str]) -> bool:
    """Whether what differs is more than how the scans were taken."""
    return FEATURES in kinds or QUALITY in kinds


def labels_to_measure(accuracy: float | None) -> int:
    """People whose labels give an accuracy within ten points, 95 times of 100.

    Args:
        accuracy: that is expected; ``None``: nothing is known of it.
    """
    share = 0.5 if accuracy is None else min(max(accuracy, 0.5), 0.95)
    return max(20, math.ceil(1.96**2 * share * (1 - share) / WITHIN**2))


def labels_to_recalibrate(rarest: float) -> int:
    """People that hold enough of every class to calibrate, 9 times of 10.

    Args:
        rarest: share of the rarest class among people taken as they come.
    """
    from scipy.stats import binom

    share = max(rarest, 0.01)
    count = ENOUGH
    while binom.sf(FEWEST_OF_CLASS - 1, count, share) < 0.9:
        count += 5
    return count


def _counted(scanners: Sequence[str | None]) -> dict[str, int]:
    named = [one for one in scanners if one is not None]
    return {name: named.count(name) for name in sorted(set(named))}


def _scanners(reference: Mapping[str, int], people: Sequence[str | None], seed: int) -> ScannerTest | None:
    """A test of the scanners, not corrected; ``None`` where too few people of either side have one named."""
    named = [one for one in people if one is not None]
    if min(sum(reference.values()), len(named)) < FEWEST:
        return None
    seen = [one if one in reference else OTHER for one in named]
    unseen = _counted([one for one in named if one not in reference])
    return ScannerTest(group_test(reference, seen, seed), unseen)


def _mix(kept: ReferencePeople | None, chances: Floats | None, seed: int) -> tuple[ClassMix | None, str]:
    if chances is None:
        return None, "the adapter does not choose one class among several"
    if kept is None or not kept.classes:
        return None, "the adapter keeps nothing of its validation answers"
    answers = np.bincount(chances.argmax(axis=1), minlength=chances.shape[1])
    return class_mix(kept.said, kept.classes, answers, seed)


def _accuracy(
    kept: ReferencePeople | None, chances: Floats | None, *, found: bool, told: bool
) -> tuple[ExpectedAccuracy | None, str]:
    if chances is None:
        return (
            None,
            "it is estimated from the confidence of one class among several, which this adapter does not give",
        )
    if kept is None or not kept.classes:
        return None, "the adapter keeps nothing of its validation answers"
    if found:
        return (
            None,
            "these scans differ from those that confidence was learned on, so it may mean anything here",
        )
    if not told:
        return None, "whether these scans are like those that confidence was learned on cannot be told"
    return expected_accuracy(kept.right, kept.wrong, chances.max(axis=1))


def _right(kept: ReferencePeople | None) -> float | None:
    known = 0 if kept is None else len(kept.right) + len(kept.wrong)
    return len(kept.right) / known if kept is not None and known else None
