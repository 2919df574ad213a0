"""The control of an adapter: what it is taught, that nothing takes it for the adapter, and that ``explain`` finds its own and no other."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from voxtune.cli import main
from voxtune.commands.explain.control import _learned, _unlike, find_control
from voxtune.commands.export import export
from voxtune.commands.train.control import DEALT, EPOCHS, control_config, deal
from voxtune.config import RunConfig, read_recipe
from voxtune.data.images import load_preset
from voxtune.errors import UsageError, WeightsError
from voxtune.explanation import grad_eclip
from voxtune.explanation import heat_map as maps
from voxtune.explanation.heat_map import explain_targets
from voxtune.explanation.scan_explanation import Case, Control, Question, checks
from voxtune.explanation.target import class_target
from voxtune.explanation.verdicts import verdicts
from voxtune.imaging.template import field_of_view
from voxtune.model.adapter import (
    AdapterFacts,
    LoadedAdapter,
    load_adapter,
    read_facts,
    save_adapter,
    shareable_config,
)
from voxtune.model.build import build_model
from voxtune.pages.model_card import model_card
from voxtune.run_dir import RunDir
from voxtune.types.records import ManifestRow, Report
from voxtune.types.volume import Volume

VISITS = {"a": ["NC", "NC", "MCI"], "b": ["AD"], "c": ["MCI", "AD"], "d": ["NC"], "e": ["AD", "AD"]}
ROWS = [
    ManifestRow.model_validate(
        {"participant_id": person, "scan_id": f"{person}{visit}", "image": f"{person}{visit}.nii.gz", "diagnosis": diagnosis,
         "mmse": 20 + visit, "site": person, "nodule": str(visit)}
    )
    for visit in range(3) for person, own in VISITS.items() for diagnosis in own[visit : visit + 1]
]  # fmt: skip
REPORTS = {row.scan_id: Report(scan_id=row.scan_id, text=f"text of {row.scan_id}") for row in ROWS}


def test_whole_people_are_dealt_visit_by_visit() -> None:
    rows, reports = deal(ROWS, REPORTS, (*DEALT, "nodule"), seed=1)
    before = {row.scan_id: row for row in ROWS}
    donors: dict[str, str] = {}
    for was, now in zip(ROWS, rows, strict=True):
        assert (now.scan_id, now.image, now.site) == (was.scan_id, was.image, was.site)
        source = before[reports[now.scan_id].text.removeprefix("text of ")]
        assert (now.diagnosis, now.mmse) == (source.diagnosis, source.mmse)
        assert now.model_extra == {"nodule": source.model_extra["nodule"]}  # type: ignore[index]
        assert reports[now.scan_id].scan_id == now.scan_id
        assert donors.setdefault(now.participant_id, source.participant_id) == source.participant_id
        given, visit = len(VISITS[source.participant_id]), int(was.scan_id[1])
        assert source.scan_id == f"{source.participant_id}{visit % given}"
    assert sorted(donors.values()) == sorted(VISITS), "every participant gives once"
    assert donors != {person: person for person in VISITS}


def test_the_draw_is_the_seeds() -> None:
    draws = [[row.diagnosis for row in deal(ROWS, {}, DEALT, seed)[0]] for seed in (0, 0, 1, 2, 3)]
    assert draws[0] == draws[1]
    assert len({tuple(one) for one in draws}) > 1
    assert deal(ROWS, {}, DEALT, 0)[1] == {}


def test_labels_say_nothing_of_the_scans() -> None:
    """Over many draws a participant's dealt label is its own as often as chance has it."""
    many = [
        ManifestRow(participant_id=f"p{n}", scan_id=f"s{n}", image="i", diagnosis="AD" if n % 2 else "NC")
        for n in range(40)
    ]
    same = [
        sum(now.diagnosis == was.diagnosis for was, now in zip(many, deal(many, {}, DEALT, seed)[0], strict=True)) / 40
        for seed in range(50)
    ]  # fmt: skip
    assert abs(sum(same) / 50 - 0.5) < 0.05


def test_the_recipe_is_the_same_but_for_its_length() -> None:
    config = read_recipe("deft").edit('training.trackers=["tensorboard"]')
    twin = control_config(config, ("NC", "AD"))
    assert twin.training.epochs is None
    assert twin.training.keep == "best"
    assert twin.training.stop_after is None
    assert twin.training.trackers == ()
    assert twin.classes.names == ("NC", "AD")
    same = {"training": config.training, "classes": config.classes}
    assert twin.model_copy(update=same) == config
    for epochs, most in ((2, 2), (30, EPOCHS)):
        assert control_config(config.edit(f"training.epochs={epochs}"), ()).training.epochs == most
    assert control_config(config, ()).classes == config.classes


