"""``voxtune evaluate RUN RUN ...``: runs that differ in their seed, as mean and standard deviation over seeds."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune import __version__
from voxtune.commands.compare.seeds import seed_folder
from voxtune.commands.evaluate.command import Evaluated, evaluate
from voxtune.commands.evaluate.seeds_runs import SeedRun, read_seed_runs
from voxtune.commands.evaluate.subject import OWN_NAME
from voxtune.errors import UsageError
from voxtune.run_dir import read_json, write_json, write_text
from voxtune.types.records import Metric, OverSeeds

if TYPE_CHECKING:
    from voxtune.pages.evaluation_seeds_page import SeedsFacts

SHARED = ("kind", "simulated", "model", "base", "classes", "held_out", "label_map", "label_rules", "left_out", "resamples", "confidence")  # fmt: skip
"""What ``evaluation.json`` says of every seed alike."""


def evaluate_seeds(
    runs: Sequence[Path],
    *,
    data: Path | None = None,
    classes: Sequence[str] | None = None,
    label_map: Mapping[str, str] | None = None,
    output: Path | None,
    say: Callable[[str], None] = print,
) -> Evaluated:
    """Evaluate each run into ``DIR/seed-N`` as ever, then write ``metrics.json``, ``seeds.tsv``, ``evaluation.json`` and ``page.html``.

    Args:
        runs: two or more, the same but for the seed.
        data: ``manifest.tsv`` to score; otherwise each run's own test side.
        classes: score and choose among these only.
        label_map: labels of the cohort to classes.
        output: folder to write.
        say: takes lines for a person.

    Raises:
        UsageError: no ``output``, or nothing to score.
        DataError: runs that differ in more than the seed; the settings are named.
    """
    from voxtune.data.manifest import write_table
    from voxtune.evaluation.tables import FACTS, METRICS, SEEDS, read_metrics
    from voxtune.pages.evaluation_seeds_page import seeds_page, summary

    if output is None:
        raise UsageError("Say where to write the scores of several runs: -o DIR.")
    members = read_seed_runs(runs, data)
    for one in members:
        say(f"Seed {one.seed}: {one.name}")
        evaluate(
            one.run.root, data=data, classes=classes, label_map=label_map, output=output / seed_folder(one.seed), say=say
        )  # fmt: skip
    folders = {one.seed: output / seed_folder(one.seed) for one in members}
    each = {seed: read_metrics(folder / METRICS) for seed, folder in folders.items()}
    stated = {
        seed: read_json(folder / FACTS, "the facts of an evaluation") for seed, folder in folders.items()
    }
    facts = _facts(members, folders, each, stated)
    write_json(output / METRICS, _metrics(facts))
    write_table(output / SEEDS, *_table(members, facts))
    said = _said(members, facts, stated)
    write_json(output / FACTS, said)
    write_text(output / "page.html", seeds_page(facts))
    return Evaluated(
        output, read_json(output / METRICS, "metrics"), f"{summary(facts)} Page: {output / 'page.html'}", said
    )


def _facts(
    members: Sequence[SeedRun],
    folders: Mapping[int, Path],
    each: Mapping[int, Mapping[str, Metric]],
    stated: Mapping[int, Mapping[str, Any]],
) -> "SeedsFacts":
    from voxtune.pages.evaluation_seeds_page import SeedsFacts

    first = next(iter(stated.values()))
    findings = first.get("task") == "findings"
    scans = {seed: _scans(folder) for seed, folder in folders.items()}
    one_side = len({frozenset(some) for some in scans.values()}) == 1
    return SeedsFacts(
        model=str(first["model"]),
        cohort="the runs' own test side" if first["cohort"] == OWN_NAME else str(first["cohort"]),
        kind=str(first["kind"]),
        classes=[str(name) for name in first["classes"]],
        findings=findings,
        runs={one.seed: one.name for one in members},
        metrics=each,
        over=_over(each),
        minus=_minus(each, "auroc" if findings else "accuracy"),
        counts={seed: (len(some), len(set(some.values()))) for seed, some in scans.items()},
        one_side=one_side,
        test_side=_test_side(members, scans, one_side=one_side),
        interval=_interval(folders, first, findings=findings) if one_side else None,
        leakage={seed: str(one["leakage"]) for seed, one in stated.items() if one.get("leakage")},
        looks=max(int(one.get("looks") or 0) for one in stated.values()) if one_side else None,
        label_map=first.get("label_map"),
        resamples=int(first["resamples"]),
        confidence=float(first["confidence"]),
        citation=members[0].config.citations,
        simulated=any(one.get("simulated") is True for one in stated.values()),
    )


def _scans(folder: Path) -> dict[str, str]:
    """The scored scans with their participants."""
    from voxtune.data.manifest import read_table
    from voxtune.evaluation.tables import PREDICTIONS

    return {row["scan_id"]: row["participant_id"] for row in read_table(folder / PREDICTIONS)}


def _test_side(members: Sequence[SeedRun], scans: Mapping[int, Mapping[str, str]], *, one_side: bool) -> str:
    """What the seeds share and what they do not, in a sentence."""
    some = next(iter(scans.values()))
    if one_side:
        sides = {(tuple(sorted(one.split["train"])), tuple(sorted(one.split["val"]))) for one in members}
        trained = (
            "and trained on the same scans, so the sd is of training alone"
            if len(sides) == 1
            else "but each trained on its own split, so the sd holds that chance too"
        )
        count = "both" if len(scans) == 2 else f"all {len(scans)}"
        return f"One test side: {count} seeds are scored on the same {len(some)} scans of {len(set(some.values()))} participants, {trained}."
    people = [set(one.values()) for one in scans.values()]
    everyone = set().union(*people)
    twice = sum(1 for person in everyone if sum(person in one for one in people) > 1)
    return (
        f"Each seed has its own test side: {len(everyone)} participants in all, {twice} of them in more than one. The sd holds the chance of "
        "the split as well as that of training."
    )


def _interval(
    folders: Mapping[int, Path], stated: Mapping[str, Any], *, findings: bool
) -> tuple[float, float] | None:
    """Over participants, of the headline score's mean over seeds."""
    from voxtune.evaluation.compare_findings import read_answered
    from voxtune.evaluation.permutation_test import Draw
    from voxtune.evaluation.seeds import accuracy_interval, auroc_interval
    from voxtune.evaluation.tables import PREDICTIONS, read_predictions

    draw = Draw(int(stated["resamples"]), 0, float(stated["confidence"]))
    files = [folder / PREDICTIONS for folder in folders.values()]
    if findings:
        return auroc_interval([read_answered(one) for one in files], draw)
    return accuracy_interval([read_predictions(one)[0] for one in files], stated["classes"], draw)


