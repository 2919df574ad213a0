"""What would grow faster than the scans, or hold all of them in memory, does not."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from voxtune.evaluation import calibration_error, intervals, people_sums
from voxtune.evaluation.intervals import resample_participants
from voxtune.imaging.qc import Qc
from voxtune.pages.preprocess_page import CohortEntry, cohort_page, worst_first


@pytest.mark.parametrize("block", [1, 7, 40, 10**6])
def test_draws_are_the_same_in_parts_as_at_once(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    strata = np.random.default_rng(0).integers(0, 3, 23)
    rng = np.random.default_rng(5)
    whole = np.empty((17, len(strata)), dtype=np.int64)
    for value in np.unique(strata):
        members = np.flatnonzero(strata == value)
        whole[:, members] = members[rng.integers(len(members), size=(17, len(members)))]
    monkeypatch.setattr(intervals, "BLOCK", block)
    assert np.array_equal(resample_participants(strata, 17, 5), whole)


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.8])
def test_the_test_of_calibration_is_the_same_in_parts(alpha: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    stated, hit = rng.uniform(0.4, 0.9, 60), rng.uniform(size=60) < 0.6
    place = rng.permutation(np.arange(60) // 2)
    whole = calibration_error._said_wrong(stated, hit, place, alpha)
    monkeypatch.setattr(intervals, "BLOCK", 1000)
    assert calibration_error._said_wrong(stated, hit, place, alpha) == whole


@pytest.mark.parametrize("most", [1, 50, 10**6])
@pytest.mark.parametrize("columns", [(), (3,)])
def test_sums_over_the_scans_of_people(
    most: int, columns: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    participant = np.concatenate([np.arange(11), rng.integers(0, 11, 20)])[rng.permutation(31)]
    values = rng.normal(size=(31, *columns))
    whole = np.eye(11)[participant].T @ values
    monkeypatch.setattr(people_sums, "MOST", most)
    found = people_sums.people_sums(participant, values)
    if most > 31 * 11:
        assert np.array_equal(found, whole), "of a cohort the bits that were there before"
    np.testing.assert_allclose(found, whole, rtol=1e-12, atol=1e-14)
    assert people_sums.people_sums(participant[:0], values[:0]).shape == (0, *columns)


def test_ten_thousand_people_need_no_matrix_of_all_with_all() -> None:
    participant = np.arange(10_000)
    tracemalloc.start()
    people_sums.people_sums(participant, np.ones(10_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 2**20


def test_draws_of_many_take_half_the_memory() -> None:
    assert resample_participants(np.zeros(50), 10).itemsize == 4


def test_the_page_of_a_cohort_shows_the_worst_and_no_picture_of_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voxtune.pages.preprocess_page.MOST_THUMBNAILS", 2)
    figures = {
        "good": Qc(verdict="pass", correlation=0.9),
        "bad": Qc(verdict="fail", correlation=0.1),
        "worse": Qc(verdict="fail", correlation=0.0),
        "so-so": Qc(verdict="warn", correlation=0.4),
    }
    assert worst_first(figures) == ["worse", "bad", "so-so", "good"]
    entries = [CohortEntry(name, qc, name.encode()) for name, qc in figures.items()]
    page = cohort_page(entries, {}, "tiny", pending=0, simulated=False)
    assert page.count("<img") == 2
    assert "2 more scans are in qc.tsv" in page


def test_preprocess_reads_the_thumbnails_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxtune.commands import preprocess as command
    from voxtune.commands.preprocess import preprocess
    from voxtune.commands.simulate.command import simulate

    read: list[str] = []
    real = command._bytes

    def counted(path: Path) -> bytes | None:
        read.append(path.parent.name)
        return real(path)

    monkeypatch.setattr(command, "_bytes", counted)
    monkeypatch.setattr("voxtune.pages.preprocess_page.MOST_THUMBNAILS", 1)
    cohort = simulate(tmp_path / "cohort", participants=3, visits=1)
    preprocess(cohort, tmp_path / "out", preset="tiny")
    assert len(read) == 1
