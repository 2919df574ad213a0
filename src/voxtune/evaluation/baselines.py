"""What a model must beat: guesses that see no image, or only simple numbers taken from it.

Everything (means, scales, words, weights) is fitted on the training rows only.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from voxtune.cohorts.labels import parse_rule
from voxtune.cohorts.table import plain
from voxtune.errors import DataError, SettingError
from voxtune.evaluation.metrics import headline_scores
from voxtune.evaluation.weighted_metrics import Floats
from voxtune.profiles.plausible import number
from voxtune.profiles.recognise import chosen_profile
from voxtune.reports.policy import opened
from voxtune.reports.wording import BUILT_IN, load_template, write_report
from voxtune.types.profile import Profile
from voxtune.types.profile import plain as column_name
from voxtune.types.records import ManifestRow, Metric, Prediction, Report

BASELINES: tuple[str, ...] = ("majority", "age_sex", "mmse", "volumes", "text", "linear_probe")
"""Every baseline that is fitted, by its name; one whose inputs no training row or no scored row has is left out of the answer."""

FOLDS = 5
"""Of participants, where baselines are fitted on the scored cohort itself."""

_SAID = {"age_sex": "an age or sex", "mmse": "an MMSE", "volumes": "volumes"}


def run_baselines(
    train_rows: Iterable[ManifestRow],
    test_rows: Iterable[ManifestRow],
    classes: Sequence[str],
    reports: Mapping[str, Report] | None = None,
    embeddings: Mapping[str, NDArray[np.floating]] | None = None,
    seed: int = 0,
    profile: Profile | None = None,
) -> dict[str, list[Prediction]]:
    """The predictions of every baseline that the data allow, for all test rows in their order.

    ``majority``: the share of each class in training. ``age_sex``, ``mmse``, ``volumes`` (the regions of the profile):
    logistic regression on standardised columns; a missing value is the training mean, and whether it is missing is never an input.
    ``text``: TF-IDF of the report without the names of the classes. ``linear_probe``: logistic regression on the
    frozen backbone's image embeddings.

    Args:
        train_rows: rows with a diagnosis outside ``classes`` are left out.
        test_rows: their diagnosis is copied into the predictions and never looked at.
        classes: the order of the probabilities.
        reports: by scan_id; without them no ``text``.
        embeddings: by scan_id, all of one length; without them no ``linear_probe``.
        seed: of the solvers.
        profile: names the regions; ``None``: recognised from the training rows.

    Raises:
        DataError: no training row has one of the classes, or a scan has no embedding while others do.
    """
    train = [row for row in train_rows if row.diagnosis in classes]
    test = list(test_rows)
    if not train:
        raise DataError(f"Baselines: no training row has a diagnosis among {', '.join(classes)}.")
    label = np.array([classes.index(str(row.diagnosis)) for row in train])
    share = np.bincount(label, minlength=len(classes)) / len(label)
    found = {"majority": np.tile(share, (len(test), 1))}
    inputs = {name: _columns(train, test, columns) for name, columns in columns_of(train, profile).items()}
    inputs["text"] = _words(train, test, classes, reports or {})
    inputs["linear_probe"] = _vectors(train, test, embeddings or {})
    if test and len(np.unique(label)) > 1:
        for name, pair in inputs.items():
            if pair is not None:
                found[name] = regression(*pair, label, len(classes), seed)
    return {name: named_predictions(test, found[name], classes) for name in BASELINES if name in found}


def cross_fitted_baselines(
    rows: Sequence[ManifestRow],
    classes: Sequence[str],
    reports: Mapping[str, Report] | None = None,
    embeddings: Mapping[str, NDArray[np.floating]] | None = None,
    seed: int = 0,
    profile: Profile | None = None,
) -> dict[str, list[Prediction]]:
    """The baselines where no training rows are at hand: each scan is predicted by a fit on other participants of its own cohort.

    At most five folds by participant; empty where a class has fewer than two participants.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    people = {name: {row.participant_id for row in rows if row.diagnosis == name} for name in classes}
    fewest = min((len(some) for some in people.values() if some), default=0)
    if fewest < 2 or sum(bool(some) for some in people.values()) < 2:
        return {}
    profile = chosen_profile(profile, rows).profile
    folds = StratifiedGroupKFold(n_splits=min(FOLDS, fewest), shuffle=True, random_state=seed)
    labels, owners = [str(row.diagnosis) for row in rows], [row.participant_id for row in rows]
    parts: list[dict[str, list[Prediction]]] = [
        run_baselines(
            [rows[n] for n in train], [rows[n] for n in test], classes, reports, embeddings, seed, profile
        )
        for train, test in folds.split(np.zeros((len(rows), 1)), labels, owners)
        if len(test)
    ]
    order = {row.scan_id: number for number, row in enumerate(rows)}
    return {
        name: sorted((one for part in parts for one in part[name]), key=lambda one: order[one.scan_id])
        for name in BASELINES
        if all(name in part for part in parts)
    }


