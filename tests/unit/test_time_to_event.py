"""An event as a task: what settings go together, what is learned and said, and that nothing known of the future is an input."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from voxtune.config import RunConfig, read_recipe
from voxtune.data.follow_up import absent_columns, follow_up
from voxtune.errors import DataError, SettingError, TableError, UsageError
from voxtune.evaluation.cohort_selection import Chosen
from voxtune.evaluation.compare import compare, same_scans
from voxtune.evaluation.event_answer import EventAnswer
from voxtune.evaluation.event_calibration import calibrate_event
from voxtune.evaluation.event_sets import event_scores, first_beyond, horizon_sets
from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.promise import Promise
from voxtune.evaluation.survival import hazard_cells, risk_of
from voxtune.evaluation.tables import read_predictions, write_predictions
from voxtune.losses.hazard import hazard_cross_entropy
from voxtune.model.risk_question import RiskQuestion, question_of_event
from voxtune.model.visits import VisitJoin
from voxtune.pages.event_section import risk_section
from voxtune.tasks.task import check_settings, stands_in, task_of
from voxtune.tasks.time_to_event import ScoredEvent, TimeToEvent
from voxtune.types.conformal import ConformalScores, WantedSets
from voxtune.types.event import STATUS, YEARS, Event, horizon, read_event, years_of
from voxtune.types.records import ManifestRow, Prediction
from voxtune.types.reliability import Trust
from voxtune.types.tensors import Batch, Output, ScanOutputs

EVENT = Event(name="conversion")


def rows(count: int = 40, seed: int = 0, **more: object) -> list[ManifestRow]:
    """Scans whose event comes the sooner the older the person, some of them lost on the way; every fifth was not followed."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        age = float(rng.uniform(60, 90))
        end, lost = rng.exponential(12 - (age - 60) / 3), rng.uniform(1, 5)
        found.append(
            ManifestRow.model_validate(
                {
                    "participant_id": f"P{number}", "scan_id": f"s{number}", "image": "a.nii", "diagnosis": "MCI", "age": age,
                    "conversion_years": "n/a" if number % 5 == 4 else round(min(end, lost) + 0.01, 3),
                    "conversion_status": "n/a" if number % 5 == 4 else int(end <= lost), "conversion_rule": "as seen",
                } | more
            )
        )  # fmt: skip
    return found


def config(*edits: str) -> RunConfig:
    found = read_recipe("deft").edit("event=conversion").edit("loss.class_weight=1").edit("targets=none")
    for edit in edits:
        found = found.edit(edit)
    return found.settled()


def taught(*edits: str) -> TimeToEvent:
    found = task_of(config(*edits)).taught(followed(rows()))
    assert isinstance(found, TimeToEvent)
    return found


def outputs_of(logits: torch.Tensor) -> ScanOutputs:
    return ScanOutputs(tuple(f"s{n}" for n in range(len(logits))), torch.zeros(len(logits), 1), logits)


def followed(some: Sequence[ManifestRow]) -> list[ManifestRow]:
    return [row for row in some if (row.model_extra or {})["conversion_years"] != "n/a"]


# ---------------------------------------------------------------------------------------------------- settings
def test_an_event_is_read_as_it_is_written() -> None:
    assert read_event("conversion") == {"name": "conversion"}
    assert config("event=conversion(years=[1, 2, 5], visits=2)", "aggregation.form=none").event == Event(
        name="conversion", years=(1, 2, 5), visits=2
    )
    assert Event.model_validate(read_event("death(years=5)")).horizons == ("5 years",)
    assert read_event("none") is None
    assert config().edit("event=none").event is None
    for wrong in ("one, two", "conversion(3)", "conversion(["):
        with pytest.raises(UsageError, match="event"):
            read_recipe("deft").edit(f"event={wrong}")
    for years in ("[2, 1]", "[0, 1]", "[]", "[1, 1]", "[1, 1.0000001]", "[1e309]", "[1, 400]"):
        with pytest.raises(UsageError):
            read_recipe("deft").edit(f"event=conversion(years={years})")
    assert [horizon(1.0), horizon(2.5)] == ["1 year", "2.5 years"]
    assert [years_of(one) for one in ("1 year", "2.5 years")] == [1.0, 2.5]
    with pytest.raises(ValueError, match="no horizon"):
        years_of("AD")
    assert EVENT.pair == ("Conversion will follow.", "Conversion will not follow.")


