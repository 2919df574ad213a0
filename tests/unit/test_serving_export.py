"""Export: the same answers merged or not, a part that peft reads, a card that says what is known, and no way into a folder of something else."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file

from voxtune.cli import main
from voxtune.config import RunConfig
from voxtune.model.adapter import AdapterFacts, load_adapter, save_adapter, shareable_config
from voxtune.model.build import build_model
from voxtune.peft.lora import Lora
from voxtune.run_dir import RunDir, write_json, write_text
from voxtune.serving.bundled import MERGED, base_file
from voxtune.types.reliability import AbstentionRule, TargetInterval, Trust
from voxtune_recipes.deft import recipe

TRUST = Trust(
    targets={"mmse": TargetInterval(level=0.9, half_width=3.25, n_scans=40, n_participants=20)},
    abstention=AbstentionRule(
        confidence=0.61,
        cost=0.4,
        kept=0.7,
        accuracy_kept=0.9,
        accuracy_all=0.75,
        n_scans=40,
        n_participants=20,
    ),
)


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exit_code == code, result.output
    return result


def make_run(folder: Path, config: RunConfig) -> Path:
    """A run as a training leaves it, with random numbers in the place of learned ones."""
    run = RunDir(folder)
    model = build_model(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.requires_grad and "temperature" not in name:
                value.add_(0.05 * torch.randn(value.shape, generator=generator))
    facts = AdapterFacts(
        base="tiny",
        base_sha256=model.base_sha256,
        adapter_sha256="",
        preset="tiny",
        classes=("NC", "AD"),
        class_texts=config.classes.templates,
        simulated=True,
        trust=TRUST,
        training={
            "scans": {"train": 60, "val": 20, "test": 20},
            "participants": {"train": 30, "val": 10, "test": 10},
            "diagnoses": {"NC": 30, "AD": 30},
            "seed": 0,
            "recipe": config.name,
        },
        licence="Apache-2.0",
        config=shareable_config(config),
    )
    write_text(run.config, config.to_json())
    save_adapter(run.adapter, model, facts, "")
    write_json(
        folder / "audit.json",
        {
            "verdict": "Nothing refuses training.",
            "findings": [],
            "checked": {"participants": "done"},
            "allowed": [],
        },
    )
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = recipe()
    config = config.model_copy(
        update={"vision": (*config.vision, Lora(rank=4)), "text": (*config.text, Lora(rank=2))}
    )
    return make_run(tmp_path_factory.mktemp("run"), config)


def features(adapter: Path) -> tuple[torch.Tensor, torch.Tensor]:
    model = load_adapter(adapter, base_file(adapter, None)).model
    volume = torch.rand((1, 1, 64, 64, 64), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        image = model.encode_image(volume)
        text = model.encode_text(
            *(
                one.bool() if place else one
                for place, one in enumerate(model.backbone.tokenize(["A photo of AD"]))
            )
        )
    return torch.cat([image.vector[0], image.targets["mmse"]]), text.vector[0]


def test_merged_it_answers_as_before(run: Path, tmp_path: Path) -> None:
    call("export", run, "-o", tmp_path / "plain")
    call("export", run, "-o", tmp_path / "merged", "--merge")
    plain, merged = features(tmp_path / "plain"), features(tmp_path / "merged")
    for one, other in zip(plain, merged, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    names = load_file(tmp_path / "merged" / "adapter.safetensors").keys()
    assert not [name for name in names if "lora" in name]
    assert not [name for name in load_file(tmp_path / "merged" / MERGED) if "lora" in name]
    before, after = (
        json.loads((tmp_path / name / "adapter.json").read_text(encoding="utf-8"))
        for name in ("plain", "merged")
    )
    assert before["base_sha256"] != after["base_sha256"]
    assert before["trust"] == after["trust"]


def test_the_merged_adapter_refuses_the_base_it_came_from(run: Path, tmp_path: Path) -> None:
    call("export", run, "-o", tmp_path / "merged", "--merge")
    (tmp_path / "merged" / MERGED).unlink()
    (tmp_path / "scan.nii").touch()
    assert (
        "only on its own base" in call("predict", tmp_path / "merged", tmp_path / "scan.nii", code=3).output
    )


def test_the_lora_part_is_one_that_peft_reads(run: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    from voxtune.backbones.tiny import Tiny

    call("export", run, "-o", tmp_path / "out", "--peft")
    read = PeftModel.from_pretrained(Tiny().build(), str(tmp_path / "out" / "peft"))
    ours = load_adapter(tmp_path / "out").model.backbone.state_dict()
    theirs = {name.removeprefix("base_model.model."): value for name, value in read.state_dict().items()}
    lora = [name for name in ours if "lora_A" in name]
    assert lora
    for name in lora:
        torch.testing.assert_close(ours[name], theirs[name])


def test_without_swapped_layers_there_is_nothing_to_merge(tmp_path: Path) -> None:
    plain = make_run(tmp_path / "run", recipe())
    assert "nothing to merge" in call("export", plain, "-o", tmp_path / "out", "--merge", code=2).output
    assert (
        "nothing that peft could read"
        in call("export", plain, "-o", tmp_path / "out2", "--peft", code=2).output
    )


def test_the_card_says_what_it_must(run: Path, tmp_path: Path) -> None:
    call("export", run, "-o", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    for words in (
        "SIMULATED", "Intended use", "not for diagnosis", "30 | 60", "within 3.2 points", "90% of new participants",
        "below a confidence of 0.61", "nothing refuses training", "Apache-2.0", "written without scores",
    ):  # fmt: skip
        assert words in card, words
    assert str(run) not in card
    assert not (tmp_path / "out" / "audit.json").exists()


def test_what_an_earlier_export_left_never_passes_for_this_ones(run: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    call("export", run, "-o", adapter)
    (adapter / "control").mkdir()
    (adapter / "control" / "adapter.json").write_text("{}")
    (adapter / "base.safetensors").touch()
    (adapter / "peft").symlink_to(tmp_path)
    call("export", run, "-o", adapter)
    assert {path.name for path in adapter.iterdir()} == {
        "README.md",
        "SHA256SUMS",
        "adapter.json",
        "adapter.safetensors",
    }
    assert tmp_path.is_dir()


def test_a_folder_of_something_else_is_left_alone(run: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "no adapter" in call("export", run, "-o", tmp_path, code=2).output
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_run_without_an_adapter_says_how_to_finish_it(tmp_path: Path) -> None:
    write_text(RunDir(tmp_path / "run").config, recipe().to_json())
    assert "--resume" in call("export", tmp_path / "run", "-o", tmp_path / "out", code=3).output


def test_an_adapter_of_before_trust_was_known_still_loads(run: Path, tmp_path: Path) -> None:
    call("export", run, "-o", tmp_path / "old")
    path = tmp_path / "old" / "adapter.json"
    tree = json.loads(path.read_text(encoding="utf-8"))
    del tree["trust"]
    path.write_text(json.dumps(tree | {"format": 1}), encoding="utf-8")
    path.with_name("SHA256SUMS").unlink()
    assert load_adapter(tmp_path / "old").facts.trust == Trust()
