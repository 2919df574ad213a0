"""Who will convert, on SIMULATED people with MCI whose hazards are known: against the true risk, volumes, age and MMSE; one visit against several.

    python benchmarks/time/run.py calibration          minutes: estimated risks under censoring of 0, 30, 60%, with and without weights; no pictures
    python benchmarks/time/run.py cohorts [--cohorts 10] [--only 0] [--work FOLDER]     the models; each cohort and signal is a cell, kept in FOLDER
                                                       (results/cells), a few minutes of one core each
    python benchmarks/time/run.py table [--work FOLDER]     results/time.json from the cells that are there
    python benchmarks/time/run.py real TABLE           the columns of an event from leaspy's synthetic table (alzheimer.csv of its wheel)

A run that was stopped goes on where it stopped: a cell that is there is not made again (--again makes it anew). Two signals: ``level`` (the hazard
goes by what one scan shows) and ``change`` (it goes by the pace, which two scans show).
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
CELLS = RESULTS / "cells"
YEARS = (1.0, 2.0, 3.0)
PEOPLE = {"train": 130, "val": 50, "test": 90}
SIGNALS = {
    "level": {"level": 1.2, "change": 0.0, "rate": 0.18, "dropout": 0.12, "progression": 1.0},
    "change": {"level": 0.0, "change": 1.2, "rate": 0.18, "dropout": 0.12, "progression": 4.0},
}
VISITS = 3
SEEDS = 1
CENSORING = {"0%": 0.0, "30%": 0.13, "60%": 0.5}
"""Hazard of leaving a year that loses about so many people before they convert or the study ends."""
VOLUMES = (
    "hippocampus_mm3",
    "ventricles_mm3",
    "whole_brain_mm3",
    "entorhinal_mm3",
    "fusiform_mm3",
    "middle_temporal_mm3",
)


def write(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(
        json.dumps({"simulated": True} | content, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )
    part.replace(path)


def settings_of(seed: int, signal: str, people: int) -> Any:
    from voxtune.simulate.follow_up import FollowUp
    from voxtune.simulate.subjects import CohortSettings

    known = dict(SIGNALS[signal])
    return CohortSettings(
        participants=people, visits=VISITS, seed=seed, proportions=(0.0, 1.0, 0.0), progression=known.pop("progression"),
        event=FollowUp(years=6.0, **known),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------- the cohorts
def pictures(settings: Any, planned: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    """Rows and what the frozen front of the base made of each picture."""
    import torch

    from voxtune.config import read_recipe
    from voxtune.data.images import load_preset
    from voxtune.imaging.tensor import to_tensor
    from voxtune.model.build import frozen_base
    from voxtune.simulate.brains import render
    from voxtune.simulate.records import manifest_row
    from voxtune.simulate.scanner import Scanner

    base, preset = frozen_base(read_recipe("deft")), load_preset("tiny")
    machines = [Scanner.drawn(settings.seed, index) for index in range(settings.scanners)]
    rows, embedded = [], {}
    for scan in planned:
        scanner = machines[scan.participant.scanner]
        volume, anatomy = render(settings, scan, scanner)
        voxels = np.round(volume.voxels * 255).astype(np.float32) / np.float32(255)
        rows.append(manifest_row(settings, scan, anatomy, scanner, image="none", digest="0" * 64))
        with torch.no_grad():
            picture = torch.from_numpy(to_tensor(volume.with_voxels(voxels), preset))
            embedded[scan.scan_id] = base.vision.embed(picture[None])[0].clone()
    return rows, embedded


def recipe(visits: int) -> Any:
    from voxtune.config import read_recipe

    config = read_recipe("deft")
    for edit in (
        f"event=conversion(visits={visits})", "aggregation.form=none", "targets=none", "text=none", "loss.class_weight=1", "profile=dementia",
        "training.metric=loss",
    ):  # fmt: skip
        config = config.edit(edit)
    return config


def cell(seed: int, signal: str) -> dict[str, Any]:
    """One cohort: what every row of the table says of its test people."""
    import torch

    from voxtune.commands.train.in_memory import train_in_memory
    from voxtune.evaluation.event_answer import EventAnswer, of_risks
    from voxtune.evaluation.event_calibration import calibrate_event
    from voxtune.evaluation.event_followed import cells_of
    from voxtune.losses.findings import pair_differences
    from voxtune.model.risk_question import RiskQuestion
    from voxtune.model.visits import VisitJoin, VisitSide, histories_of, learn_visits
    from voxtune.simulate.follow_up import true_risks
    from voxtune.simulate.subjects import scans
    from voxtune.tasks.time_to_event import baseline_of

    began = time.perf_counter()
    settings = settings_of(seed, signal, sum(PEOPLE.values()))
    planned = list(scans(settings))
    rows, embedded = pictures(settings, planned)
    made = time.perf_counter() - began
    order = list(dict.fromkeys(row.participant_id for row in rows))
    ends = np.cumsum([0, *PEOPLE.values()])
    sides = {
        name: [row for row in rows if row.participant_id in set(order[start:stop])]
        for name, start, stop in zip(PEOPLE, ends[:-1], ends[1:], strict=True)
    }
    config = recipe(VISITS)
    event = config.event
    trained = train_in_memory(config, (), sides["train"], sides["val"], embedded)
    seen = {name: trained.see([row.scan_id for row in some]) for name, some in sides.items()}
    levels = baseline_of(sides["train"], event)
    join = VisitJoin(seen["train"].vectors.shape[1], VISITS)
    known = {
        name: VisitSide(
            seen[name].logits,
            seen[name].vectors,
            cells_of(some, event),
            histories_of(some, VISITS),
            [row.participant_id for row in some],
        )
        for name, some in sides.items()
    }
    said = learn_visits(join, known["train"], known["val"], levels)
    people = [row.participant_id for row in sides["val"]]

    def calibrated(logits: dict[str, Any]) -> np.ndarray:
        factor = pair_differences(logits["val"].double())[:, 0].numpy()
        fitted = calibrate_event(factor, known["val"].cells, levels, people, 0)
        question = RiskQuestion(event, tuple(one + fitted.shift for one in levels), 1 / fitted.slope)
        return question.probabilities(logits["test"])

    alone = {name: one.logits for name, one in seen.items()}
    several = {name: join.joined(one.logits, one.vectors, one.histories) for name, one in known.items()}
    answer = EventAnswer(RiskQuestion(event, levels))
    truth = known["train"].cells

    def regression(columns: tuple[str, ...], *, change: bool = False) -> np.ndarray:
        train, test = (table_of(sides[side], columns, known[side].histories) for side in ("train", "test"))
        if not change:
            train, test = (one[:, : len(columns)] for one in (train, test))
        usable = np.isfinite(truth).any(axis=1)
        return answer.table(sides["test"], answer.fit(train[usable], test, truth[usable], 0)).probabilities

    vectors = {name: one.vectors.double().numpy() for name, one in seen.items()}
    usable = np.isfinite(truth).any(axis=1)
    by_id = {scan.scan_id: scan for scan in planned}
    risks = {
        "true risk": np.array([true_risks(settings, by_id[row.scan_id], YEARS) for row in sides["test"]]),
        "model, one visit": calibrated(alone),
        "model, several visits": calibrated(several),
        "volumes": regression(VOLUMES),
        "volumes and their change": regression(VOLUMES, change=True),
        "age and MMSE": regression(("age", "mmse")),
        "age, MMSE and volumes": regression(("age", "mmse", *VOLUMES)),
        "probe on the adapted vectors": answer.table(
            sides["test"], answer.fit(vectors["train"][usable], vectors["test"], truth[usable], 0)
        ).probabilities,
    }
    question = RiskQuestion(event, levels)
    tables = {name: of_risks(question, sides["test"], np.asarray(risk)) for name, risk in risks.items()}
    torch.manual_seed(0)
    return {
        "seed": seed, "signal": signal, "rows": {name: figures(table, risks["true risk"]) for name, table in tables.items()},
        "later": later_only(tables, known["test"].histories), "visits": said, "scans": {name: len(some) for name, some in sides.items()},
        "events": int(np.nansum(known["test"].cells)), "steps": trained.plan.steps,
        "seconds": {"pictures": round(made), "all": round(time.perf_counter() - began)},
    }  # fmt: skip


def table_of(rows: list[Any], columns: tuple[str, ...], histories: Any) -> np.ndarray:
    """What a table holds of each row (n, 2 k): values, and their change in percent a year beyond the mean of these rows; 0 without an earlier scan."""
    values = np.array([[float(getattr(row, name)) for name in columns] for row in rows])
    changes = np.full_like(values, np.nan)
    for place, history in enumerate(histories):
        if history:
            changes[place] = np.mean(
                [100 * (values[place] / values[one] - 1) / gap for one, gap in history], axis=0
            )
    return np.hstack([values, np.nan_to_num(changes - np.nanmean(changes, axis=0))])


def figures(table: Any, truth: np.ndarray) -> dict[str, float | None]:
    """The scores of one table, without intervals: the cells are what is paired."""
    from voxtune.evaluation.event_scores import EventScores

    found = {name: float(value[0]) for name, value in EventScores().scores(table, np.ones((1, len(table))))}
    found |= {
        f"bias/{years:g}": float((table.probabilities[:, place] - truth[:, place]).mean())
        for place, years in enumerate(YEARS)
    }
    return {name: round(value, 6) if np.isfinite(value) else None for name, value in found.items()}


def later_only(tables: dict[str, Any], histories: Any) -> dict[str, dict[str, float | None]]:
    """C-index and Brier score of the scans that have an earlier one: where several visits can say anything at all."""
    rows = np.array([bool(one) for one in histories])
    return {
        name: {
            score: value
            for score, value in figures(table.some(rows), table.probabilities[rows]).items()
            if score in {"c_index", "brier"}
        }
        for name, table in tables.items()
        if name.startswith("model") or name == "true risk"
    }


def cohorts(count: int, only: int | None, work: Path, *, again: bool) -> None:
    for seed in range(count) if only is None else [only]:
        for signal in reversed(SIGNALS):
            path = work / f"{signal}-{seed}.json"
            if path.is_file() and not again:
                continue
            found = cell(1000 + seed, signal)
            write(path, found)
            said = {name: one["c_index"] for name, one in found["rows"].items()}
            print(f"{signal} {seed}: {said}; {found['seconds']['all']} s", flush=True)


# ------------------------------------------------------------------------------------- must show 2: calibration
def calibration() -> None:
    """Risks estimated with masking and judged with weights, and both by leaving the lost out; 10 cohorts of 2,000 people, no pictures."""
    from voxtune.evaluation import survival
    from voxtune.evaluation.event_answer import EventAnswer
    from voxtune.evaluation.survival import FollowUp, hazard_cells, risk_of
    from voxtune.model.risk_question import RiskQuestion
    from voxtune.simulate.follow_up import MCI, course
    from voxtune.simulate.follow_up import FollowUp as Event
    from voxtune.simulate.subjects import CohortSettings, severity, traits
    from voxtune.types.event import CENSORED, HAPPENED
    from voxtune.types.event import Event as Asked

    rows = []
    answer = EventAnswer(RiskQuestion(Asked(name="conversion", years=YEARS), (0.0,) * 3))
    for seed in range(10):
        for censored, dropout in CENSORING.items():
            for informative in (0.0, 1.0):
                settings = CohortSettings(
                    participants=2000, seed=2000 + seed, proportions=(0, 1, 0),
                    event=Event(rate=0.18, level=1.2, dropout=dropout, informative=informative),
                )  # fmt: skip
                people = [traits(settings, index)[0] for index in range(settings.participants)]
                assert {one.kind for one in people} == {MCI}
                courses = [course(settings, one) for one in people]
                shown = np.array([[severity(one, one.cognition)] for one in people])
                truth = np.array([[one.risk(0.0, years) for years in YEARS] for one in courses])
                years, status = (
                    np.array([one.end for one in courses]),
                    np.array([one.status for one in courses]),
                )
                half = np.arange(len(people)) < 1000
                cells = hazard_cells(years, status, np.array(YEARS))
                risk = risk_of(answer.fit(shown[half], shown[~half], cells[half], 0))
                # Leaving out whoever is lost before a horizon: each horizon a plain classification of those who are left.
                plain = np.stack([
                    answer.fit(shown[half & kept], shown[~half], (status == HAPPENED)[half & kept, None] * (years[half & kept, None] <= at), 0)[:, 0]
                    for at in YEARS
                    for kept in [(status == HAPPENED) & (years <= at) | (years >= at)]
                ], axis=1)  # fmt: skip
                known = FollowUp(years[~half], status[~half], np.arange(1000))
                ones = np.ones((1, 1000))
                for place, at in enumerate(YEARS):
                    left = known.known(at)
                    rows.append({
                        "seed": seed, "censored": censored, "informative": informative, "years": at, "lost": float((status == CENSORED).mean()),
                        "estimated": float(risk[:, place].mean() - truth[~half][:, place].mean()),
                        "estimated without the lost": float(plain[:, place].mean() - truth[~half][:, place].mean()),
                        "observed": float(survival.observed_risk(ones, known, at)[0] - truth[~half][:, place].mean()),
                        "observed without the lost": float(known.cases(at)[left].mean() - truth[~half][:, place].mean()),
                    })  # fmt: skip
        print(f"calibration: cohort {seed}", flush=True)
    write(RESULTS / "calibration.json", {"rows": rows, "summary": summary_of(rows)})
    for one in summary_of(rows):
        print(one)


def summary_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard error over cohorts of each difference from the true risk."""
    found = []
    keys = sorted(
        {(one["censored"], one["informative"], one["years"]) for one in rows},
        key=lambda key: (key[1], key[0], key[2]),
    )
    for key in keys:
        some = [one for one in rows if (one["censored"], one["informative"], one["years"]) == key]
        line: dict[str, Any] = dict(zip(("censored", "informative", "years"), key, strict=True))
        line["lost"] = round(float(np.mean([one["lost"] for one in some])), 3)
        for name in ("estimated", "estimated without the lost", "observed", "observed without the lost"):
            values = [one[name] for one in some]
            line[name] = [
                round(float(np.mean(values)), 4),
                round(float(np.std(values, ddof=1) / np.sqrt(len(values))), 4),
            ]
        found.append(line)
    return found