def test_settings_of_a_run_without_an_event_are_as_they_were() -> None:
    assert '"event"' not in read_recipe("deft").to_json()
    one = config()
    assert RunConfig.from_json(one.to_json()) == one
    assert one.predicted_columns == ("conversion_years", "conversion_status")


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        (("loss.class_weight=0",), "loss.class_weight"),
        (("classes.findings=a,b",), "classes.findings"),
        (("classes.names=NC,AD",), "classes.names"),
        (("event.visits=2", "aggregation.form=batch"), "aggregation.form"),
        (("training.metric=accuracy",), "training.metric"),
        (("training.sampling=balanced",), "training.sampling"),
    ],
)
def test_what_does_not_go_with_an_event_is_refused(edits: tuple[str, ...], said: str) -> None:
    known = read_recipe("deft").edit("event=conversion").edit("loss.class_weight=1").edit("targets=none")
    for edit in edits:
        name, _, value = edit.partition("=")
        known = known.edit(
            f"{name}={value if ',' not in value else '[' + ','.join(chr(34) + one + chr(34) for one in value.split(',')) + ']'}"
        )
    with pytest.raises(SettingError, match=said):
        check_settings(task_of(known), known)


def test_the_likelihood_stands_in_for_the_metric_of_classes() -> None:
    known, task = config(), taught()
    check_settings(task, known)
    assert stands_in(known)
    sides = {"train": followed(rows()), "val": followed(rows(10, 1))}
    assert task.settle(known, sides, print).training.metric == "loss"
    ranked = config("training.metric=c_index")
    assert task.settle(ranked, sides, print) is ranked
    never = [row.model_copy(update={"conversion_status": 0}) for row in sides["train"]]
    with pytest.raises(DataError, match="with the event within 3 years"):
        task.settle(known, {"train": never}, print)
    at_once = [
        row.model_copy(update={"conversion_status": 1, "conversion_years": 0.2}) for row in sides["train"]
    ]
    with pytest.raises(DataError, match="without it"):
        task.settle(known, {"train": at_once}, print)


def test_a_horizon_that_nobody_was_followed_to_is_refused_and_so_is_a_side_that_says_nothing() -> None:
    far = config("event=conversion(years=[1, 2, 30])")
    task = task_of(far).taught(followed(rows()))
    with pytest.raises(DataError, match="from 2 years to 30 years; the longest was followed"):
        task.settle(far, {"train": followed(rows())}, print)
    everybody = [row.model_copy(update={"conversion_status": 1}) for row in followed(rows())]
    far_task = task_of(far).taught(everybody)
    assert far_task.settle(far, {"train": everybody}, print), "nobody is lost: all had the event"
    lost = [row.model_copy(update={"conversion_years": 0.3, "conversion_status": 0}) for row in rows(6)]
    with pytest.raises(DataError, match="No validation scan of 6"):
        taught().settle(config(), {"train": followed(rows()), "val": lost}, print)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"conversion_years": 60, "age": 74}, "12 months are 1"), ({"conversion_years": 700}, "no more than a life"), ({"conversion_years": "inf"}, "a number or n/a"),
        ({"conversion_years": 0}, "more than 0"), ({"conversion_years": -1.5}, "more than 0"), ({"conversion_status": "yes"}, "a number"), ({"conversion_status": "inf"}, "a number"),
    ],
)  # fmt: skip
def test_times_that_cannot_be_are_refused_with_the_scan(more: dict[str, object], said: str) -> None:
    with pytest.raises(TableError, match=said) as caught:
        follow_up(rows(1, **more), EVENT)
    assert "s0" in str(caught.value)


# -------------------------------------------------------------------------------------------------------- rows
def test_rows_that_were_not_followed_are_left_out_aloud() -> None:
    said: list[str] = []
    some = rows()
    assert len(taught().select_rows(some, said.append)) == 32
    assert "8 of 40 scans have no conversion_years" in said[0]
    assert len(taught().unlabelled_rows(some)) == 8
    assert taught().select_rows(followed(some), said.append) == followed(some)
    nobody = [row for row in some if row not in followed(some)]
    with pytest.raises(DataError, match="No scan of 8 was followed"):
        taught().select_rows(nobody, print)
    plain = [ManifestRow(participant_id="A", scan_id="a", image="a.nii")]
    with pytest.raises(DataError, match=r"ingest .* --set event=conversion"):
        taught().select_rows(plain, print)
    assert absent_columns(plain, EVENT) == list(EVENT.columns)
    assert follow_up([], EVENT)[0].size == 0


