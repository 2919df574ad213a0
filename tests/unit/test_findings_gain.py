"""The gain of one model of findings over another: paired on the same scans, refused on others."""

from dataclasses import replace

import numpy as np
import pytest

from voxtune.errors import DataError
from voxtune.evaluation.auroc_difference import auroc_difference
from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.predictions import Predictions, of_findings


def scored(shift: float) -> Predictions:
    """40 scans of 20 people; a larger shift ranks better."""
    rng = np.random.default_rng(0)
    labels = (rng.random((40, 2)) < 0.4).astype(float)
    noise = rng.normal(size=(40, 2))
    people = tuple(f"P{n // 2}" for n in range(40))
    scans, chances = [f"s{n}" for n in range(40)], 1 / (1 + np.exp(-(noise + shift * labels)))
    return of_findings(scans, people, ("a", "b"), labels, chances, {"a": 0.5, "b": 0.5})


def test_a_better_ranking_gains_and_the_same_one_gains_nothing() -> None:
    gain = auroc_difference(scored(3), scored(0), Draw(resamples=200))["auroc"]
    assert gain.low is not None
    assert gain.low > 0
    assert auroc_difference(scored(1), scored(1), Draw(resamples=50))["auroc"].value == 0


def test_other_scans_are_refused() -> None:
    one = scored(1)
    with pytest.raises(DataError, match="same scans"):
        auroc_difference(one, replace(one, truth=1 - one.truth), Draw())
