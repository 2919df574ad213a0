"""Recipe medct: the published count at full size, a small adapter, a codebook that never moves, merging, another base refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from voxtune.backbones.ct_clip import CtClip, CtClipSmall
from voxtune.cohorts.ct_rate import FINDINGS
from voxtune.config import RunConfig, read_recipe
from voxtune.data.findings import pair_texts
from voxtune.errors import SettingError, WeightsError
from voxtune.losses.findings import pair_cross_entropy
from voxtune.model.adapter import AdapterFacts, load_adapter, save_adapter, shareable_config
from voxtune.model.build import build_model
from voxtune.model.injection import merge
from voxtune.model.parameter_table import parameter_table
from voxtune.model.vlm import VisionLanguageModel
from voxtune.tasks.task import check_settings, task_of
from voxtune.types.records import ManifestRow
from voxtune.weights.published import PUBLISHED

FILE_BYTES = 4 * 438_148_761
"""The published checkpoint: 32-bit numbers."""


def trained(config: RunConfig) -> int:
    with torch.device("meta"):
        model = build_model(config)
    return sum(part.trained for part in parameter_table(model))


def test_full_size_count_and_share() -> None:
    config = read_recipe("medct")
    assert config.classes.findings == FINDINGS
    count = trained(config)
    assert count == 1_671_168
    assert f"{count / PUBLISHED['ct_clip'].parameters:.3%}" == "0.381%"


def test_the_adapter_file_is_a_260th_of_the_checkpoint() -> None:
    from safetensors.torch import save

    with torch.device("meta"):
        model = build_model(read_recipe("medct"))
    state = {
        name: torch.zeros(value.shape) for name, value in model.named_parameters() if value.requires_grad
    }
    size = len(save(state))
    assert size * 260 <= FILE_BYTES


@pytest.mark.parametrize(
    ("edits", "count"),
    [
        (["vision=none"], 12 * 3 * 24 * 2 * 768),
        (["text=none"], 1_671_168 - 12 * 3 * 24 * 2 * 768),
        (['text.0.targets=["query", "value"]', 'vision.0.targets=["to_q"]'], None),
        (["vision.0.rank=8", "text.0.rank=8"], 1_671_168 // 3),
        (["vision.0.rank=48", "text.0.rank=48"], 1_671_168 * 2),
    ],
    ids=["text only", "vision only", "q and v", "rank 8", "rank 48"],
)
def test_variants_by_set(edits: list[str], count: int | None) -> None:
    config = read_recipe("medct")
    for edit in edits:
        config = config.edit(edit)
    found = trained(config)
    assert 0 < found < 1_671_168 * 3
    assert count is None or found == count


def small() -> RunConfig:
    return read_recipe("medct_small").model_copy(update={"backbone": CtClipSmall(fresh=True)})


def shaken(config: RunConfig) -> VisionLanguageModel:
    model = build_model(config)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for value in model.parameters():
            if value.requires_grad:
                value.add_(0.3 * torch.randn(value.shape, generator=generator))
    return model


def inputs(model: VisionLanguageModel) -> tuple[torch.Tensor, Any]:
    volumes = torch.randn(2, *model.backbone.volume_shape, generator=torch.Generator().manual_seed(1))
    return volumes, model.backbone.tokenize(
        pair_texts(FINDINGS[:3], ("{finding} is present.", "{finding} is not present."))
    )


def scores(model: VisionLanguageModel) -> torch.Tensor:
    volumes, (ids, mask) = inputs(model)
    return model.class_logits(model.encode_image(volumes), [model.encode_text(ids, mask)])


def test_training_moves_lora_alone_and_never_the_codebook() -> None:
    model = build_model(small())
    frozen = {name: v.clone() for name, v in model.state_dict().items() if ".lora_" not in name}
    assert any(name.endswith("vq._codebook.embed") for name in frozen)
    moving = {name: v for name, v in model.named_parameters() if v.requires_grad}
    assert moving
    assert all(".lora_" in name for name in moving)
    before = {name: value.detach().clone() for name, value in moving.items()}
    optimiser = torch.optim.AdamW(moving.values(), lr=1e-2)
    model.train()
    labels = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    for _ in range(3):
        optimiser.zero_grad()
        pair_cross_entropy(scores(model), labels, torch.ones(2, 3)).backward()
        optimiser.step()
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in frozen.items())
    assert all(not torch.equal(before[name], value) for name, value in moving.items())


@torch.no_grad()
def test_base_and_adapter_are_the_merged_model() -> None:
    model = shaken(small())
    apart = scores(model)
    assert (apart - scores(build_model(small()))).abs().max() > 0.1
    assert merge(model) > 0
    assert (scores(model) - apart).abs().max() <= 1e-5 * apart.abs().max()


def test_another_base_is_refused(tmp_path: Path) -> None:
    config = small()
    model = shaken(config)
    facts = AdapterFacts(
        base=model.backbone.name, base_sha256=model.base_sha256, adapter_sha256="", preset=config.preset, task="findings",
        classes=FINDINGS, class_texts=config.classes.pair, config=shareable_config(config),
    )  # fmt: skip
    save_adapter(tmp_path, model, facts, "card")
    again = load_adapter(tmp_path, base=config.backbone)
    with torch.no_grad():
        assert torch.equal(scores(again.model), scores(model))
    with pytest.raises(WeightsError, match="works only on its own base"):
        load_adapter(tmp_path, base=CtClipSmall(fresh=True, seed=1))


def test_recomputing_layers_changes_no_gradient() -> None:
    grads = []
    for edit in ("training.checkpointing=false", "training.checkpointing=true"):
        model = shaken(small().edit(edit)).train()
        scores(model).sum().backward()
        grads.append({name: p.grad for name, p in model.named_parameters() if p.requires_grad})
    for name, grad in grads[0].items():
        assert grad is not None
        assert torch.allclose(grad, grads[1][name], atol=1e-5), name


def row(**cells: str) -> ManifestRow:
    return ManifestRow.model_validate({"participant_id": "a", "scan_id": "a", "image": "x", **cells})


def selected(config: RunConfig, **cells: str) -> list[ManifestRow]:
    task = task_of(config)
    check_settings(task, config)
    return task.select_rows([row(**cells)], print)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ("aggregation.form=batch", "aggregation.form"),
        ("loss.class_weight=0", "loss.class_weight"),
        ("training.metric=accuracy", "training.metric"),
        ('classes.held_out=["Nothing"]', "classes.held_out"),
        ('classes.pair=["yes", "no"]', "classes.pair"),
    ],
)
def test_settings_that_cannot_go_together_are_named(edit: str, message: str) -> None:
    cells = dict.fromkeys(FINDINGS, "1")
    assert selected(small(), **cells)
    with pytest.raises(SettingError, match=message):
        selected(small().edit(edit), **cells)


def test_reports_would_give_held_out_findings_away() -> None:
    config = small().edit('classes.held_out=["Emphysema"]')
    assert selected(config, **dict.fromkeys(FINDINGS, "0"))
    with pytest.raises(SettingError, match="reports name them"):
        selected(config.edit("loss.contrastive_weight=0.5"), **dict.fromkeys(FINDINGS, "0"))


def test_the_small_recipe_is_the_same_method() -> None:
    large, little = read_recipe("medct"), read_recipe("medct_small")
    for part in ("classes", "loss", "aggregation", "projections", "targets"):
        assert getattr(large, part) == getattr(little, part)
    assert isinstance(large.backbone, CtClip)
    assert RunConfig.from_json(little.to_json()) == little