# ---------------------------------------------------------------------------------------------------- learning
def test_loss_and_metric_go_by_the_factor_alone() -> None:
    task, some = taught(), followed(rows())
    labels = task.labels(some, some)
    assert labels.findings is not None
    age = torch.tensor([float(row.age or 0) for row in some])
    logits = torch.stack([(age - 75) / 10, torch.zeros(len(some))], dim=1)
    right, wrong = (
        task.validation_metric(outputs_of(one), labels, metric, {})
        for metric in ("c_index",)
        for one in (logits, -logits)
    )
    assert right > 0.5 > wrong
    assert right + wrong == pytest.approx(1.0)
    loss = task.validation_metric(outputs_of(logits), labels, "loss", {})
    batch = Batch(tuple(row.scan_id for row in some), torch.zeros(len(some), 0), findings=labels.findings)
    n = len(logits)
    output = Output(torch.zeros(n, 2), torch.zeros(n, 2), torch.zeros(n, n), class_scores=logits)
    term = task.loss(output, batch, {}).classes
    assert term is not None
    assert float(term) == pytest.approx(-loss, abs=1e-6)
    assert task.loss(Output(output.image, output.text, output.scores), batch, {}).classes is None
    alone = ManifestRow(
        participant_id="A", scan_id="a", image="a.nii", conversion_years=2.0, conversion_status=1
    )  # type: ignore[call-arg]
    one = task.labels([alone], some)
    assert task.validation_metric(outputs_of(logits[:1]), one, "c_index", {}) == 0.5


def test_whoever_is_lost_says_nothing_and_nobody_at_all_is_no_error() -> None:
    odds = torch.zeros(2, 3, requires_grad=True)
    nothing = hazard_cross_entropy(odds, torch.full((2, 3), torch.nan))
    nothing.backward()  # type: ignore[no-untyped-call]
    assert nothing.item() == 0
    assert odds.grad is not None
    assert not odds.grad.any()
    cells = torch.tensor([[0.0, 1.0, torch.nan], [0.0, torch.nan, torch.nan]])
    assert float(hazard_cross_entropy(torch.zeros(2, 3), cells)) == pytest.approx(np.log(2))


def test_notes_count_events_and_the_lost() -> None:
    task, some = taught(), followed(rows())
    (said,) = task.notes(task.labels(some, some))
    assert said.startswith("conversion: ")
    assert "not seen with it until the end of their follow-up." in said
    other = [row.model_copy(update={"conversion_status": 2}) for row in some]
    assert "with something else first" in task.notes(task.labels(other, some))[0]


def test_the_probe_learns_what_a_vector_shows() -> None:
    task, train, new = taught(), followed(rows(200, 3)), followed(rows(60, 4))
    labels, held = task.labels(train, train), task.labels(new, train)
    seen, other = (np.array([[float(row.age or 0), 1.0] for row in some]) for some in (train, new))
    logits = task.probe(labels, seen, other, 0)
    assert logits is not None
    assert logits.shape == (len(new), 6)
    outputs = outputs_of(logits)
    assert task.validation_metric(outputs, held, "c_index", {}) > 0.5
    never = [row.model_copy(update={"conversion_status": 0}) for row in train]
    assert task.probe(task.labels(never, train), seen, other, 0) is None


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_calibration_finds_shift_and_slope(scale: float) -> None:
    rng = np.random.default_rng(0)
    factor = rng.normal(size=3000)
    rate = 1 / (1 + np.exp(-(factor * scale - 1.0)))
    event = (
        np.array(
            [np.searchsorted(np.cumsum([r, (1 - r) * r, (1 - r) ** 2 * r]), rng.uniform()) for r in rate]
        )
        + 0.5
    )
    cells = hazard_cells(np.minimum(event, 3.0), (event < 3).astype(int), np.array([1.0, 2.0, 3.0]))
    found = calibrate_event(factor, cells, (-0.5,) * 3, [f"P{n}" for n in range(3000)])
    assert (found.shift, found.slope) == (pytest.approx(-0.5, abs=0.08), pytest.approx(scale, abs=0.12))
    assert 0 < found.shift_sd < 0.1
    backwards = calibrate_event(-5 * factor, cells, (-0.5,) * 3, [f"P{n}" for n in range(3000)])
    assert backwards.slope == 0.05, "a model that ranks the wrong way round is believed as little as can be"
    few = calibrate_event(factor[:3], cells[:3], (-0.5,) * 3, ["A", "A", "B"])
    assert abs(few.shift) < 1.5


