"""What ``voxtune train`` does for a diagnosis once its data are settled: build, fit, calibrate, hand the adapter over."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from voxtune.commands.train.adapter import hand_over
from voxtune.commands.train.session import Session

if TYPE_CHECKING:
    from voxtune.evaluation.predict import Scores
    from voxtune.model.vlm import VisionLanguageModel


def fit_run(session: Session) -> str:
    """Build, train, calibrate on validation, write the adapter and the page; every process of the run calls it."""
    from voxtune.commands.train.validate import score_together
    from voxtune.data.examples import class_names, make_examples
    from voxtune.evaluation.calibration import calibrate
    from voxtune.evaluation.predict import class_features, validation_metric
    from voxtune.evaluation.reliability import fit_trust
    from voxtune.model.build import MmseScale, adapter_state, build_model
    from voxtune.model.parameter_table import parameter_table, trained_in_words
    from voxtune.training.records import Task
    from voxtune.types.reliability import Trust

    config, cohort = session.config, session.cohort
    classes = config.classes.names or class_names(cohort.sides["train"], config.known_profile)
    scores = [row.mmse for row in cohort.sides["train"] if row.mmse is not None]
    model = build_model(config, scale=_scale(scores, MmseScale))
    tokenize, templates = model.backbone.tokenize, config.classes.templates
    train_set, val_set = (
        make_examples(cohort.sides[side], cohort.reports, classes, tokenize) for side in ("train", "val")
    )
    table = parameter_table(model)
    session.say(f"{trained_in_words(table)}; {len(train_set)} scans, {len(val_set)} to validate.")
    scans = session.scans(model)

    def score_validation(model: "VisionLanguageModel") -> "Scores":
        texts = class_features(model, classes, templates, tokenize)
        return score_together(model, val_set.scan_ids, scans.score, scans.score_form, texts, session.ranks)

    task = Task(
        train=train_set,
        read=scans.train,
        validate=lambda model: validation_metric(
            score_validation(model), val_set.labels, config.training.metric
        ),
        class_tokens=[tokenize([one.replace("{name}", name) for name in classes]) for one in templates],
        form=scans.train_form,
        reports=session.reports(model, train_set),
        augment=session.augmentation(),
    )
    fitted = session.fit(model, task)

    with session.ranks.autocast():
        found = score_validation(model)
    calibration = calibrate(found.logits.numpy(), val_set.labels.numpy(), classes)
    trust = Trust()
    if cohort.control_of is None:  # a control answers nobody
        with session.ranks.autocast():
            trust = fit_trust(
                model,
                train_set.scan_ids,
                val_set,
                found,
                scans.plain,
                calibration=calibration,
                embedded=scans.embedded,
            )
    if session.leads:
        hand_over(session, fitted, model, classes, calibration, trust)
        session.page(fitted, table)
    else:
        adapter_state(model)  # the parts of a sharded model, for the process that writes
    session.ranks.wait()
    return session.summary(fitted)


def _scale(scores: Sequence[float], make: Any) -> Any:
    if not scores:
        return make()
    mean = sum(scores) / len(scores)
    spread = (sum((score - mean) ** 2 for score in scores) / len(scores)) ** 0.5
    return make(mean, spread or 1.0)  # all equal: leave the errors in points
