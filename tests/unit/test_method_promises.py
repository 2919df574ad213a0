"""What the method promises: few parameters, each scan judged alone whatever the method, no look at its own truth, MMSE optional."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from voxtune.backbones.m3d_clip import M3dClip
from voxtune.backbones.tiny import Tiny
from voxtune.config import RunConfig, read_recipe
from voxtune.data.manifest import write_manifest
from voxtune.errors import DataError
from voxtune.evaluation.answers import ask, see_scans
from voxtune.imaging.presets import TINY
from voxtune.losses.regression import masked_squared_error
from voxtune.model.adapter import AdapterFacts, LoadedAdapter, shareable_config
from voxtune.model.build import build_model
from voxtune.model.parameter_table import parameter_table, part_of, trained_in_words
from voxtune.model.questions import encoded_texts, question_of
from voxtune.model.vlm import VisionLanguageModel
from voxtune.training.loop import refuse_unused
from voxtune.training.reach import Unreached
from voxtune.types.records import ManifestRow
from voxtune.types.tensors import Batch

CLASSES = ("NC", "MCI", "AD")
BASE = Tiny(
    fresh=True, volume=(32, 32, 16), stem=(8, 8), width=24, depth=3, heads=2, mlp=32, embed_dim=16,
    text=Tiny().text.model_copy(update={"width": 24, "depth": 2, "heads": 2, "mlp": 32}),
)  # fmt: skip
METHODS = {
    "prompts": ("visual_prompts(4)", "text_prompts(3)"),
    "shallow": ("visual_prompts(4, deep=false)", "none"),
    "lora": ("lora(2, dropout=0.2)", "lora(2)"),
    "dora": ("lora(2, variant=dora)", "ia3"),
    "adapter": ("adapter(4)", "adapter(4)"),
    "spp_lora": ("spatial_pooling, lora(2)", "lora(2)"),
    "lga": ("lga(4)", "none"),
    "linear_probe": ("linear_probe", "none"),
    "full": ("full", "full"),
}
FORMS = [("batch", "false"), ("batch", "true"), ("tokens", "false"), ("none", "false")]


def config(vision: str, text: str, *edits: str) -> RunConfig:
    found = read_recipe("deft").model_copy(update={"backbone": BASE})
    for edit in (f"vision={vision}", f"text={text}", "aggregation.heads=4", *edits):
        found = found.edit(edit)
    return found


def shaken(model: VisionLanguageModel) -> VisionLanguageModel:
    """Away from the start, so that nothing is the same by luck."""
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for value in model.parameters():
            if value.requires_grad:
                value.add_(0.1 * torch.randn(value.shape, generator=generator))
    return model.eval()


@pytest.mark.parametrize(
    ("recipe", "count"),
    [("deft", 1_684_994), ("deft_published", 4_048_130), ("deft_lora", 2_509_826), ("deft_adapter", 3_893_762), ("spp_lora", 3_394_561), ("linear_probe", 590_593)],
)  # fmt: skip
def test_parameters_on_full_size_m3d(recipe: str, count: int) -> None:
    """The paper trains 12.2 million; nobody needs the values to count them."""
    chosen = read_recipe(recipe).model_copy(update={"backbone": M3dClip(input_volume=(128, 128, 128))})
    with torch.device("meta"):
        model = build_model(chosen)
    table = parameter_table(model)
    print(recipe, trained_in_words(table))  # the exact count, for who reads the log
    assert sum(part.trained for part in table) == count <= 12_200_000
    assert sum(part.trained_bytes for part in table) == 4 * count
    assert trained_in_words(table).startswith(f"{count:,} of ")
    assert all(0 <= part.percent <= 100 for part in table)


def test_what_peft_adds_is_a_part_of_its_own() -> None:
    assert part_of("backbone.vision.blocks.0.attn.qkv.lora_A.default.weight") == "backbone.vision.lora"
    assert part_of("backbone.vision.blocks.0.attn.qkv.base_layer.weight") == "backbone.vision"
    assert part_of("text.between.adapter.blocks.1.up.weight") == "text.between.adapter"


@pytest.mark.parametrize(("form", "learned"), FORMS)
@pytest.mark.parametrize("method", METHODS)
def test_a_scan_is_scored_alone_whatever_the_method(method: str, form: str, learned: str) -> None:
    model = shaken(
        build_model(config(*METHODS[method], f"aggregation.form={form}", f"aggregation.learned={learned}"))
    )
    generator = torch.Generator().manual_seed(0)
    scans = {f"s{i}": torch.rand(1, 32, 32, 16, generator=generator) for i in range(17)}
    texts = encoded_texts(model, [[f"A photo of {name}" for name in CLASSES]])

    def scores(names: list[str], batch_size: int) -> dict[str, torch.Tensor]:
        seen, found = see_scans(model, {"": texts}, names, scans.__getitem__, batch_size=batch_size)
        rows = torch.cat([found[""], seen.targets["mmse"][:, None]], dim=1)
        return dict(zip(names, rows, strict=True))

    alone, crowd = scores(["s0"], 1)["s0"], scores(list(scans), 17)
    torch.testing.assert_close(crowd["s0"], alone, atol=1e-4, rtol=1e-5)
    turned = scores(list(reversed(scans)), 5)
    for name, row in crowd.items():
        torch.testing.assert_close(turned[name], row, atol=1e-4, rtol=1e-5)
    assert not torch.allclose(crowd["s0"], crowd["s1"], atol=1e-3)


def test_a_model_without_an_mmse_token_scores_classes_alone() -> None:
    model = build_model(config(*METHODS["prompts"], "mmse.enabled=false"))
    texts = encoded_texts(model, [[f"A photo of {name}" for name in CLASSES]])
    seen, found = see_scans(model, {"": texts}, ["s"], lambda _: torch.rand(1, 32, 32, 16))
    assert seen.targets == {}
    assert found[""].shape == (1, 3)


def test_a_case_cannot_tell_its_own_truth(tmp_path: Path) -> None:
    """Another report, MMSE, diagnosis or volume in the table: the same prediction to the bit."""
    chosen = read_recipe("deft")
    model = shaken(build_model(chosen))
    facts = AdapterFacts(
        base="tiny", base_sha256=model.base_sha256, adapter_sha256="", preset="tiny", classes=CLASSES,
        class_texts=chosen.classes.templates, config=shareable_config(chosen),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    rows, others = [], []
    for i in range(3):
        voxels = rng.random(TINY.shape).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(voxels, TINY.affine), tmp_path / f"s{i}.nii.gz")
        row = ManifestRow(
            participant_id=f"p{i}",
            scan_id=f"s{i}",
            image=f"s{i}.nii.gz",
            diagnosis="NC",
            mmse=29.0,
            hippocampus_mm3=7000.0,
        )
        rows.append(row)
        others.append(
            row.model_copy(
                update={"diagnosis": "AD", "mmse": 12.0, "hippocampus_mm3": 3000.0, "cdr": 2.0, "age": 90.0}
            )
        )
    manifest = write_manifest(rows, tmp_path / "manifest.tsv")
    adapter = LoadedAdapter(model, facts, chosen)
    one = ask(adapter.model, question_of(facts), rows, manifest, "tiny").table.rows()
    two = ask(adapter.model, question_of(facts), others, manifest, "tiny").table.rows()
    silent = [row.model_copy(update={"diagnosis": None, "mmse": None}) for row in rows]
    three = ask(adapter.model, question_of(facts), silent, manifest, "tiny").table.rows()
    for first, second, third in zip(one, two, three, strict=True):
        assert first.probabilities == second.probabilities == third.probabilities
        assert first.mmse == second.mmse == third.mmse
        assert (first.diagnosis, second.diagnosis, third.diagnosis) == ("NC", "AD", None)


def batch(mmse: torch.Tensor) -> Batch:
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(5, 1000, (4, 6), generator=generator)
    return Batch(
        tuple("abcd"), torch.rand(4, 1, 32, 32, 16, generator=generator), ids, torch.ones_like(ids, dtype=torch.bool),
        torch.tensor([0, 1, 2, 0]), {"mmse": mmse},
    )  # fmt: skip


def test_half_of_the_scores_missing_trains_on_the_other_half() -> None:
    model = shaken(build_model(config("visual_prompts(4)", "none")))
    known = torch.tensor([25.0, torch.nan, 18.0, torch.nan])
    output = model(batch(known))
    head = model.target_heads["mmse"]
    loss = masked_squared_error(output.targets["mmse"], head.scaled(known))
    (gradient,) = torch.autograd.grad(loss, output.targets["mmse"])
    assert gradient[0] != 0 != gradient[2]
    assert gradient[1] == 0 == gradient[3]
    assert loss == masked_squared_error(output.targets["mmse"][::2], head.scaled(known)[::2])


@pytest.mark.parametrize("method", METHODS)
def test_a_part_that_nothing_reaches_is_named(method: str) -> None:
    """The first steps of every method reach all of it, zeros at the start included; a part put aside is an error that says so."""
    chosen = config(*METHODS[method])
    model = build_model(chosen).train()
    model.idle = torch.nn.Linear(2, 2)
    output = model(batch(torch.full((4,), 25.0)))
    (output.scores.diag().sum() + output.targets["mmse"].square().sum()).backward()
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    with pytest.raises(DataError, match=r"no gradient reaches idle\.weight, idle\.bias;"):
        refuse_unused(trained, Unreached(), chosen)
    del model.idle
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    refuse_unused(trained, Unreached(), chosen)