# ---------------------------------------------------------------------------------------------------- the answer
def test_risks_never_fall_and_log_odds_are_theirs() -> None:
    asked = RiskQuestion(EVENT, (-1.0, -0.5, 0.0), 2.0)
    logits = torch.randn(20, 2, generator=torch.Generator().manual_seed(0)) * 5
    risk = asked.probabilities(logits)
    assert (np.diff(risk, axis=1) >= 0).all()
    odds = asked.log_odds(logits).double().numpy()
    assert odds == pytest.approx(np.log(risk / (1 - risk)), abs=1e-3)
    factor = (logits[:, 0] - logits[:, 1]).double().numpy() / 2
    hazards = 1 / (1 + np.exp(-(factor[:, None] + np.array([-1.0, -0.5, 0.0]))))
    assert risk == pytest.approx(risk_of(hazards))
    assert asked.texts == [list(EVENT.pair)]
    assert asked.says("2 years") == "the log-odds of conversion by 2 years"
    assert asked.raw() is None
    assert asked.reworded() == {}
    one = question_of_event(
        {"event": {"name": "conversion"}}, dict(zip(EVENT.horizons, (-1.0, -0.5, 0.0), strict=True)), 2.0
    )
    assert one == asked


def test_the_truth_is_what_was_seen_and_scans_to_be_predicted_have_none() -> None:
    asked = RiskQuestion(EVENT, (0.0, 0.0, 0.0))
    some = [
        ManifestRow.model_validate({"participant_id": "A", "scan_id": f"s{n}", "image": "a", "conversion_years": years, "conversion_status": status})
        for n, (years, status) in enumerate([(1.5, 1), (1.5, 0), (1.5, 2), (3.0, 0)])
    ]  # fmt: skip
    nan = np.nan
    assert asked.truth(some) == pytest.approx(
        np.array([[0, 1, 1], [0, nan, nan], [0, 0, 0], [0, 0, 0]]), nan_ok=True
    )
    assert [asked.group(some[n], "2 years") for n in range(3)] == [
        "conversion by 2 years",
        None,
        "no conversion by 2 years",
    ]
    assert asked.group(some[0], "AD") is None
    plain = [ManifestRow(participant_id="A", scan_id="a", image="a.nii")]
    assert np.isnan(asked.truth(plain)).all()
    assert asked.measured(plain) == {}


def test_a_baseline_answers_with_hazards_and_a_constant_with_those_of_training() -> None:
    answer = EventAnswer(RiskQuestion(EVENT, (0.0,) * 3))
    train, test = followed(rows(300, 5)), followed(rows(80, 6))
    truth = answer.truth(train)
    usable = np.isfinite(truth).any(axis=1)
    ages = [np.array([[float(row.age or 0)] for row in some]) for some in (train, test)]
    table = answer.table(test, answer.fit(ages[0][usable], ages[1], truth[usable], 0))
    assert table.choice == "by"
    assert (np.diff(table.probabilities, axis=1) > 0).all()
    assert answer.varies(truth)
    assert not answer.varies(np.zeros_like(truth))
    assert answer.targets == EVENT.columns
    assert "conversion_years" in answer.lacks
    assert table.measured[YEARS] == pytest.approx(follow_up(test, EVENT)[0])


