"""Embeddings of several sites brought onto one scale: a shift and a stretch for each site, refused where site and diagnosis go together.

After ComBat (Johnson et al. 2007; of images Fortin et al. 2018): what a site does to each feature is estimated together with what the
classes do, and its stretch is drawn towards that of all features, because sites are small. What is applied is the same affine for every scan of a
site and never looks at the scan's own label, so that no label leaks into a probe that is fitted afterwards. The scale is that of the sites
whose diagnoses are known; a site without any is brought onto it by its scans alone, as if its mix of classes were theirs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from voxtune.errors import DataError
from voxtune.evaluation.site_probe import site_probe
from voxtune.evaluation.weighted_metrics import Floats, Integers
from voxtune.types.records import ManifestRow

FEWEST = 10
"""Participants of a site below whom its shift is not known."""
FEWEST_LABELLED = 20
"""Participants with a diagnosis below whom it cannot be tested whether site and diagnosis go together."""
DRAWS = 1999
LEVEL = 0.05


@dataclass(frozen=True)
class SiteMap:
    """What brings the scans of a site onto the common scale: (x - away) / stretch around the common mean, feature by feature."""

    mean: Floats
    """Of the common scale (F,)."""
    shift: Floats
    """Of the site's mean from it (F,)."""
    stretch: Floats
    """Of the site's spread over the common one (F,)."""

    def __call__(self, vectors: ArrayLike) -> Floats:
        """Vectors (n, F) on the common scale."""
        away = np.asarray(vectors, dtype=float) - self.mean - self.shift
        return self.mean + away / self.stretch


@dataclass(frozen=True)
class Harmonised:
    """Embeddings on one scale, and what was done."""

    vectors: Floats
    """(n, F), each of unit length."""
    facts: dict[str, Any]

    @property
    def sentence(self) -> str:
        """For people."""
        return str(self.facts["sentence"])


def harmonise(
    vectors: ArrayLike, rows: Sequence[ManifestRow], column: str = "site", seed: int = 0
) -> Harmonised:
    """Bring the embeddings of all scans onto one scale.

    Args:
        vectors: (n, F).
        rows: of the manifest (n,).
        column: that names the site of a scan.
        seed: of the draws.

    Raises:
        DataError: a scan without a site, fewer than two sites, a site of fewer than 10 participants, too few diagnoses to test, or site and
            diagnosis go together.
    """
    found = np.asarray(vectors, dtype=float)
    sites, p, association = check_sites(rows, column, seed)
    maps = fit_maps(found, rows, sites)
    after = np.concatenate([maps[site](one[None]) for site, one in zip(sites, found, strict=True)])
    after /= np.maximum(np.linalg.norm(after, axis=1, keepdims=True), 1e-12)
    unlabelled = sorted(set(sites) - _labelled_sites(rows, sites))
    facts: dict[str, Any] = {
        "column": column,
        "sites": {
            site: len({row.participant_id for row, one in zip(rows, sites, strict=True) if one == site})
            for site in sorted(set(sites))
        },
        "without_diagnosis": unlabelled,
        "site_and_diagnosis": {"p": p, "cramers_v": association},
        "readable": {
            "site": _readable(rows, sites, found, after, seed),
            "diagnosis": _readable(rows, [row.diagnosis for row in rows], found, after, seed),
        },
    }
    return Harmonised(after, facts | {"sentence": _sentence(facts)})


def check_sites(rows: Sequence[ManifestRow], column: str, seed: int = 0) -> tuple[list[str], float, float]:
    """The site of each scan, and how it goes with the diagnosis: p and Cramér's V.

    Raises:
        DataError: see :func:`harmonise`.
    """
    sites = _sites(rows, column)
    p, association = site_and_class(rows, sites, seed)
    if p <= LEVEL:
        raise DataError(
            f"'{column}' and diagnosis go together (Cramér's V {association:.2f}, p {p:.3f} by permutation of participants): taking out the one "
            "would take out the other. Harmonise scans whose classes are spread alike over sites, or leave --harmonise out."
        )
    return sites, p, association


