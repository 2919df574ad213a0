"""What can be promised beside the answer for a scan: classes or findings that stay possible, intervals, findings that may be said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from voxtune.errors import DataError, SettingError
from voxtune.evaluation.conformal import guarantee
from voxtune.evaluation.discoveries import discoveries, discovery_promise, usable
from voxtune.evaluation.prediction_sets import class_sets, finding_sets, kept_scores
from voxtune.evaluation.target_sets import bounds, half_widths, kept_intervals, promised
from voxtune.types.conformal import Discoveries, PredictionSet, WantedSets
from voxtune.types.records import Prediction
from voxtune.types.reliability import Trust
from voxtune.types.target import Target

NOT_BY_CLASS = "nothing, where only numbers are predicted: there are no classes"
ONLY_FINDINGS = "nothing: it is of findings, each there or not"


def time_without(horizons: Sequence[str], first: int) -> str:
    """How long a person is without an event whose horizons cannot be excluded from the ``first`` on, in words."""
    if first == 0:
        return f"no time without the event; it may come within {horizons[0]}"
    return f"without the event for at least {horizons[first - 1]}"


@dataclass(frozen=True)
class Promise:
    """What an adapter keeps of its validation participants, and what is wanted of it."""

    trust: Trust
    wanted: WantedSets
    each: bool = False
    """Findings are asked, each there or not."""
    targets: tuple[Target, ...] = ()
    """Numbers that are predicted."""
    timed: bool = False
    """The names are the horizons of an event."""

    def check(self, names: Sequence[str]) -> tuple[str, ...]:
        """See that something can be promised at all; the promises in words.

        Args:
            names: classes or findings; none where only numbers are predicted.

        Raises:
            DataError: too few validation participants; of findings and numbers, for every one.
            SettingError: something that is not for what is predicted.
        """
        middle = {target.name: target.low if target.low is not None else 0.0 for target in self.targets}
        alike = Prediction(
            scan_id="any", predicted=None, probabilities=dict.fromkeys(names, 0.5), targets=middle
        )
        return tuple(one.guarantee for one in self.of(alike) if one is not None)

    def of(self, found: Prediction) -> tuple[PredictionSet | None, Discoveries | None]:
        """What is promised of one scan.

        Raises:
            DataError: too few validation participants; of findings and numbers, for every one.
            SettingError: something that is not for what is predicted.
        """
        wanted = self.wanted
        named = self._set(found, wanted.coverage) if wanted.coverage is not None else None
        if wanted.false_discovery is None:
            return named, None
        if not self.each:
            raise SettingError("false_discovery", ONLY_FINDINGS, wanted.false_discovery)
        return named, self._discoveries(found.probabilities, wanted.false_discovery)

    def _set(self, found: Prediction, coverage: float) -> PredictionSet:
        intervals, said, refused = self._intervals(found, coverage)
        if not found.probabilities:
            if self.wanted.by_class:
                raise SettingError("by_class", NOT_BY_CLASS, "true")
            if not intervals:
                raise DataError(
                    " ".join(refused) or "No number is estimated, so there is no interval of one."
                )
            return PredictionSet(
                coverage=coverage, intervals=intervals, guarantee=" ".join([*said, *refused])
            )
        one = self._findings(found, coverage) if self.each else self._classes(found, coverage)
        return one.model_copy(
            update={"intervals": intervals, "guarantee": " ".join([one.guarantee, *said, *refused])}
        )

    def _classes(self, found: Prediction, coverage: float) -> PredictionSet:
        names, by_class = tuple(found.probabilities), self.wanted.by_class
        kept = kept_scores(self.trust.sets, names)
        values = [[found.probabilities[name] for name in names]]
        inside = class_sets(values, kept, names, coverage, by_class=by_class)[0]
        people = [len(kept[name].scores) for name in names]
        return PredictionSet(
            coverage=coverage,
            by_class=by_class,
            members=tuple(name for name, some in zip(names, inside.tolist(), strict=True) if some),
            guarantee=guarantee(min(people), coverage, "each class or more")
            if by_class
            else guarantee(sum(people), coverage),
            bound=time_without(names, int(inside.argmax())) if self.timed else None,
        )

    def _findings(self, found: Prediction, coverage: float) -> PredictionSet:
        kept = kept_scores(self.trust.sets, ())
        said: dict[str, Literal["there", "not there", "undecided"]] = {}
        people, refused = [], []
        for name, probability in found.probabilities.items():
            if name not in kept:
                continue
            try:
                there, not_there = finding_sets([probability], kept[name], coverage, name)[0].tolist()
            except DataError as error:
                refused.append(str(error))
                continue
            said[name] = "undecided" if there and not_there else "there" if there else "not there"
            people.append(min(len(kept[name].scores), len(kept[name].without)))
        if not said:
            raise DataError(" ".join(refused) or "The adapter keeps no scores of these findings.")
        return PredictionSet(
            coverage=coverage,
            by_class=True,
            members=said,
            guarantee=guarantee(min(people), coverage, "each side of a finding or more"),
        )

    def _intervals(
        self, found: Prediction, coverage: float
    ) -> tuple[dict[str, tuple[float, float]], list[str], list[str]]:
        """Intervals by target, what is promised of them, and why there is none of a target."""
        intervals: dict[str, tuple[float, float]] = {}
        said, refused = [], []
        for target in self.targets:
            if target.name not in found.targets:
                continue
            value = found.targets[target.name]
            try:
                kept = kept_intervals(self.trust.intervals, target.name)
                half = half_widths([value], kept, coverage, target.name)
            except DataError as error:
                refused.append(str(error))
                continue
            low, high = bounds([value], half, target)[0].tolist()
            intervals[target.name] = (low, high)
            said.append(promised(kept, coverage, target.name))
        return intervals, said, refused

    def _discoveries(self, chances: Mapping[str, float], rate: float) -> Discoveries:
        kept = kept_scores(self.trust.sets, ())
        names = usable(kept, tuple(chances), rate)
        said = discoveries([[chances[name] for name in names]], kept, names, rate)[0]
        return Discoveries(
            rate=rate,
            said=tuple(name for name, yes in zip(names, said.tolist(), strict=True) if yes),
            of=len(names),
            guarantee=discovery_promise(kept, names, rate),
        )
