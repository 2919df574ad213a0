"""The testbed without training: which cells are planned, what results become, what is refused, how long it would take."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from voxtune.cli import main
from voxtune.commands.reproduce.command import Options
from voxtune.commands.reproduce.data import Request
from voxtune.commands.reproduce.externals import External
from voxtune.commands.testbed.asked import asked_of
from voxtune.commands.testbed.cells import BEST, CohortCell, CohortSweep
from voxtune.commands.testbed.command import gather_results, write_results
from voxtune.commands.testbed.design import ALL, COHORTS, DEVELOPMENT, FRESH, POOL, Regime
from voxtune.commands.testbed.people import People, Size
from voxtune.commands.testbed.plan import (
    Asked,
    Plan,
    estimated_seconds,
    finished_seconds,
    kind_of,
    plan_testbed,
)
from voxtune.commands.testbed.results import Block, gather_blocks, verdict_words
from voxtune.errors import UsageError
from voxtune.run_dir import shared_config, write_json
from voxtune.types.records import ManifestRow
from voxtune_recipes.testbed_deft import OURS, design

DESIGN = design()


# -------------------------------------------------------------------------------------------- what is run
def test_no_figure_comes_from_a_cohort_that_settings_were_chosen_on() -> None:
    assert not set(FRESH) & set(DEVELOPMENT)
    assert len(FRESH) >= COHORTS >= 10
    assert ALL + DESIGN.regimes[3].validation == POOL


def test_a_row_that_stands_in_several_tables_is_run_once() -> None:
    plan = plan_testbed(DESIGN, Asked(2))
    names = [cell.name for cell in plan.cells]
    assert len(names) == len(set(names))
    listed = sum(len(cells) for one in plan.tables for _, cells in one.rows)
    assert listed > len([cell for cell in plan.cells if cell.mode != "rules"])
    assert [cell.cohort for cell in plan.cells] == sorted(cell.cohort for cell in plan.cells)
    assert {one.base for one in plan.tables} == {"tiny", "tiny_untaught"}, "both bases, whoever wins"


def test_every_regime_has_every_tables_reference() -> None:
    for one in plan_testbed(DESIGN, Asked(1)).tables:
        labels = [row.label for row, _ in one.rows]
        if len(labels) > 1:
            assert one.table.reference in labels, (one.table.number, one.regime.name)
    rows = {label for regime in DESIGN.regimes for label in regime.rows or ()}
    known = {
        row.label for tables in DESIGN.tables.values() for table in tables.values() for row in table.rows
    }
    assert rows <= known


def test_what_is_asked_for_is_planned_and_no_more() -> None:
    plan = plan_testbed(DESIGN, Asked(3, ("24", "all"), (5,), "tiny"))
    assert {(cell.base, cell.regime.name) for cell in plan.cells if cell.base} == {
        ("tiny", "24"),
        ("tiny", "all"),
    }
    assert len(plan.cells) == 3 * 2 * 2, "one row and the rules, in two regimes, on three cohorts"
    edited = plan_testbed(DESIGN, Asked(1, ("24",), (4,), "tiny", ("training.steps=3",)))
    assert {cell.config.training.steps for cell in edited.cells if cell.mode == "trained"} == {3}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(2, ("25",)), "no regime '25'; it has 24, 48, 96, all, labels"),
        (Asked(2, base="m3d"), "no base 'm3d'; it has tiny, tiny_untaught"),
        (Asked(2, tables=(6,)), "no table 6; it has 2, 3, 4, 5"),
        (Asked(1000), "--cohorts takes 1 to 100"),
        (Asked(0), "--cohorts takes 1 to 100"),
    ],
)
def test_what_the_testbed_has_not_is_refused(asked: Asked, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        plan_testbed(DESIGN, asked)


def test_cells_know_what_made_them() -> None:
    cell, probe, rules = (
        next(one for one in plan_testbed(DESIGN, Asked(1)).cells if one.mode == mode)
        for mode in ("trained", "linear_probe", "rules")
    )
    other = cell.config.edit("optimiser.rate=0.5")
    assert cell.made_by(shared_config(cell.config))
    assert not cell.made_by(shared_config(other))
    assert replace(cell, config=other).name != cell.name
    assert replace(cell, regime=Regime("24", 24, labelled=12)).name != cell.name
    assert probe.made_by({})
    assert (rules.base, rules.name) == ("", f"rules-24--cohort{FRESH[0]}")


def test_smaller_training_sides_lie_in_larger_ones_and_silent_scans_lose_their_class() -> None:
    rows = [
        ManifestRow(participant_id=f"p{n}", scan_id=f"s{n}", image="i", diagnosis="NC", cdr=0.0)
        for n in range(60)
    ]
    people = People(rows, {}, {}, Size(50, 10))
    small, large = (people.sides(Regime(str(size), size), 7) for size in (12, 24))
    assert {row.scan_id for row in small[0]} < {row.scan_id for row in large[0]}
    assert len(large[1]) == 6
    tested = {row.scan_id for row in people.test("same")}
    assert not tested & {row.scan_id for side in (*small, *large) for row in side}
    train, val = people.sides(Regime("labels", 24, labelled=12), 7)
    assert [row.scan_id for row in train] == [row.scan_id for row in large[0]]
    assert [row.diagnosis for row in train] == ["NC"] * 12 + [None] * 12
    assert all(row.cdr is None for row in train[12:]), "the rating that makes the class is gone with it"
    assert len(val) == 3
    assert all(row.diagnosis for row in val)


# ---------------------------------------------------------------------------------------------- what it says
def cohort_values(cell: CohortCell) -> float:
    """Accuracies that a test can foresee: ours 0.7 and a little for each cohort, visual prompts much better, others alike."""
    noise = (cell.cohort * 37 % 10) / 200
    if cell.mode == "trained" and cell.config.vision and not cell.config.text and not cell.config.targets:
        return 0.85 + noise + (cell.cohort % 3) / 100
    return 0.7 + noise + (cell.regime.scans % 7) / 1000


def finish(sweep: CohortSweep, cell: CohortCell, **changed: Any) -> None:
    value = cohort_values(cell)
    sides = {"same": value, "other": value - 0.1 - (cell.cohort % 2) / 100}
    names = ("", BEST, "volumes", "ventricles", "age_sex", "voxel_count", "mean_intensity", "majority")
    result = {
        "status": "done", "cell": cell.name, "accuracy": dict.fromkeys(names if cell.mode == "rules" else ("",), sides),
        "trained_parameters": 7, "cpu_seconds": 30.0, "peak_bytes": 10**9, "config": shared_config(cell.config),
    }  # fmt: skip
    write_json(sweep.folder(cell) / "result.json", result | changed)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_testbed(DESIGN, Asked(12, ("24", "48"), base="tiny"))


@pytest.fixture(scope="module")
def sweep(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> CohortSweep:
    found = CohortSweep(tmp_path_factory.mktemp("done"), plan.cells, DESIGN.encoders)
    for cell in plan.cells:
        finish(found, cell)
    return found


def block_of(blocks: list[Block], number: int, side: str = "same", regime: str = "48") -> Block:
    return next(one for one in blocks if (one.number, one.side, one.regime) == (number, side, regime))


def test_what_differs_is_decided_and_what_does_not_is_not(plan: Plan, sweep: CohortSweep) -> None:
    block = block_of(gather_blocks(plan, sweep), 3)
    words = {line.label: verdict_words(line) for line in block.lines}
    assert words["visual prompts"] == "decided: higher"
    assert words["report"] == "not decided"
    assert words["all four + cross-attention (ours)"] == "reference"
    assert words["voxels above 0.02"] == "not tested"
    assert block.summary == "1 of 8 comparisons are decided over 12 cohorts: visual prompts higher."
    assert len([line for line in block.lines if line.comparator]) == 7


def test_sizes_and_scanners_have_blocks_of_their_own(plan: Plan, sweep: CohortSweep) -> None:
    blocks = gather_blocks(plan, sweep)
    sizes = block_of(blocks, 5, regime="")
    assert [line.label for line in sizes.lines] == ["24 training scans", "48 training scans"]
    assert sizes.reference == "48 training scans"
    scanners = block_of(blocks, 0, "other")
    assert all(line.comparison and line.comparison.verdict == "lower" for line in scanners.lines)
    assert any(line.label == OURS for line in scanners.lines)


def test_a_few_cohorts_say_how_many_are_needed(tmp_path: Path) -> None:
    few = plan_testbed(DESIGN, Asked(3, ("24",), (3,), "tiny"))
    sweep = CohortSweep(tmp_path, few.cells, DESIGN.encoders)
    for cell in few.cells:
        finish(sweep, cell)
    [first, _] = gather_blocks(few, sweep)
    assert "So few cohorts cannot decide any: 9 are needed for 8 comparisons." in first.summary


def test_what_is_missing_failed_or_refused_is_said(tmp_path: Path) -> None:
    few = plan_testbed(DESIGN, Asked(2, ("24",), (4,), "tiny"))
    sweep = CohortSweep(tmp_path, few.cells, DESIGN.encoders)
    [(_, ours), (_, lora), (_, adapter)] = few.tables[0].rows
    finish(sweep, ours[0])
    finish(sweep, lora[0], status="refused", reason="makes no sense here")
    write_json(sweep.folder(adapter[0]) / "failed.json", {"error": "out of memory"})
    block = gather_blocks(few, sweep)[0]
    reasons = {line.label: line.reason for line in block.lines}
    assert reasons == {
        "prompts (ours)": "1 cohorts to come",
        "LoRA": "makes no sense here",
        "adapter": "out of memory",
    }
    assert block.summary == "Nothing is compared yet."
    write_results(tmp_path, gather_results("deft", few, sweep))
    assert "makes no sense here" in (tmp_path / "testbed.html").read_text(encoding="utf-8")


def test_nothing_done_is_a_page_too(tmp_path: Path) -> None:
    few = plan_testbed(DESIGN, Asked(1, ("24",), (5,), "tiny"))
    write_results(tmp_path, gather_results("deft", few, CohortSweep(tmp_path, few.cells, DESIGN.encoders)))
    assert "No cell has run yet." in (tmp_path / "testbed.html").read_text(encoding="utf-8")


def test_every_file_says_the_same(plan: Plan, sweep: CohortSweep, tmp_path: Path) -> None:
    found = gather_results("deft", plan, sweep)
    write_results(tmp_path, found)
    texts = {ending: (tmp_path / f"testbed.{ending}").read_text(encoding="utf-8") for ending in ("md", "csv", "tex", "json", "html")}  # fmt: skip
    decided = sum(verdict_words(line).startswith("decided") for block in found.blocks for line in block.lines)
    for ending, text in texts.items():
        assert text.count("decided: ") == decided * (2 if ending == "json" else 1), ending
        assert "simulated" in text.lower(), ending
        assert "visual prompts" in text, ending
    lines = list(csv.DictReader(texts["csv"].splitlines()))
    assert len(lines) == sum(len(block.lines) for block in found.blocks)
    assert {len(line["by_cohort"].split()) for line in lines} == {12}
    assert "is decided in four of five such series" in texts["md"]
    content = json.loads(texts["json"])
    assert content["cohorts"] == list(FRESH[:12])
    assert content["cells"] == {"all": len(plan.cells), "done": len(plan.cells)}


# ---------------------------------------------------------------------------------------- asking and rehearsing
def test_options_that_a_testbed_has_not_are_refused() -> None:
    assert asked_of(Options(), None, ()) is None
    asked = asked_of(Options(tables=(3,), base="tiny"), None, ("24",))
    assert asked == Asked(COHORTS, ("24",), (3,), "tiny")
    one = External(Path("x.tsv"))
    given = Options(figures=(2,), request=Request(Path("m.tsv"), (one,), 60), seeds=3)
    with pytest.raises(
        UsageError, match="--data, --external, --participants, --seeds, --figure cannot stand beside"
    ):
        asked_of(given, 10, ())


def test_the_rehearsal_counts_what_is_left_and_learns_from_what_is_done(plan: Plan, tmp_path: Path) -> None:
    given = ["reproduce", "deft", "--cohorts", "12", "--regime", "24", "--regime", "48", "--base", "tiny", "--dry-run", "-o", str(tmp_path / "out")]  # fmt: skip
    said = CliRunner().invoke(main, given)
    assert said.exit_code == 0, said.output
    assert f"To do: {len(plan.cells)} cells and 12 cohorts" in said.output
    assert "Left out" in said.output
    assert not (tmp_path / "out").exists()
    sweep = CohortSweep(tmp_path / "out", plan.cells, DESIGN.encoders)
    finish(sweep, plan.cells[0])
    said = CliRunner().invoke(main, given)
    assert f"To do: {len(plan.cells) - 1} cells" in said.output
    assert "from finished cells of this folder" in said.output
    finished = finished_seconds(tmp_path / "out")
    assert finished == {kind_of(plan.cells[0]): 30.0}
    assert estimated_seconds(plan.cells[:1], finished) == 30.0


def test_the_whole_testbed_fits_what_was_promised() -> None:
    cells = plan_testbed(DESIGN, Asked(COHORTS)).cells
    minutes = (estimated_seconds(cells, {}) + 40 * COHORTS) / 60 / 2
    assert minutes < 90, "on two cores"


def test_a_paper_without_a_testbed_says_so(tmp_path: Path) -> None:
    said = CliRunner().invoke(main, ["reproduce", "medct", "--cohorts", "2", "-o", str(tmp_path / "x")])
    assert said.exit_code == 2
    assert "No testbed named 'medct'" in said.output