def columns_of(rows: Sequence[ManifestRow], profile: Profile | None = None) -> dict[str, tuple[str, ...]]:
    """The columns of each baseline that looks at the table; ``volumes`` are the regions of the profile."""
    return {
        "age_sex": ("age", "sex"),
        "mmse": ("mmse",),
        "volumes": tuple(chosen_profile(profile, rows).profile.regions),
    }


def baseline_notes(
    train_rows: Sequence[ManifestRow], test_rows: Sequence[ManifestRow], profile: Profile | None = None
) -> dict[str, str]:
    """What a reader must know of the inputs of a baseline, by its name: absent, filled in, or what the label is made from."""
    profile = chosen_profile(profile, train_rows).profile
    sides = {"training": train_rows, "scored": test_rows}
    used = label_columns([*train_rows, *test_rows])
    notes = {}
    for name, columns in columns_of(train_rows, profile).items():
        if not columns:
            notes[name] = f"profile '{profile.name}' names no region"
            continue
        known = {side: np.isfinite(_numbers(rows, columns)) for side, rows in sides.items()}
        measured = known["training"].any(axis=0)
        if side := next((side for side, cells in known.items() if not cells[:, measured].any()), None):
            notes[name] = f"no {side} scan has {_SAID[name]}"
            continue
        said = []
        if extra := [
            column for column in np.array(columns)[measured] if column not in ManifestRow.model_fields
        ]:
            said.append(f"{' and '.join(extra)} among its columns")
        if own := [column for column in columns if column in used]:
            said.append(f"the label is made from {' and '.join(own)}")
        gaps = {side: int((~cells[:, measured]).any(axis=1).sum()) for side, cells in known.items()}
        if any(gaps.values()):
            counts = ", ".join(f"{gaps[side]} of {len(rows)} {side}" for side, rows in sides.items())
            said.append(f"training mean where missing: {counts} scans")
        if said:
            notes[name] = "; ".join(said)
    return notes


def label_columns(rows: Sequence[ManifestRow]) -> set[str]:
    """The columns of a manifest that a rule makes the label from, as far as ``diagnosis_rule`` says."""
    found = set()
    for rule in {row.diagnosis_rule or "" for row in rows}:
        kind, _, text = rule.partition(": ")
        with suppress(SettingError):
            found |= {plain(one) for one in parse_rule(text).columns} if kind == "rule" else set()
    extra = {column_name(name) for row in rows for name in (row.model_extra or {})}
    return {name for name in (*ManifestRow.model_fields, *extra) if plain(name) in found}


def unlabelled_texts(
    rows: Sequence[ManifestRow],
    template: str | None,
    profile: Profile | None = None,
    fields: Sequence[str] = (),
) -> dict[str, Report]:
    """The reports without their label sentence, by scan_id; a row with nothing else to say has none.

    Args:
        rows: of a manifest.
        template: name of a shipped template; any other is replaced by the profile's, since its label sentence is not known.
        profile: of the cohort; ``None``: recognised.
        fields: columns opened by name.
    """
    profile = chosen_profile(profile, rows, template).profile
    policy = opened(fields, profile, rows)
    name = template if template in BUILT_IN else profile.template
    wording = load_template(str(name), profile, policy)
    found = {}
    for row in rows:
        with suppress(DataError):
            found[row.scan_id] = write_report(row, wording, label=False, policy=policy, profile=profile)
    return found


