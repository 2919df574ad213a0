"""What prediction sets held of scored scans, with intervals over participants."""

import numpy as np
import pytest

from voxtune.errors import DataError
from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.prediction_sets import kept_scores
from voxtune.evaluation.predictions import of_records
from voxtune.evaluation.set_scores import PredictionSets, clustered_mean, stacked_sets
from voxtune.types.records import ManifestRow, Prediction
from voxtune.types.reliability import ConformalScores, WantedSets

DRAW = Draw(resamples=200)
WANTED = WantedSets(0.9)
NAN = float("nan")


def sets(held: list[list[float]], size: list[list[float]], names: tuple[str, ...] = ("",)) -> PredictionSets:
    return PredictionSets(WANTED, np.array(held), np.array(size), names, ("promised",))


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


def test_folds_stand_one_after_another_and_what_one_has_no_sets_of_is_unknown_there() -> None:
    both = stacked_sets(
        [sets([[1.0, 0.0]], [[1.0, 2.0]], ("mass", "cyst")), sets([[1.0]], [[2.0]], ("cyst",))]
    )
    assert both.names == ("mass", "cyst")
    assert np.array_equal(both.held, [[1, 0], [NAN, 1]], equal_nan=True)
    assert np.array_equal(both.size, [[1, 2], [NAN, 2]], equal_nan=True)
    assert both.sentences == ("promised",)
    assert np.array_equal(both.of(["cyst"]).held, [[0], [1]])


def test_sets_need_what_the_adapter_keeps() -> None:
    kept = {"NC": ConformalScores(scores=()), "AD": ConformalScores(scores=())}
    assert kept_scores(kept, ("AD", "NC")) is kept
    with pytest.raises(DataError, match="a base alone has no validation participants"):
        kept_scores(None, ())
    with pytest.raises(DataError, match="made before VoxTune had sets"):
        kept_scores({}, ("NC",))
    with pytest.raises(DataError, match=r"the adapter learned .NC, AD., not for NC, MCI"):
        kept_scores(kept, ("NC", "MCI"))