def site_and_class(rows: Sequence[ManifestRow], sites: Sequence[str], seed: int = 0) -> tuple[float, float]:
    """Whether site and diagnosis go together over participants: p by permutation, and Cramér's V.

    Raises:
        DataError: too few participants with a diagnosis, or one class, to test it.
    """
    people: dict[str, tuple[str, str]] = {}
    for row, site in zip(rows, sites, strict=True):
        if row.diagnosis is not None:
            people.setdefault(row.participant_id, (site, row.diagnosis))
    classes = sorted({label for _, label in people.values()})
    if len(people) < FEWEST_LABELLED or len(classes) < 2:
        raise DataError(
            f"Whether site and diagnosis go together cannot be tested: {len(people)} participants of {len(classes)} classes have a diagnosis; at "
            f"least {FEWEST_LABELLED} of two classes are needed. Without that test nothing is harmonised."
        )
    names = sorted({site for site, _ in people.values()})
    if len(names) < 2:
        return 1.0, 0.0  # one site has diagnoses: they cannot differ between sites
    place = np.array([names.index(one) for one, _ in people.values()])
    label = np.array([classes.index(one) for _, one in people.values()])
    rng = np.random.default_rng(seed)
    own = _chi_squared(place, label)
    drawn = np.array([_chi_squared(place, rng.permutation(label)) for _ in range(DRAWS)])
    p = float((1 + (drawn >= own - 1e-9).sum()) / (DRAWS + 1))
    return p, float(np.sqrt(own / len(people) / (min(len(names), len(classes)) - 1)))


def _chi_squared(site: Integers, label: Integers) -> float:
    table = np.zeros((site.max() + 1, label.max() + 1))
    np.add.at(table, (site, label), 1)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    return float(((table - expected) ** 2 / np.maximum(expected, 1e-12)).sum())


def fit_maps(vectors: Floats, rows: Sequence[ManifestRow], sites: Sequence[str]) -> dict[str, SiteMap]:
    """The map of each site; a participant weighs the same, however many scans."""
    people = [row.participant_id for row in rows]
    counts = {name: people.count(name) for name in set(people)}
    weight = np.array([1 / counts[name] for name in people])
    labels = [row.diagnosis for row in rows]
    classes = sorted({one for one in labels if one is not None})
    known = np.array([one is not None for one in labels])
    labelled = sorted(_labelled_sites(rows, sites))
    in_site = np.array([[one == site for site in labelled] for one in sites], dtype=float)
    in_class = np.array([[one == name for name in classes] for one in labels], dtype=float)
    # Sites and classes together, each class against the mix of all: a site with more patients is not shifted by that.
    mix = (weight[known, None] * in_class[known]).sum(axis=0) / weight[known].sum()
    columns = np.concatenate([in_site, (in_class - mix)[:, 1:]], axis=1)[known]
    root = np.sqrt(weight[known])[:, None]
    effects, *_ = np.linalg.lstsq(root * columns, root * vectors[known], rcond=None)
    of_site, of_class = effects[: len(labelled)], effects[len(labelled) :]
    shares = (weight[known, None] * in_site[known]).sum(axis=0) / weight[known].sum()
    mean = shares @ of_site
    within = vectors[known] - columns @ effects
    spread = np.sqrt((weight[known, None] * within**2).sum(axis=0) / weight[known].sum() + 1e-24)
    centred = (in_class - mix)[known][:, 1:] @ of_class
    total = np.sqrt(spread**2 + (weight[known, None] * centred**2).sum(axis=0) / weight[known].sum())
    maps = {}
    for site in sorted(set(sites)):
        mine = np.array([one == site for one in sites])
        if site in labelled:
            rest, scale = (vectors - mean - (in_class - mix)[:, 1:] @ of_class)[mine & known], spread
            own = weight[mine & known]
        else:
            rest, scale, own = (vectors - mean)[mine], total, weight[mine]
        shift, stretch = _shrunken(rest / scale, own)
        maps[site] = SiteMap(mean, shift * scale, stretch)
    return maps