def write(folder: Path, config: RunConfig, *, control_of: str | None = None, classes: str = "NC,AD") -> str:
    """An untrained adapter; its sha256."""
    model = build_model(config)
    facts = AdapterFacts(
        base="tiny", base_sha256=model.base_sha256, adapter_sha256="", preset="tiny", classes=tuple(classes.split(",")),
        class_texts=("A photo of {name}.",), control_of=control_of, simulated=True, config=shareable_config(config),
        training={
            "participants": {"train": 5, "val": 5, "test": 0}, "scans": {"train": 9, "val": 9, "test": 0}, "diagnoses": {"NC": 4},
            "seed": 0, "recipe": "deft", "learned": {"metric": "balanced_accuracy", "value": 0.625},
        },
    )  # fmt: skip
    save_adapter(folder, model, facts, model_card(facts.model_dump(mode="json")))
    return read_facts(folder).adapter_sha256


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its control."""
    root = RunDir(tmp_path_factory.mktemp("control") / "run")
    config = read_recipe("deft")
    sha256 = write(root.adapter, config)
    root.config.write_text(config.to_json(), encoding="utf-8")
    write(root.control.adapter, config.edit("seed=1"), control_of=sha256)
    return root.root


def test_nothing_takes_a_control_for_the_adapter(run: Path, tmp_path: Path) -> None:
    control = run / "control"
    with pytest.raises(WeightsError, match="is a control"):
        load_adapter(control / "adapter")
    for command in (
        ["predict", control / "adapter", "head"], ["explain", control / "adapter", "head"], ["predict", control, "head"],
        ["evaluate", control], ["export", control, "-o", tmp_path / "out"],
    ):  # fmt: skip
        said = CliRunner().invoke(main, [str(one) for one in command])
        assert said.exit_code == 3, said.output
        assert "control" in said.output
    assert not list(tmp_path.iterdir())
    assert "answers nothing" in (control / "adapter" / "README.md").read_text(encoding="utf-8")
    assert "0.625" in (control / "adapter" / "README.md").read_text(encoding="utf-8")


def test_explain_finds_the_control_of_a_run_and_of_an_export(run: Path, tmp_path: Path) -> None:
    exported = export(run, tmp_path / "adapter")
    assert {path.name for path in (exported / "control").iterdir()} == {"adapter.json", "adapter.safetensors", "README.md", "SHA256SUMS"}  # fmt: skip
    for folder in (run / "adapter", exported):
        found = find_control(folder, load_adapter(folder), None, None)
        assert found.adapter is not None
        assert found.adapter.facts.control_of == read_facts(folder).adapter_sha256
        assert "balanced accuracy 0.62 (chance 0.50)" in found.note


def test_an_export_in_another_form_keeps_its_control_or_has_none(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    config = read_recipe("deft").edit("vision=lora(2)")
    sha256 = write(run.adapter, config)
    run.config.write_text(config.to_json(), encoding="utf-8")
    write(run.control.adapter, config.edit("seed=1"), control_of=sha256)
    peft = export(run.root, tmp_path / "peft", peft=True)
    assert find_control(peft, load_adapter(peft), None, None).adapter is not None
    merged = export(run.root, tmp_path / "merged", merge=True)
    assert not (merged / "control").exists(), "its base is another one"


def test_the_control_of_another_adapter_is_left_alone(run: Path, tmp_path: Path) -> None:
    write(tmp_path / "other", read_recipe("deft").edit("seed=2"))
    loaded = load_adapter(tmp_path / "other")
    assert "no control lies beside" in find_control(tmp_path / "other", loaded, None, None).note
    shutil.copytree(run / "control", tmp_path / "control")
    found = find_control(tmp_path / "other", loaded, None, None)
    assert found.adapter is None
    assert "that of another one" in found.note
    assert "--control" in found.note


def test_a_broken_control_does_not_stop_an_explanation(run: Path, tmp_path: Path) -> None:
    exported = export(run, tmp_path / "adapter")
    with (exported / "control" / "adapter.safetensors").open("ab") as file:
        file.write(b"0")
    found = find_control(exported, load_adapter(exported), None, None)
    assert found.adapter is None
    assert "not the file that SHA256SUMS names" in found.note
    (exported / "control" / "adapter.json").write_text("{", encoding="utf-8")
    found = find_control(exported, load_adapter(exported), None, None)
    assert found.adapter is None
    assert "cannot be used" in found.note


def test_a_named_control_must_fit(run: Path, tmp_path: Path) -> None:
    loaded = load_adapter(run / "adapter")
    by_hand = find_control(run / "adapter", loaded, run / "control", None)
    assert by_hand.adapter is not None
    assert find_control(run / "adapter", loaded, run, None).note == "named by --control"
    write(tmp_path / "three", read_recipe("deft"), classes="NC,MCI,AD")
    with pytest.raises(UsageError, match="NC, MCI, AD"):
        find_control(run / "adapter", loaded, tmp_path / "three", None)
    with pytest.raises(WeightsError, match=r"adapter\.json"):
        find_control(run / "adapter", loaded, tmp_path, None)


def test_a_control_with_an_empty_map_is_compared_by_its_evidence(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_adapter(run / "adapter")
    preset = load_preset("tiny")
    case = Case(
        "x",
        Volume(np.ones(preset.size, np.float32), field_of_view(preset.size[0])),
        torch.rand(1, *preset.size),
    )
    target = class_target(loaded, "AD")
    [heat] = explain_targets(loaded, case.tensor, [target])
    same = checks(loaded, preset, case, target, heat, Question(), Control(loaded, "as it is"), curves=False)
    assert same["shuffled_labels"] == pytest.approx(1)
    assert not same["control_empty"]
    twin = load_adapter(run / "adapter")
    whole = grad_eclip.relevance

    def against(*given: torch.Tensor, signed: bool) -> torch.Tensor:
        evidence = whole(*given, signed=True)
        moved = evidence - evidence.max() - 1  # the same order, all of it against the target
        return moved if signed else moved.relu()

    def nonsense(loaded: LoadedAdapter, *given: object, **asked: object) -> object:  # type: ignore[no-untyped-def]
        with monkeypatch.context() as patch:
            if loaded is twin:
                patch.setattr(grad_eclip, "relevance", against)
            return explained(loaded, *given, **asked)

    explained = maps.heat_map
    monkeypatch.setattr(maps, "heat_map", nonsense)
    found = checks(loaded, preset, case, target, heat, Question(), Control(twin, "empty"), curves=False)
    assert found["control_empty"]
    assert "orders the places" in verdicts(found, None)[1]["verdict"]
    assert found["shuffled_labels"] == pytest.approx(1), "the evidence has the same order everywhere"


def test_the_page_says_what_to_run_for_a_control() -> None:
    checks = {
        "limit": 0.3, "shuffled_weights": {"correlations": [0.1], "mean": 0.1}, "shuffled_labels": None,
        "control": "no control lies beside this adapter: 'voxtune train ...'", "control_empty": False,
    }  # fmt: skip
    row = verdicts(checks, None)[1]
    assert row["verdict"] == "open"
    assert "voxtune train" in row["found"]
    asked = verdicts(checks | {"shuffled_labels": 0.1, "control": "it knows x"}, None)[1]
    assert asked["kind"] == "pass"
    assert "it knows x" in asked["found"]


def test_the_facts_of_a_control_are_plain_json(run: Path) -> None:
    facts = json.loads((run / "control" / "adapter" / "adapter.json").read_text(encoding="utf-8"))
    assert facts["control_of"] == read_facts(run / "adapter").adapter_sha256
    assert read_facts(run / "adapter").control_of is None


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [
        ("mae", -0.84, "by mean absolute error in standard deviations 0.84"),
        ("loss", -1.2, "by loss 1.20"),
        ("auroc", 0.9, "by AUROC 0.90 (chance 0.50)"),
        ("balanced_accuracy", 0.9, "by balanced accuracy 0.90 (chance 0.33)"),
    ],
)
@pytest.mark.parametrize("classes", [("NC", "MCI", "AD"), ()])
def test_what_a_control_has_learned_is_said_of_every_task(
    metric: str, value: float, said: str, classes: tuple[str, ...]
) -> None:
    facts: Any = SimpleNamespace(
        control_of="x", classes=classes, training={"learned": {"metric": metric, "value": value}}
    )
    if classes or metric != "balanced_accuracy":
        assert said in _learned(facts)


def test_a_control_of_other_targets_does_not_fit() -> None:
    mine, its = (SimpleNamespace(classes=(), targets=(name,), preset="x") for name in ("age", "mmse"))
    assert _unlike(mine, its) == "the targets age, the adapter has mmse"  # type: ignore[arg-type]
    assert _unlike(its, its) == ""  # type: ignore[arg-type]
