"""Numbers to predict: any numeric column, alone or beside classes; what cannot be one is refused before anything is trained."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from voxtune.audit.text import label_in_text
from voxtune.backbones.bert import BertSizes
from voxtune.backbones.tiny import Tiny
from voxtune.commands.train.control import deal
from voxtune.commands.train.fit import training_scales
from voxtune.commands.train.texts import training_reports
from voxtune.config import RunConfig, read_recipe
from voxtune.data.examples import Labels
from voxtune.data.targets import mean_and_sd, numeric_columns, target_tensors, target_values
from voxtune.errors import DataError, LeakageError, SettingError, TableError, UsageError
from voxtune.model.adapter import AdapterFacts
from voxtune.model.build import adapter_state, build_model, load_adapter_state
from voxtune.peft.visual_prompts import VisualPrompts
from voxtune.tasks.task import check_settings, task_of
from voxtune.types.records import ManifestRow, Report
from voxtune.types.reliability import TargetInterval, TargetScores, Trust
from voxtune.types.target import MMSE, NO_MEASURE, Target, read_targets
from voxtune.types.tensors import Batch, ScanOutputs

SMALL = Tiny(
    fresh=True, seed=3, stem=(8, 16), width=32, depth=2, heads=4, mlp=48, embed_dim=16,
    text=BertSizes(vocab=1024, width=16, depth=2, heads=2, mlp=32, max_length=128, token_types=1, pooler=False),
)  # fmt: skip
ODD = (
    "CDR-SB (sum)",
    "updrs.part.3",
    "type",
    "keys",
    "prompt",
    "mmse_head",
    "classes",
    "loss",
    "50%",
    "50%25",
    "50.",
    "Größe",
)
"""Columns whose names are words of torch, of our log, or no word at all."""
NAMES = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), min_size=1, max_size=20).filter(
    lambda name: name == name.strip() and name not in NO_MEASURE
)  # fmt: skip


def deft(*edits: str) -> RunConfig:
    config = read_recipe("deft")
    for edit in edits:
        config = config.edit(edit)
    return config


def rows(count: int = 6, **columns: Any) -> list[ManifestRow]:
    """Scans of as many people; a value may be a list, one for each."""
    return [
        ManifestRow.model_validate(
            {"participant_id": f"p{n}", "scan_id": f"s{n}", "image": "x.nii.gz"}
            | {name: value[n] if isinstance(value, list) else value for name, value in columns.items()}
        )
        for n in range(count)
    ]


# -------------------------------------------------------------------------------------- settings
@given(
    names=st.lists(NAMES, max_size=4, unique=True),
    low=st.integers(-5, 5),
    weight=st.floats(0, 10),
    mmse=st.booleans(),
)
def test_any_targets_come_back_from_a_file(names: list[str], low: int, weight: float, mmse: bool) -> None:
    listed: list[Any] = [
        {"name": name, "low": low, "weight": weight, "units": "u"} for name in names if name != MMSE
    ]
    config = deft().model_copy(update={"targets": read_targets([*listed, *([MMSE] if mmse else [])])})
    assert RunConfig.from_json(config.to_json()) == config
    assert [target.name for target in config.targets][:1] == [MMSE] or not mmse
    assert len({target.key for target in config.targets}) == len(config.targets)


def test_the_files_of_deft_keep_their_keys() -> None:
    tree = json.loads(deft().to_json())
    assert tree["mmse"] == {"enabled": True, "init_std": 0.02, "hidden_ratio": 0.5, "scale": "standardised"}
    assert tree["loss"]["mmse_weight"] == 0.5
    assert "targets" not in tree
    both = json.loads(deft("targets=mmse,cdr_sb").to_json())
    assert both["mmse"]["enabled"]
    assert [one["name"] for one in both["targets"]] == ["cdr_sb"]
    assert not json.loads(deft("targets=age").to_json())["mmse"]["enabled"]


@pytest.mark.parametrize(
    ("edits", "field", "value"),
    [
        (["mmse.scale=points"], "scale", "points"),
        (["mmse.hidden_ratio=1"], "hidden_ratio", 1),
        (["loss.mmse_weight=0.25"], "weight", 0.25),
        (["targets.mmse.weight=2"], "weight", 2),
        (["targets.0.init_std=0.1"], "init_std", 0.1),
        (["targets=none", "mmse.enabled=true", "loss.mmse_weight=3"], "weight", 3),
    ],
)
def test_old_and_new_settings_change_the_same_target(edits: list[str], field: str, value: object) -> None:
    (target,) = deft(*edits).targets
    assert (target.name, getattr(target, field)) == (MMSE, value)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("none", []), ("mmse", [MMSE]), ("cdr_sb, mmse", [MMSE, "cdr_sb"]), ("CDR-SB, age at scan", ["CDR-SB", "age at scan"]),
        ('["a (b)", {"name": "c", "low": 0}]', ["a (b)", "c"]), ("cdr_sb(low=0, high=18, units=points)", ["cdr_sb"]),
    ],
)  # fmt: skip
def test_targets_are_written_as_a_person_would(text: str, names: list[str]) -> None:
    assert [target.name for target in deft(f"targets={text}").targets] == names
    assert deft("mmse.enabled=false").targets == ()


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ("targets=mmse,mmse", "'mmse' is given twice"),
        ("targets=sex", "'sex' is no measurement"),
        ("targets=participant_id", "no measurement"),
        ("targets=cdr(low=3,high=1)", "low 3 must be below high 1"),
        ("targets=mmse(high=40)", "'mmse' runs from 0 to 30 points"),
        ("targets=cdr(3)", "takes named values alone"),
        ("targets=cdr(3", "no list of choices"),
        ('targets=[" age"]', "no space at its ends"),
        ("targets=7", None),
        ("targets.age.weight=1", "has no entry 'age'"),
        ("mmse.enabled=maybe", "expected true or false, got 'maybe'"),
        ("mmse=on", "expected settings such as 'mmse.enabled'"),
        ('targets={"a": 1}', "expected columns such as"),
        ('classes={"names": ["NC", "AD"], "templates": []}', "classes.names need words"),
    ],
)
def test_targets_that_cannot_be_are_one_sentence(edit: str, said: str | None) -> None:
    if said is None:
        assert deft(edit).targets[0].name == "7"
        return
    with pytest.raises(UsageError, match=said.replace("(", r"\(")):
        deft(edit)


def test_adapters_keep_the_keys_of_mmse_and_read_older_ones() -> None:
    interval = TargetInterval(level=0.9, half_width=3.0, n_scans=9, n_participants=9)
    trust = Trust(targets={MMSE: interval, "age": interval})
    assert list(trust.model_dump()) == [
        "mmse",
        "targets",
        "abstention",
        "familiar",
        "sets",
        "intervals",
        "reference",
        "verdict",
    ]
    assert Trust.model_validate(trust.model_dump()) == trust
    assert Trust.model_validate({"mmse": interval.model_dump()}).targets == {MMSE: interval}
    assert "targets" not in Trust().model_dump()

    facts = AdapterFacts(
        base="tiny", base_sha256="0", adapter_sha256="0", preset="tiny", task="regression", classes=(), class_texts=(), config={},
        target_scores={"age": TargetScores(scans=3, values=3)},
    )  # fmt: skip
    assert AdapterFacts.model_validate(facts.model_dump(mode="json")) == facts
    assert facts.target_note("age") == "age not estimated: only 3 training scans have a score"
    assert facts.mmse_note is None
    with pytest.raises(ValueError, match="names them and their texts"):
        AdapterFacts.model_validate({**facts.model_dump(), "task": "findings"})


# ------------------------------------------------------------------------------------------ data
@pytest.mark.parametrize("word", ["", "n/a", "NA", "nan", None])
def test_missing_is_missing(word: str | None) -> None:
    some = rows(2, cdr_sb=[word, "2.5"])
    assert target_values(some, Target(name="cdr_sb")) == [None, 2.5]
    found = target_tensors(some, (Target(name="cdr_sb"),))["cdr_sb"]
    assert found.isnan().tolist() == [True, False]


@pytest.mark.parametrize(
    ("cell", "target", "said"),
    [
        ("mild", {}, "scan 's1', column 'cdr_sb': a target is a number or n/a, got 'mild'"),
        ("3,5", {}, "got '3,5'"),
        ("inf", {}, "got 'inf'"),
        ("-4", {"low": 0}, "expected at least 0, got -4"),
        ("19", {"high": 18, "units": "points"}, "expected at most 18 points, got 19"),
        ("19", {"low": 0, "high": 18, "units": "points"}, "expected 0 to 18 points, got 19"),
    ],
)
def test_a_cell_that_is_no_value_is_named(cell: str, target: dict[str, Any], said: str) -> None:
    with pytest.raises(TableError, match=said):
        target_values(rows(2, cdr_sb=["1", cell]), Target(name="cdr_sb", **target))


def test_a_column_that_is_not_there_is_named_beside_those_that_are() -> None:
    some = rows(3, age=70.0, cdr_sb=["1", "2", "n/a"], words="mild", empty="n/a")
    assert numeric_columns(some) == ["age", "cdr_sb"]
    with pytest.raises(
        DataError, match="'updrs': the manifest has no such column; columns of numbers are age, cdr_sb"
    ):
        target_values(some, Target(name="updrs"))
    assert mean_and_sd([None]) == (0.0, 1.0)
    assert mean_and_sd([2.0, None, 2.0]) == (2.0, 1.0)
    assert mean_and_sd([1.0, 3.0]) == (2.0, 1.0)


# ----------------------------------------------------------------------------------------- model
def small(*edits: str, **changes: object) -> RunConfig:
    config = RunConfig(name="t", backbone=SMALL, preset="tiny", vision=(VisualPrompts(length=3),), seed=2)
    for edit in edits:
        config = config.edit(edit)
    return config.model_copy(update=changes)


def test_a_target_may_have_any_name() -> None:
    config = small(targets=read_targets([MMSE, *ODD]))
    model = build_model(config).eval()
    names = [one.name for one in model.vision.sets()]
    assert (names[0], names[-1]) == (MMSE, "prompt")  # [CLS, MMSE, other targets, prompts, patches]
    assert len(names) == len(ODD) + 2
    state = adapter_state(model)
    with torch.no_grad():
        for name, value in state.items():
            value.add_(0.1 if "head" in name else 0)
    other = build_model(config).eval()
    load_adapter_state(other, state)
    volumes = torch.rand(2, 1, 64, 64, 64)
    with torch.no_grad():
        first, again = (one.target_values(one.encode_image(volumes).targets) for one in (other, other))
    assert list(first) == [MMSE, *ODD]
    torch.testing.assert_close(first, again)


def test_another_target_changes_nothing_of_mmse_at_the_start() -> None:
    alone, beside = (adapter_state(build_model(small(f"targets={text}"))) for text in ("mmse", "mmse,age"))
    assert (
        {"vision.extra.mmse.vectors", "mmse_head.linear1.weight", "mmse_head.mean"}
        <= alone.keys()
        <= beside.keys()
    )
    assert torch.equal(alone["vision.extra.mmse.vectors"], beside["vision.extra.mmse.vectors"])


def test_values_stay_within_the_range_of_their_target() -> None:
    config = small("targets=mmse,a(low=1),b(high=2),c")
    model = build_model(
        config, scales=training_scales(config, rows(2, mmse=[20.0, 24.0], a=["5", "7"], b="0", c="0"))
    )
    far = {target.name: torch.tensor([-100.0, 100.0]) for target in config.targets}
    found = {name: values.tolist() for name, values in model.target_values(far).items()}
    assert found == {MMSE: [0, 30], "a": [1, 106], "b": [-100, 2], "c": [-100, 100]}


# ------------------------------------------------------------------------------------------ task
def batch(targets: Mapping[str, list[float]]) -> Batch:
    known = {name: torch.tensor(values) for name, values in targets.items()}
    ids = torch.randint(5, 1000, (3, 6), generator=torch.Generator().manual_seed(3))
    return Batch(
        tuple("abc"), torch.rand(3, 1, 64, 64, 64), ids, torch.ones_like(ids, dtype=torch.bool), None, known
    )  # fmt: skip


def test_each_target_learns_from_the_scans_that_have_it() -> None:
    config = small("targets=mmse,age", "classes=none")
    model, task = build_model(config), task_of(config)
    some = batch({MMSE: [20.0, torch.nan, torch.nan], "age": [torch.nan, 70.0, torch.nan]})
    output = model(some)
    terms = task.loss(output, some, model.target_heads).targets
    for name, place in ((MMSE, 0), ("age", 1)):
        (gradient,) = torch.autograd.grad(terms[name], output.targets[name], retain_graph=True)
        assert [bool(value) for value in gradient] == [n == place for n in range(3)]
    nothing = batch({MMSE: [torch.nan] * 3, "age": [70.0] * 3})
    assert list(task.loss(output, nothing, model.target_heads).targets) == ["age"]


def test_targets_alone_choose_rows_and_what_steers() -> None:
    config = deft("classes=none", "targets=mmse,cdr_sb")
    task, said = task_of(config), []
    check_settings(task, config)
    some = rows(
        6,
        diagnosis=["NC", None] * 3,
        mmse=[20.0, 21.0, None, None, 22.0, None],
        cdr_sb=["1", "n/a", "2", "n/a", "0", "n/a"],
    )
    kept = task.select_rows(some, said.append)
    assert [row.scan_id for row in kept] == ["s0", "s1", "s2", "s4"]
    assert said == ["2 of 6 scans have no value of 'mmse' or 'cdr_sb' and are left out."]
    with pytest.raises(DataError, match="No scan of 2 has a value of 'mmse' or 'cdr_sb'"):
        task.select_rows(rows(2, cdr_sb="n/a"), said.append)
    settled = task.settle(config, {"train": kept, "val": kept, "test": []}, said.append)
    assert settled.training.metric == "mae"
    assert (
        task.settle(config.edit("training.metric=loss"), {"train": kept, "val": kept}, print).training.metric
        == "loss"
    )
    labels = task.labels(kept, kept)
    assert labels.classes is None
    assert task.notes(labels) == ["Target cdr_sb: 3 of 4 training scans, 0 to 2.0, mean 1.0."]
    assert task.notes(Labels(targets={MMSE: torch.ones(1), "cdr_sb": torch.tensor([torch.nan])})) == []


@pytest.mark.parametrize(
    ("edits", "train", "val", "said"),
    [
        (
            ["targets=mmse,cdr_sb"],
            {"mmse": 20.0, "cdr_sb": "n/a"},
            {},
            "all 6 training scans with a value have the same, 20.0 points",
        ),
        (
            ["targets=cdr_sb"],
            {"cdr_sb": "n/a"},
            {"cdr_sb": "1"},
            "No training scan of 6 has a value of target 'cdr_sb'",
        ),
        (
            ["targets=cdr_sb"],
            {"cdr_sb": "3"},
            {"cdr_sb": "1"},
            "have the same, 3.0; there is nothing to learn",
        ),
        (["targets=cdr_sb"], {}, {}, "'cdr_sb': the manifest has no such column"),
        (["targets=cdr_sb"], {"cdr_sb": list("123456")}, {"cdr_sb": "mild"}, "a target is a number"),
        (
            ["targets=cdr_sb", "training.metric=mae"],
            {"cdr_sb": list("123456")},
            {"cdr_sb": "n/a"},
            "No validation scan has a value",
        ),
        (
            ["targets=mmse", "classes=none"],
            {"mmse": None},
            {"mmse": 20.0},
            "No training scan of 6 has a value of target 'mmse'",
        ),
    ],
)
def test_what_training_scans_cannot_teach_is_said_before_training(
    edits: list[str], train: dict[str, Any], val: dict[str, Any], said: str
) -> None:
    config = deft(*edits)
    with pytest.raises(DataError, match=said):
        task_of(config, ("NC", "AD")).settle(config, {"train": rows(**train), "val": rows(**val)}, print)


def test_the_default_target_is_off_where_nobody_has_it() -> None:
    said: list[str] = []
    config = task_of(deft(), ("NC", "AD")).settle(deft(), {"train": rows(), "val": rows()}, said.append)
    assert config.targets == ()
    assert said == ["No training scan has an MMSE: the MMSE term is off, and the model predicts none."]
    same = task_of(deft(), ("NC", "AD")).settle(
        deft(), {"train": rows(mmse=25.0), "val": rows()}, said.append
    )
    assert same == deft()


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        (["targets=none", "classes=none"], "otherwise nothing is asked"),
        (["classes=none", "training.metric=auroc"], "loss or mae, of what this run is asked"),
        (["classes=none", "loss.class_weight=1"], "no class text to weigh"),
        (["classes=none", "loss.contrastive_weight=0"], "--set text=none"),
        (["classes=none", "targets.mmse.weight=0"], "more than 0 with targets alone"),
        (["training.metric=auroc"], "training.metric"),
        (["targets=none", "training.metric=mae"], "training.metric"),
    ],
)
def test_settings_that_cannot_go_together(edits: list[str], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        check_settings(task_of(deft(*edits)), deft(*edits))


@pytest.mark.parametrize(
    "edits", [["classes=none"], ["training.metric=mae"], ["classes=none", "loss.contrastive_weight=0", "text=none", "projections=frozen"]]
)  # fmt: skip
def test_settings_that_go_together(edits: list[str]) -> None:
    check_settings(task_of(deft(*edits)), deft(*edits))


def test_the_metric_is_of_known_values_and_every_target_counts_alike() -> None:
    config = small("targets=mmse,age", "classes=none")
    heads = build_model(
        config, scales=training_scales(config, rows(2, mmse=[20.0, 24.0], age=[60.0, 80.0]))
    ).target_heads
    truth = Labels(targets={MMSE: torch.tensor([20.0, torch.nan]), "age": torch.tensor([70.0, 80.0])})
    outputs = ScanOutputs(
        ("a", "b"),
        torch.ones(2, 4),
        None,
        {MMSE: torch.tensor([22.0, 0.0]), "age": torch.tensor([75.0, 80.0])},
    )
    task = task_of(config)
    assert task.validation_metric(outputs, truth, "mae", heads) == pytest.approx(-(2 / 2 + (5 / 10) / 2) / 2)
    assert task.validation_metric(outputs, truth, "loss", heads) == pytest.approx(-0.5 * (1 + 0.25 / 2))
    both = small("targets=mmse,age")
    assert task_of(both).taught(rows(2, diagnosis=["NC", "AD"])).validation_metric(
        outputs, truth, "mae", heads
    ) == pytest.approx(-0.625)


# --------------------------------------------------------------------------------------- leakage
def test_a_text_may_not_state_a_target() -> None:
    some = rows(
        6, hippocampus_mm3=[5000.0 + n for n in range(6)], age=[70.0 + n for n in range(6)], diagnosis="NC"
    )
    told = training_reports(some, deft("classes=none", "targets=age"))
    assert all(
        "A photo of" not in report.text and "diagnosis" not in report.fields for report in told.values()
    )
    assert training_reports(some, deft("loss.contrastive_weight=0")) == {}
    for target, template in (("hippocampus_mm3", "deft"), ("age", "oasis")):
        with pytest.raises(LeakageError, match=f"asks for '{target}', which may never be in a text"):
            training_reports(some, deft(f"targets={target}", f"report.template={template}"))
    with pytest.raises(DataError, match="Without a class the reports are all that the text side learns from"):
        training_reports(rows(2, age=70.0), deft("classes=none", "targets=age"))
    with pytest.raises(DataError, match="there is nothing to say"):
        training_reports(rows(2, age=70.0), deft("targets=age"))


def test_the_audit_finds_a_target_in_a_text_of_ones_own() -> None:
    some = rows(6, updrs=[str(n / 2) for n in range(6)])
    named = {row.scan_id: Report(scan_id=row.scan_id, text="A head.", fields=("updrs",)) for row in some}
    under_another_name = {
        row.scan_id: Report(scan_id=row.scan_id, text=f"Burden: {row.model_extra['updrs']}.") for row in some if row.model_extra
    }  # fmt: skip
    for reports, said in (
        (named, "hold 'updrs', which is a target"),
        (under_another_name, "hold the value of 'updrs' as 'burden'"),
    ):
        (finding,) = label_in_text(some, reports, opened=("updrs",), targets=("updrs",))
        assert finding.level == "refuse"
        assert said in finding.message
        assert label_in_text(some, reports, opened=("updrs",)) == []


def test_a_control_is_dealt_targets_too() -> None:
    some = rows(6, cdr_sb=[str(n) for n in range(6)], age=[70.0 + n for n in range(6)])
    dealt, _ = deal(some, {}, ("cdr_sb", "age"), seed=1)
    pairs = {((row.model_extra or {})["cdr_sb"], row.age) for row in dealt}
    assert pairs == {(str(n), 70.0 + n) for n in range(6)}
    assert [row.age for row in dealt] != [row.age for row in some]
