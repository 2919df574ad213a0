"""Can the site be read from the embeddings? What a model knows of the scanner it may use in place of the disease."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxtune.evaluation.baseline_answers import regression
from voxtune.evaluation.intervals import Draw
from voxtune.evaluation.metrics import headline_scores
from voxtune.evaluation.predictions import Predictions, of_classes
from voxtune.types.records import ManifestRow, Metric

FOLDS = 5


@dataclass(frozen=True)
class SiteProbe:
    """How well a linear classifier tells the sites, and how often the largest of them is right by itself."""

    accuracy: Metric
    largest: float
    sites: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The finding in a sentence, with its interval and counts."""
        found = self.accuracy
        assert found.value is not None
        interval = (
            ""
            if found.low is None or found.high is None
            else f" (95% interval {100 * found.low:.1f} to {100 * found.high:.1f}%)"
        )
        above = found.low is not None and found.low > self.largest
        return (
            f"A linear classifier reads the site ({len(self.sites)} sites) from the model's image embeddings right in "
            f"{100 * found.value:.1f}%{interval} of {found.n_scans} scans of {found.n_participants} participants; always saying the "
            f"largest site is right in {100 * self.largest:.1f}%. "
            + (
                "The embeddings hold the site: look at the scores by site."
                if above
                else "That is not above chance beyond its interval."
            )
        )


def probe_sites(
    rows: Iterable[ManifestRow],
    embeddings: Mapping[str, NDArray[np.floating]],
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> SiteProbe | None:
    """The site probe with its interval; ``None`` where fewer than two sites have enough participants."""
    found = site_probe(rows, embeddings, seed)
    if found is None:
        return None
    scores = headline_scores(found, Draw(resamples, seed))
    return SiteProbe(scores["accuracy"], float(found.truth.mean(axis=0).max()), found.names)


def site_probe(
    rows: Iterable[ManifestRow],
    embeddings: Mapping[str, NDArray[np.floating]],
    seed: int = 0,
    folds: int = FOLDS,
) -> Predictions | None:
    """Predictions of the site, cross-validated by participant; the "diagnosis" here is the site.

    Sites of fewer than ``folds`` participants are left out; ``None`` means fewer than two sites remain.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    kept = [row for row in rows if row.site is not None and row.scan_id in embeddings]
    people = Counter(site for site, _ in {(row.site, row.participant_id) for row in kept})
    sites = sorted(str(site) for site, count in people.items() if count >= folds)
    kept = [row for row in kept if row.site in sites]
    if len(sites) < 2:
        return None
    label = np.array([sites.index(str(row.site)) for row in kept])
    vectors = np.array([np.asarray(embeddings[row.scan_id], dtype=float).ravel() for row in kept])
    probabilities = np.zeros((len(kept), len(sites)))
    cut = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    for train, test in cut.split(vectors, label, [row.participant_id for row in kept]):
        probabilities[test] = regression(vectors[train], vectors[test], label[train], len(sites), seed)
    named = [row.model_copy(update={"diagnosis": row.site}) for row in kept]
    return of_classes(named, probabilities, sites)
