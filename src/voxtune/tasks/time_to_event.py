"""By when an event will have come: a hazard in each interval after the scan, from one pair of texts, with people lost on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voxtune.config import RunConfig
from voxtune.errors import DataError, SettingError
from voxtune.tasks.task import DEFAULT_METRIC, Say, TaskFacts, Validated
from voxtune.types.event import CENSORED, COMPETING, HAPPENED, STATUS, YEARS, Event
from voxtune.types.records import Kind, ManifestRow

if TYPE_CHECKING:
    from torch import Tensor

    from voxtune.data.examples import Labels
    from voxtune.evaluation.baseline_answers import Answer
    from voxtune.evaluation.cohort_selection import Chosen
    from voxtune.evaluation.evaluated_model import CohortRows, EvaluatedModel, ScoredCohort
    from voxtune.evaluation.predictions import Predictions
    from voxtune.evaluation.set_scores import PredictionSets
    from voxtune.evaluation.weighted_metrics import Floats
    from voxtune.losses.total import TaskTerms
    from voxtune.model.heads import TargetHead
    from voxtune.model.questions import Question
    from voxtune.model.vlm import VisionLanguageModel
    from voxtune.types.conformal import WantedSets
    from voxtune.types.tensors import Batch, Output, ScanOutputs

NOT_FOLLOWED = "no follow-up"
"""What a scan that cannot be scored lacks, among the counts of what was left out."""


@dataclass(frozen=True)
class TimeToEvent:
    """The event of a run; ``baseline`` is empty until the training scans are known."""

    event: Event
    config: RunConfig
    baseline: tuple[float, ...] = ()
    """Log-odds of the event in each interval over the training scans."""

    metrics = frozenset({"c_index", "loss"})

    @classmethod
    def of(cls, config: RunConfig, classes: Sequence[str]) -> "TimeToEvent":  # noqa: ARG003  (a task's signature)
        """The task that a run's settings ask for."""
        assert config.event is not None
        return cls(config.event, config)

    def taught(self, rows: Sequence[ManifestRow]) -> "TimeToEvent":
        """With the hazards of the training scans as the level that a scan's own factor moves."""
        return replace(self, baseline=baseline_of(rows, self.event))

    def check(self) -> None:
        """What an event cannot go with.

        Raises:
            SettingError: settings that cannot go together.
        """
        config = self.config
        if config.classes.findings or config.classes.names:
            taken = "classes.findings" if config.classes.findings else "classes.names"
            raise SettingError(
                taken, "nothing with an event: it takes the place of classes and findings", "some"
            )
        if not config.loss.class_weight:
            raise SettingError(
                "loss.class_weight", "more than 0 with an event: it weighs the likelihood of the hazards", 0
            )
        if self.event.visits > 1 and config.aggregation.form != "none":
            raise SettingError(
                "aggregation.form",
                "'none' with event.visits above 1: the vectors of several scans are joined",
                config.aggregation.form,
            )

    def select_rows(self, rows: Sequence[ManifestRow], say: Say) -> list[ManifestRow]:
        """The rows that were followed.

        Raises:
            DataError: none was, or there are no such columns.
            TableError: a cell is not what its column holds.
        """
        kept = followed(rows, self.event)
        if not kept:
            raise DataError(
                f"No scan of {len(rows)} was followed: {self.event.years_column} is n/a in all of them."
            )
        if len(kept) < len(rows):
            say(
                f"{len(rows) - len(kept)} of {len(rows)} scans have no {self.event.years_column} and are left out."
            )
        return kept

    def unlabelled_rows(self, rows: Sequence[ManifestRow]) -> list[ManifestRow]:
        """The rows that were not followed."""
        kept = {row.scan_id for row in followed(rows, self.event)}
        return [row for row in rows if row.scan_id not in kept]

    def settle(self, config: RunConfig, sides: Mapping[str, Sequence[ManifestRow]], say: Say) -> RunConfig:  # noqa: ARG002  (a task's signature)
        """The likelihood steers where nothing else was asked for.

        Raises:
            DataError: no event within the horizons in training, or no interval without one.
        """
        from voxtune.data.follow_up import check_times
        from voxtune.evaluation.event_followed import cells_of, check_followed

        cells = cells_of(sides["train"], self.event)
        for value, what in (
            (1, f"with the event within {self.event.horizons[-1]}"),
            (0, "followed through an interval without it"),
        ):
            if not (cells == value).any():
                raise DataError(
                    f"No training scan of {len(cells)} was {'' if value == 0 else 'seen '}{what}; nothing can be learned."
                )
        check_followed(self.event, sides["train"], sides.get("val"))
        for rows in sides.values() if self.event.visits > 1 else ():
            check_times(rows)
        if config.training.metric == DEFAULT_METRIC:
            return config.model_copy(
                update={"training": config.training.model_copy(update={"metric": "loss"})}
            )
        return config

    def labels(self, rows: Sequence[ManifestRow], train: Sequence[ManifestRow]) -> "Labels":  # noqa: ARG002  (a task's signature)
        """What each scan says of the hazard in each interval, and how long it was followed."""
        import torch

        from voxtune.data.examples import Labels
        from voxtune.data.follow_up import follow_up
        from voxtune.evaluation.event_followed import cells_of

        known = dict(zip((YEARS, STATUS), follow_up(rows, self.event), strict=True))
        return Labels(
            findings=torch.from_numpy(cells_of(rows, self.event)).float(),
            targets={name: torch.from_numpy(values).float() for name, values in known.items()},
        )

    def class_texts(self) -> list[list[str]]:
        """The pair: it comes, it does not."""
        return [list(self.event.pair)]

    def loss(self, output: "Output", batch: "Batch", heads: "Mapping[str, TargetHead]") -> "TaskTerms":  # noqa: ARG002  (a task's signature)
        """Minus the log-likelihood of the hazards of every interval of which something is known."""
        from voxtune.losses.hazard import hazard_cross_entropy
        from voxtune.losses.total import TaskTerms

        if output.class_scores is None or batch.findings is None:
            return TaskTerms()
        return TaskTerms(classes=hazard_cross_entropy(self.odds(output.class_scores), batch.findings))

    def odds(self, logits: "Tensor") -> "Tensor":
        """Logits to the pair as log-odds of each interval (N, J)."""
        from voxtune.model.risk_question import interval_odds

        return interval_odds(logits, 1.0, self.baseline)

    def validation_metric(
        self, outputs: "ScanOutputs", labels: "Labels", metric: str, heads: "Mapping[str, TargetHead]"  # noqa: ARG002  (a task's signature)
    ) -> float:  # fmt: skip
        """The C-index (0.5 where no two scans can be compared), or minus the loss."""
        import numpy as np

        from voxtune.evaluation.survival import FollowUp, concordance
        from voxtune.losses.hazard import hazard_cross_entropy

        assert outputs.logits is not None
        assert labels.findings is not None
        odds = self.odds(outputs.logits.float())
        if metric == "loss":
            return -float(hazard_cross_entropy(odds, labels.findings))
        status = labels.targets[STATUS].double().numpy().astype(np.int64)
        known = FollowUp(labels.targets[YEARS].double().numpy(), status, np.arange(len(status)))
        risk = odds.mean(dim=1).double().numpy()
        found = float(concordance(np.ones((1, len(risk))), known, risk, self.event.years[-1])[0])
        return found if np.isfinite(found) else 0.5

    def probe(self, labels: "Labels", seen: "Floats", new: "Floats", seed: int) -> "Tensor | None":
        """A pooled logistic regression: of each interval its log-odds over the level of training, as a pair (m, 2 J)."""
        import torch

        from voxtune.evaluation.event_answer import EventAnswer
        from voxtune.model.risk_question import RiskQuestion

        assert labels.findings is not None
        answer, cells = EventAnswer(RiskQuestion(self.event, self.baseline)), labels.findings.double().numpy()
        if not answer.varies(cells):
            return None
        odds = torch.from_numpy(answer.fit(seen, new, cells, seed)).clamp(1e-9, 1 - 1e-9).logit().float()
        factor = odds - torch.tensor(self.baseline)
        return torch.stack([factor, torch.zeros_like(factor)], dim=2).flatten(1)

    def notes(self, train: "Labels") -> list[str]:
        """How many events there are, and how people were lost."""
        status = train.targets[STATUS]
        seen = int((train.findings == 1).sum()) if train.findings is not None else 0
        other = int((status == COMPETING).sum())
        more = f", {other} with something else first" if other else ""
        return [
            f"{self.event.name}: {seen} of {len(status)} training scans with it within {self.event.horizons[-1]}, "
            f"{int((status == HAPPENED).sum()) - seen} later, {int((status == CENSORED).sum())} not seen with it until the end of their follow-up{more}."
        ]

    def adapter_facts(self, validated: Validated) -> TaskFacts:
        """The horizons, the level of each interval, and how the risks were held against validation participants."""
        import numpy as np

        from voxtune.evaluation.event_calibration import calibrate_event
        from voxtune.evaluation.event_sets import event_scores
        from voxtune.losses.findings import pair_differences
        from voxtune.model.risk_question import RiskQuestion

        outputs, known = validated.outputs, validated.validation.labels
        assert outputs.logits is not None
        assert known.findings is not None
        factor = pair_differences(outputs.logits.double())[:, 0].numpy()
        people = validated.validation.participant_ids
        fitted = calibrate_event(
            factor, known.findings.double().numpy(), self.baseline, people, self.config.seed
        )
        levels = tuple(round(one + fitted.shift, 6) for one in self.baseline)
        question = RiskQuestion(self.event, levels, round(1 / fitted.slope, 6))
        risk = question.probabilities(outputs.logits)
        years = known.targets[YEARS].double().numpy()
        status = validated.train.labels.targets[STATUS].numpy()
        return TaskFacts(
            fields={
                "task": "time_to_event",
                "classes": self.event.horizons,
                "class_texts": self.event.pair,
                "temperature": question.temperature,
                "offsets": dict(zip(self.event.horizons, levels, strict=True)),
            },
            training={
                "event": {
                    "name": self.event.name,
                    "years": list(self.event.years),
                    "seen": int((status == HAPPENED).sum()),
                    "lost": int((status == CENSORED).sum()),
                    "something_else_first": int((status == COMPETING).sum()),
                    "median_years_followed": float(
                        np.nanmedian(validated.train.labels.targets[YEARS].numpy())
                    ),
                    "validation_events": fitted.events,
                    "shift_sd": round(fitted.shift_sd, 4),
                }
            },
            trust={"sets": event_scores(risk, years, people, self.event)},
        )


