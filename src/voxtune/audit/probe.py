"""Audit by trying: can the classes be told from the form of the texts, and the site from the pictures?"""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxtune.audit.answers import Answer
from voxtune.audit.images import Images
from voxtune.audit.permutation import told
from voxtune.audit.report import Finding, Level
from voxtune.audit.text import after_label
from voxtune.audit.tokens import Features, allowed_values, explained, features, read
from voxtune.profiles.recognise import chosen_profile
from voxtune.types.profile import Profile
from voxtune.types.records import ManifestRow, Report

WARN_AUC, REFUSE_AUC = 0.6, 0.8
LEAST_PEOPLE = 5
"""Participants a class needs for the probe."""
MOST_TOGETHER = 3
"""Most telling features that are set beside the allowed fields."""
RESAMPLES = 200
ALPHA = 0.01
"""Of all features together."""
ALPHA_IN_PAIRS = 0.002
LEAST_SHARE, LEAST_SHARE_IN_PAIRS, MOST_IN_PAIRS = 0.25, 0.35, 60
"""Of two features that tell together: share of participants on either side of their middle, least share of variance that is told, and how
many features are taken in pairs."""
MORE_THAN_ALLOWED, MORE_TOGETHER = 0.1, 0.05
"""AUC by which numbers must tell more than the allowed fields, alone or together with them, before they are warned of: a share of
the head's volume only says again what the volume says."""


def text_probe(
    rows: Sequence[ManifestRow],
    reports: Mapping[str, Report],
    seed: int = 0,
    profile: Profile | None = None,
    answers: Sequence[Answer] = (),
) -> tuple[list[Finding], str]:
    """Whether anything in the texts but the values of allowed fields tells the classes, or another answer, of held-out participants.

    Words, marks, letter case, decimals, order, length, which values are there, and every number that is no allowed field are
    tested together (``voxtune.audit.permutation``), so that the number of features makes no false alarm; after that pairs of features
    that tell together alone. What is found is weighed by its AUC in other participants (one against rest, cross-fitted, with a 95%
    interval that resamples participants), beside that of the allowed fields alone.

    Args:
        rows: of the cohort.
        reports: texts by scan_id.
        seed: of all draws.
        profile: says which fields are allowed; ``None``: recognised from the rows.
        answers: what is asked beside the diagnosis; looked at where the texts do not tell the classes.

    Returns:
        Findings, and ``done`` or why it was not done.
    """
    profile = chosen_profile(profile, rows).profile
    known = [row for row in rows if row.scan_id in reports]
    of_classes = {row.participant_id: row.diagnosis for row in reversed(known) if row.diagnosis}
    asked = [Answer("diagnosis", "the classes", of_classes), *answers] if of_classes else list(answers)
    findings: list[Finding] = []
    few = True
    for one in asked:
        if any(found.level != "note" for found in findings):
            break
        alpha = ALPHA if one.name == "diagnosis" else ALPHA / max(1, len(answers))
        found = _probe(known, reports, one, profile, alpha, seed)
        few &= found is None
        if found is not None and (found.level != "note" or one.name == "diagnosis" or len(asked) == 1):
            findings.append(found)
    state = f"needs two classes with at least {LEAST_PEOPLE} participants with reports" if few else "done"
    return findings, state


def _probe(
    rows: Sequence[ManifestRow], reports: Mapping[str, Report], answer: Answer, profile: Profile, alpha: float, seed: int
) -> Finding | None:  # fmt: skip
    """What the texts tell of one answer; ``None`` where too few participants have it."""
    rows = [row for row in rows if row.participant_id in answer.groups]
    people = {row.participant_id for row in rows}
    counts = Counter(answer.groups[person] for person in people)
    classes = sorted(name for name, count in counts.items() if count >= LEAST_PEOPLE)
    if len(classes) < 2:
        return None
    used = [row for row in rows if answer.groups[row.participant_id] in classes]
    readings = [
        read(after_label(reports[row.scan_id].text, row.diagnosis, profile), row, profile) for row in used
    ]
    fields = explained(readings, used, profile)
    seen = features(readings, fields)
    if not seen.names:
        return _probed(_NOTHING, [], "nothing but the allowed values differs between the texts", answer.said)
    labels = np.array([classes.index(answer.groups[row.participant_id]) for row in used])
    groups = np.unique([row.participant_id for row in used], return_inverse=True)[1]
    whole, first = _by_participant(seen.values, labels, groups)
    result = told(whole, first, seed)
    told_by = [
        (seen.names[i], seen.tokens[i], seen.values[:, i])
        for i in np.argsort(-result.shares, kind="stable")
        if result.p[i] <= alpha
    ]
    p = float(result.p.min())
    if not told_by:
        told_by = _told_in_pairs(seen, whole, first, groups, seed)
    allowed = _filled(
        np.array(
            [
                [allowed_values(row, profile).get(one, np.nan) for one in sorted(set(fields.values()))]
                for row in used
            ]
        )
    )
    # Features that tell in pairs alone are no columns of the texts' own.
    own = np.column_stack(
        [seen.values, *(values for name, _, values in told_by if name not in set(seen.names))]
    )
    both = np.column_stack([allowed, *(values for _, _, values in told_by[:MOST_TOGETHER])])
    weighed = _Weighed(
        *_clustered_auc(_held_out_scores(own, labels, groups, seed), labels, groups, seed),
        _plain_auc(allowed, labels, groups, seed),
        _plain_auc(both, labels, groups, seed) if told_by else 0.5,
        p,
    )
    return _probed(weighed, [(name, token) for name, token, _ in told_by], "", answer.said)


