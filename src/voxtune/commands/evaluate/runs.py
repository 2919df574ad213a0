"""``voxtune evaluate RUN RUN ...``: seeds as mean and standard deviation, folds of a cross-validation pooled."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxtune import __version__
from voxtune.commands.evaluate.write import (
    BASELINES,
    LOCK,
    Evaluated,
    evaluation_folder,
    scored,
    write_evaluation,
)
from voxtune.errors import UsageError
from voxtune.run_dir import read_json, write_json, write_text
from voxtune.storage.lock import waited
from voxtune.types.records import Metric, OverRuns
from voxtune.types.stored import EvaluationStated

if TYPE_CHECKING:
    from voxtune.evaluation.evaluation import Evaluation
    from voxtune.evaluation.run_list import Member, RunList
    from voxtune.pages.evaluation_facts import EvaluationFacts, RunsFacts
    from voxtune.types.conformal import WantedSets

SHARED = (
    "task", "kind", "simulated", "model", "base", "manifest_sha256", "classes", "targets", "held_out", "merged", "label_map", "label_rules",
    "left_out", "resamples", "confidence",
)  # fmt: skip
"""What ``evaluation.json`` says of every run alike."""


def run_folder(of: str, key: str) -> str:
    """Name of the folder of one run in an evaluation of several: ``seed-0``, ``fold-0``."""
    return f"{of}-{key}"


def evaluate_runs(  # noqa: PLR0913  (the options of the command)
    runs: Sequence[Path],
    *,
    data: Path | None = None,
    classes: Sequence[str] | None = None,
    label_map: Mapping[str, str] | None = None,
    output: Path | None,
    home: Path | None = None,
    say: Callable[[str], None] = print,
    sets: "WantedSets | None" = None,
) -> Evaluated:
    """Evaluate each run into ``DIR/seed-N`` or ``DIR/fold-N`` as ever, then write what they say together.

    Args:
        runs: two or more, the same but for the seed, or folds.
        data: ``manifest.tsv`` to score; otherwise each run's own test side.
        classes: score and choose among these only.
        label_map: labels of the cohort to classes.
        output: folder to write.
        home: the folder that holds the runs, where that was given: the place to write to is then ``home/evaluation/<cohort>``.
        say: takes lines for a person.
        sets: prediction sets to measure too.

    Raises:
        UsageError: no ``output``, or nothing to score.
        DataError: runs that differ in more than seed or fold; the settings are named.
    """
    from voxtune.evaluation.evaluated_model import read_model
    from voxtune.evaluation.run_list import read_run_list

    if output is None and home is None:
        raise UsageError("Say where to write the scores of several runs: -o DIR.")
    listed = read_run_list(runs, data)
    parts: dict[str, Evaluation] = {}
    for one in listed.members:
        say(f"{listed.of.capitalize()} {one.key}: {one.name}")
        found = scored(read_model(one.run.root), data, classes, label_map, say, sets)
        if output is None:
            assert home is not None
            output = evaluation_folder(home / "evaluation", found)
        parts[one.key] = found
        write_evaluation(found, output / run_folder(listed.of, one.key), prints=False)
    assert output is not None
    with waited(output, LOCK, every=0.1):
        return _together(listed, parts, output)


def _together(listed: "RunList", parts: Mapping[str, "Evaluation"], output: Path) -> Evaluated:
    from voxtune.data.manifest import write_table
    from voxtune.evaluation.evaluation import pooled
    from voxtune.evaluation.tables import FACTS, METRICS, read_metrics, write_metrics_json, write_predictions
    from voxtune.pages.evaluation_page import evaluation_page, summary
    from voxtune.pages.evaluation_prints import write_prints

    folders = {key: output / run_folder(listed.of, key) for key in parts}
    each = {key: read_metrics(folder / METRICS) for key, folder in folders.items()}
    stated = {
        key: read_json(folder / FACTS, "the facts of an evaluation", EvaluationStated)
        for key, folder in folders.items()
    }
    runs = _runs_facts(listed, parts, each, stated)
    whole = None
    if listed.of == "fold" and not runs.one_side:
        whole = pooled(list(parts.values()))
        write_predictions(output, whole.table)
        for name, rival in whole.rivals.items():
            write_predictions(output / BASELINES / name, rival)
        people = len(set(whole.table.participants))
        write_metrics_json(
            output / METRICS, whole.all_metrics(), n_scans=len(whole.table), n_participants=people
        )
    else:
        write_json(output / METRICS, _mean_metrics(runs, _headline(parts)), shared=True)
    facts = _page_facts(runs, parts, whole, stated)
    write_table(output / f"{listed.of}s.tsv", *_table(listed.members, facts))
    said = _said(listed, facts, stated)
    write_json(output / FACTS, said)
    write_text(output / "page.html", evaluation_page(facts))
    write_prints(facts, output)
    return Evaluated(
        output, read_json(output / METRICS, "metrics"), f"{summary(facts)} Page: {output / 'page.html'}", said
    )


def _headline(parts: Mapping[str, "Evaluation"]) -> str:
    return next(iter(parts.values())).headline


def _runs_facts(
    listed: "RunList",
    parts: Mapping[str, "Evaluation"],
    each: Mapping[str, Mapping[str, Metric]],
    stated: Mapping[str, Mapping[str, Any]],
) -> "RunsFacts":
    from voxtune.evaluation.choice import read_choice
    from voxtune.evaluation.intervals import Draw
    from voxtune.evaluation.run_list import one_test_side, test_side_in_words
    from voxtune.evaluation.runs import mean_interval
    from voxtune.pages.evaluation_facts import RunsFacts

    tables = {key: part.table for key, part in parts.items()}
    scans = {
        key: dict(zip(table.scan_ids, map(str, table.participants), strict=True))
        for key, table in tables.items()
    }
    one_side, first = one_test_side(scans), next(iter(parts.values()))
    draw = first.draw
    return RunsFacts(
        of=listed.of,
        runs={one.key: one.name for one in listed.members},
        metrics=each,
        over=_over(each),
        minus=_minus(each, first.headline),
        counts={key: (len(some), len(set(some.values()))) for key, some in scans.items()},
        one_side=one_side,
        test_side=test_side_in_words(listed, scans),
        interval=mean_interval(list(tables.values()), Draw(draw.resamples, 0, draw.confidence))
        if one_side
        else None,
        leakage={key: str(one["leakage"]) for key, one in stated.items() if one.get("leakage")},
        choices={
            one.key: choice.words
            for one in listed.members
            if (choice := read_choice(one.run.root)) is not None
        },
    )


def _page_facts(
    runs: "RunsFacts",
    parts: Mapping[str, "Evaluation"],
    whole: "Evaluation | None",
    stated: Mapping[str, Mapping[str, Any]],
) -> "EvaluationFacts":
    """The page of the pooled answers, or of the means over runs."""
    from dataclasses import replace

    from voxtune.commands.evaluate.facts import described

    first = next(iter(parts.values()))
    looks = max(int(one.get("looks") or 0) for one in stated.values()) if runs.one_side else None
    facts = described(whole or first, scored=whole is not None)
    cohort = "the runs' own test side" if first.cohort.own else facts.cohort
    if whole is not None:
        cohort = f"the {len(parts)} folds of its own cohort" if first.cohort.own else facts.cohort
    return replace(
        facts,
        runs=runs,
        cohort=cohort,
        looks=looks,
        targets={
            name: replace(one, interval=None) for name, one in facts.targets.items()
        },  # each run has its own
        simulated=any(one.get("simulated") is True for one in stated.values()),
        base_seen=" ".join(dict.fromkeys(str(one["base_seen"]) for one in stated.values())),
        base_seen_alarms=any(one["base_seen_alarms"] is True for one in stated.values()),
    )


def _over(each: Mapping[str, Mapping[str, Metric]]) -> dict[str, OverRuns]:
    """Every score that some run has, over the runs."""
    from voxtune.evaluation.runs import over_runs

    names = dict.fromkeys(name for some in each.values() for name in some)
    return {name: over_runs([_value(some.get(name)) for some in each.values()]) for name in names}


def _minus(each: Mapping[str, Mapping[str, Metric]], headline: str) -> dict[str, OverRuns]:
    """The model minus each baseline in the headline score, run by run."""
    from voxtune.evaluation.runs import over_runs

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

    return {name: over_runs(differences(name)) for name in names}


def _value(metric: Metric | None) -> float | None:
    return metric.value if metric else None


def _mean_metrics(runs: "RunsFacts", headline: str) -> dict[str, Any]:
    """``metrics.json`` of seeds: of every score mean, sd, the runs that have it and what each says."""
    content: dict[str, Any] = {
        name: {
            "mean": over.mean,
            "sd": over.sd,
            f"n_{runs.of}s": over.defined,
            "each": {key: one.model_dump() if one else None for key, one in runs.each(name).items()},
        }
        for name, over in runs.over.items()
    }
    if runs.interval:
        content[headline] |= dict(zip(("low", "high"), runs.interval, strict=True))
    return content | {
        f"n_{runs.of}s": len(runs.runs),
        "n_scans": {key: one[0] for key, one in runs.counts.items()},
        "n_participants": {key: one[1] for key, one in runs.counts.items()},
    }


def _table(
    members: "Sequence[Member]", facts: "EvaluationFacts"
) -> tuple[tuple[str, ...], list[dict[str, object]]]:
    """``seeds.tsv`` or ``folds.tsv``: one row a run with its main scores and their intervals."""
    from voxtune.pages.evaluation_page import names_of

    runs = facts.runs
    assert runs is not None
    names = [
        name
        for name in names_of(facts)
        if name in runs.over and (runs.over[name].defined or name.rpartition("_")[0] not in facts.targets)
    ]
    columns = (runs.of, "run", "adapter_sha256", "n_scans", "n_participants", *(f"{name}{end}" for name in names for end in ("", "_low", "_high")))  # fmt: skip
    rows = []
    for one in members:
        row: dict[str, object] = {
            runs.of: one.key,
            "run": one.name,
            "adapter_sha256": one.adapter.get("adapter_sha256"),
            "n_scans": runs.counts[one.key][0],
            "n_participants": runs.counts[one.key][1],
        }
        for name in names:
            metric = runs.metrics[one.key].get(name)
            if metric:
                row |= {name: metric.value, f"{name}_low": metric.low, f"{name}_high": metric.high}
        rows.append(row)
    return columns, rows


def _said(
    listed: "RunList", facts: "EvaluationFacts", stated: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """``evaluation.json``: what the figures are of."""
    runs, first = facts.runs, next(iter(stated.values()))
    assert runs is not None
    keys = [int(one.key) if one.key.isdigit() else one.key for one in listed.members]
    return {
        **{name: first.get(name) for name in SHARED},
        "cohort": facts.cohort,
        "simulated": facts.simulated,
        "left_out": dict(facts.left_out),
        f"{runs.of}s": keys,
        "runs": dict(runs.runs),
        "adapters_sha256": {one.key: one.adapter.get("adapter_sha256") for one in listed.members},
        **({"fold_sides": fold_sides(listed.members)} if runs.of == "fold" else {}),
        "test_side": runs.test_side,
        "one_test_side": runs.one_side,
        "pooled": bool(facts.metrics),
        "leakage": dict(runs.leakage),
        **({"choices": dict(runs.choices)} if runs.choices else {}),
        "base_seen": facts.base_seen,
        "base_seen_alarms": facts.base_seen_alarms,
        "looks": facts.looks,
        "voxtune": __version__,
    }


def fold_sides(members: "Sequence[Member]") -> dict[str, str]:
    """Of each fold the sha256 of the scans it was tested on, by which ``compare`` tells whether two sets have the same folds."""
    return {
        one.key: hashlib.sha256("\n".join(sorted(map(str, one.split.get("test", ())))).encode()).hexdigest()
        for one in members
    }
