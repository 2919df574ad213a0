"""The testbed end to end on the smallest cohorts: two of them, two rows, one regime; and training in memory beside ``voxtune train``."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from voxtune.commands.simulate.command import simulate
from voxtune.commands.testbed.cells import CohortCell, CohortSweep, run_testbed_cell
from voxtune.commands.testbed.command import Machine, run_design
from voxtune.commands.testbed.design import Design, Regime
from voxtune.commands.testbed.people import Size, embedded_of, people_of
from voxtune.commands.testbed.plan import Asked, plan_testbed
from voxtune.commands.train.command import train
from voxtune.commands.train.in_memory import train_in_memory
from voxtune.config import RunConfig
from voxtune.data.images import load_preset, scan_reader
from voxtune.data.manifest import file_sha256, read_manifest
from voxtune.data.split_files import write_split
from voxtune.data.splits import SplitSettings, make_split
from voxtune.errors import DataError, SettingError
from voxtune.evaluation.answers import see_scans
from voxtune.model.adapter import load_adapter
from voxtune.model.build import frozen_base
from voxtune.model.questions import encoded_texts
from voxtune.peft.full import Full
from voxtune.run_dir import RunDir
from voxtune.simulate.subjects import CLASSES
from voxtune_recipes.deft import recipe as deft
from voxtune_recipes.projections import recipe as projections
from voxtune_recipes.testbed_deft import design

SEEDS, SIZE = (300, 301), Size(pool=16, test=6)
SHORT = ("training.steps=2",)


def small() -> Design:
    """Two rows and the frozen base of Table 3 in one regime, in which half of the scans have no diagnosis."""
    whole = design()
    table = whole.tables["tiny"][3]
    rows = tuple(row for row in table.rows if row.label in {"none (zero-shot)", "report", table.reference})
    regime = Regime("few", 12, labelled=8)
    return replace(
        whole,
        tables={"tiny": {3: replace(table, rows=rows)}},
        regimes=(regime,),
        encoders={"tiny": whole.encoders["tiny"]},
    )


ASKED = Asked(2, edits=SHORT, seeds=SEEDS, size=SIZE)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("testbed")
    said = run_design("deft", small(), root, ASKED, Machine(), lambda _: None).summary
    assert "0 of 4 comparisons are decided" in said
    return root


@pytest.mark.slow
def test_two_cohorts_are_compared_in_pairs(ran: Path) -> None:
    found = json.loads((ran / "testbed.json").read_text(encoding="utf-8"))
    assert found["cohorts"] == list(SEEDS)
    blocks = {(one["table"], one["side"]): one for one in found["blocks"]}
    assert set(blocks) == {(3, "same"), (3, "other"), (0, "other")}
    for line in blocks[3, "same"]["lines"]:
        assert line["accuracy"]["cohorts"] == 2
    assert not list((ran / "locks").iterdir())


@pytest.mark.slow
def test_a_cell_done_again_says_the_same_of_every_scan(ran: Path, tmp_path: Path) -> None:
    shutil.copytree(ran / "people", tmp_path / "people")
    plan = plan_testbed(small(), ASKED)
    sweep = CohortSweep(tmp_path, plan.cells, small().encoders, SIZE)
    for cell in plan.cells[:4]:
        first = json.loads((ran / "cells" / cell.name / "result.json").read_text(encoding="utf-8"))
        again = run_testbed_cell(sweep, cell)
        assert (again["said"], again["accuracy"]) == (first["said"], first["accuracy"]), cell.name
    before = (ran / "cells" / plan.cells[0].name / "result.json").stat().st_mtime_ns
    run_design("deft", small(), ran, ASKED, Machine(), lambda _: None)
    assert (ran / "cells" / plan.cells[0].name / "result.json").stat().st_mtime_ns == before, (
        "never done again"
    )


@pytest.mark.slow
def test_what_the_kept_scans_are_not_made_for_is_refused(ran: Path) -> None:
    encoders = small().encoders
    sweep = CohortSweep(ran, (), encoders, SIZE)
    other = deft().edit("backbone.fresh=true").edit("training.steps=2")
    with pytest.raises(SettingError, match="one of the testbed as it is shipped"):
        run_testbed_cell(sweep, CohortCell(other, "trained", Regime("few", 8), SEEDS[0]))
    with pytest.raises(DataError, match="was simulated with other settings"):
        people_of(ran, SEEDS[0], encoders, Size(pool=17, test=6))
    people = people_of(ran, SEEDS[0], encoders, SIZE)
    embedded = embedded_of(ran, SEEDS[0], "tiny", encoders["tiny"])
    train_rows, val_rows = people.sides(Regime("few", 10), 0)
    whole = projections().model_copy(update={"vision": (Full(),)})
    with pytest.raises(SettingError, match="leave the front of the tower frozen"):
        train_in_memory(whole, CLASSES, train_rows, val_rows, embedded)
    bank = deft().edit("aggregation.inference=bank").edit("training.steps=1")
    done = train_in_memory(bank, CLASSES, [row for row in train_rows if row.diagnosis], val_rows, embedded)
    assert len(done.model.bank) >= 1
    assert done.see([val_rows[0].scan_id]).logits is not None


def on_disk(config: RunConfig, manifest: Path, split: Path, run: Path, scans: Sequence[str]) -> Tensor:
    """What an adapter of ``voxtune train`` says of scans."""
    run.mkdir()
    (run.parent / "recipe.json").write_text(config.to_json(), encoding="utf-8")
    train(str(run.parent / "recipe.json"), run, data=manifest, split_dir=split, say=lambda _: None)
    loaded = load_adapter(RunDir(run).adapter, base=config.backbone)
    texts = {"": encoded_texts(loaded.model, [[f"A photo of {name}" for name in CLASSES]])}
    read = scan_reader(manifest, read_manifest(manifest), load_preset("tiny"))
    return see_scans(loaded.model, texts, scans, read)[1][""]


@pytest.mark.slow
def test_training_in_memory_is_training(tmp_path: Path) -> None:
    manifest = simulate(tmp_path / "cohort", participants=18, visits=1, seed=5)
    rows = read_manifest(manifest)
    split = make_split(rows, SplitSettings(test=0.25, val=0.25), 0)
    write_split(split, tmp_path / "split", file_sha256(manifest), manifest)
    by_scan = {row.scan_id: row for row in rows}
    config = deft().edit("training.steps=3")
    disk = on_disk(config, manifest, tmp_path / "split", tmp_path / "run", split.test)
    base = frozen_base(config)
    read = scan_reader(manifest, rows, load_preset("tiny"))
    with torch.no_grad():
        embedded = {name: base.vision.embed(read(name)[None])[0] for name in by_scan}
    sides = [[by_scan[name] for name in side] for side in (split.train, split.val)]
    memory = train_in_memory(config, CLASSES, *sides, embedded).see(split.test).logits
    assert memory is not None
    assert torch.allclose(memory, disk, atol=1e-4)