def _told_in_pairs(
    seen: Features,
    whole: NDArray[np.float64],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    seed: int,
) -> list[tuple[str, str, NDArray[np.float64]]]:
    """Pairs of features that tell the classes together and neither of them alone: ``a`` with ``left`` or ``b`` with ``right``."""
    middle = np.median(whole, axis=0)
    above = np.where((whole > middle).any(axis=0), whole > middle, whole >= middle)
    share = above.mean(axis=0)
    even = [
        int(i)
        for i in np.argsort(np.abs(share - 0.5), kind="stable")
        if LEAST_SHARE <= share[i] <= 1 - LEAST_SHARE
    ][:MOST_IN_PAIRS]
    signs = np.where(above, 1.0, -1.0)[:, even]
    _, kept = np.unique(signs * signs[:1], axis=1, return_index=True)  # 'a' and 'not b' are one
    places = [(i, j) for at, j in enumerate(sorted(kept)) for i in sorted(kept)[:at]]
    if not places:
        return []
    products = np.stack([signs[:, i] * signs[:, j] for i, j in places], axis=1)
    result = told(products, labels, seed)
    best = int(np.argmax(result.shares))
    if result.p[best] > ALPHA_IN_PAIRS or result.shares[best] < LEAST_SHARE_IN_PAIRS:
        return []
    i, j = (even[place] for place in places[best])
    name = f"{seen.names[i]} together with {seen.names[j]}"
    return [(name, seen.tokens[i], products[groups, best]), (name, seen.tokens[j], products[groups, best])]


@dataclass(frozen=True)
class _Weighed:
    """How well the texts' form tells, in other participants."""

    value: float
    low: float
    high: float
    allowed: float
    """AUC of the allowed fields alone."""
    together: float
    """AUC of the allowed fields with what is told beside them."""
    p: float


_NOTHING = _Weighed(0.5, 0.5, 0.5, 0.5, 0.5, 1.0)


def _by_participant(
    values: NDArray[np.float64], labels: NDArray[np.int64], groups: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Means of each participant's texts, and the class of the first."""
    counts = np.bincount(groups)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, groups, values)
    return sums / counts[:, None], labels[np.unique(groups, return_index=True)[1]]


def _probed(weighed: _Weighed, telling: Sequence[tuple[str, str]], why: str, said: str) -> Finding:
    numbers_alone = all(name.startswith(("number", "'number")) for name, _ in telling)
    level: Level = "note"
    again = (
        weighed.value < weighed.allowed + MORE_THAN_ALLOWED
        and weighed.together < weighed.allowed + MORE_TOGETHER
    )
    if telling and not (numbers_alone and again):
        strong = weighed.value > REFUSE_AUC and weighed.low > WARN_AUC
        level = "refuse" if strong else "warn"
    names = list(dict.fromkeys(name for name, _ in telling))
    listed = ", ".join(names[:4])
    message = (
        f"What the reports hold beside the label sentence and the allowed values tells {said} of other participants with AUC "
        f"{weighed.value:.2f} (95% interval {weighed.low:.2f} to {weighed.high:.2f}; the allowed values alone {weighed.allowed:.2f}; "
        f"p {weighed.p:.3f} over all features){': ' + why if why else ''}."
    )
    if telling:
        message += f" It is told by numbers or words that depend on the class: {listed}"
        message += f" and {len(names) - 4} more" if len(names) > 4 else ""
        message += " (# is any number)." if "#" in listed else "."
    if level != "note":
        message += " Use one wording for all, and no number that is made from the diagnosis."
    figures = {
        "auc": weighed.value, "low": weighed.low, "high": weighed.high, "allowed_auc": weighed.allowed, "together_auc": weighed.together,
        "p": weighed.p,
    }  # fmt: skip
    tokens = tuple(dict.fromkeys(token for _, token in telling[:12] if token))
    return Finding(check="text_probe", level=level, message=message, figures=figures, tokens=tokens)


def _held_out_scores(
    values: NDArray[np.float64], labels: NDArray[np.int64], groups: NDArray[np.int64], seed: int
) -> NDArray[np.float64]:
    """Probabilities of each class in folds of other participants; the features are chosen inside each fold."""
    from sklearn.feature_selection import SelectKBest, f_classif
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scores = np.full((len(values), int(labels.max()) + 1), 1 / (int(labels.max()) + 1))
    folds = StratifiedGroupKFold(min(5, LEAST_PEOPLE), shuffle=True, random_state=seed)
    for train, test in folds.split(values, labels, groups):
        varied = np.flatnonzero(np.ptp(values[train], axis=0) > 0)
        if len(set(labels[train])) < 2 or not len(varied):
            continue
        model = make_pipeline(
            SelectKBest(f_classif, k=min(20, len(varied))),
            StandardScaler(),
            LogisticRegression(class_weight="balanced", max_iter=500),
        )
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # a feature that is constant within classes divides by zero, and is the best there is
            model.fit(values[np.ix_(train, varied)], labels[train])
        scores[np.ix_(test, model.classes_)] = model.predict_proba(values[np.ix_(test, varied)])
    return scores


def _filled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The allowed fields that hold any value; a missing value is the middle one."""
    values = values[:, np.isfinite(values).any(axis=0)]
    return np.where(np.isfinite(values), values, np.nanmedian(values, axis=0)) if values.size else values


def _plain_auc(
    values: NDArray[np.float64], labels: NDArray[np.int64], groups: NDArray[np.int64], seed: int
) -> float:
    """What some columns tell of other participants."""
    return _macro_auc(_held_out_scores(values, labels, groups, seed), labels) if values.size else 0.5


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
        PCA(min(20, len(places) // 2, pictures.shape[1]), svd_solver="randomized", random_state=seed),
        StandardScaler(),
        LogisticRegression(max_iter=500),
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