def followed(rows: Sequence[ManifestRow], event: Event) -> list[ManifestRow]:
    """The rows with a follow-up.

    Raises:
        DataError: no such columns.
        TableError: a cell is not what its column holds.
    """
    import numpy as np

    from voxtune.data.follow_up import follow_up

    years, _ = follow_up(rows, event)
    return [row for row, some in zip(rows, np.isfinite(years), strict=True) if some]


def baseline_of(rows: Sequence[ManifestRow], event: Event) -> tuple[float, ...]:
    """The log-odds of the event in each interval over some rows."""
    import numpy as np

    from voxtune.evaluation.event_followed import cells_of
    from voxtune.evaluation.survival import life_table

    hazard = life_table(cells_of(rows, event))
    return tuple(round(float(one), 6) for one in np.log(hazard / (1 - hazard)))


@dataclass(frozen=True)
class ScoredEvent:
    """The risk of an event by each horizon."""

    model: "EvaluatedModel"
    task: str = "time_to_event"
    second_score: str | None = None

    @property
    def event(self) -> Event:
        """What is asked."""
        assert self.model.config.event is not None
        return self.model.config.event

    def choose(
        self, cohort: "CohortRows", classes: Sequence[str] | None, label_map: Mapping[str, str] | None
    ) -> "Chosen":
        """Scans that were followed.

        Raises:
            SettingError: classes or labels are asked for, which this model does not know.
            DataError: no scan is left.
        """
        from voxtune.evaluation.cohort_selection import Chosen

        for name, given in (("classes", classes), ("map", label_map)):
            if given:
                raise SettingError(
                    name,
                    f"nothing: this model gives the risk of {self.event.name}, no classes",
                    ",".join(given),
                )
        sides = cohort.own_sides
        here = [row for row in cohort.rows if sides is None or row.scan_id in sides["test"]]
        kept = followed(here, self.event)
        if not kept:
            raise DataError(
                f"No scan to score was followed: {self.event.years_column} is n/a in all {len(here)} of them."
            )
        lost = {NOT_FOLLOWED: len(here) - len(kept)} if len(kept) < len(here) else {}
        return Chosen(kept, self.event.horizons, (), lost, None)

    def question(self, chosen: "Chosen") -> "Question":
        """With the calibration of the adapter; a base alone starts from even odds."""
        from voxtune.model.risk_question import RiskQuestion, question_of_event

        del chosen
        if self.model.adapter is None:
            return RiskQuestion(self.event, (0.0,) * len(self.event.years))
        facts = self.model.adapter.facts
        return question_of_event(facts.config, facts.offsets, facts.temperature)

    def base_question(self, cohort: "ScoredCohort", base: "VisionLanguageModel") -> "Question":
        """From the levels of the training scans, where these are at hand; nothing is calibrated."""
        from voxtune.model.risk_question import RiskQuestion

        del base
        rows = followed(cohort.train_rows, self.event) if cohort.train_rows else []
        levels = baseline_of(rows, self.event) if rows else (0.0,) * len(self.event.years)
        return RiskQuestion(self.event, levels)

    def baseline_answer(self, chosen: "Chosen") -> "Answer":
        """The hazards."""
        from voxtune.evaluation.event_answer import EventAnswer
        from voxtune.model.risk_question import RiskQuestion

        del chosen
        return EventAnswer(RiskQuestion(self.event, (0.0,) * len(self.event.years)))

    def kinds(self, chosen: "Chosen") -> dict[str, Kind]:
        """One answer, one kind."""
        from voxtune.evaluation.cohort_selection import kind_of

        return {"": kind_of(None, chosen, adapted=self.model.adapter is not None)}

    def thresholds(self, chosen: "Chosen") -> dict[str, float]:
        """None: a risk is given as it is."""
        del chosen
        return {}

    def label_rules(self, rows: Sequence[ManifestRow]) -> dict[str, str]:
        """How the columns of the event were made, by the manifest's own words."""
        rules = sorted(
            {str((row.model_extra or {}).get(f"{self.event.name}_rule") or "") for row in rows} - {"", "n/a"}
        )
        return {self.event.name: "; ".join(rules[:3])} if rules else {}

    def threshold_rule(self, cohort: "ScoredCohort") -> str:
        """What the risks were held against."""
        del cohort
        if self.model.adapter is None:
            return "A base alone has no training scans: its risks start from even odds in each interval and only rank scans."
        from voxtune.model.visits import told_of

        facts = self.model.adapter.facts.training.get("event", {})
        return told_of(self.model.adapter.model.visits) + (
            f"The level of each interval is that of the training scans; one shift and one slope were fixed on the validation scans, which had "
            f"{facts.get('validation_events', 'an unknown number of')} events within the horizons."
        )

    def sets(self, table: "Predictions", wanted: "WantedSets") -> "tuple[PredictionSets, ...]":
        """By which horizons the event cannot be excluded, and the intervals of targets.

        Raises:
            SettingError: a false-discovery rate, which is of findings.
            DataError: no scores in the adapter, or too few validation participants.
        """
        from voxtune.evaluation.event_sets import horizon_sets
        from voxtune.evaluation.prediction_sets import kept_scores
        from voxtune.evaluation.promise import ONLY_FINDINGS
        from voxtune.evaluation.scored_task import beside_targets

        if wanted.false_discovery is not None:
            raise SettingError("false_discovery", ONLY_FINDINGS, wanted.false_discovery)
        kept = kept_scores(self.model.adapter.facts.trust.sets if self.model.adapter else None, table.names)
        return beside_targets(self.model, table, wanted, horizon_sets(table, kept, wanted))
