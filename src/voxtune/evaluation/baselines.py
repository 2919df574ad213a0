"""What a model must beat: guesses that see no image, or only simple numbers taken from it.

Everything (means, scales, words, weights) is fitted on the training rows only.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from voxtune.cohorts.labels import parse_rule
from voxtune.cohorts.table import plain
from voxtune.errors import DataError, SettingError
from voxtune.evaluation.baseline_answers import Answer
from voxtune.evaluation.predictions import Predictions, stacked
from voxtune.evaluation.weighted_metrics import Floats, ratio
from voxtune.profiles.plausible import number
from voxtune.profiles.recognise import chosen_profile
from voxtune.reports.norms import FittedNorms
from voxtune.reports.policy import opened
from voxtune.reports.wording import asks_norms, known_template, load_template, write_report
from voxtune.types.profile import Profile
from voxtune.types.profile import plain as column_name
from voxtune.types.records import ManifestRow, Report

BASELINES: tuple[str, ...] = ("majority", "age_sex", "mmse", "volumes", "text", "linear_probe")
"""Every baseline that is fitted, by its name; one whose inputs no training row or no scored row has is left out of the answer."""

FOLDS = 5
"""Of participants, where baselines are fitted on the scored cohort itself."""

_SAID = {"age_sex": "an age or sex", "mmse": "an MMSE", "volumes": "volumes"}


@dataclass(frozen=True)
class Inputs:
    """What baselines are given beside the manifest."""

    reports: Mapping[str, Report] = field(default_factory=dict)
    """Texts without their label sentence, by scan_id; without them no ``text``."""
    embeddings: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)
    """Of the frozen base by scan_id, all of one length; without them no ``linear_probe``."""
    seed: int = 0
    """Of the solvers."""
    profile: Profile | None = None
    """Names the regions of ``volumes``; ``None``: recognised from the training rows."""


def run_baselines(
    answer: Answer, train: Sequence[ManifestRow], test: Sequence[ManifestRow], inputs: Inputs
) -> dict[str, Predictions]:
    """The answers of every baseline that the data allow, for all test rows in their order.

    ``majority``: the share of each class or finding in training, the mean of each target. ``age_sex``, ``mmse``, ``volumes`` (the
    regions of the profile): regression on standardised columns; a missing value is the training mean, and whether it is missing is never an input. ``text``: TF-IDF of the
    report without the names of the classes. ``linear_probe``: regression on the frozen backbone's image embeddings. Of classes and
    findings the regression is logistic, of targets linear (ridge); a column that is a target itself is no input.

    Args:
        answer: what is asked for: how truth is read from rows, and how numbers become a table.
        train: rows of which nothing is known are left out.
        test: what is known of them is copied into the tables and never looked at.
        inputs: texts, embeddings, seed.

    Raises:
        DataError: nothing is known of any training row, or a scan has no embedding while others do.
    """
    known = answer.truth(train)
    usable = np.asarray(np.isfinite(known).any(axis=1))
    if not usable.any():
        raise DataError(f"Baselines: no training row has a {answer.lacks}.")
    train, known = [row for row, yes in zip(train, usable, strict=True) if yes], known[usable]
    mean = ratio(np.nansum(known, axis=0), np.isfinite(known).sum(axis=0))
    found = {"majority": np.tile(mean, (len(test), 1))}
    named: dict[str, tuple[Floats, Floats] | None] = {
        name: _columns(train, test, columns)
        for name, columns in input_columns(answer, train, inputs.profile).items()
    }
    named["text"] = _words(train, test, answer.names, inputs.reports)
    named["linear_probe"] = _vectors(train, test, inputs.embeddings)
    if test and answer.varies(known):
        for name, pair in named.items():
            if pair is not None:
                found[name] = answer.fit(*pair, known, inputs.seed)
    return {name: answer.table(test, found[name]) for name in BASELINES if name in found}


def cross_fitted_baselines(
    answer: Answer, rows: Sequence[ManifestRow], inputs: Inputs
) -> dict[str, Predictions]:
    """The baselines where no training rows are at hand: each scan is predicted by a fit on other participants of its own cohort.

    At most five folds by participant; empty where a class has fewer than two participants.
    """
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    owners = [row.participant_id for row in rows]
    inputs = replace(inputs, profile=chosen_profile(inputs.profile, rows).profile)
    if answer.stratified:
        labels = [str(row.diagnosis) for row in rows]
        people = {
            name: {row.participant_id for row in rows if row.diagnosis == name} for name in answer.names
        }
        fewest = min((len(some) for some in people.values() if some), default=0)
        if fewest < 2 or sum(bool(some) for some in people.values()) < 2:
            return {}
        folds = StratifiedGroupKFold(n_splits=min(FOLDS, fewest), shuffle=True, random_state=inputs.seed)
    else:
        labels = [""] * len(rows)
        if len(set(owners)) < 2:
            return {}
        folds = GroupKFold(n_splits=min(FOLDS, len(set(owners))), shuffle=True, random_state=inputs.seed)
    parts = [
        run_baselines(answer, [rows[n] for n in train], [rows[n] for n in test], inputs)
        for train, test in folds.split(np.zeros((len(rows), 1)), labels, owners)
        if len(test)
    ]
    order = [row.scan_id for row in rows]
    found = {}
    for name in BASELINES:
        if all(name in part for part in parts):
            whole = stacked([part[name] for part in parts])
            found[name] = whole.some(whole.places(order))
    return found


def input_columns(
    answer: Answer, rows: Sequence[ManifestRow], profile: Profile | None = None
) -> dict[str, tuple[str, ...]]:
    """The columns of the manifest that a baseline may use, by its name; ``volumes`` are the regions of the profile."""
    known = {
        "age_sex": ("age", "sex"),
        "mmse": ("mmse",),
        "volumes": tuple(chosen_profile(profile, rows).profile.regions),
    }
    targets = {column_name(name) for name in answer.targets}
    return {name: columns for name, columns in known.items() if not set(columns) & targets}


def baseline_notes(
    answer: Answer,
    train_rows: Sequence[ManifestRow],
    test_rows: Sequence[ManifestRow],
    profile: Profile | None = None,
) -> dict[str, str]:
    """What a reader must know of the inputs of a baseline, by its name: absent, filled in, or what the label is made from."""
    profile = chosen_profile(profile, train_rows).profile
    sides = {"training": train_rows, "scored": test_rows}
    used = label_columns([*train_rows, *test_rows])
    notes = {}
    for name, columns in input_columns(answer, train_rows, profile).items():
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
    asked: Sequence[str] = (),
    norms: FittedNorms | None = None,
) -> dict[str, Report]:
    """The reports without their label sentence and without what is asked for, by scan_id; a row with nothing else to say has none.

    Args:
        rows: of a manifest.
        template: name of a shipped template; any other is replaced by the profile's, since its label sentence is not known.
        profile: of the cohort; ``None``: recognised.
        fields: columns opened by name.
        asked: columns that are to be predicted: a text that states them would answer for itself.
        norms: of the training side; without, a template that states percentiles is replaced by the profile's.
    """
    profile = chosen_profile(profile, rows, template).profile
    policy = opened(fields, profile, rows)
    wording = load_template(known_template(template, profile), profile, policy)
    if norms is None and asks_norms(wording, profile):
        wording = load_template(profile.template, profile, policy)
    found = {}
    for row in rows:
        with suppress(DataError):
            silent = without_columns(row, asked)
            found[row.scan_id] = write_report(
                silent, wording, label=False, policy=policy, profile=profile, norms=norms
            )
    return found


def without_columns(row: ManifestRow, columns: Sequence[str]) -> ManifestRow:
    """The row with nothing in these columns."""
    hidden = [name for name in columns if name in ManifestRow.model_fields or name in (row.model_extra or {})]
    return row.model_copy(update=dict.fromkeys(hidden)) if hidden else row


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
        found = [reports[row.scan_id].text if row.scan_id in reports else "" for row in rows]
        return [names.sub(" ", text) for text in found] if classes else found

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
