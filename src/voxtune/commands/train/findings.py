"""``voxtune train`` for many findings: pairs of texts, a two-way loss for each, thresholds fixed on validation."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from voxtune.config import RunConfig
from voxtune.errors import SettingError
from voxtune.types.records import ManifestRow, Report

if TYPE_CHECKING:
    from voxtune.commands.train.session import Session, TrainingCohort
    from voxtune.data.examples import Examples
    from voxtune.evaluation.pairs import PairScores
    from voxtune.model.vlm import VisionLanguageModel
    from voxtune.training.records import Fitted
    from voxtune.types.reliability import Trust


def findings_rows(rows: Sequence[ManifestRow], config: RunConfig) -> list[ManifestRow]:
    """The rows a run on findings can use, once its settings make sense.

    Raises:
        SettingError: settings that cannot go together.
        DataError: no finding is known anywhere, or a column is absent.
    """
    from voxtune.data.findings import pair_texts, seen_and_held_out, with_findings

    seen, held_out = seen_and_held_out(config.classes.findings, config.classes.held_out)
    pair_texts(seen, config.classes.pair)
    if config.aggregation.form != "none":
        raise SettingError(
            "aggregation.form",
            "'none' with findings: a pair's score must not depend on the others",
            config.aggregation.form,
        )
    if not config.loss.class_weight:
        raise SettingError(
            "loss.class_weight", "more than 0 with findings: it weighs their loss", config.loss.class_weight
        )
    if config.training.metric not in {"auroc", "loss"}:
        raise SettingError("training.metric", "'auroc' or 'loss' with findings", config.training.metric)
    if held_out and config.loss.contrastive_weight:
        raise SettingError(
            "loss.contrastive_weight", "0 with held-out findings: reports name them, so they would not be held out",
            config.loss.contrastive_weight,
        )  # fmt: skip
    return with_findings(rows, seen)


def findings_reports(rows: Sequence[ManifestRow], config: RunConfig) -> dict[str, Report]:
    """The reports to align with; none are read, nor looked for, where their weight is 0."""
    from voxtune.data.examples import reports_of

    return reports_of(rows, config.report, config.known_profile) if config.loss.contrastive_weight else {}


def fit_findings(session: "Session") -> str:
    """Build, train, fix thresholds on validation, write the adapter and the page; every process of the run calls it."""
    from voxtune.data.findings import pair_texts, seen_and_held_out
    from voxtune.evaluation.ood_detection import features_of, fit_familiar
    from voxtune.evaluation.pairs import joined_pairs, pair_features, score_pairs
    from voxtune.evaluation.thresholds import UNDECIDED, fit_thresholds
    from voxtune.model.build import adapter_state, build_model
    from voxtune.model.parameter_table import parameter_table, trained_in_words
    from voxtune.training.records import Task
    from voxtune.types.reliability import Trust

    config, cohort = session.config, session.cohort
    seen, held_out = seen_and_held_out(config.classes.findings, config.classes.held_out)
    model = build_model(config)
    tokenize = model.backbone.tokenize
    train_set, val_set = _examples(cohort, config, seen, tokenize)
    assert train_set.findings is not None
    assert val_set.findings is not None
    labels = val_set.findings.double().numpy()
    table = parameter_table(model)
    if idle := _one_sided(train_set, seen):
        session.say(
            f"Training has no scan with and one without: {', '.join(idle)}. These are learned from nothing."
        )
    session.say(
        f"{trained_in_words(table)}; {len(train_set)} scans, {len(val_set)} to validate; "
        f"{len(seen)} findings{f', {len(held_out)} held out' if held_out else ''}."
    )
    scans = session.scans(model)

    def score_validation(model: "VisionLanguageModel") -> "PairScores":
        texts = pair_features(model, seen, config.classes.pair, tokenize)
        found = score_pairs(model, val_set.scan_ids, scans.plain, texts, embedded=scans.embedded)
        return joined_pairs(list(found))

    task = Task(
        train=train_set,
        read=scans.train,
        validate=lambda model: _metric(score_validation(model).log_odds, val_set, config.training.metric),
        class_tokens=[tokenize(pair_texts(seen, config.classes.pair))],
        form=scans.train_form,
        reports=session.reports(model, train_set),
        augment=session.augmentation(),
    )
    fitted = session.fit(model, task)

    trust = Trust()
    with session.ranks.autocast():
        found = score_validation(model)
        if cohort.control_of is None:  # a control answers nobody
            familiar = fit_familiar(
                features_of(model, train_set.scan_ids, scans.plain, embedded=scans.embedded),
                features_of(model, val_set.scan_ids, scans.plain, embedded=scans.embedded),
            )
            trust = Trust(familiar=familiar)
    thresholds = fit_thresholds(labels, found.probabilities, seen)
    thresholds |= dict.fromkeys(held_out, UNDECIDED)  # their labels are not looked at, also not on validation
    if session.leads:
        _hand_over(session, fitted, model, train_set, thresholds, trust)
        session.page(fitted, table)
    else:
        adapter_state(model)  # the parts of a sharded model, for the process that writes
    session.ranks.wait()
    return session.summary(fitted)


def _metric(log_odds: Any, validation: "Examples", metric: str) -> float:
    """The mean AUROC of validation scans, or minus their loss."""
    import torch

    from voxtune.evaluation.pairs import mean_auroc
    from voxtune.losses.findings import pair_cross_entropy

    assert validation.findings is not None
    assert validation.finding_weights is not None
    if metric == "auroc":
        return mean_auroc(validation.findings.double().numpy(), log_odds)
    odds = torch.from_numpy(log_odds).float()
    pairs = torch.stack([odds, torch.zeros_like(odds)], dim=-1).flatten(1)
    return -float(pair_cross_entropy(pairs, validation.findings, validation.finding_weights))


def _one_sided(train: "Examples", seen: Sequence[str]) -> list[str]:
    """Findings that every training scan has, or none."""
    assert train.findings is not None
    both = (train.findings == 1).any(dim=0) & (train.findings == 0).any(dim=0)
    return [name for name, one in zip(seen, both.tolist(), strict=True) if not one]


def _examples(
    cohort: "TrainingCohort", config: RunConfig, seen: Sequence[str], tokenize: Callable[[list[str]], Any]
) -> "tuple[Examples, Examples]":
    """Training and validation scans with the labels of the findings that training sees, weighed by training."""
    from voxtune.data.examples import make_examples
    from voxtune.data.findings import cell_weights, finding_labels

    train = finding_labels(cohort.sides["train"], seen)
    made = []
    for side in ("train", "val"):
        rows = cohort.sides[side]
        # Without their loss reports are not read: an empty text costs next to nothing.
        reports = cohort.reports or {row.scan_id: Report(scan_id=row.scan_id, text="") for row in rows}
        labels = finding_labels(rows, seen)
        weights = cell_weights(labels, train, balanced=config.loss.finding_balance)
        examples = make_examples(rows, reports, (), tokenize)
        made.append(dataclasses.replace(examples, findings=labels, finding_weights=weights))
    return made[0], made[1]


def _hand_over(
    session: "Session", fitted: "Fitted", model: "VisionLanguageModel", train: "Examples", thresholds: dict[str, float], trust: "Trust"
) -> None:  # fmt: skip
    """Write the adapter with its facts and its card."""
    from voxtune.commands.train.adapter import audited, licence_of, training_facts
    from voxtune.model.adapter import AdapterFacts, save_adapter, shareable_config
    from voxtune.pages.model_card import model_card

    config, cohort = session.config, session.cohort
    assert train.findings is not None
    present = (train.findings == 1).sum(dim=0).tolist()
    seen = [name for name in config.classes.findings if name not in config.classes.held_out]
    facts = AdapterFacts(
        base=model.backbone.name,
        base_sha256=model.base_sha256,
        adapter_sha256="",
        preset=config.preset,
        task="findings",
        classes=config.classes.findings,
        held_out=config.classes.held_out,
        class_texts=config.classes.pair,
        thresholds=thresholds,
        simulated=cohort.simulated,
        training=training_facts(session, fitted, {"findings": dict(zip(seen, present, strict=True))}),
        control_of=cohort.control_of,
        trust=trust,
        licence=licence_of(model.backbone.name),
        config=shareable_config(config),
    )
    card = model_card(facts.model_dump(mode="json"), leakage=audited(session.run))
    save_adapter(session.run.adapter, model, facts, card)