def test_the_table_is_read_as_it_was_written_and_compared(tmp_path: Path) -> None:
    answer = EventAnswer(RiskQuestion(EVENT, (0.0,) * 3))
    some = followed(rows(60, 7))
    rng = np.random.default_rng(0)
    a, b = (answer.table(some, rng.uniform(0.05, 0.5, (len(some), 3))) for _ in range(2))
    write_predictions(tmp_path, a)
    again = read_predictions(tmp_path / "predictions.tsv")
    assert (again.task, again.names, again.choice) == ("time_to_event", EVENT.horizons, "by")
    assert again.probabilities == pytest.approx(a.probabilities)
    assert again.truth == pytest.approx(a.truth, nan_ok=True)
    assert (again.called == a.called).all()
    assert again.measured[STATUS] == pytest.approx(a.measured[STATUS])
    assert {one.predicted for one in a.rows()} <= {"by 1 year", "by 2 years", "by 3 years", "after 3 years"}
    assert len(same_scans(a, b)[0]) == len(some)
    found = [one.comparison for one in compare({"": (a, b)}, Draw(100))]
    assert [one.score for one in found] == ["c_index", "auroc", "brier"], (
        "no test that takes the lost for known"
    )


def test_sets_hold_the_time_followed_for_the_share_they_promise() -> None:
    rng = np.random.default_rng(1)
    held = []
    for draw in range(40):
        rate = np.exp(rng.normal(-1.2, 0.8, 400))
        end, lost = rng.exponential(1 / rate), rng.uniform(0.2, 6, 400)
        years = np.minimum(end, lost)
        risk = 1 - np.exp(
            -rate[:, None] * np.array([1.0, 2.0, 3.0]) * (3.0 if draw % 2 else 1.0)
        )  # also of a model that is wrong
        people = [f"P{n}" for n in range(400)]
        kept = event_scores(risk[:100], years[:100], people[:100], EVENT)
        assert sum(len(one.scores) for one in kept.values()) == 100
        table = answer_table(risk[100:], years[100:], (end <= lost)[100:])
        sets = horizon_sets(table, kept, WantedSets(0.8))
        held.append(float(np.nanmean(sets.held)))
        assert (sets.size >= 1).all()
        assert (
            np.nanmean(np.where(end[100:] >= years[100:], sets.held[:, 0], 1)) >= np.nanmean(sets.held) - 1e-9
        )
    assert np.mean(held) > 0.79
    assert first_beyond(np.array([0.5, 1.0, 3.0]), (1.0, 2.0, 3.0)).tolist() == [0, 1, 3]


def answer_table(risk: np.ndarray, years: np.ndarray, seen: np.ndarray):  # type: ignore[no-untyped-def]
    some = [
        ManifestRow.model_validate({"participant_id": f"P{n}", "scan_id": f"s{n}", "image": "a", "conversion_years": round(float(y) + 1e-4, 5), "conversion_status": int(s)})
        for n, (y, s) in enumerate(zip(years, seen, strict=True))
    ]  # fmt: skip
    risk = np.minimum(risk, 1 - 1e-9)
    hazards = np.diff(np.c_[np.zeros(len(risk)), risk], axis=1) / (
        1 - np.c_[np.zeros(len(risk)), risk[:, :-1]]
    )
    return EventAnswer(RiskQuestion(EVENT, (0.0,) * 3)).table(some, hazards)


# ------------------------------------------------------------------------------------------------------- scored
def scored(adapter: object = None) -> ScoredEvent:
    return ScoredEvent(SimpleNamespace(config=config(), adapter=adapter))  # type: ignore[arg-type]


def test_scans_to_score_are_those_followed_and_no_class_is_asked() -> None:
    some = rows()
    cohort = SimpleNamespace(rows=some, own_sides=None)
    chosen = scored().choose(cohort, None, None)  # type: ignore[arg-type]
    assert (len(chosen.rows), chosen.classes, chosen.left_out) == (32, EVENT.horizons, {"no follow-up": 8})
    own = SimpleNamespace(rows=some, own_sides={"test": frozenset({"s0", "s4"})})
    assert [row.scan_id for row in scored().choose(own, None, None).rows] == ["s0"]  # type: ignore[arg-type]
    for asked in ({"classes": ["NC", "AD"], "label_map": None}, {"classes": None, "label_map": {"a": "b"}}):
        with pytest.raises(SettingError, match="the risk of conversion"):
            scored().choose(cohort, **asked)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="No scan to score was followed"):
        scored().choose(SimpleNamespace(rows=some[4:5], own_sides=None), None, None)  # type: ignore[arg-type]