# ------------------------------------------------------------------------------------------------- the table
def table(work: Path) -> None:
    """Means over the cohorts that are there, and the paired differences of the model from each row."""
    content: dict[str, Any] = {}
    for signal in SIGNALS:
        found = [
            json.loads(path.read_text(encoding="utf-8")) for path in sorted(work.glob(f"{signal}-*.json"))
        ]
        if not found:
            continue
        rows = {}
        # A row that was added later is shown once every cell has it (cohorts --again).
        for name in (one for one in found[0]["rows"] if all(one in cell["rows"] for cell in found)):
            own = {score: [one["rows"][name][score] for one in found] for score in ("c_index", "c_index_harrell", "auroc", "brier", "calibration/1 year", "calibration/2 years", "calibration/3 years", "bias/3")}  # fmt: skip
            rows[name] = {score: spread(values) for score, values in own.items()}
            rows[name]["model minus it"] = spread(
                [
                    one["rows"]["model, several visits"]["c_index"] - one["rows"][name]["c_index"]
                    for one in found
                ]
            )
        later = {
            score: spread(
                [
                    one["later"]["model, several visits"][score] - one["later"]["model, one visit"][score]
                    for one in found
                ]
            )
            for score in ("c_index", "brier")
        }
        content[signal] = {
            "cohorts": len(found), "rows": rows, "several minus one visit": spread(
                [one["rows"]["model, several visits"]["c_index"] - one["rows"]["model, one visit"]["c_index"] for one in found]
            ), "several minus one visit, scans with an earlier one": later,
        }  # fmt: skip
        print(f"{signal}, {len(found)} cohorts")
        for name, one in rows.items():
            print(
                f"  {name:30} C {one['c_index']}  Brier {one['brier']}  model minus it {one['model minus it']}"
            )
        print(
            f"  several minus one visit: {content[signal]['several minus one visit']}; scans with an earlier one {later}"
        )
    write(RESULTS / "time.json", content)


