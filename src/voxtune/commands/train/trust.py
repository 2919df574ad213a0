"""What validation says of how far a trained model can be trusted: sets and intervals, where scans lie, the rules of the verdict."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxtune.commands.train.session import Scans, Session
    from voxtune.data.examples import Examples
    from voxtune.evaluation.ood_detection import Floats
    from voxtune.model.vlm import VisionLanguageModel
    from voxtune.tasks.task import TaskFacts
    from voxtune.training.records import Form
    from voxtune.types.reference import ReferencePeople
    from voxtune.types.reliability import FamiliarScans, Trust
    from voxtune.types.tensors import ScanOutputs


def score_training(
    session: "Session", model: "VisionLanguageModel", train: "Examples", scans: "Scans"
) -> "ScanOutputs | None":
    """What a fitted model says of training scans, for the local scale of its errors; ``None`` where no number is predicted."""
    from voxtune.commands.train.validate import score_together
    from voxtune.evaluation.ood_detection import evenly

    if not session.config.targets:
        return None
    form: Form = "embedded" if scans.embedded else "volumes"
    with session.ranks.autocast():
        return score_together(model, evenly(train.scan_ids), scans.plain, form, [], session.ranks)


def fit_trust(
    session: "Session",
    model: "VisionLanguageModel",
    sides: "tuple[Examples, Examples]",
    facts: "TaskFacts",
    scans: "Scans",
) -> "Trust":
    """What an adapter says of its limits; every process of the run calls it.

    Args:
        session: of the run; a control answers nobody and says nothing.
        model: as it was kept.
        sides: training and validation scans.
        facts: what the task says of the validation scans.
        scans: how they are read.
    """
    from voxtune.evaluation.ood_detection import features_of, fit_familiar
    from voxtune.evaluation.verdict_rules import fit_verdict_rules
    from voxtune.types.reliability import Trust

    if session.cohort.control_of is not None:
        return Trust()
    train, validation = sides
    with session.ranks.autocast():
        held = features_of(model, validation.scan_ids, scans.plain, embedded=scans.embedded)
        familiar = fit_familiar(
            features_of(model, train.scan_ids, scans.plain, embedded=scans.embedded), held
        )
    rules = fit_verdict_rules(held, familiar, facts.trust.get("abstention"), facts.confidence)
    reference = None if familiar is None else _reference(session, validation, held, familiar, facts)
    return Trust(**facts.trust, familiar=familiar, reference=reference, verdict=rules)


def _reference(
    session: "Session",
    validation: "Examples",
    features: "Floats",
    familiar: "FamiliarScans",
    facts: "TaskFacts",
) -> "ReferencePeople | None":
    """What the adapter keeps of its validation participants, for ``voxtune drift``."""
    from voxtune.evaluation.ood_detection import evenly
    from voxtune.evaluation.reference import Seen, keep_reference
    from voxtune.evaluation.scan_figures import Basis, recorded_figures, records_of

    by_scan = {row.scan_id: row for row in session.cohort.sides["val"]}
    rows = [by_scan[name] for name in evenly(validation.scan_ids)]
    places = [validation.scan_ids.index(row.scan_id) for row in rows]
    records, basis = records_of(session.cohort.manifest, rows), Basis.of_training(familiar)
    figures = [
        basis.figures(one) | recorded_figures(records[row.scan_id], row)
        for one, row in zip(features, rows, strict=True)
    ]
    labels, chances = validation.labels.classes, facts.probabilities
    seen = Seen.of(rows, figures)
    known = None if labels is None or chances is None else labels.numpy()[places]
    return keep_reference(
        seen, known, facts.fields.get("classes", ()), None if chances is None else chances[places]
    )
