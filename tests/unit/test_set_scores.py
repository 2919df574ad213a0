"""What prediction sets held of scored scans, with intervals over participants."""

import numpy as np
import pytest

from voxtune.errors import DataError
from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.prediction_sets import kept_scores
from voxtune.evaluation.predictions import of_findings, of_records
from voxtune.evaluation.set_scores import (
    INTERVALS,
    PredictionSets,
    clustered_mean,
    discovery_sets,
    interval_sets,
    stacked_sets,
)
from voxtune.types.conformal import ConformalScores, IntervalScores
from voxtune.types.records import ManifestRow, Prediction
from voxtune.types.target import Target

DRAW = Draw(resamples=200)
NAN = float("nan")


def sets(held: list[list[float]], size: list[list[float]], names: tuple[str, ...] = ("",)) -> PredictionSets:
    return PredictionSets(np.array(held), np.array(size), names, ("promised",))


def test_a_mean_counts_what_is_known_and_draws_participants() -> None:
    values = np.array([[1.0], [1.0], [0.0], [NAN]])
    found = clustered_mean(values, ["a", "a", "b", "c"], DRAW, share=True)
    assert (found.value, found.n_scans, found.n_participants) == (pytest.approx(2 / 3), 3, 2)
    assert 0 <= found.low < found.value < found.high <= 1
    nothing = clustered_mean(np.array([[NAN]]), ["a"], DRAW, share=True)
    assert (nothing.value, nothing.low, nothing.n_scans) == (None, None, 0)
    alone = clustered_mean(np.array([[2.0]]), ["a"], DRAW, share=False)
    assert (alone.value, alone.low, alone.high) == (2.0, None, None)


def test_coverage_stands_by_class_and_by_part_of_the_people() -> None:
    people = [("NC", "F"), ("NC", "M"), ("AD", "F"), ("AD", "F")]
    rows = [
        Prediction(
            scan_id=str(n),
            participant_id=str(n),
            diagnosis=truth,
            predicted="NC",
            probabilities={"NC": 0.6, "AD": 0.4},
        )
        for n, (truth, _) in enumerate(people)
    ]
    known = {
        str(n): ManifestRow(participant_id=str(n), scan_id=str(n), image="x", sex=sex)
        for n, (_, sex) in enumerate(people[:3])
    }
    found = sets([[1.0], [1.0], [0.0], [1.0]], [[1.0], [2.0], [1.0], [2.0]]).scores(
        of_records(rows, ("NC", "AD")), known, DRAW
    )
    assert found["set_coverage"].value == 0.75
    assert found["set_size"].value == 1.5
    assert (found["set_coverage/NC"].value, found["set_coverage/AD"].value) == (1.0, 0.5)
    assert found["subgroup/sex/F/set_coverage"].value == 0.5
    assert found["subgroup/sex/F/set_coverage"].n_scans == 2, "who is not in the manifest is in no part"
    assert found["subgroup/sex/F/set_size"].value == 1.0


def test_folds_stand_one_after_another_and_what_one_has_no_sets_of_is_unknown_there() -> None:
    first, second = sets([[1.0, 0.0]], [[1.0, 2.0]], ("mass", "cyst")), sets([[1.0]], [[2.0]], ("cyst",))
    number = PredictionSets(np.array([[1.0]]), np.array([[5.0]]), ("",), ("too",), INTERVALS, "age")
    both, of_age = stacked_sets([((number, first), 1), ((second,), 1)])
    assert both.names == ("mass", "cyst")
    assert np.array_equal(both.held, [[1, 0], [NAN, 1]], equal_nan=True)
    assert np.array_equal(both.size, [[1, 2], [NAN, 2]], equal_nan=True)
    assert both.sentences == ("promised",)
    assert np.array_equal(both.column("cyst").held, [[0], [1]])
    assert np.array_equal(of_age.held, [[1], [NAN]], equal_nan=True)
    assert stacked_sets([((), 3), ((), 2)]) == ()


def test_intervals_of_numbers_are_measured_by_class_and_part_of_the_people() -> None:
    rows = [
        Prediction(scan_id=str(n), participant_id=str(n), diagnosis=truth, predicted="NC", probabilities={"NC": 0.6, "AD": 0.4}, targets={"mmse": value})
        for n, (truth, value) in enumerate([("NC", 29.0), ("AD", 20.0), ("AD", 15.0)])
    ]  # fmt: skip
    table = of_records(rows, ("NC", "AD"), measured={"mmse": {"0": 30.0, "1": 10.0}})
    kept = {"mmse": IntervalScores(scores=(3.0,) * 9)}
    targets = (Target(name="mmse"), Target(name="age"))
    (found,), refused = interval_sets(kept, targets, table, 0.9)
    assert "No interval of age can be promised" in refused[0]
    assert interval_sets(None, targets[:1], table, 0.9)[1] == [
        "No interval of mmse can be promised: a base alone has no validation participants."
    ]
    scores = found.scores(table, {}, DRAW)
    assert scores["interval_coverage/mmse"].value == 0.5
    assert scores["interval_width/mmse"].value == pytest.approx((4 + 6) / 2), "no MMSE is above 30"
    assert (scores["interval_coverage/mmse/NC"].value, scores["interval_coverage/mmse/AD"].value) == (
        1.0,
        0.0,
    )
    assert scores["interval_coverage/mmse/AD"].n_scans == 1, "one was not measured"


def test_false_ones_among_findings_said_are_counted_by_scan() -> None:
    names = ("mass", "cyst", "rare")
    truth = np.array([[1, 0, 1], [0, 0, 1], [NAN, NAN, NAN], [1, NAN, 0.0]])
    chances = np.array([[0.9, 0.9, 0.9], [0.1, 0.1, 0.9], [0.9, 0.9, 0.9], [0.9, 0.9, 0.1]])
    table = of_findings(list("abcd"), list("abcd"), names, truth, chances, dict.fromkeys(names, 0.5))
    kept = {"mass": of_none(30), "cyst": of_none(30), "rare": of_none(2)}
    found = discovery_sets(kept, table, 0.1)
    assert np.array_equal(found.held[:, 0], [0.5, 0, NAN, 0], equal_nan=True)
    assert np.array_equal(found.size[:, 0], [1, NAN, NAN, 1], equal_nan=True)
    assert found.sentences[1] == "Too few validation participants for, and never said: rare."
    scores = found.scores(table, {}, DRAW)
    assert scores["false_discovery"].value == pytest.approx(0.5 / 3)
    assert scores["discovered"].value == 1.0
    assert set(scores) == {"false_discovery", "discovered"}
    assert len(discovery_sets({"mass": of_none(30)}, table.of(["mass"]), 0.1).sentences) == 1


def of_none(people: int) -> ConformalScores:
    return ConformalScores(scores=(), without=(0.2,) * people)


def test_sets_need_what_the_adapter_keeps() -> None:
    kept = {"NC": ConformalScores(scores=()), "AD": ConformalScores(scores=())}
    assert kept_scores(kept, ("AD", "NC")) is kept
    with pytest.raises(DataError, match="a base alone has no validation participants"):
        kept_scores(None, ())
    with pytest.raises(DataError, match="made before VoxTune had sets"):
        kept_scores({}, ("NC",))
    with pytest.raises(DataError, match=r"the adapter learned .NC, AD., not for NC, MCI"):
        kept_scores(kept, ("NC", "MCI"))
