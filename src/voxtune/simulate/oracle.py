"""The best a reader of true volumes can do: logistic regression on them, scored on participants it has not seen."""

from collections.abc import Mapping, Sequence

import numpy as np

from voxtune.types.records import REGION_COLUMNS


def oracle_accuracy(
    volumes: Sequence[Mapping[str, float]],
    diagnoses: Sequence[str],
    participants: Sequence[str],
    *,
    folds: int = 5,
) -> float:
    """Three-way accuracy of logistic regression on log volumes over intracranial volume, cross-validated by participant.

    Args:
        volumes: the six volume columns and ``icv_mm3`` of each scan, mm^3.
        diagnoses: the class of each scan.
        participants: who each scan is of; nobody is in training and test at once.
        folds: of the cross-validation.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = np.log([[row[name] / row["icv_mm3"] for name in REGION_COLUMNS] for row in volumes])
    labels = np.asarray(diagnoses)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=10.0, max_iter=2000))
    predicted = cross_val_predict(model, table, labels, groups=np.asarray(participants), cv=GroupKFold(folds))
    return float((predicted == labels).mean())
