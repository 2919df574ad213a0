"""What ``voxtune train`` does once its data are settled, whatever is asked of a scan: build, fit, calibrate, hand the adapter over."""

from typing import TYPE_CHECKING, cast

from voxtune.commands.train.adapter import hand_over
from voxtune.commands.train.session import Session, TrainingCohort
from voxtune.config import RunConfig
from voxtune.tasks.task import Task, Validated, task_of

if TYPE_CHECKING:
    from voxtune.data.examples import Examples, Labels, Tokenize
    from voxtune.model.build import BackboneSettings, TargetScale
    from voxtune.model.vlm import VisionLanguageModel
    from voxtune.training.records import Steer
    from voxtune.types.records import ManifestRow
    from voxtune.types.tensors import ScanOutputs


def fit_run(session: Session) -> str:
    """Build, train, calibrate on validation, write the adapter and the page; every process of the run calls it."""
    from voxtune.commands.train.bank import MOST, BankScans
    from voxtune.commands.train.probe import base_vectors, fit_probe
    from voxtune.commands.train.standardise import standardise_projection
    from voxtune.commands.train.trust import fit_trust, score_training
    from voxtune.commands.train.validate import score_together
    from voxtune.commands.train.visits import with_visits
    from voxtune.data.examples import make_examples
    from voxtune.model.build import adapter_state, build_model
    from voxtune.model.parameter_table import parameter_table, trained_in_words
    from voxtune.model.questions import encoded_texts
    from voxtune.training.records import TrainingInputs

    config, cohort = session.config, session.cohort
    rows = cohort.sides["train"]
    task = task_of(config).taught(rows)
    backbone = cast("BackboneSettings", config.backbone).build()
    of_base = base_vectors(session, backbone)
    model = build_model(config, backbone=backbone, scales=training_scales(config, rows))
    tokenize, texts = model.backbone.tokenize, task.class_texts()
    train_set, val_set = (
        make_examples(cohort.sides[side], cohort.reports, task.labels(cohort.sides[side], rows), tokenize)
        for side in ("train", "val")
    )
    learned = with_unlabelled(train_set, cohort, tokenize)
    table = parameter_table(model)
    sizes = f"{trained_in_words(table)}; {len(train_set)} scans{cohort.more}, {len(val_set)} to validate."
    for note in (sizes, *task.notes(train_set.labels)):
        session.say(note)
    session.say_skipped(model)
    scans = session.scans(model)
    bank = BankScans.of(train_set, scans, session)
    drawn_apart = standardise_projection(model, config, train_set, bank.read, bank.form, session.ranks)
    if drawn_apart:
        session.say(drawn_apart)

    def validate(model: "VisionLanguageModel") -> "Steer":
        bank.fill(model, MOST)
        return steer(task, score_validation(model), val_set.labels, config, model)

    def score_validation(model: "VisionLanguageModel") -> "ScanOutputs":
        encoded = encoded_texts(model, texts)
        return score_together(model, val_set.scan_ids, scans.score, scans.score_form, encoded, session.ranks)

    inputs = TrainingInputs(
        task=task,
        train=learned,
        read=scans.train,
        validate=validate,
        class_tokens=[tokenize(some) for some in texts],
        form=scans.train_form,
        reports=session.reports(model, learned),
        augment=session.augmentation(),
        validated=len(set(val_set.participant_ids)),
    )
    fitted = session.fit(model, inputs)

    with session.ranks.autocast():
        bank.fill(model)
        outputs = score_validation(model)
    outputs = with_visits(session, model, (train_set, val_set), scans, texts, outputs)
    probe = fit_probe(session, task, of_base, (train_set, val_set), model.target_heads)
    seen = None if cohort.control_of is not None else score_training(session, model, train_set, scans)
    facts = task.adapter_facts(Validated(outputs, val_set, train_set, seen))
    trust = fit_trust(session, model, (train_set, val_set), facts, scans)
    if session.leads:
        hand_over(session, fitted, model, facts, trust, probe)
        session.page(fitted, table, probe)
    else:
        adapter_state(model)  # the parts of a sharded model, for the process that writes
    session.ranks.wait()
    return " ".join([*([probe.beside(fitted.best_metric)] if probe else []), session.summary(fitted)])


def with_unlabelled(labelled: "Examples", cohort: TrainingCohort, tokenize: "Tokenize") -> "Examples":
    """What steps are made of: the labelled training scans, then those of which nothing is known but their report."""
    from voxtune.data.examples import make_examples

    if not cohort.unlabelled:
        return labelled
    labels = labelled.labels.and_unknown(len(cohort.unlabelled))
    return make_examples(cohort.learned, cohort.reports, labels, tokenize)


def steer(
    task: Task, outputs: "ScanOutputs", labels: "Labels", config: RunConfig, model: "VisionLanguageModel"
) -> "Steer":
    """What the validation scans say of a model: the metric that the settings name, and the loss that breaks its ties."""
    from voxtune.training.records import Steer

    named, loss = (
        task.validation_metric(outputs, labels, metric, model.target_heads)
        for metric in (config.training.metric, "loss")
    )
    return Steer(named, -loss)


def training_scales(config: RunConfig, rows: "list[ManifestRow]") -> "dict[str, TargetScale]":
    """Mean and sd of each target over the training scans."""
    from voxtune.data.targets import mean_and_sd, target_values
    from voxtune.model.build import TargetScale

    return {target.name: TargetScale(*mean_and_sd(target_values(rows, target))) for target in config.targets}
