"""Rules that need no model of pictures: logistic regression on a few numbers, scored on participants it has not seen.

A model of pictures should be far from those on a voxel count or a mean brightness: where it is not, nothing was shown. None of them
is a bound: the best possible is in ``best_possible.py``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxtune.types.records import REGION_COLUMNS

ABOVE = 0.02
"""Brightness from which on a voxel of a [0, 1] picture counts."""


def picture_numbers(voxels: NDArray[np.float32]) -> dict[str, float]:
    """What the trivial rules read of a picture: how many voxels are above 0.02, and how bright those are on average."""
    inside = voxels[voxels > ABOVE]
    return {"voxel_count": float(inside.size), "mean_intensity": float(inside.mean()) if inside.size else 0.0}


def volume_regression_accuracy(
    volumes: Sequence[Mapping[str, Any]],
    diagnoses: Sequence[str],
    participants: Sequence[str],
    *,
    folds: int = 5,
) -> float:
    """Accuracy of logistic regression on log volumes over intracranial volume, cross-validated by participant.

    Args:
        volumes: the six volume columns and ``icv_mm3`` of each scan, mm^3.
        diagnoses: the class of each scan.
        participants: who each scan is of; nobody is in training and test at once.
        folds: of the cross-validation.
    """
    return _accuracy(_log_shares(volumes), diagnoses, participants, folds)


def simple_rule_accuracies(
    rows: Sequence[Mapping[str, Any]],
    pictures: Sequence[Mapping[str, float]] | None = None,
    *,
    folds: int = 5,
) -> dict[str, float]:
    """Accuracy of each rule by its name, all by the same regression and the same folds.

    Args:
        rows: of a manifest: volumes, age, sex, diagnosis and participant of each scan.
        pictures: what ``picture_numbers`` says of each scan; without them the rules on pictures are left out.
        folds: of the cross-validation, by participant.
    """
    diagnoses, people = [str(row["diagnosis"]) for row in rows], [str(row["participant_id"]) for row in rows]
    usual = max(set(diagnoses), key=diagnoses.count)
    return {
        **{
            name: _accuracy(table, diagnoses, people, folds)
            for name, table in _inputs(rows, pictures).items()
        },
        "majority": diagnoses.count(usual) / len(diagnoses),
    }


def simple_rule_answers(
    train: Sequence[Mapping[str, Any]],
    of_train: Sequence[Mapping[str, float]],
    test: Sequence[Mapping[str, Any]],
    of_test: Sequence[Mapping[str, float]],
) -> dict[str, list[str]]:
    """What each rule, fitted on some scans, says of others: a class for each of them, by the rule's name.

    Args:
        train: rows to learn from; their diagnoses are read.
        of_train: what ``picture_numbers`` says of them.
        test: rows to answer for; their diagnoses are not read.
        of_test: what ``picture_numbers`` says of them.
    """
    labels = [str(row["diagnosis"]) for row in train]
    usual = max(sorted(set(labels)), key=labels.count)
    known, new = _inputs(train, of_train), _inputs(test, of_test)
    answers = {
        name: [str(one) for one in _regression().fit(table, labels).predict(new[name])]
        for name, table in known.items()
    }
    return answers | {"majority": [usual] * len(test)}


def _inputs(
    rows: Sequence[Mapping[str, Any]], pictures: Sequence[Mapping[str, float]] | None
) -> dict[str, NDArray[np.float64]]:
    """The numbers that each rule reads, a row for each scan."""
    found = {
        "volumes": _log_shares(rows),
        "ventricles": np.log([[row["ventricles_mm3"] / row["icv_mm3"]] for row in rows]),
        "age_sex": np.array([[row["age"], float(row["sex"] == "F")] for row in rows]),
    }
    for name in ("voxel_count", "mean_intensity") if pictures else ():
        found[name] = np.array([[picture[name]] for picture in pictures or ()])
    return found


def _log_shares(rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    return np.asarray(np.log([[row[name] / row["icv_mm3"] for name in REGION_COLUMNS] for row in rows]))


def _accuracy(
    table: NDArray[np.float64], diagnoses: Sequence[str], participants: Sequence[str], folds: int
) -> float:
    from sklearn.model_selection import GroupKFold, cross_val_predict

    labels = np.asarray(diagnoses)
    predicted = cross_val_predict(
        _regression(), table, labels, groups=np.asarray(participants), cv=GroupKFold(folds)
    )
    return float((predicted == labels).mean())


def _regression() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=10.0, max_iter=2000))