def score_baselines(
    baselines: Mapping[str, Sequence[Prediction]],
    classes: Sequence[str],
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, dict[str, Metric]]:
    """Accuracy, balanced accuracy and AUROC of each baseline, by its name."""
    return {
        name: headline_scores(predictions, classes, resamples=resamples, seed=seed)
        for name, predictions in baselines.items()
    }


def named_predictions(
    test: Sequence[ManifestRow], probabilities: Floats, classes: Sequence[str]
) -> list[Prediction]:
    """Rows and their probabilities (n, k) as predictions; a diagnosis outside the classes is not scored."""
    return [
        Prediction(
            scan_id=row.scan_id,
            participant_id=row.participant_id,
            diagnosis=row.diagnosis if row.diagnosis in classes else None,
            predicted=classes[int(some.argmax())],
            probabilities=dict(zip(classes, some.tolist(), strict=True)),
        )
        for row, some in zip(test, probabilities, strict=True)
    ]


def regression(train: Floats, test: Floats, label: NDArray[np.int64], classes: int, seed: int) -> Floats:
    """Logistic regression with L2 (C = 1) on standardised columns: probabilities of the test rows (n, k).

    Needs two classes or more among the labels.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, random_state=seed))
    model.fit(train, label)
    probabilities = np.zeros((len(test), classes))
    probabilities[:, model.classes_] = model.predict_proba(test)
    return probabilities


# --------------------------------------------------------------------------------------------- the inputs
def _columns(
    train: Sequence[ManifestRow], test: Sequence[ManifestRow], columns: Sequence[str]
) -> tuple[Floats, Floats] | None:
    """Numbers of the rows (n, columns) with missing ones filled; ``None`` where either side has none at all."""
    known, new = _numbers(train, columns), _numbers(test, columns)
    measured = np.isfinite(known).any(axis=0)
    known, new = known[:, measured], new[:, measured]
    if not np.isfinite(new).any():
        return None
    mean = np.nanmean(known, axis=0)
    return np.where(np.isnan(known), mean, known), np.where(np.isnan(new), mean, new)


def _numbers(rows: Sequence[ManifestRow], columns: Sequence[str]) -> Floats:
    """The cells as numbers (n, columns), NaN where missing."""
    sexes = {"F": 0.0, "M": 1.0}
    values = []
    for row in rows:
        extra = {column_name(name): value for name, value in (row.model_extra or {}).items()}
        cells = [
            getattr(row, name) if name in ManifestRow.model_fields else extra.get(name) for name in columns
        ]
        known = [sexes[one] if one in sexes else number(one) for one in cells]
        values.append([np.nan if one is None else one for one in known])
    return np.array(values, dtype=float).reshape(len(rows), len(columns))


def _words(
    train: Sequence[ManifestRow],
    test: Sequence[ManifestRow],
    classes: Sequence[str],
    reports: Mapping[str, Report],
) -> tuple[Floats, Floats] | None:
    """TF-IDF of the reports; the names of the classes are cut out, because a training text states the diagnosis."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    names = re.compile(rf"\b({'|'.join(re.escape(name) for name in classes)})\b", re.IGNORECASE)

    def texts(rows: Sequence[ManifestRow]) -> list[str]:
        return [names.sub(" ", reports[row.scan_id].text) if row.scan_id in reports else "" for row in rows]

    if not any(texts(test)):
        return None
    words = TfidfVectorizer(ngram_range=(1, 2), max_features=5000)
    try:
        known = words.fit_transform(texts(train))
    except ValueError:  # no word in any text
        return None
    return known.toarray(), words.transform(texts(test)).toarray()


def _vectors(
    train: Sequence[ManifestRow], test: Sequence[ManifestRow], embeddings: Mapping[str, NDArray[np.floating]]
) -> tuple[Floats, Floats] | None:
    if not embeddings:
        return None
    without = [row.scan_id for row in (*train, *test) if row.scan_id not in embeddings]
    if without:
        raise DataError(f"Baselines: {len(without)} scans have no embedding, the first is '{without[0]}'.")
    known, new = (
        np.array([np.asarray(embeddings[row.scan_id], dtype=float).ravel() for row in rows])
        for rows in (train, test)
    )
    return known, new
