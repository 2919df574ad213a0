"""Harmonisation: the site goes, the disease stays; refused where the two go together or nobody can tell."""

import numpy as np
import pytest

from voxtune.errors import DataError
from voxtune.evaluation.harmonise import FEWEST, Harmonised, harmonise
from voxtune.types.records import ManifestRow

WIDTH = 12


def people(
    rng: np.random.Generator,
    sizes: dict[str, int],
    ill: dict[str, float],
    *,
    strength: float = 1.0,
    scans: int = 1,
    known: tuple[str, ...] | None = None,
) -> tuple[np.ndarray, list[ManifestRow]]:
    """Vectors whose first half of features tell the disease and of which each site moves and stretches every feature."""
    rows, vectors = [], []
    for number, (site, size) in enumerate(sizes.items()):
        own = np.random.default_rng(100 + number)
        shift, stretch = strength * own.normal(size=WIDTH), np.exp(0.3 * strength * own.normal(size=WIDTH))
        for person in range(size):
            label = int(rng.random() < ill[site])
            self_ = rng.normal(size=WIDTH) + 1.2 * label * (np.arange(WIDTH) < WIDTH // 2)
            for scan in range(scans):
                value = self_ + 0.2 * rng.normal(size=WIDTH)
                vectors.append(value * stretch + shift + 3)
                rows.append(
                    ManifestRow(
                        participant_id=f"{site}{person}", scan_id=f"{site}{person}-{scan}", image="x", site=site,
                        diagnosis=("NC", "AD")[label] if known is None or site in known else None,
                    )
                )  # fmt: skip
    found = np.array(vectors)
    return found / np.linalg.norm(found, axis=1, keepdims=True), rows


def read(found: Harmonised, what: str) -> tuple[float, float, float]:
    shares = found.facts["readable"][what]
    return shares["before"], shares["after"], shares["largest"]


def test_the_site_goes_and_the_disease_stays() -> None:
    sizes = {"A": 90, "B": 60, "C": 50}
    vectors, rows = people(np.random.default_rng(0), sizes, dict.fromkeys(sizes, 0.5), scans=2)
    found = harmonise(vectors, rows)
    before, after, chance = read(found, "site")
    assert before > 0.9
    assert after < chance + 0.1
    before, after, _ = read(found, "diagnosis")
    assert after > before - 0.01
    assert np.allclose(np.linalg.norm(found.vectors, axis=1), 1)
    assert "site is read right in" in found.sentence
    assert found.facts["sites"] == sizes, "people, not scans"


def test_another_mix_of_classes_is_not_taken_for_the_site() -> None:
    """Sites alike but for the sick: without the classes in the fit, harmonising would move healthy people towards sick ones."""
    sizes, ill = {"A": 60, "B": 60}, {"A": 0.45, "B": 0.55}
    vectors, rows = people(np.random.default_rng(1), sizes, ill, strength=0.0)
    found = harmonise(vectors, rows)
    moved = np.linalg.norm(found.vectors - vectors, axis=1)
    assert moved.max() < 0.2


def test_a_new_site_without_labels_is_brought_onto_the_scale_and_its_assumption_said() -> None:
    sizes = {"A": 80, "B": 80, "new": 60}
    vectors, rows = people(np.random.default_rng(2), sizes, dict.fromkeys(sizes, 0.5), known=("A", "B"))
    found = harmonise(vectors, rows)
    before, after, chance = read(found, "site")
    assert after < before - 0.3
    assert after < chance + 0.12
    assert found.facts["without_diagnosis"] == ["new"]
    assert "which cannot be checked: new" in found.sentence
    alone = [place for place, row in enumerate(rows) if row.site != "new"]
    kept = harmonise(vectors[alone], [rows[place] for place in alone])
    assert np.allclose(found.vectors[alone], kept.vectors), (
        "a new site changes nothing of those that are known"
    )


def test_one_known_site_is_a_scale_too() -> None:
    sizes = {"A": 60, "new": 40}
    vectors, rows = people(np.random.default_rng(3), sizes, dict.fromkeys(sizes, 0.5), known=("A",))
    found = harmonise(vectors, rows)
    assert found.facts["site_and_diagnosis"] == {"p": 1.0, "cramers_v": 0.0}
    assert read(found, "site")[1] < read(found, "site")[0]


def test_site_and_diagnosis_that_go_together_are_refused() -> None:
    vectors, rows = people(np.random.default_rng(4), {"A": 40, "B": 40}, {"A": 0.2, "B": 0.8})
    with pytest.raises(DataError, match="'site' and diagnosis go together"):
        harmonise(vectors, rows)


@pytest.mark.parametrize(
    ("sizes", "known", "why"),
    [
        ({"A": 40}, None, "All scans have the same 'site'"),
        ({"A": 40, "B": FEWEST - 1}, None, "'B' 9; at least 10 are needed"),
        ({"A": 40, "B": 40}, (), "cannot be tested: 0 participants of 0 classes"),
        ({"A": 15, "B": 40}, ("A",), "cannot be tested: 15 participants"),
    ],
)
def test_what_cannot_be_decided_is_refused(
    sizes: dict[str, int], known: tuple[str, ...] | None, why: str
) -> None:
    vectors, rows = people(np.random.default_rng(5), sizes, dict.fromkeys(sizes, 0.5), known=known)
    with pytest.raises(DataError, match=why):
        harmonise(vectors, rows)


def test_a_scan_without_a_site_is_named_and_any_column_may_be_the_site() -> None:
    vectors, rows = people(np.random.default_rng(6), {"A": 30, "B": 30}, {"A": 0.5, "B": 0.5})
    with pytest.raises(DataError, match="60 of 60 scans have no 'scanner', first 'A0-0'"):
        harmonise(vectors, rows, "scanner")
    found = harmonise(vectors, [row.model_copy(update={"scanner": row.site}) for row in rows], "scanner")
    assert found.sentence.startswith("Harmonised over 2 values of 'scanner': scanner is read right")


def test_a_disease_of_few_is_not_read() -> None:
    vectors, rows = people(np.random.default_rng(7), {"A": 30, "B": 30}, {"A": 0.0, "B": 0.0})
    rows = [
        row.model_copy(update={"diagnosis": "AD"}) if row.scan_id in {"A0-0", "B0-0"} else row for row in rows
    ]
    found = harmonise(vectors[:, :1], rows)
    assert found.facts["readable"]["diagnosis"] is None
    assert "diagnosis cannot be read for want of people" in found.sentence
