"""What an adapter knows of its own limits, measured once at the end of training: MMSE interval, abstention, familiar scans."""

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from voxtune.data.examples import Examples
from voxtune.evaluation.abstention import fit_abstention
from voxtune.evaluation.calibration import Calibration, softmax
from voxtune.evaluation.mmse_interval import fit_mmse_interval
from voxtune.evaluation.ood_detection import features_of, fit_familiar
from voxtune.evaluation.predict import Scores
from voxtune.model.vlm import VisionLanguageModel
from voxtune.types.reliability import Trust


def fit_trust(
    model: VisionLanguageModel,
    training_ids: Sequence[str],
    validation: Examples,
    scores: Scores,
    read: Callable[[str], Tensor],
    *,
    calibration: Calibration,
    embedded: bool = False,
) -> Trust:
    """Fit all three on the validation scans (the familiar scans on training scans, their limit on validation).

    Args:
        model: as trained.
        training_ids: scans it was trained on.
        validation: the validation scans.
        scores: of the validation scans, in their order.
        read: scan_id to tensor.
        calibration: of the probabilities.
        embedded: whether ``read`` gives embedded scans.
    """
    mmse = None
    if scores.mmse is not None:
        mmse = fit_mmse_interval(scores.mmse.numpy(), validation.mmse.numpy(), validation.participant_ids)
    return Trust(
        mmse=mmse,
        abstention=fit_abstention(
            softmax(scores.logits.numpy(), calibration.temperature, list(calibration.offsets.values())),
            np.asarray(validation.labels.numpy()),
            validation.participant_ids,
        ),
        familiar=fit_familiar(
            features_of(model, training_ids, read, embedded=embedded),
            features_of(model, validation.scan_ids, read, embedded=embedded),
        ),
    )