def _shrunken(values: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Shift and stretch of each feature (F,), the stretch drawn towards that of all features (the empirical Bayes of ComBat).

    The shift is the site's own mean: features go together, and what a drawn shift leaves of each adds up to a site that is read as before.

    Args:
        values: standardised (n, F).
        weight: of each scan; they sum to the number of participants.
    """
    people = weight.sum()
    shift = (weight[:, None] * values).sum(axis=0) / people
    squares = (weight[:, None] * (values - shift) ** 2).sum(axis=0)
    variance = squares / max(people - 1, 1)
    middle, scatter = variance.mean(), max(float(variance.var()), 1e-12)
    shape, scale = 2 + middle**2 / scatter, middle + middle**3 / scatter
    drawn = (scale + squares / 2) / ((people - 1) / 2 + shape - 1)
    return shift, np.sqrt(np.maximum(drawn, 1e-6))


def _sites(rows: Sequence[ManifestRow], column: str) -> list[str]:
    """The site of each scan.

    Raises:
        DataError: a scan without one, fewer than two, or one of too few participants.
    """
    values = [getattr(row, column, None) for row in rows]
    if missing := [row.scan_id for row, value in zip(rows, values, strict=True) if value in {None, ""}]:
        raise DataError(
            f"{len(missing)} of {len(rows)} scans have no '{column}', first '{missing[0]}': each scan needs its site to be harmonised."
        )
    sites = [str(value) for value in values]
    people = {
        site: {row.participant_id for row, one in zip(rows, sites, strict=True) if one == site}
        for site in sites
    }
    if len(people) < 2:
        raise DataError(f"All scans have the same '{column}': there is nothing to harmonise.")
    if few := {site: len(some) for site, some in people.items() if len(some) < FEWEST}:
        listed = ", ".join(f"'{site}' {count}" for site, count in sorted(few.items()))
        raise DataError(
            f"Participants by '{column}': {listed}; at least {FEWEST} are needed to know what a site does to its scans. Leave these scans out."
        )
    return sites


def _labelled_sites(rows: Sequence[ManifestRow], sites: Sequence[str]) -> set[str]:
    return {site for row, site in zip(rows, sites, strict=True) if row.diagnosis is not None}


def _readable(
    rows: Sequence[ManifestRow],
    labels: Sequence[str | None],
    before: Floats,
    after: Floats,
    seed: int,
) -> dict[str, float] | None:
    """How well a linear classifier, cross-validated by participant, reads labels before and after, and what guessing gives."""
    asked = [row.model_copy(update={"site": label}) for row, label in zip(rows, labels, strict=True)]
    shares: dict[str, float] = {}
    for name, vectors in (("before", before), ("after", after)):
        found = site_probe(asked, _by_scan(rows, vectors), seed)
        if found is None:
            return None
        shares[name] = float((found.predicted == found.true).mean())
        shares["largest"] = float(found.truth.mean(axis=0).max())
    return shares


def _by_scan(rows: Sequence[ManifestRow], vectors: Floats) -> Mapping[str, NDArray[np.floating[Any]]]:
    return {row.scan_id: one for row, one in zip(rows, vectors, strict=True)}


def _sentence(facts: Mapping[str, Any]) -> str:
    def said(what: str, shares: Mapping[str, float] | None) -> str:
        if shares is None:
            return f"{what} cannot be read for want of people"
        return f"{what} is read right in {shares['before']:.0%} before and {shares['after']:.0%} after (always the largest: {shares['largest']:.0%})"

    parts = [
        said(facts["column"], facts["readable"]["site"]),
        said("diagnosis", facts["readable"]["diagnosis"]),
    ]
    assumed = (
        f" Without any diagnosis, and so taken to have the same mix of classes, which cannot be checked: {', '.join(facts['without_diagnosis'])}."
        if facts["without_diagnosis"]
        else ""
    )
    return f"Harmonised over {len(facts['sites'])} values of '{facts['column']}': {parts[0]}; {parts[1]}.{assumed}"
