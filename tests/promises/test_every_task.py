"""What is promised in general, held for every task: one diagnosis, findings, one target, several targets; and for lists of runs.

A promise stands in SECURITY.md, in docs/concepts or in the help of a command; a new task is added to ``conftest.TASKS`` and must keep them all.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxtune.data.manifest import read_manifest, read_table, write_table
from voxtune.evaluation.tables import read_predictions
from voxtune.storage.seal import unsealed

Study = Any
"""``conftest.Study``."""
UNITS = {"mmse": "points", "age": "years"}


def edited(manifest: Path, target: Path, **columns: str) -> Path:
    """The same manifest beside the other one, with cells of some columns replaced (``{}``: the cell as it was)."""
    rows = read_table(manifest)
    changed = [
        row | {name: value.replace("{}", row.get(name, "")) for name, value in columns.items()}
        for row in rows
    ]
    return write_table(target, tuple(changed[0]), changed)


# ------------------------------------------------------------------------------------------------ evaluate
def test_another_cohort_never_overwrites_the_own_evaluation(study: Study) -> None:
    before = {path.name: path.read_bytes() for path in study.own.glob("*.*")}
    study.call("evaluate", study.run, "--data", study.other)
    assert {path.name: path.read_bytes() for path in study.own.glob("*.*")} == before
    assert (study.run / "evaluation" / "external-test" / "metrics.json").is_file()


def test_two_cohorts_of_one_name_do_not_overwrite_each_other(study: Study, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    run = shutil.copytree(study.run, tmp_path / "run")
    written = []
    for keep in (9, 6):
        rows = read_table(study.other)[:keep]
        for row in rows:
            row["image"] = str((study.other.parent / row["image"]).resolve())
        manifest = write_table(folder / "manifest.tsv", tuple(rows[0]), rows)
        study.call("evaluate", run, "--data", manifest, "-o", tmp_path / f"out-{keep}")
        result = json.loads(study.call("evaluate", run, "--data", manifest, "--json").stdout)
        written.append(result["n_scans"])
    folders = [path for path in (run / "evaluation").iterdir() if path.name.startswith("data")]
    assert len(folders) == 2
    assert len(set(written)) == 2


@pytest.mark.parametrize("of", ["own", "another", "base"])
def test_what_is_known_of_leakage_is_said(study: Study, tmp_path: Path, of: str) -> None:
    if of == "base" and study.task == "one target":
        assert "predicts no number" in study.call("evaluate", study.run / "config.json", "--data", study.other, "-o", tmp_path, code=2).output  # fmt: skip
        return
    source = study.run / "config.json" if of == "base" else study.run
    more = () if of == "own" else ("--data", study.other)
    study.call("evaluate", source, *more, "-o", tmp_path / "out")
    stated = study.json(tmp_path / "out" / "evaluation.json")
    assert stated["leakage"], "never silent"
    said = {"own": "audit", "another": "Another cohort", "base": "Nothing was trained here"}[of]
    assert said in stated["leakage"]
    page = (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    assert said in page


def test_simulated_is_said_wherever_a_person_looks(study: Study) -> None:
    assert study.json(study.own / "evaluation.json")["simulated"] is True
    assert study.json(study.run / "adapter" / "adapter.json")["simulated"] is True
    for path in (study.own / "page.html", study.run / "page.html", study.run / "adapter" / "README.md"):
        assert "SIMULATED" in path.read_text(encoding="utf-8"), path
    assert "SIMULATED" in study.call("evaluate", study.run).output


def test_a_label_to_map_that_is_not_there_is_refused_and_one_that_is_counts(
    study: Study, tmp_path: Path
) -> None:
    assert "Setting 'map'" in study.call("evaluate", study.run, "--data", study.other, "--map", "Nowhere=NC", "-o", tmp_path, code=2).output  # fmt: skip
    if study.task in {"one target", "event"}:
        return  # there are no labels to rename
    rows = read_table(study.other)
    if study.task == "findings":
        old, new = "Emphysema", "Emphysema, any"
        rows = [{(new if name == old else name): cell for name, cell in row.items()} for row in rows]
    else:
        old, new = "NC", "Control"
        rows = [row | {"diagnosis": new if row["diagnosis"] == old else row["diagnosis"]} for row in rows]
    for row in rows:
        row["image"] = str((study.other.parent / row["image"]).resolve())
    manifest = write_table(tmp_path / "renamed" / "manifest.tsv", tuple(rows[0]), rows)
    study.call("evaluate", study.run, "--data", study.other, "-o", tmp_path / "plain")
    study.call("evaluate", study.run, "--data", manifest, "--map", f"{new}={old}", "-o", tmp_path / "mapped")
    plain, mapped = (study.json(tmp_path / name / "metrics.json") for name in ("plain", "mapped"))
    assert mapped[study.headline if study.headline in mapped else "accuracy"]["value"] == pytest.approx(
        plain[study.headline if study.headline in plain else "accuracy"]["value"]
    )
    assert f"{new} as {old}" in study.json(tmp_path / "mapped" / "evaluation.json")["label_map"]


def test_every_figure_has_its_interval_and_its_counts(study: Study) -> None:
    metrics = study.json(study.own / "metrics.json")
    scans, people = metrics.pop("n_scans"), metrics.pop("n_participants")
    assert metrics[study.headline if study.headline in metrics else "accuracy"]["value"] is not None
    for name, one in metrics.items():
        assert set(one) == {"value", "low", "high", "n_scans", "n_participants"}, name
        assert 0 <= one["n_participants"] <= people, name
        assert one["n_scans"] <= scans or name.startswith("site_probe"), name
        if one["low"] is not None:
            assert one["low"] - 1e-9 <= one["value"] <= one["high"] + 1e-9, name


def test_every_comparator_that_was_computed_stands_beside_the_model(study: Study) -> None:
    metrics = study.json(study.own / "metrics.json")
    page = (study.own / "page.html").read_text(encoding="utf-8")
    written = {path.parent.name for path in study.own.glob("baselines/*/predictions.tsv")}
    assert {"majority", "age_sex", "linear_probe"} <= written
    for name in written:
        assert any(key.startswith(f"baseline/{name}/") for key in metrics), name
    assert page.count("<tr") > len(written)
    assert "Linear probe on the frozen base" in page
    for name in written:
        study.call("compare", study.own, study.own / "baselines" / name)


def test_a_number_has_its_units(study: Study) -> None:
    page = (study.own / "page.html").read_text(encoding="utf-8")
    for name in study.json(study.own / "evaluation.json")["targets"]:
        assert f"mean absolute error ({UNITS[name]})" in page, name


def test_subgroups_are_given(study: Study) -> None:
    assert any(name.startswith("subgroup/sex/") for name in study.json(study.own / "metrics.json"))


def test_what_is_not_scored_is_counted(study: Study, tmp_path: Path) -> None:
    rows = read_table(study.other)
    for row in rows:
        row["image"] = str((study.other.parent / row["image"]).resolve())
    first = {
        name: "n/a"
        for name in rows[0]
        if name in {"diagnosis", "mmse", "age"} or name.startswith("conversion_")
    }
    findings = {
        name: "n/a" for name, cell in rows[0].items() if cell in {"0", "1"} and study.task == "findings"
    }
    rows[0] |= first | findings
    manifest = write_table(tmp_path / "gaps" / "manifest.tsv", tuple(rows[0]), rows)
    study.call("evaluate", study.run, "--data", manifest, "-o", tmp_path / "out")
    stated = study.json(tmp_path / "out" / "evaluation.json")
    assert sum(stated["left_out"].values()) == 1
    assert len(read_table(tmp_path / "out" / "predictions.tsv")) == len(rows) - 1


def test_every_look_at_the_same_scans_is_counted(study: Study, tmp_path: Path) -> None:
    looks = []
    for number in range(2):
        study.call("evaluate", study.run, "--data", study.other, "-o", tmp_path / str(number))
        looks.append(study.json(tmp_path / str(number) / "evaluation.json")["looks"])
    assert looks[1] == looks[0] + 1


def test_scans_that_training_saw_are_no_other_cohort(study: Study, tmp_path: Path) -> None:
    rows = read_table(study.manifest)
    for row in rows:
        row["image"] = str((study.manifest.parent / row["image"]).resolve())
    manifest = write_table(tmp_path / "again" / "manifest.tsv", tuple(rows[0]), rows)
    said = study.call("evaluate", study.run, "--data", manifest, "-o", tmp_path / "out", code=3).output
    assert "IDs of training or validation scans" in said


def test_the_same_run_gives_the_same_figures(study: Study, tmp_path: Path) -> None:
    study.call("evaluate", study.run, "-o", tmp_path)
    assert (tmp_path / "metrics.json").read_bytes() == (study.own / "metrics.json").read_bytes()
    assert (tmp_path / "predictions.tsv").read_bytes() == (study.own / "predictions.tsv").read_bytes()


def test_the_table_of_answers_is_read_as_it_was_written(study: Study) -> None:
    path = study.own / "predictions.tsv"
    header = path.read_text(encoding="utf-8").splitlines()[0].split("\t")
    assert header[:4] == ["scan_id", "participant_id", "diagnosis", "predicted"]
    table = read_predictions(path)
    assert len(table) == len(read_table(path))
    if table.names:
        assert ((table.probabilities >= 0) & (table.probabilities <= 1)).all()
    for name in study.json(study.own / "evaluation.json")["targets"]:
        assert np.isfinite(table.estimate(name)).all(), name


# ------------------------------------------------------------------------------------------------- compare
def test_a_model_does_not_differ_from_itself(study: Study, tmp_path: Path) -> None:
    study.call("compare", study.run, study.run, "-o", tmp_path)
    for row in study.json(tmp_path / "comparison.json")["evaluations"][0]["comparisons"]:
        assert row["difference"] in {0, None}, row["score"]


def test_other_scans_are_not_compared(study: Study, tmp_path: Path) -> None:
    study.call("evaluate", study.run, "--data", study.other, "-o", tmp_path / "other")
    assert "different scans" in study.call("compare", study.own, tmp_path / "other", code=3).output


def test_a_comparison_says_simulated(study: Study, tmp_path: Path) -> None:
    study.call("compare", study.own, study.own / "baselines" / "majority", "-o", tmp_path)
    assert study.json(tmp_path / "comparison.json")["evaluations"][0]["simulated"] is True
    assert "SIMULATED" in (tmp_path / "page.html").read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------- predict, export, explain
def test_predict_says_what_evaluate_said_and_cannot_tell_the_truth(study: Study, tmp_path: Path) -> None:
    rows = read_table(study.other)[:4]
    if study.task == "findings":
        # Chests are preprocessed already; both commands read them from the training cache beside them.
        manifest = write_table(study.other.with_name("few.tsv"), tuple(rows[0]), rows)
    else:
        for row in rows:
            row["image"] = str((study.other.parent / row["image"]).resolve())
        manifest = write_table(tmp_path / "few" / "manifest.tsv", tuple(rows[0]), rows)
        study.call("preprocess", manifest, tmp_path / "volumes", "--preset", "tiny")
        manifest = tmp_path / "volumes" / "manifest.tsv"
    study.call("evaluate", study.run, "--data", manifest, "-o", tmp_path / "scored")
    hidden = {"diagnosis", "mmse", "age"} | {
        name
        for name in rows[0]
        if name in read_predictions(study.own / "predictions.tsv").names or name.startswith("conversion_")
    }
    told = read_table(manifest)
    for row in told:
        row |= {name: "n/a" for name in hidden if name in row}
    blind = write_table(manifest.with_name("blind.tsv"), tuple(told[0]), told)
    study.call("predict", study.run / "adapter", blind, "-o", tmp_path / "out")
    scored = read_predictions(tmp_path / "scored" / "predictions.tsv")
    table = read_predictions(tmp_path / "out" / "predictions.tsv")
    assert (table.names, table.choice) == (scored.names, scored.choice)
    assert not table.known.any()
    found = {one.scan_id: one for one in table.rows()}
    assert found.keys() == set(scored.scan_ids)
    for answer in scored.rows():
        said = found[answer.scan_id]
        assert said.probabilities == pytest.approx(answer.probabilities, abs=1e-6)
        assert said.targets == pytest.approx(answer.targets, abs=1e-3)


def test_one_bad_scan_does_not_stop_the_others(study: Study, tmp_path: Path) -> None:
    rows = read_manifest(study.other)
    bad = tmp_path / "bad.nii.gz"
    bad.write_bytes(b"no picture")
    good = [(study.other.parent / row.image).resolve() for row in rows[:2]]
    result = study.call(
        "predict", study.run / "adapter", good[0], bad, good[1], "-o", tmp_path / "out", code=5
    )
    assert len(read_table(tmp_path / "out" / "predictions.tsv")) == 2
    assert read_table(tmp_path / "out" / "failed.tsv")[0]["scan"] == "bad.nii.gz"
    assert "Traceback" not in result.output


def test_an_exported_adapter_names_nobody_and_no_place(study: Study, tmp_path: Path) -> None:
    study.call("export", study.run, "-o", tmp_path / "adapter")
    text = "".join(
        (tmp_path / "adapter" / name).read_text(encoding="utf-8") for name in ("adapter.json", "README.md")
    )
    assert str(study.root) not in text
    assert not re.search(r"/tmp/|/home/|/root/", text)
    assert not any(row.participant_id in text or row.scan_id in text for row in read_manifest(study.manifest))
    assert "SIMULATED" in text


def test_an_adapter_with_a_changed_byte_is_refused(study: Study, tmp_path: Path) -> None:
    folder = shutil.copytree(study.run / "adapter", tmp_path / "adapter")
    data = bytearray((folder / "adapter.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "adapter.safetensors").write_bytes(data)
    scan = study.other.parent / read_manifest(study.other)[0].image
    assert (
        "changed or truncated" in study.call("predict", folder, scan, "-o", tmp_path / "out", code=3).output
    )


def test_a_scan_is_explained_and_says_simulated(study: Study, tmp_path: Path) -> None:
    scan = (study.other.parent / read_manifest(study.other)[0].image).resolve()
    study.call("explain", study.run, scan, "-o", tmp_path / "out")
    assert "SIMULATED" in (tmp_path / "out" / "page.html").read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------------ seeds and folds
def test_seeds_are_means_and_whatever_order_they_come_in(study: Study, tmp_path: Path) -> None:
    for name, runs in (("a", study.seeds), ("b", study.seeds[::-1])):
        study.call("evaluate", *runs, "-o", tmp_path / name)
    a, b = (study.json(tmp_path / name / "metrics.json") for name in "ab")
    assert a == b
    name = study.headline if study.headline in a else "accuracy"
    each = [one["value"] for one in a[name]["each"].values()]
    assert a[name]["mean"] == pytest.approx(np.mean(each))
    assert a[name]["n_seeds"] == 2
    stated = study.json(tmp_path / "a" / "evaluation.json")
    assert stated["simulated"] is True
    assert set(stated["leakage"]) == {"0", "1"}
    page = (tmp_path / "a" / "page.html").read_text(encoding="utf-8")
    assert "SIMULATED" in page
    assert "Linear probe on the frozen base" in page
    compared = json.loads(study.call("compare", tmp_path / "a", tmp_path / "b", "--json").stdout)[
        "evaluations"
    ][0]
    assert {one["difference"] for one in compared["comparisons"]} <= {0, None}


def test_folds_are_pooled_and_everyone_is_scored_once(study: Study, people: Any) -> None:
    study.call("evaluate", study.folds)
    folder = study.folds / "evaluation" / "test"
    pooled = read_predictions(folder / "predictions.tsv")
    assert len(set(pooled.scan_ids)) == len(pooled)
    assert set(pooled.participants) <= people(study.manifest)
    parts = [read_predictions(folder / f"fold-{number}" / "predictions.tsv") for number in range(2)]
    assert set(pooled.scan_ids) == {scan for part in parts for scan in part.scan_ids}
    assert not set(parts[0].participants) & set(parts[1].participants)
    metrics = study.json(folder / "metrics.json")
    name = study.headline if study.headline in metrics else "accuracy"
    assert {"value", "low", "high"} <= set(metrics[name])
    assert metrics["n_scans"] == len(pooled)
    stated = study.json(folder / "evaluation.json")
    assert (stated["simulated"], stated["pooled"], stated["folds"]) == (True, True, [0, 1])
    assert set(stated["leakage"]) == {"0", "1"}
    assert "SIMULATED" in (folder / "page.html").read_text(encoding="utf-8")
    study.call("compare", folder, folder / "baselines" / "majority")


def test_runs_that_differ_in_more_are_no_list(study: Study, tmp_path: Path) -> None:
    other = shutil.copytree(study.seeds[1], tmp_path / "other")
    config = study.json(other / "config.json")
    config["training"]["batch_size"] += 1
    (other / "config.json").write_text(json.dumps(config), encoding="utf-8")
    split = unsealed(study.json(other / "split.json"))
    split["manifest"] = str(study.manifest)
    (other / "split.json").write_text(json.dumps(split), encoding="utf-8")
    said = study.call("evaluate", study.run, other, "-o", tmp_path / "out", code=3).output
    assert "training.batch_size" in said


# ---------------------------------------------------------------------------------------------- prediction sets
def test_sets_say_what_they_promise_and_what_held(study: Study, tmp_path: Path) -> None:
    asked = ("evaluate", study.run, "--data", study.other, "-o", tmp_path / "sets", "--coverage")
    refused = study.call(*asked, 0.99, code=3)
    assert "needs at least 99 validation participants" in refused.output, (
        "a coverage that few people cannot give"
    )
    assert not (tmp_path / "sets").exists()
    study.call(*asked, 0.5)
    metrics, facts = (study.json(tmp_path / "sets" / f"{name}.json") for name in ("metrics", "evaluation"))
    promised = [] if study.task == "one target" else [("set_coverage", "set_size")]
    promised += [(f"interval_coverage/{name}", f"interval_width/{name}") for name in facts["targets"]]
    assert promised
    for coverage, size in promised:
        held, large = metrics[coverage], metrics[size]
        assert 0 <= held["low"] <= held["value"] <= held["high"] <= 1
        assert 0 < large["low"] <= large["value"] + 1e-9 <= large["high"] + 2e-9
        for name in (coverage, size):
            assert any(one.startswith("subgroup/sex/") and one.endswith(f"/{name}") for one in metrics)
            assert any(one.startswith(f"{name}/") for one in metrics) or study.task in {"one target", "event"}
    assert facts["sets"]["coverage"] == 0.5
    assert any("in at least 50% of people like them" in one for one in facts["sets"]["sentences"])
    assert "Prediction sets" in (tmp_path / "sets" / "page.html").read_text(encoding="utf-8")
    assert study.json(study.own / "evaluation.json")["sets"] is None, "given only where asked for"


def test_findings_that_are_said_are_counted_and_asked_of_nothing_else(study: Study, tmp_path: Path) -> None:
    scan = (study.other.parent / read_manifest(study.other)[0].image).resolve()
    for asked in (("evaluate", study.run, "--data", study.other), ("predict", study.run, scan, "--json")):
        call = (*asked, "-o", tmp_path / asked[0], "--false-discovery", 0.3)
        if study.task != "findings":
            assert "Setting 'false_discovery'" in study.call(*call, code=2).output
            continue
        assert "needs at least" in study.call(*call[:-1], 0.001, code=3).output
        done = study.call(*call)
        if asked[0] == "predict":
            said = json.loads(done.stdout)
            assert "prediction_set" not in said
            assert ("discoveries" in said) == (said["predicted"] is not None)
        else:
            metrics = study.json(tmp_path / "evaluate" / "metrics.json")
            assert 0 <= metrics["false_discovery"]["value"] <= 1
            assert "Of those said, not there" in (tmp_path / "evaluate" / "page.html").read_text(
                encoding="utf-8"
            )


def test_sets_of_folds_are_pooled(study: Study, tmp_path: Path) -> None:
    study.call("evaluate", study.folds, "-o", tmp_path / "cv", "--coverage", 0.5)
    whole, first = (study.json(tmp_path / "cv" / part / "metrics.json") for part in ("", "fold-0"))
    name = "interval_coverage/mmse" if study.task == "one target" else "set_coverage"
    assert whole[name]["n_scans"] > first[name]["n_scans"] > 0


def test_predict_gives_the_set_where_it_can_be_promised(study: Study, tmp_path: Path) -> None:
    scan = (study.other.parent / read_manifest(study.other)[0].image).resolve()
    asked = ("predict", study.run, scan, "-o", tmp_path / "answers", "--json", "--coverage")
    assert "needs at least 99 validation participants" in study.call(*asked, 0.99, code=3).output
    said = json.loads(study.call(*asked, 0.5).stdout)
    if said["verdict"].startswith("no answer"):
        assert said["set"] is None, "no answer has no set"
    else:
        assert said["set"]
        assert "in at least 50% of people like them" in said["prediction_set"]["guarantee"]
        for name, interval in said["prediction_set"]["intervals"].items():
            assert said["targets"][name]["interval"] == interval, "a number has one interval"
    plain = json.loads(study.call("predict", study.run, scan, "-o", tmp_path / "plain", "--json").stdout)
    assert plain["set"] is None
    assert not {"prediction_set", "discoveries"} & set(plain)


def test_a_server_promises_what_predict_does(study: Study) -> None:
    from voxtune.errors import DataError
    from voxtune.serving.predictor import Predictor
    from voxtune.serving.tasks import Bench
    from voxtune.types.conformal import WantedSets

    predictor = Predictor(study.run / "adapter")
    said = Bench(predictor, WantedSets(0.5)).describe()
    assert "in at least 50% of people like them" in said["sets"]["guarantee"]
    assert Bench(predictor).describe()["sets"] is None
    with pytest.raises(DataError, match="needs at least 99"):
        Bench(predictor, WantedSets(0.99)).describe()


# ---------------------------------------------------------------------------------------------------------- drift
def test_scans_are_held_against_those_an_adapter_was_made_with(study: Study, tmp_path: Path) -> None:
    adapter = study.json(study.run / "adapter" / "adapter.json")
    kept = adapter["trust"]["reference"]
    if kept is None:
        assert adapter["training"]["participants"]["val"] < 10
        said = study.call("drift", study.run, study.other, "-o", tmp_path / "out", code=2).output
        assert "--reference MANIFEST" in said
        return
    assert len(kept["figures"]["distance"]) == kept["n_participants"] >= 10
    done = json.loads(study.call("drift", study.run, study.other, "-o", tmp_path / "out", "--json").stdout)
    assert done == study.json(tmp_path / "out" / "drift.json")


def test_drift_says_what_it_found_and_what_it_could_have_found(study: Study, tmp_path: Path) -> None:
    asked = ("drift", study.run, study.other, "--reference", study.manifest, "-o", tmp_path / "out")
    printed = study.call(*asked).output
    facts = study.json(tmp_path / "out" / "drift.json")
    page = (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    assert facts["state"] in {"drift", "taken otherwise", "no drift found", "cannot be told"}
    assert facts["participants"] == 9
    assert facts["reference_participants"] == 30
    for said in (facts["sentence"], facts["power"], facts["advice"][0]):
        assert said in printed
        assert said in page.replace("&#39;", "'")
    assert (facts["accuracy"] is None) == (facts["accuracy_withheld"] is not None)
    assert (facts["class_mix"] is None) == (facts["class_mix_withheld"] is not None)
    if study.task != "diagnosis" and study.task != "several targets":
        assert "does not" in facts["accuracy_withheld"]
    assert "SIMULATED" in printed
    assert "SIMULATED" in page
    for row in read_manifest(study.other):
        assert row.scan_id not in page, "a page that may be passed on names nobody"
        assert row.participant_id not in (tmp_path / "out" / "drift.json").read_text(encoding="utf-8")


def test_nobody_is_compared_with_himself(study: Study) -> None:
    said = study.call("drift", study.run, study.other, "--reference", study.other, code=3).output
    assert "9 scans stand in both manifests" in said


def test_labels_play_no_part_in_drift_and_one_bad_scan_stops_no_other(study: Study, tmp_path: Path) -> None:
    rows = read_table(study.other)
    for row in rows:
        row["image"] = str((study.other.parent / row["image"]).resolve())
    known = {name for name in rows[0] if name in {"diagnosis", "mmse", "cdr"} or rows[0][name] in {"0", "1"}}
    found = []
    for name, changed in (("plain", rows), ("blind", [row | dict.fromkeys(known, "n/a") for row in rows])):
        manifest = write_table(tmp_path / name / "manifest.tsv", tuple(changed[0]), changed)
        asked = ("drift", study.run, manifest, "--reference", study.manifest, "--json")
        found.append(json.loads(study.call(*asked).stdout) | {"manifest_sha256": ""})
    assert found[0] == found[1]
    rows[0]["image"] = str(tmp_path / "nothing.nii.gz")
    manifest = write_table(tmp_path / "bad" / "manifest.tsv", tuple(rows[0]), rows)
    study.call("drift", study.run, manifest, "--reference", study.manifest, "-o", tmp_path / "out", code=5)
    assert study.json(tmp_path / "out" / "drift.json")["participants"] == 8
    assert len(read_table(tmp_path / "out" / "failed.tsv")) == 1