def _over(each: Mapping[int, Mapping[str, Metric]]) -> dict[str, OverSeeds]:
    """Every score that some seed has, over the seeds."""
    from voxtune.evaluation.seeds import over_seeds

    names = dict.fromkeys(name for some in each.values() for name in some)
    return {name: over_seeds([_value(some.get(name)) for some in each.values()]) for name in names}


def _minus(each: Mapping[int, Mapping[str, Metric]], headline: str) -> dict[str, OverSeeds]:
    """The model minus each baseline in the headline score, seed by seed."""
    from voxtune.evaluation.seeds import over_seeds

    start, end = "baseline/", f"/{headline}"
    names = dict.fromkeys(
        name.removeprefix(start).removesuffix(end)
        for some in each.values()
        for name in some
        if name.startswith(start) and name.endswith(end)
    )

    def differences(name: str) -> list[float | None]:
        pairs = [
            (_value(some.get(headline)), _value(some.get(f"{start}{name}{end}"))) for some in each.values()
        ]
        return [None if own is None or its is None else own - its for own, its in pairs]

    return {name: over_seeds(differences(name)) for name in names}


def _value(metric: Metric | None) -> float | None:
    return metric.value if metric else None


def _metrics(facts: "SeedsFacts") -> dict[str, Any]:
    """``metrics.json``: of every score mean, sd, the seeds that have it and what each says."""
    content: dict[str, Any] = {
        name: {
            "mean": over.mean,
            "sd": over.sd,
            "n_seeds": over.defined,
            "each": {str(seed): one.model_dump() if one else None for seed, one in facts.each(name).items()},
        }
        for name, over in facts.over.items()
    }
    if facts.interval:
        content[facts.headline] |= dict(zip(("low", "high"), facts.interval, strict=True))
    return content | {
        "n_seeds": len(facts.runs),
        "n_scans": {str(seed): one[0] for seed, one in facts.counts.items()},
        "n_participants": {str(seed): one[1] for seed, one in facts.counts.items()},
    }


def _table(
    members: Sequence[SeedRun], facts: "SeedsFacts"
) -> tuple[tuple[str, ...], list[dict[str, object]]]:
    """``seeds.tsv``: one row a seed with its main scores and their intervals."""
    names = list(facts.names)
    columns = ("seed", "run", "adapter_sha256", "n_scans", "n_participants", *(f"{name}{end}" for name in names for end in ("", "_low", "_high")))  # fmt: skip
    rows = []
    for one in members:
        row: dict[str, object] = {
            "seed": one.seed,
            "run": one.name,
            "adapter_sha256": one.adapter.get("adapter_sha256"),
            "n_scans": facts.counts[one.seed][0],
            "n_participants": facts.counts[one.seed][1],
        }
        for name in names:
            metric = facts.metrics[one.seed].get(name)
            if metric:
                row |= {name: metric.value, f"{name}_low": metric.low, f"{name}_high": metric.high}
        rows.append(row)
    return columns, rows


def _said(
    members: Sequence[SeedRun], facts: "SeedsFacts", stated: Mapping[int, Mapping[str, Any]]
) -> dict[str, Any]:
    """``evaluation.json``: what the figures are of."""
    first = next(iter(stated.values()))
    return {
        "task": "findings" if facts.findings else "diagnosis",
        **{name: first.get(name) for name in SHARED},
        "cohort": facts.cohort,
        "simulated": facts.simulated,
        "seeds": [one.seed for one in members],
        "runs": {str(one.seed): one.name for one in members},
        "adapters_sha256": {str(one.seed): one.adapter.get("adapter_sha256") for one in members},
        "test_side": facts.test_side,
        "one_test_side": facts.one_side,
        "leakage": {str(seed): text for seed, text in facts.leakage.items()},
        "looks": facts.looks,
        "voxtune": __version__,
    }
