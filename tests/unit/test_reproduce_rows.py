"""Rows and cells: published numbers, shared runs, seeds, sizes; statistics of a table by hand."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from voxtune.commands.crew import accelerator_of
from voxtune.commands.reproduce import cells as cells_of_sweep
from voxtune.commands.reproduce.command import Options, chosen_explanations, chosen_tables, make_paper, plan
from voxtune.commands.reproduce.data import Sources
from voxtune.commands.reproduce.files import csv_text, latex, markdown, tex
from voxtune.commands.reproduce.loop import run_cells
from voxtune.commands.reproduce.paper import Cell, Row, Table, agrees, cells_of, same_steps
from voxtune.commands.reproduce.scores import Line, score_rows
from voxtune.commands.reproduce.sweep import Sweep
from voxtune.config import RunConfig, read_recipe
from voxtune.errors import DataError, SettingError, UsageError
from voxtune.evaluation.predictions import of_records
from voxtune.evaluation.tables import write_predictions
from voxtune.run_dir import shared_config, write_json
from voxtune.types.records import Prediction
from voxtune_recipes.deft import recipe
from voxtune_recipes.paper_deft import paper

CLASSES = ("NC", "MCI", "AD")


def cell_names(number: int, label: str, seeds: int = 5) -> list[str]:
    options = Options(seeds=seeds, home=Path("nowhere"))
    made = make_paper("deft", options)
    return [
        cell.name
        for one in plan(made, made.tables[number], options)
        if one.row.label == label
        for cell in one.cells
    ]


def test_the_published_numbers_of_method_a8_are_all_there() -> None:
    tables = paper("m3d").tables
    own = {
        number: [row.published["own"].value for row in table.rows if row.published]
        for number, table in tables.items()
    }
    assert own[2] == [
        39.6,
        40.7,
        52.9,
        69.8,
        74.6,
        77.4,
        54.9,
        74.3,
        76.7,
        78.8,
        71.5,
        74.6,
        75.0,
        76.3,
        78.7,
    ]
    assert own[3] == [54.9, 65.3, 67.1, 68.9, 63.6, 74.4, 75.6, 77.8, 78.8]
    assert own[4] == [78.8, 78.5, 75.0]
    assert own[5] == [63.1, 66.8, 78.8, 81.3]
    external = [row.published["external"].value for row in tables[2].rows if row.published]
    assert external == [
        40.0,
        41.3,
        60.4,
        68.1,
        76.3,
        78.1,
        52.6,
        78.8,
        80.0,
        81.6,
        75.2,
        79.4,
        78.1,
        79.7,
        85.3,
    ]
    sds = {
        row.label: (row.published["own"].sd, row.published["external"].sd)
        for row in tables[2].rows
        if row.published
    }
    assert sds["M3D + ours"] == (3.2, 3.7)
    assert sds["RadFM + ours"] == (2.0, 1.8)
    assert sds["Med3DVLM + ours"] == (1.9, 3.5)


def test_rows_that_are_the_same_run_share_their_cells() -> None:
    whole = cell_names(3, "all four + cross-attention (ours)")
    assert len(whole) == len(set(whole)) == 5
    assert (
        whole
        == cell_names(4, "prompts (ours)")
        == cell_names(2, "tiny + ours")
        == cell_names(5, "2000 scans in the paper")
    )
    assert cell_names(2, "tiny, zero-shot") == cell_names(3, "none (zero-shot)")


def test_every_other_row_is_another_run() -> None:
    options = Options(home=Path("nowhere"))
    made = make_paper("deft", options)
    for table in made.tables.values():
        names = [cell.name for one in plan(made, table, options) for cell in one.cells]
        assert len(names) == len(set(names))


def test_only_what_is_trained_has_seeds() -> None:
    assert len(cell_names(3, "none (zero-shot)", seeds=4)) == 1
    assert [name[-1] for name in cell_names(3, "report", seeds=4)] == ["0", "1", "2", "3"]


def test_a_cell_is_named_by_what_is_not_default() -> None:
    config = recipe()
    one = Cell(config, "trained")
    assert one.name == Cell(config.model_copy(update={"name": "other"}), "trained").name
    for other in (
        config.edit("vision.0.length=19"),
        config.edit("training.epochs=3"),
        config.edit("loss.targets=class"),
    ):
        assert Cell(other, "trained").name != one.name
    assert Cell(config, "trained", share=0.5).name != one.name
    assert Cell(config, "trained", fingerprint="ab").name != one.name
    assert Cell(config.edit("backbone.weights=/x/y.safetensors"), "trained").name == one.name
    assert "/x/" not in str(shared_config(config.edit("backbone.weights=/x/y.safetensors")))


def test_stored_settings_agree_where_both_know_them() -> None:
    assert agrees({"a": 1, "b": {"c": 2}, "name": "x"}, {"b": {"c": 2, "new": 5}, "name": "y"})
    assert not agrees({"b": {"c": 2}}, {"b": {"c": 3}})
    assert not agrees([1, 2], [1])


def test_rows_that_share_a_run_take_each_others_result() -> None:
    """Tables 2 and 3 both have the frozen base, beside recipes with another report template."""
    config = read_recipe("deft")
    other = config.model_copy(update={"report": config.report.model_copy(update={"template": "label"})})
    for mode, shared in (("zero_shot", True), ("trained", False)):
        one, two = Cell(config, mode), Cell(other, mode)
        assert (one.name == two.name) is shared
        assert two.made_by(shared_config(one.config)) is shared
    coarser = config.edit('classes.names=["NC","AD"]')
    assert not Cell(coarser, "zero_shot").made_by(shared_config(config))


def test_a_share_of_the_scans_takes_as_many_steps() -> None:
    config = recipe().edit("training.epochs=8").edit("training.stop_after=6")
    assert (same_steps(config, 0.25).training.epochs, same_steps(config, 0.25).training.stop_after) == (
        32,
        24,
    )
    table = Table(
        5, "sizes", (Row("half", config, size=1000), Row("whole", config, size=2000)), reference="whole"
    )
    half, whole = (cells_of(row, table, 1)[0] for row in table.rows)
    assert (half.share, whole.share) == (0.5, None)
    assert whole.config == config


def test_unknown_papers_and_tables_say_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"Known: .*deft"):
        make_paper("dft", Options())
    with pytest.raises(UsageError, match=r"has no table 7.*2, 3, 4, 5, 6"):
        chosen_tables(paper(), Options(tables=(7,)))
    with pytest.raises(UsageError, match="has no figure 3"):
        chosen_tables(paper(), Options(figures=(3,)))


def test_nothing_asked_is_everything() -> None:
    made = paper()
    for asked, tables, more in (
        (Options(), [2, 3, 4, 5], (6, 2)),
        (Options(tables=(5, 3)), [3, 5], (None, None)),
        (Options(tables=(6,)), [], (6, None)),
        (Options(figures=(2,)), [], (None, 2)),
    ):
        assert [one.number for one in chosen_tables(made, asked)] == tables
        assert chosen_explanations(made, asked) == more


def test_workers_take_accelerators_in_turn() -> None:
    assert [accelerator_of(place, "2,5,GPU-ab") for place in range(4)] == ["2", "5", "GPU-ab", "2"]
    assert accelerator_of(1, "3") is None, "with one there is nothing to choose"
    assert accelerator_of(1, "") is None


@pytest.mark.parametrize(
    ("error", "left"),
    [(SettingError("vision", "x", "y"), "refused"), (DataError("no"), None), (KeyError("k"), None)],
)
def test_a_cell_that_fails_is_tried_again_by_the_next_call_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, left: str | None
) -> None:
    cells = [Cell(recipe().model_copy(update={"seed": seed}), "trained") for seed in range(2)]
    sweep = cells_of_sweep.TableSweep(Sources(tmp_path, {}, simulated=True), tuple(cells))
    tried: list[str] = []

    def broken(_: Sweep, cell: Cell) -> None:
        tried.append(cell.name)
        raise error

    monkeypatch.setattr(cells_of_sweep, "run_cell", broken)
    since = time.time()
    run_cells(sweep, cells, lambda _: None, since=since)
    run_cells(sweep, cells, lambda _: None, since=since)
    assert tried == [cell.name for cell in cells], (
        "one bad cell must not stop the others, nor be tried by each worker"
    )
    if left is None:
        assert sweep.failure(cells[0])
        assert sweep.result(cells[0]) is None
        run_cells(sweep, cells, lambda _: None, since=time.time() + 1)
        assert len(tried) == 4
    else:
        found = sweep.result(cells[0])
        assert found is not None
        assert found["status"] == left
    assert not list((tmp_path / "locks").iterdir())


# ------------------------------------------------------------------------------------------ statistics
def predictions(right: Sequence[bool], people: Sequence[str]) -> list[Prediction]:
    found = []
    for number, (good, person) in enumerate(zip(right, people, strict=True)):
        truth = CLASSES[int(person[1:]) % 3]
        said = truth if good else CLASSES[(CLASSES.index(truth) + 1) % 3]
        shares = {name: 0.8 if name == said else 0.1 for name in CLASSES}
        found.append(
            Prediction(
                scan_id=f"s{number:03d}",
                participant_id=person,
                diagnosis=truth,
                predicted=said,
                probabilities=shares,
            )
        )
    return found


def finished(sweep: Sweep, cell: Cell, right: Sequence[bool], people: Sequence[str]) -> None:
    folder = sweep.folder(cell)
    write_predictions(folder / "evaluation" / "own", of_records(predictions(right, people), CLASSES))
    score = {"accuracy": {"value": float(np.mean(right))}, "auroc": {"value": 0.5}}
    write_json(
        folder / "result.json",
        {
            "status": "done", "cell": cell.name, "trained_parameters": 7, "parameters": 70, "seconds": 2.0, "cpu_seconds": 1.0,
            "scores": {"own": score}, "config": shared_config(cell.config),
        },
    )  # fmt: skip


@pytest.fixture
def table() -> Table:
    config = recipe()
    rows = (
        Row("ours", config),
        Row("other", config.edit("vision.0.length=3")),
        Row("third", config.edit("vision.0.length=4")),
    )
    return Table(9, "A table", rows, reference="ours")


def scored(tmp_path: Path, table: Table) -> tuple[list[Line], Sweep]:
    generator = np.random.default_rng(0)
    people = [f"p{number // 2}" for number in range(60)]
    cells = {row.label: cells_of(row, table, 5) for row in table.rows}
    sweep = Sweep(
        Sources(tmp_path, {}, simulated=True), tuple(cell for some in cells.values() for cell in some)
    )
    for label, share in (("ours", 0.8), ("other", 0.4)):
        for cell in cells[label]:
            finished(sweep, cell, (generator.random(60) < share).tolist(), people)
    lines = [(Line(row, "pending", "not run yet"), cells[row.label]) for row in table.rows]
    return score_rows(sweep, table, lines), sweep


def test_mean_and_sd_are_over_seeds_and_the_interval_over_people(tmp_path: Path, table: Table) -> None:
    lines, sweep = scored(tmp_path, table)
    each = []
    for cell in sweep.cells[:5]:
        text = (
            (sweep.folder(cell) / "evaluation" / "own" / "predictions.tsv")
            .read_text(encoding="utf-8")
            .splitlines()[1:]
        )
        each.append(100 * np.mean([row.split("\t")[2] == row.split("\t")[3] for row in text]))
    own = lines[0].accuracy["own"]
    assert own.each == pytest.approx(each)
    assert own.mean == pytest.approx(np.mean(each))
    assert own.sd == pytest.approx(np.std(each, ddof=1))
    assert (own.seeds, own.n_scans, own.n_participants) == (5, 60, 30)
    assert own.low is not None
    assert own.high is not None
    assert own.low < own.mean < own.high
    assert own.extra == {"auroc": 0.5}
    assert (lines[0].seconds, lines[0].trained) == (10.0, 7)


def test_rows_are_tested_against_the_reference_and_corrected(tmp_path: Path, table: Table) -> None:
    lines, _ = scored(tmp_path, table)
    ours, other, third = lines
    assert ours.accuracy["own"].against is None
    test = other.accuracy["own"].against
    assert test is not None
    assert test.difference == pytest.approx(other.accuracy["own"].mean - ours.accuracy["own"].mean)
    assert test.high is not None
    assert test.high < 0
    assert test.p is not None
    assert test.p < 0.01
    assert test.p_holm == test.p, "one comparison has nothing to correct"
    assert (third.status, third.accuracy) == ("pending", {})


def test_one_row_without_some_seeds_says_so(tmp_path: Path, table: Table) -> None:
    _, sweep = scored(tmp_path, table)
    (sweep.folder(sweep.cells[3]) / "result.json").unlink()
    lines = score_rows(sweep, table, [(Line(table.rows[0], "pending"), sweep.cells[:5])])
    assert (lines[0].status, lines[0].seeds_missing, lines[0].accuracy["own"].seeds) == ("partial", 1, 4)


def test_cells_of_other_defaults_are_refused(tmp_path: Path, table: Table) -> None:
    _, sweep = scored(tmp_path, table)
    path = sweep.folder(sweep.cells[0]) / "result.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"steps": null', '"steps": 31'), encoding="utf-8"
    )
    with pytest.raises(DataError, match="other defaults"):
        sweep.result(sweep.cells[0])


def test_the_files_hold_what_was_scored(tmp_path: Path, table: Table) -> None:
    lines, _ = scored(tmp_path, table)
    made = paper()
    mean = f"{lines[0].accuracy['own'].mean:.1f} ± {lines[0].accuracy['own'].sd:.1f}"
    text = markdown(made, table, lines, simulated=True)
    assert "SIMULATED" in text
    assert f"| ours | {mean} [" in text
    assert "| third | pending: not run yet |" in text
    assert "60 scans of 30 participants" in text
    rows = csv_text(made, table, lines, simulated=True).splitlines()
    assert len(rows) == 4
    assert str(lines[0].accuracy["own"].mean) in rows[1]
    said = latex(made, table, lines, simulated=True)
    assert mean.replace("±", r"$\pm$") in said
    assert "SIMULATED" in said
    assert said.count(r"\\") == 4


def test_findings_stand_beside_their_base(tmp_path: Path) -> None:
    options = Options(seeds=3, home=Path("nowhere"))
    made = make_paper("medct", options)
    planned = plan(made, made.tables[1], options)
    base, tuned = planned
    assert made.base == "ct_clip_small"
    assert base.cells == tuned.cells
    assert len(tuned.cells) == 3
    published = [{name: value.value for name, value in one.row.published.items()} for one in planned]
    assert published == [
        {"auroc": 61.3, "accuracy": 67.2, "macro_f1": 32.1},
        {"auroc": 68.9, "accuracy": 73.6, "macro_f1": 36.9},
    ]
    sweep = Sweep(Sources(tmp_path, {}, simulated=True), tuned.cells)
    for number, cell in enumerate(tuned.cells):
        scores = {
            "auroc": {"value": 0.6 + 0.1 * number, "low": 0.5, "high": 0.9},
            "baseline/zero_shot/auroc": {"value": 0.55, "low": 0.4, "high": 0.7},
            "gain/auroc": {"value": 0.05 + 0.1 * number, "low": 0.0, "high": 0.3},
            "n_scans": 20,
            "n_participants": 10,
        }
        write_json(
            sweep.folder(cell) / "result.json",
            {
                "status": "done", "cell": cell.name, "trained_parameters": 7, "parameters": 70, "seconds": 2.0, "cpu_seconds": 1.0,
                "scores": scores, "config": shared_config(cell.config),
            },
        )  # fmt: skip
    lines = [(Line(one.row, "pending"), one.cells) for one in planned]
    of_base, of_tuned = score_rows(sweep, made.tables[1], lines)
    ours = of_tuned.accuracy["auroc"]
    assert (ours.mean, ours.sd, ours.seeds) == (pytest.approx(70), pytest.approx(10), 3)
    assert ours.against is not None
    assert ours.against.difference == pytest.approx(15)
    assert (of_base.accuracy["auroc"].mean, of_base.accuracy["auroc"].sd) == (pytest.approx(55), None)
    assert (of_base.trained, of_tuned.trained) == (0, 7)
    text = markdown(made, made.tables[1], [of_base, of_tuned], simulated=True)
    assert "mean AUROC (SIMULATED in the place of CT-RATE): 20 scans of 10 participants" in text
    assert "+15.0 [+0.0, +30.0]" in text


def test_latex_reads_no_commands_from_labels() -> None:
    assert tex("50% of A & B_1 {x} \\y") == r"50\% of A \& B\_1 \{x\} \textbackslash{}y"


def test_every_row_survives_json() -> None:
    for base in ("tiny", "m3d"):
        for table in paper(base).tables.values():
            for row in table.rows:
                if row.config is not None:
                    assert RunConfig.from_json(row.config.to_json()) == row.config