def test_a_base_alone_starts_from_even_odds_or_from_the_training_scans() -> None:
    chosen = Chosen(followed(rows()), EVENT.horizons, (), {}, None)
    assert scored().question(chosen).baseline == (0.0, 0.0, 0.0)  # type: ignore[attr-defined]
    assert "only rank scans" in scored().threshold_rule(None)  # type: ignore[arg-type]
    at_hand = SimpleNamespace(train_rows=rows())
    assert scored().base_question(at_hand, None).baseline == taught().baseline  # type: ignore[arg-type, attr-defined]
    assert scored().base_question(SimpleNamespace(train_rows=[]), None).baseline == (0.0, 0.0, 0.0)  # type: ignore[arg-type, attr-defined]
    assert scored().label_rules(rows()) == {"conversion": "as seen"}
    assert scored().label_rules([]) == {}
    assert scored().thresholds(chosen) == {}
    facts = SimpleNamespace(training={"event": {"validation_events": 7}})
    join = VisitJoin(4, 3)
    for visits, said in (
        (None, "The level"),
        (join, "Each scan is read alone: training learned nothing"),
        (join, "Up to 3 scans"),
    ):
        join.weights.fill_(float(said.startswith("Up")))
        adapter = SimpleNamespace(facts=facts, model=SimpleNamespace(visits=visits))
        assert scored(adapter).threshold_rule(None).startswith(said)  # type: ignore[arg-type]
        assert "which had 7 events" in scored(adapter).threshold_rule(None)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="false_discovery"):
        scored().sets(None, WantedSets(0.5, false_discovery=0.1))  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------ one scan
def test_the_page_of_a_scan_has_a_band_only_where_the_adapter_knows_it() -> None:
    prediction = Prediction(
        scan_id="a", predicted="by 3 years", probabilities={"1 year": 0.2, "2 years": 0.4, "3 years": 0.55}
    )
    facts = {"config": {"event": {"name": "conversion"}}, "training": {"event": {"shift_sd": 0.3}}}
    found = risk_section(prediction, facts)
    assert found is not None
    for _, value, low, high in found["rows"]:
        assert low < value < high
    bare = risk_section(prediction, {"config": {"event": {"name": "conversion"}}})
    assert bare is not None
    assert {one[2] for one in bare["rows"]} == {None}
    assert risk_section(prediction, {"config": {}}) is None


@pytest.mark.parametrize("sd", [0, -0.3, 1e6, float("nan"), float("inf"), "wide", None])
def test_a_band_holds_its_curve_whatever_an_adapter_says(sd: object) -> None:
    prediction = Prediction(
        scan_id="a", predicted="by 1 year", probabilities={"1 year": 0.6, "2 years": 0.6, "3 years": 1.0}
    )
    found = risk_section(
        prediction, {"config": {"event": {"name": "AD"}}, "training": {"event": {"shift_sd": sd}}}
    )
    assert found is not None
    for _, value, low, high in found["rows"]:
        assert (low is None) == (sd is None or isinstance(sd, str) or not np.isfinite(sd))  # type: ignore[call-overload]
        assert low is None or 0 <= low <= value + 1e-9 <= high + 2e-9 <= 1 + 2e-9


@pytest.mark.parametrize(
    ("risk", "said"),
    [
        ((0.01, 0.02, 0.05), "promised at 80%: without the event for at least 2 years"),
        ((0.01, 0.9, 0.95), "promised at 80%: without the event for at least 1 year"),
        ((0.9, 0.95, 0.99), "promised at 80%: no time without the event; it may come within 1 year"),
    ],
)
def test_a_set_of_horizons_is_a_lower_bound_of_time(risk: tuple[float, ...], said: str) -> None:
    kept = {name: ConformalScores(scores=(0.2, 0.3, 0.4)) for name in EVENT.horizons}
    one = Prediction(scan_id="a", predicted="", probabilities=dict(zip(EVENT.horizons, risk, strict=True)))
    (found, _) = Promise(Trust(sets=kept), WantedSets(0.8), timed=True).of(one)
    assert found is not None
    assert found.sentence == said
    assert found.guarantee == Promise(Trust(sets=kept), WantedSets(0.8)).check(EVENT.horizons)[0]
    (plain, _) = Promise(Trust(sets=kept), WantedSets(0.8)).of(one)
    assert plain is not None
    assert plain.bound is None
