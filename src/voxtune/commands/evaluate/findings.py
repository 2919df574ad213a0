"""``voxtune evaluate`` for many findings: every volume encoded once for all pairs, the base beside the model, thresholds frozen."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune import __version__
from voxtune.commands.evaluate.command import BASELINES, Evaluated
from voxtune.commands.evaluate.findings_cohort import (
    FindingsCohort,
    base_thresholds,
    findings_cohort,
    pair_answers,
)
from voxtune.commands.evaluate.subject import OWN, Subject, manifest_to_score
from voxtune.commands.train.draw_augmentation import augmentation_picture
from voxtune.errors import UsageError
from voxtune.run_dir import read_json, write_json, write_text
from voxtune.types.records import ManifestRow, Metric, Prediction

if TYPE_CHECKING:
    from voxtune.evaluation.leakage import Verdict
    from voxtune.evaluation.multilabel import Findings
    from voxtune.pages.findings_page import FindingsFacts, Group, Kind


def evaluate_findings(
    subject: Subject, data: Path | None, classes: Sequence[str] | None, output: Path | None, say: Callable[[str], None]
) -> Evaluated:  # fmt: skip
    """Predict and score; writes ``predictions.tsv``, ``metrics.json``, ``evaluation.json`` and ``page.html``.

    Args:
        subject: a run on findings, or the base of such a recipe.
        data: the manifest to score; ``None``: the run's own test side.
        classes: score these findings only.
        output: folder to write; otherwise inside the run.
        say: takes lines for a person.

    Raises:
        DataError: nothing to score.
        SettingError: a finding that the run does not know.
    """
    from voxtune.evaluation.auroc_difference import auroc_gain
    from voxtune.evaluation.multilabel import evaluate_findings as score
    from voxtune.evaluation.thresholds import UNDECIDED
    from voxtune.model.build import frozen_base
    from voxtune.pages.findings_page import findings_page

    cohort = findings_cohort(subject, manifest_to_score(subject, data), classes)
    folder = output or (subject.run.evaluation(OWN if cohort.own else cohort.name) if subject.run else None)
    if folder is None:
        raise UsageError("Say where to write the scores of a base: -o DIR.")
    seed, adapter = subject.config.seed, subject.adapter
    base_model = frozen_base(subject.config)
    of_base = pair_answers(base_model, subject, cohort, cohort.rows, as_published=True)
    base_limits = base_thresholds(base_model, subject, cohort)
    if adapter is None:
        found, thresholds, rule = (
            of_base,
            base_limits,
            "Thresholds are 0.5: a base alone has no validation scans.",
        )
        rivals: dict[str, Any] = {}
    else:
        found = pair_answers(adapter.model, subject, cohort, cohort.rows, as_published=False)
        own = adapter.facts.thresholds
        thresholds = {
            name: max(own.get(part, UNDECIDED) for part in parts) for name, parts in cohort.labels.items()
        }
        rule = (
            "Thresholds were fixed on the validation scans (largest sensitivity + specificity) and are frozen in the adapter; those of held-out "
            "findings are 0.5, since their labels are never looked at."
        )
        rule += (
            " The base got thresholds of its own on the same validation scans."
            if cohort.val_rows
            else " The base is called at 0.5."
        )
        rivals = {"zero_shot": (of_base, base_limits)}
    metrics = score(found, thresholds, seed=seed)
    base_metrics = score(of_base, base_limits, seed=seed) if adapter else {}
    gain = auroc_gain(found, of_base, seed=seed) if adapter else {}
    groups = _groups(subject, cohort, found, of_base)
    facts = _facts(subject, cohort, found, (metrics, base_metrics, gain), (groups, thresholds, rule))
    _write(folder, cohort, found, thresholds)
    for name, (other, limits) in rivals.items():
        _write(folder / BASELINES / name, cohort, other, limits)
    more = {f"baseline/zero_shot/{name}": one for name, one in base_metrics.items()}
    more |= {f"gain/{name}": one for name, one in gain.items()}
    for group in groups if len(groups) > 1 else ():
        place = group.kind.replace(", ", "_").replace(" ", "_").replace("-", "_")
        more |= {f"{place}/auroc": group.model} | ({f"{place}/gain": group.gain} if group.gain else {})
    people = len(set(found.participants))
    content: dict[str, Any] = {name: one.model_dump() for name, one in (metrics | more).items()}
    write_json(folder / "metrics.json", content | {"n_scans": len(cohort.rows), "n_participants": people})
    stated = _stated(subject, cohort, facts, thresholds)
    write_json(folder / "evaluation.json", stated)
    write_text(folder / "page.html", findings_page(facts))
    if cohort.own and any(kind == "held-out classes" for kind in facts.kinds.values()):
        say("Held-out findings are reported beside the others: training never saw their labels.")
    return Evaluated(folder, read_json(folder / "metrics.json", "metrics"), _summary(facts, folder), stated)


# ------------------------------------------------------------------------------------------------ what is said
def _kinds(subject: Subject, cohort: FindingsCohort) -> "dict[str, Kind]":
    held_out = set(subject.config.classes.held_out)
    if subject.adapter is None:
        return dict.fromkeys(cohort.labels, "zero-shot")
    return {
        name: "held-out classes" if held_out.intersection(parts) else "fine-tuned, seen classes"
        for name, parts in cohort.labels.items()
    }


def _groups(
    subject: Subject, cohort: FindingsCohort, found: "Findings", of_base: "Findings"
) -> "list[Group]":
    """The findings of each kind by themselves: what was learned and what was kept out are never mixed."""
    from voxtune.evaluation.auroc_difference import auroc_gain
    from voxtune.evaluation.multilabel import Findings
    from voxtune.evaluation.multilabel import evaluate_findings as score
    from voxtune.pages.findings_page import Group

    kinds, seed = _kinds(subject, cohort), subject.config.seed
    groups = []
    for kind in dict.fromkeys(kinds.values()):
        places = [number for number, name in enumerate(found.names) if kinds[name] == kind]

        def some(whole: Findings, places: list[int] = places) -> Findings:
            return Findings(
                tuple(whole.names[place] for place in places),
                whole.participants,
                whole.labels[:, places],
                whole.probabilities[:, places],
            )

        half = dict.fromkeys(some(found).names, 0.5)
        model = score(some(found), half, seed=seed)["auroc"]
        base = score(some(of_base), half, seed=seed)["auroc"] if subject.adapter else None
        gain = auroc_gain(some(found), some(of_base), seed=seed)["auroc"] if subject.adapter else None
        groups.append(Group(kind, len(places), model, base, gain))
    return groups


def _facts(
    subject: Subject,
    cohort: FindingsCohort,
    found: "Findings",
    scores: tuple[Mapping[str, Metric], Mapping[str, Metric], Mapping[str, Metric]],
    rest: "tuple[Sequence[Group], Mapping[str, float], str]",
) -> "FindingsFacts":
    from voxtune.evaluation.test_set_log import LOOKS, Look, log_look
    from voxtune.pages.findings_page import FindingsFacts

    logs = [cohort.manifest.parent / LOOKS, *([subject.run.looks] if subject.run else [])]
    looks = log_look(
        logs, _predictions(cohort, found, rest[1]), Look(cohort.name, subject.identity, datetime.now(UTC))
    )
    verdict = _verdict(subject, cohort)
    return FindingsFacts(
        model=subject.name,
        cohort=cohort.name,
        kinds=_kinds(subject, cohort),
        metrics=scores[0],
        base_metrics=scores[1],
        gain=scores[2],
        groups=rest[0],
        thresholds=rest[1],
        threshold_rule=rest[2],
        counts=_counts(cohort),
        sides=("train", "val", "test") if cohort.own else ("scored",),
        side_sizes=[len(rows) for rows in _sides(cohort)],
        merged={name: parts for name, parts in cohort.labels.items() if len(parts) > 1},
        leakage=verdict.text if verdict else None,
        leakage_alarms=verdict.alarms if verdict else False,
        looks=looks.times,
        seed=subject.config.seed,
        citation=subject.config.citations,
        simulated=any(row.simulated for row in cohort.rows),
        augmentation=augmentation_picture(subject.config, cohort.train_rows, cohort.manifest)
        if subject.adapter
        else None,
    )


def _sides(cohort: FindingsCohort) -> tuple[list[ManifestRow], ...]:
    """The scans of each side of the split; of another cohort those that are scored."""
    return (cohort.train_rows, cohort.val_rows, cohort.rows) if cohort.own else (cohort.rows,)


def _counts(cohort: FindingsCohort) -> dict[str, list[int]]:
    from voxtune.data.findings import finding_labels

    names = tuple(cohort.labels)
    present = [(finding_labels(rows, names) == 1).sum(dim=0).tolist() for rows in _sides(cohort)]
    return {name: [int(side[number]) for side in present] for number, name in enumerate(names)}


def _verdict(subject: Subject, cohort: FindingsCohort) -> "Verdict | None":
    from voxtune.data.manifest import read_manifest, resolve_image
    from voxtune.evaluation.leakage import external_verdict, own_verdict
    from voxtune.imaging.read import read_scan

    if subject.run is None:
        return None
    if cohort.own:
        return own_verdict(read_json(subject.run.root / "audit.json", "the audit of the run"))
    home = subject.manifest()
    known = set(subject.split.get("train", ())) | set(subject.split.get("val", ()))
    seen = [] if home is None else [row for row in read_manifest(home) if row.scan_id in known]
    return external_verdict(
        seen,
        cohort.rows,
        lambda row: read_scan(resolve_image(home if home and row.scan_id in known else cohort.manifest, row)),
    )


def _predictions(
    cohort: FindingsCohort, found: "Findings", thresholds: Mapping[str, float]
) -> list[Prediction]:
    """One record a scan: every probability, and by name the findings that reach their threshold."""
    from voxtune.evaluation.pairs import called

    return [
        Prediction(
            scan_id=row.scan_id,
            participant_id=row.participant_id,
            predicted=called(dict(zip(found.names, chances, strict=True)), thresholds),
            probabilities=dict(zip(found.names, (float(value) for value in chances), strict=True)),
        )
        for row, chances in zip(cohort.rows, found.probabilities, strict=True)
    ]


def _write(folder: Path, cohort: FindingsCohort, found: "Findings", thresholds: Mapping[str, float]) -> None:
    """``predictions.tsv``: as of any evaluation, and the truth of each finding as ``true_<FINDING>``."""
    from voxtune.data.manifest import write_table

    names = found.names
    columns = (
        "scan_id",
        "participant_id",
        "diagnosis",
        "predicted",
        *(f"p_{name}" for name in names),
        "mmse_predicted",
    )
    truth = tuple(f"true_{name}" for name in names)
    rows = [
        {
            "scan_id": one.scan_id, "participant_id": one.participant_id, "predicted": one.predicted,
            **{f"p_{name}": value for name, value in one.probabilities.items()},
            **dict(zip(truth, (float(value) for value in labels), strict=True)),
        }
        for one, labels in zip(_predictions(cohort, found, thresholds), found.labels, strict=True)
    ]  # fmt: skip
    write_table(folder / "predictions.tsv", (*columns, *truth), rows)


def _stated(
    subject: Subject, cohort: FindingsCohort, facts: "FindingsFacts", thresholds: Mapping[str, float]
) -> dict[str, Any]:
    from voxtune.data.manifest import file_sha256

    return {
        "task": "findings",
        "kind": ", ".join(dict.fromkeys(facts.kinds.values())),
        "simulated": facts.simulated,
        "model": facts.model,
        "base": subject.base,
        "adapter_sha256": subject.adapter.facts.adapter_sha256 if subject.adapter else None,
        "cohort": facts.cohort,
        "manifest_sha256": file_sha256(cohort.manifest),
        "classes": list(facts.kinds),
        "held_out": [name for name, kind in facts.kinds.items() if kind == "held-out classes"],
        "merged": {name: list(parts) for name, parts in facts.merged.items()},
        "thresholds": dict(thresholds),
        "label_map": None,
        "label_rules": {
            "each finding": "; ".join(sorted({row.diagnosis_rule or "not stated" for row in cohort.rows}))
        },
        "left_out": {},
        "temperature": None,
        "leakage": facts.leakage,
        "looks": facts.looks,
        "resamples": facts.resamples,
        "seed": facts.seed,
        "confidence": facts.confidence,
        "voxtune": __version__,
    }


def _summary(facts: "FindingsFacts", folder: Path) -> str:
    lines = []
    for group in facts.groups:
        one, gain = group.model, group.gain
        value = "not defined" if one.value is None else f"{one.value:.3f}"
        interval = "" if one.low is None else f" (95% interval {one.low:.3f} to {one.high:.3f})"
        more = ""
        if gain is not None and gain.value is not None:
            more = (
                f", {gain.value:+.3f}"
                + ("" if gain.low is None else f" ({gain.low:+.3f} to {gain.high:+.3f})")
                + " over zero-shot"
            )
        lines.append(f"{group.kind}: mean AUROC {value}{interval}{more}, {group.findings} findings")
    whole = facts.metrics["auroc"]
    label = "SIMULATED scans: " if facts.simulated else ""
    return f"{label}{'; '.join(lines)}; {whole.n_scans} scans of {whole.n_participants} participants. Page: {folder / 'page.html'}"
