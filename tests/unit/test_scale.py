"""What would grow faster than the scans, or hold all of them in memory, does not."""

from pathlib import Path

import numpy as np
import pytest

from voxtune.evaluation import intervals
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