def spread(values: list[float | None]) -> list[float | None]:
    """Mean, and the half width of its 95% interval by Student's t over cohorts."""
    from scipy.stats import t

    known = [one for one in values if one is not None]
    if not known:
        return [None, None]
    half = (
        None
        if len(known) < 2
        else round(float(t.ppf(0.975, len(known) - 1) * np.std(known, ddof=1) / np.sqrt(len(known))), 4)
    )
    return [round(float(np.mean(known)), 4), half]


# ------------------------------------------------------------------------------------------------- real layout
def real(table: Path) -> None:
    """The data path on leaspy's synthetic table: a BIDS tree of its people, with irregular times and visits without an image, read by ``ingest``.

    Args:
        table: ``leaspy/datasets/data/alzheimer.csv`` of its wheel (pip download --no-deps leaspy; leaspy itself need not be installed).
    """
    import csv
    import tempfile

    from voxtune.cohorts.bids import Bids
    from voxtune.data.follow_up import earlier_scans, follow_up
    from voxtune.types.event import Event

    people: dict[str, list[dict[str, str]]] = {}
    for one in csv.DictReader(table.read_text(encoding="utf-8").splitlines()):
        people.setdefault(one["ID"], []).append(one)
    score = next(name for name in next(iter(people.values()))[0] if name.upper().startswith("MMSE"))
    third = float(np.quantile([float(one[score]) for visits in people.values() for one in visits], 0.66))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "participants.tsv").write_text(
            "participant_id\n" + "".join(f"sub-{n:04d}\n" for n in range(len(people)))
        )
        for number, visits in enumerate(people.values()):
            person = f"sub-{number:04d}"
            lines = ["session_id\tdiagnosis\tmonths"]
            for place, one in enumerate(visits):
                state = "AD" if float(one[score]) > third else "MCI"
                lines.append(
                    f"ses-{place:02d}\t{state}\t{12 * (float(one['TIME']) - float(visits[0]['TIME'])):.3f}"
                )
                if place % 2 == 0:
                    image = (
                        root / person / f"ses-{place:02d}" / "anat" / f"{person}_ses-{place:02d}_T1w.nii.gz"
                    )
                    image.parent.mkdir(parents=True)
                    image.write_text("no picture")
            (root / person / f"{person}_sessions.tsv").write_text("\n".join(lines) + "\n")
        reading = Bids.model_validate({"root": root, "event": "conversion", "event_time": "months"}).read()
    years, status = follow_up(reading.rows, Event(name="conversion"))
    kept = [row for row, some in zip(reading.rows, np.isfinite(years), strict=True) if some]
    found = {
        "source": "leaspy, alzheimer.csv (synthetic); the upper third of its MMSE column is called AD", "people": len(people), "scans": len(reading.rows),
        "followed": len(kept), "events": int((status == 1).sum()), "lost": int((status == 0).sum()),
        "median_years": round(float(np.nanmedian(years)), 3), "with_an_earlier_scan": len(earlier_scans(kept, kept, 3)),
        "said": next(one for one in reading.notes if one.startswith("conversion")),
    }  # fmt: skip
    write(RESULTS / "leaspy.json", found)
    print(json.dumps(found, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("calibration", "cohorts", "table", "real"))
    parser.add_argument("table", nargs="?", type=Path, help="of real")
    parser.add_argument("--cohorts", type=int, default=10)
    parser.add_argument("--only", type=int, help="one cohort, to rehearse or to share out")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--work", type=Path, default=CELLS, help="where the cells of cohorts are kept")
    arguments = parser.parse_args()
    if arguments.what == "cohorts":
        cohorts(arguments.cohorts, arguments.only, arguments.work, again=arguments.again)
    elif arguments.what == "real":
        if arguments.table is None:
            parser.error("real takes the path of alzheimer.csv")
        real(arguments.table)
    else:
        calibration() if arguments.what == "calibration" else table(arguments.work)


if __name__ == "__main__":
    main()
