"""Rare classes and missing labels: what is weighed, what is drawn, and what a scan without a label may enter."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voxtune.commands.simulate.command import simulate
from voxtune.commands.train import command
from voxtune.commands.train.session import Session
from voxtune.commands.train.unlabelled import unlabelled_pairs
from voxtune.config import LATER, ClassTexts, RunConfig, read_recipe
from voxtune.data.examples import Labels, class_weights
from voxtune.data.manifest import read_manifest, write_manifest
from voxtune.data.split_files import write_split
from voxtune.data.splits import make_split
from voxtune.errors import DataError, SettingError, UsageError
from voxtune.evaluation.evaluated_model import EvaluatedModel, cohort_rows, read_run
from voxtune.evaluation.validation import validation_metric
from voxtune.losses.classification import class_cross_entropy
from voxtune.tasks.task import check_settings, task_of
from voxtune.training.order import balanced_batches, batches, round_batches
from voxtune.types.records import ManifestRow

GROUPS = st.lists(st.integers(-1, 3), min_size=2, max_size=60).filter(lambda some: max(some) >= 0)
FAST = ("training.epochs=1", "vision=visual_prompts(2)", "text=none")


# ------------------------------------------------------------------------------------------- what is weighed
@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_weights_make_every_class_of_training_count_alike(train: list[int]) -> None:
    labels = torch.tensor(train)
    weights = class_weights(labels, labels, 4)
    assert float(weights.mean()) == pytest.approx(1.0)
    sums = [float(weights[labels == one].sum()) for one in set(train)]
    assert sums == pytest.approx([len(train) / len(sums)] * len(sums))


def test_a_class_or_a_label_that_training_has_not_weighs_nothing() -> None:
    weights = class_weights(torch.tensor([0, 1, 2, -100]), torch.tensor([0, 0, 0, 1, -100]), 3)
    assert weights.tolist() == pytest.approx([4 / 6, 2.0, 0.0, 0.0])


@given(st.lists(st.integers(-1, 2), min_size=1, max_size=12), st.integers(0, 99))
def test_weights_enter_the_loss_as_stated(some: list[int], seed: int) -> None:
    labels = torch.tensor([one if one >= 0 else -100 for one in some])
    generator = torch.Generator().manual_seed(seed)
    logits, weights = (
        torch.randn(len(some), 3, generator=generator),
        torch.rand(len(some), generator=generator),
    )
    known = [place for place, one in enumerate(some) if one >= 0]
    each = [-float(weights[place] * logits[place].log_softmax(0)[some[place]]) for place in known]
    wanted = sum(each) / len(each) if each else 0.0
    assert float(class_cross_entropy(logits, labels, weights)) == pytest.approx(wanted, abs=1e-5)
    assert validation_metric(logits, labels, "loss", weights) == pytest.approx(-wanted, abs=1e-5)
    alike = class_cross_entropy(logits, labels, torch.ones(len(some)))
    assert float(alike) == pytest.approx(float(class_cross_entropy(logits, labels)), abs=1e-6)


def test_the_task_gives_weights_where_they_are_asked_for() -> None:
    rows = [row(number, name) for number, name in enumerate(("NC", "NC", "NC", "AD"))]
    plain, balanced = (
        task_of(config(*some), ("NC", "AD")).labels(rows, rows)
        for some in ((), ("loss.class_weight=1", "loss.class_balance=true"))
    )
    assert plain.class_weights is None
    assert balanced.class_weights is not None
    assert balanced.class_weights.tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2.0])


# --------------------------------------------------------------------------------------------- what is drawn
@settings(max_examples=60)
@given(GROUPS, st.integers(2, 9), st.integers(0, 3), st.integers(0, 3))
def test_a_balanced_pass_draws_the_classes_alike(groups: list[int], size: int, seed: int, epoch: int) -> None:
    found = balanced_batches(groups, size, seed, epoch)
    assert [len(one) for one in found] == [len(one) for one in batches(list(range(len(groups))), size)]
    assert found == balanced_batches(groups, size, seed, epoch)
    drawn = Counter(groups[place] for one in found for place in one)
    scans = Counter(place for one in found for place in one)
    assert drawn[-1] == groups.count(-1)
    assert all(scans[place] == 1 for place, group in enumerate(groups) if group == -1)
    classes = {group for group in groups if group >= 0}
    assert max(drawn[one] for one in classes) - min(drawn[one] for one in classes) <= 1
    for batch in found:
        inside = Counter(groups[place] for place in batch)
        assert max(inside[one] for one in classes) - min(inside[one] for one in classes) <= 1
        for one in classes:
            mine = [place for place in batch if groups[place] == one]
            if len(mine) <= groups.count(one):
                assert len(set(mine)) == len(mine), "a scan twice in a batch that had others of its class"
    for one in classes:
        counts = [scans[place] for place, group in enumerate(groups) if group == one]
        assert max(counts) - min(counts) <= 2


def test_the_steps_of_a_run_come_from_balanced_passes() -> None:
    groups = [0] * 20 + [1] * 4
    steps = round_batches(24, 8, 5, range(2, 7), groups)
    passes = [balanced_batches(groups, 8, 5, number) for number in range(3)]
    assert steps == [(step // 3, passes[step // 3][step % 3]) for step in range(2, 7)]
    assert round_batches(24, 8, 5, range(3)) != round_batches(24, 8, 5, range(3), groups)


# --------------------------------------------------------------------------------- settings and stored files
def row(number: int, diagnosis: str | None, person: str = "", **more: object) -> ManifestRow:
    return ManifestRow(
        participant_id=person or f"p{number}", scan_id=f"s{number}", image="a.nii.gz", diagnosis=diagnosis, source="x", **more,
    )  # fmt: skip


def config(*edits: str) -> RunConfig:
    made = read_recipe("deft")
    for edit in edits:
        made = made.edit(edit)
    return made


def test_files_of_runs_without_them_stay_as_they_were() -> None:
    text = config().to_json()
    assert not [name for _, name in LATER if f'"{name}"' in text]
    for part, name in LATER:
        others = {"sampling": "balanced", "controls": "HC", "signs": "2"}
        other = others.get(name, "true")
        changed = config(f"{part}.{name}={other}")
        assert changed != config()
        assert RunConfig.from_json(changed.to_json()) == changed
        before = "" if LATER[part, name] == () else LATER[part, name]
        assert changed.edit(f"{part}.{name}={before}") == config()
    with pytest.raises(UsageError, match="class_balance"):
        config("loss.clas_balance=true")


@pytest.mark.parametrize(
    ("edits", "setting"),
    [
        (("loss.class_balance=true",), "loss.class_balance"),
        (("classes=none", "classes.signs=2"), "classes.signs"),
        (("classes=none", "training.sampling=balanced"), "training.sampling"),
        (
            ("loss.contrastive_weight=0", "loss.class_weight=1", "training.unlabelled=true"),
            "training.unlabelled",
        ),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused(edits: tuple[str, ...], setting: str) -> None:
    made = config(*edits)
    with pytest.raises(SettingError, match=setting):
        check_settings(task_of(made), made)


def test_findings_are_sent_to_their_own_balance() -> None:
    made = read_recipe("medct_small").edit("training.sampling=balanced")
    with pytest.raises(SettingError, match=r"finding_balance"):
        check_settings(task_of(made), made)


# ------------------------------------------------------------------------------------ scans without a label
def test_what_a_task_calls_unlabelled() -> None:
    rows = [
        row(0, "NC", mmse=29, Atelectasis="n/a"), row(1, None, mmse=28, Atelectasis="1"), row(2, None, Atelectasis=None),
    ]  # fmt: skip
    chest = read_recipe("medct_small")
    chest = chest.model_copy(update={"classes": ClassTexts(findings=("Atelectasis",))})
    for made, wanted in ((config(), [1, 2]), (config("classes=none"), [2]), (chest, [0, 2])):
        assert [one.scan_id for one in task_of(made).unlabelled_rows(rows)] == [
            f"s{number}" for number in wanted
        ]


def test_of_further_scans_nothing_is_known() -> None:
    known = Labels(
        torch.tensor([1]), {"mmse": torch.tensor([20.0])}, torch.ones(1, 2), torch.ones(1, 2), torch.ones(1)
    )
    more = known.and_unknown(2)
    assert more.classes is not None
    assert more.findings is not None
    assert more.finding_weights is not None
    assert more.class_weights is not None
    assert more.classes.tolist() == [1, -100, -100]
    assert more.targets["mmse"].isnan().tolist() == [False, True, True]
    assert more.findings.isnan().all(dim=1).tolist() == [False, True, True]
    assert more.finding_weights.tolist() == [[1, 1], [0, 0], [0, 0]]
    assert more.class_weights.tolist() == [1, 0, 0]
    assert Labels().and_unknown(3) == Labels()


@pytest.fixture(scope="module")
def half_labelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """24 SIMULATED people of whom every third has lost the diagnosis, and a split of all of them."""
    manifest = simulate(tmp_path_factory.mktemp("half"), participants=24, visits=1, seed=3)
    rows = [
        one.model_copy(update={"diagnosis": None, "diagnosis_rule": None}) if place % 3 == 0 else one
        for place, one in enumerate(read_manifest(manifest))
    ]
    other = manifest.with_name("half.tsv")
    write_manifest(rows, other)
    from voxtune.data.manifest import file_sha256

    split = write_split(make_split(rows, seed=1), manifest.parent / "split", file_sha256(other), other)
    return other, split


def train(manifest: Path, output: Path, split: Path, *edits: str) -> list[str]:
    said: list[str] = []
    command.train(
        "deft", output, data=manifest, split_dir=split, assignments=(*FAST, *edits), say=said.append
    )
    return said


def test_unlabelled_scans_are_pairs_of_the_contrastive_term_and_nothing_else(
    half_labelled: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, folder = half_labelled
    seen: dict[str, object] = {}
    whole = Session.fit

    def watched(self: Session, model: object, inputs: object) -> object:
        seen["inputs"], seen["cohort"] = inputs, self.cohort
        return whole(self, model, inputs)  # type: ignore[arg-type]

    monkeypatch.setattr(Session, "fit", watched)
    said = train(manifest, tmp_path / "run", folder, "training.unlabelled=true", "loss.class_weight=1")
    rows = {one.scan_id: one for one in read_manifest(manifest)}
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    held = {rows[scan].participant_id for side in ("val", "test") for scan in split[side]}
    pairs = split["unlabelled"]
    assert pairs
    assert any("without a label are pairs" in line and "validation or test side" in line for line in said)
    assert all(rows[scan].diagnosis is None and rows[scan].participant_id not in held for scan in pairs)
    inputs, cohort = seen["inputs"], seen["cohort"]
    known = inputs.train.labels  # type: ignore[attr-defined]
    labelled = len(inputs.train) - len(pairs)  # type: ignore[attr-defined]
    assert list(inputs.train.scan_ids[labelled:]) == pairs  # type: ignore[attr-defined]
    assert (known.classes[labelled:] == -100).all()
    assert (known.classes[:labelled] >= 0).all()
    assert known.targets["mmse"][labelled:].isnan().all()
    assert not {one.scan_id for side in ("val", "test") for one in cohort.sides[side]} & set(pairs)  # type: ignore[attr-defined]
    reports = [cohort.reports[scan].text for scan in pairs]  # type: ignore[attr-defined]
    assert not [text for text in reports if "photo" in text.lower()], (
        "a label sentence of a scan without a label"
    )
    facts = json.loads((tmp_path / "run/adapter/adapter.json").read_text())["training"]
    assert facts["unlabelled"] == len(pairs)
    assert facts["scans"]["train"] == labelled
    assert f"{len(pairs)} further scans without a label" in (tmp_path / "run/adapter/README.md").read_text()
    run, made, stored = read_run(tmp_path / "run")
    model = EvaluatedModel(made, None, run, stored)
    later = tmp_path / "later.tsv"  # the same people, labelled by now: training has seen their scans
    image = {one.scan_id: str(manifest.parent / one.image) for one in rows.values()}
    labelled_now = [rows[scan].model_copy(update={"diagnosis": "NC", "image": image[scan]}) for scan in pairs]
    write_manifest(labelled_now, later)
    with pytest.raises(DataError, match="IDs of training or validation scans"):
        cohort_rows(model, later)


def test_without_the_setting_they_are_left_out_as_before(
    half_labelled: tuple[Path, Path], tmp_path: Path
) -> None:
    manifest, folder = half_labelled
    train(manifest, tmp_path / "run", folder, "targets=none")
    assert "unlabelled" not in (tmp_path / "run" / "split.json").read_text()
    assert "unlabelled" not in (tmp_path / "run" / "config.json").read_text()


def test_asked_for_where_there_are_none_is_an_error(people: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="every scan has a label"):
        command.train(
            "deft", tmp_path / "run", data=people, assignments=(*FAST, "training.unlabelled=true"), say=lambda _: None
        )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.booleans()), min_size=12, max_size=40), st.integers(0, 99))
def test_nobody_of_another_side_is_a_pair(visits: list[tuple[int, bool]], seed: int) -> None:
    rows = [
        row(number, "NC" if known else None, f"p{person}", hippocampus_mm3=7000.0)
        for number, (person, known) in enumerate(visits)
    ]
    try:
        split = make_split(rows, seed=seed)
    except DataError:
        return
    made = config("training.unlabelled=true").settled()
    sides = {split.participants[scan]: side for scan, side in split.side_of().items()}
    wanted = {
        one.scan_id for one in rows if one.diagnosis is None and sides.get(one.participant_id) == "train"
    }
    if not wanted:
        with pytest.raises(DataError, match="unlabelled"):
            unlabelled_pairs(rows, task_of(made), split, made, lambda _: None)
        return
    found = unlabelled_pairs(rows, task_of(made), split, made, lambda _: None)
    assert set(found.scan_ids) == set(found.reports) == wanted
