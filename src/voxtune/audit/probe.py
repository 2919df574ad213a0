"""Audit by trying: can the classes be told from words alone, and do random labels cross the split?"""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from voxtune.audit.images import Images
from voxtune.audit.report import Finding
from voxtune.audit.text import body
from voxtune.types.profile import Profile
from voxtune.types.records import ManifestRow, Report

WARN_AUC, REFUSE_AUC = 0.6, 0.8
LEAST_PEOPLE = 5
"""Participants a class needs for the probe."""
RESAMPLES = 200
_WORD = r"(?u)\b\w+\b|#"


def text_probe(
    rows: Sequence[ManifestRow], reports: Mapping[str, Report], seed: int = 0, profile: Profile | None = None
) -> tuple[list[Finding], str]:
    """How well word counts of the reports tell the classes, label sentence and digits aside, in held-out participants.

    Numbers are masked because measured volumes are the supervision; what must not tell the class is the wording.
    AUC is one-against-rest, averaged over classes, with a 95% interval that resamples participants.

    Returns:
        Findings, and ``done`` or why it was not done.
    """
    known = [row for row in rows if row.scan_id in reports and row.diagnosis]
    people = {
        name: {row.participant_id for row in known if row.diagnosis == name}
        for name in {row.diagnosis for row in known}
    }
    classes = sorted(str(name) for name, own in people.items() if len(own) >= LEAST_PEOPLE)
    if len(classes) < 2:
        return [], f"needs two classes with at least {LEAST_PEOPLE} participants with reports"
    used = [row for row in known if row.diagnosis in classes]
    texts = [
        re.sub(r"\d+(?:\.\d+)?", "#", body(reports[row.scan_id].text, row.diagnosis, profile)) for row in used
    ]
    if len(set(texts)) == 1:
        return [_probed(0.5, 0.5, 0.5, "the texts have the same words for every scan")], "done"
    labels = np.array([classes.index(str(row.diagnosis)) for row in used])
    groups = np.unique([row.participant_id for row in used], return_inverse=True)[1]
    scores = _held_out_scores(texts, labels, groups, seed)
    value, low, high = _clustered_auc(scores, labels, groups, seed)
    return [_probed(value, low, high, "")], "done"


def _probed(value: float, low: float, high: float, why: str) -> Finding:
    level = (
        "refuse"
        if value > REFUSE_AUC and low > WARN_AUC
        else "warn"
        if value > WARN_AUC and low > 0.5
        else "note"
    )
    advice = " The wording depends on the class; use one template for all." if level != "note" else ""
    message = (
        f"Words of the reports alone (numbers and label sentence aside) tell the classes of other participants with AUC "
        f"{value:.2f} (95% interval {low:.2f} to {high:.2f}){': ' + why if why else ''}.{advice}"
    )
    figures = {"auc": value, "low": low, "high": high}
    return Finding(check="text_probe", level=level, message=message, figures=figures)


def _held_out_scores(
    texts: Sequence[str], labels: NDArray[np.int64], groups: NDArray[np.int64], seed: int
) -> NDArray[np.float64]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline

    scores = np.zeros((len(texts), int(labels.max()) + 1))
    folds = StratifiedGroupKFold(min(5, LEAST_PEOPLE), shuffle=True, random_state=seed)
    for train, test in folds.split(np.zeros(len(texts)), labels, groups):
        words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=_WORD)
        model = make_pipeline(words, LogisticRegression(C=10.0, class_weight="balanced", max_iter=500))
        if len(set(labels[train])) < 2 or not any(re.search(_WORD, texts[i]) for i in train):
            continue
        model.fit([texts[i] for i in train], labels[train])
        scores[np.ix_(test, model.classes_)] = model.predict_proba([texts[i] for i in test])
    return scores


def _clustered_auc(
    scores: NDArray[np.float64], labels: NDArray[np.int64], groups: NDArray[np.int64], seed: int
) -> tuple[float, float, float]:
    members = [np.flatnonzero(groups == group) for group in range(int(groups.max()) + 1)]
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(RESAMPLES):
        places = np.concatenate([members[i] for i in generator.integers(0, len(members), len(members))])
        drawn.append(_macro_auc(scores[places], labels[places]))
    low, high = np.nanquantile(drawn, [0.025, 0.975]) if np.isfinite(drawn).any() else (0.0, 1.0)
    return _macro_auc(scores, labels), float(low), float(high)


def _macro_auc(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Mean over classes of the area under the one-against-rest curve (Mann-Whitney, ties count half)."""
    from scipy.stats import rankdata

    areas = []
    for name in range(scores.shape[1]):
        mine = labels == name
        positives, negatives = int(mine.sum()), int((~mine).sum())
        if positives and negatives:
            ranks = rankdata(scores[:, name])
            areas.append((ranks[mine].sum() - positives * (positives + 1) / 2) / (positives * negatives))
    return float(np.mean(areas)) if areas else float("nan")


def site_probe(images: Images, rows: Sequence[ManifestRow], column: str, seed: int = 0) -> Finding | None:
    """How well pictures tell a site or scanner in held-out participants; ``None`` where there is nothing to tell."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    values = {row.scan_id: getattr(row, column) for row in rows}
    people: dict[str, set[str]] = {}
    for scan, person in zip(images.scan_ids, images.participants, strict=True):
        if values.get(scan) is not None:
            people.setdefault(str(values[scan]), set()).add(person)
    kept = {value for value, own in people.items() if len(own) >= LEAST_PEOPLE}
    places = [i for i, scan in enumerate(images.scan_ids) if str(values.get(scan)) in kept]
    if len(kept) < 2:
        return None
    truth = np.array([str(values[images.scan_ids[i]]) for i in places])
    groups = np.array([images.participants[i] for i in places])
    pictures = images.vectors["body"][places].astype(np.float32)
    model = make_pipeline(
        PCA(min(20, len(places) // 2), svd_solver="randomized", random_state=seed), StandardScaler(), LogisticRegression(max_iter=500)
    )
    folds = StratifiedGroupKFold(min(5, LEAST_PEOPLE), shuffle=True, random_state=seed)
    told = cross_val_predict(model, pictures, truth, cv=folds, groups=groups)
    accuracy, chance = float(balanced_accuracy_score(truth, told)), 1 / len(kept)
    message = f"Small pictures of the scans tell {column} with balanced accuracy {accuracy:.2f} (chance {chance:.2f}, other participants)."
    return Finding(
        check="shortcut",
        level="note",
        message=message,
        figures={"balanced_accuracy": accuracy, "chance": chance},
    )
