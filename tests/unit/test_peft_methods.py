"""Every method on both sides of every backbone: it trains, is saved and comes back the same, or refuses with a reason."""

import copy
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from voxtune.catalog import BACKBONES, PEFT_METHODS, load
from voxtune.config import Aggregation, RunConfig
from voxtune.errors import SettingError, WeightsError
from voxtune.losses.contrastive import contrastive, instance_targets
from voxtune.model.build import adapter_state, build_model, load_adapter_state
from voxtune.model.vlm import VisionLanguageModel
from voxtune.peft.lga import regrouped
from voxtune.types.calls import read_calls

TINY = {
    "fresh": True, "volume": (32, 32, 32), "stem": (8, 8), "width": 24, "depth": 3, "heads": 2, "mlp": 32, "embed_dim": 16,
    "text": {"vocab": 1024, "width": 24, "depth": 2, "heads": 2, "mlp": 32, "max_length": 20, "token_types": 1, "pooler": False},
}  # fmt: skip
EVERYWHERE = {
    "vision": ("visual_prompts(3)", "lora(2, dropout=0.1)", "adapter(4)", "spatial_pooling", "lga(4, texts=('a b', 'c'))", "linear_probe",
               "full", "visual_prompts(2), lora(2), adapter(3), spatial_pooling, lga(4, texts=('a b', 'c'))"),
    "text": ("text_prompts(3)", "lora(2, dropout=0.1)", "adapter(4)", "linear_probe", "full"),
}  # fmt: skip
ONCE = {
    "vision": ("visual_prompts(3, deep=false)", "lora(2, variant=dora)", "ia3", "spatial_pooling(1), lora(2)", "full(projection=false)",
               "cls_token", "visual_prompts(2), skip_empty"),
    "text": ("cls_token", "text_prompts(3, deep=true)", "lora(2, variant=rslora)", "ia3", "text_prompts(2), lora(2), adapter(2)"),
}  # fmt: skip
SHIFTS = ("k_proj.bias",)
"""A softmax does not change when every key is moved alike: no gradient at any size, as LGA was published."""
SLICED = {"medclip", "biomedclip"}
"""They read 2D slices, so they have no 3D token grid to pool."""
NAMES = sorted(BACKBONES.keys() - {"tiny_untaught", "ct_clip_small"})
CASES = [(name, side, method) for name in NAMES for side in EVERYWHERE for method in EVERYWHERE[side]]
CASES += [("m3d", side, method) for side in ONCE for method in ONCE[side]]
BASES: dict[str, tuple[VisionLanguageModel, tuple[Tensor, Tensor]]] = {}
QUICK = {"merlin": (40, 18, 12), "med3dvlm": (65, 20, 18)}
"""Volumes that are quick to read; of two tokens at least, or attention over them would teach nothing."""


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]
    (folder / "vocab.txt").write_text("\n".join(marks) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}', encoding="utf-8")
    return folder


class Bench:
    """A shrunken backbone and what it is fed."""

    def __init__(self, shrunken: ModuleType, name: str, words: Path) -> None:
        self.name, self.words, self.shrunken = name, words, shrunken
        self.sizes = TINY if name == "tiny" else shrunken.SMALL[name]
        if name in QUICK:
            self.sizes = self.sizes | {"volume": QUICK[name]}

    def model(self, **changes: Any) -> VisionLanguageModel:
        """Built anew, with nothing learned around the towers but what is asked for."""
        settings = load(BACKBONES, self.name)(
            **self.sizes, **({} if self.name == "tiny" else {"tokenizer": self.words})
        )
        bare: dict[str, Any] = {"targets": (), "aggregation": Aggregation(form="none")}
        config = RunConfig.model_validate(
            bare
            | {"name": "t", "backbone": {"kind": self.name} | settings.model_dump(), "preset": "t"}
            | changes
        )
        return build_model(config)

    def base(self) -> tuple[VisionLanguageModel, tuple[Tensor, Tensor]]:
        """The model with nothing learned, and its vectors; made once."""
        if self.name not in BASES:
            model = self.model()
            BASES[self.name] = model, self.vectors(model)
        return BASES[self.name]

    def inputs(self, model: VisionLanguageModel, count: int = 2) -> tuple[Tensor, Tensor, Tensor]:
        return self.shrunken.volumes(model.backbone, count), *self.shrunken.ids(model.backbone, count)

    @torch.no_grad()
    def vectors(self, model: VisionLanguageModel) -> tuple[Tensor, Tensor]:
        volumes, ids, mask = self.inputs(model)
        return model.encode_image(volumes).vector, model.encode_text(ids, mask).vector


def shaken(model: VisionLanguageModel) -> VisionLanguageModel:
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for value in model.parameters():
            if value.requires_grad:
                value.add_(0.1 * torch.randn(value.shape, generator=generator))
    return model


def differs(one: tuple[Tensor, Tensor], two: tuple[Tensor, Tensor]) -> list[bool]:
    return [not torch.allclose(a, b, atol=1e-5, rtol=0) for a, b in zip(one, two, strict=True)]


def refused(name: str, method: str) -> str | None:
    """Why a method makes no sense on a tower; ``None`` where it does."""
    if name in SLICED and "spatial_pooling" in method:
        return "reads 2D slices"
    return (
        "drops patches" if name == "neurovfm" and ("spatial_pooling" in method or "lga" in method) else None
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_class_token_is_trained_where_there_is_one(shrunken: ModuleType, words: Path, name: str) -> None:
    bench = Bench(shrunken, name, words)
    if bench.base()[0].vision.tower.lead:
        model = bench.model(vision="cls_token, visual_prompts(2)")
        assert model.vision.lead_shift is not None
        assert not model.vision_frozen
        assert model.vision.stem_frozen, "what the frozen front makes of a scan is still made once"
    else:
        with pytest.raises(SettingError, match="reads out a class token"):
            bench.model(vision="cls_token")


@pytest.mark.parametrize(("name", "side", "method"), CASES)
def test_trains_and_comes_back(
    shrunken: ModuleType, words: Path, vanishing: Any, name: str, side: str, method: str
) -> None:
    bench = Bench(shrunken, name, words)
    chosen = {side: method}
    if why := refused(name, method):
        with pytest.raises(SettingError, match=why):
            bench.model(**chosen)
        return
    model, (base, before) = bench.model(**chosen), bench.base()
    if "prompts" not in method and "lga" not in method:  # these change the sequence from the start
        assert not any(differs(bench.vectors(model), before))

    # ---- a step reaches every part of it; in float64, where zero and very little are far apart on any processor
    exact = copy.deepcopy(shaken(model)).train().double()
    volumes, ids, mask = bench.inputs(model)
    logits = 5 * exact.encode_image(volumes.double()).vector @ exact.encode_text(ids, mask).vector.T
    contrastive(logits, instance_targets(logits)).backward()
    trained = {key: value for key, value in exact.named_parameters() if value.requires_grad}
    trained.pop("temperature.value")
    assert not [key for key, value in trained.items() if value.grad is None]
    if not method.startswith(
        "full"
    ):  # its biases of keys and their like have no effect, by the nature of softmax
        assert not [key for key in vanishing(trained) if not key.endswith(SHIFTS)]

    # ---- what is saved is all of it
    model.eval()
    after = bench.vectors(model)
    if name != "ct_clip":  # its codes may stay the same
        assert differs(after, before)[0 if side == "vision" else 1]
    again = bench.model(**chosen)
    load_adapter_state(again, adapter_state(model))
    assert not any(differs(bench.vectors(again), after))
    assert again.base_sha256 == base.base_sha256 == model.base_sha256

    # ---- what may be computed once
    assert base.vision_frozen
    assert base.text_frozen
    untouched = method == "linear_probe"
    assert model.vision_frozen == (untouched or side == "text")
    assert model.text_frozen == (untouched or side == "vision")


def test_every_method_of_the_catalogue_is_tried() -> None:
    cases = [*EVERYWHERE.values(), *ONCE.values()]
    tried = {call.kind for methods in cases for text in methods for call in read_calls(text)}
    assert PEFT_METHODS.keys() == tried


@pytest.mark.parametrize(
    ("side", "method"),
    [("text", "visual_prompts"), ("vision", "text_prompts"), ("text", "spatial_pooling"), ("text", "lga")],
)
def test_the_wrong_side_is_refused(shrunken: ModuleType, words: Path, side: str, method: str) -> None:
    with pytest.raises(
        SettingError, match=f"Setting '{side}': expected a method of the {side} side.*'{method}'"
    ):
        Bench(shrunken, "m3d", words).model(**{side: method})


def test_lga_needs_texts_that_its_tokenizer_tells_apart(shrunken: ModuleType, words: Path) -> None:
    with pytest.raises(SettingError, match=r"lga\.texts.*tells apart.*'A photo of NC'"):
        Bench(shrunken, "m3d", words).model(vision="lga")  # every word but 'a' is unknown to it
    Bench(shrunken, "m3d", words).model(vision="lga(texts=('a b', 'a b c'))")


def test_lga_needs_a_tokenizer(shrunken: ModuleType, words: Path) -> None:
    bench = Bench(shrunken, "m3d", words)
    bench.words = words / "nowhere"
    with pytest.raises(WeightsError, match="tokenizer"):
        bench.model(vision="lga")


def test_the_embedding_is_kept_only_under_a_frozen_stem(shrunken: ModuleType, words: Path) -> None:
    bench = Bench(shrunken, "m3d", words)
    for method, frozen in [
        ("lora", True),
        ("adapter", True),
        ("lora(targets='.*patch_embeddings.*')", False),
        ("full", False),
    ]:
        model = bench.model(vision=method)
        assert model.vision.stem_frozen == frozen
        assert model.vision.embed(bench.inputs(model)[0]).requires_grad != frozen


def test_spatial_pooling_refuses_another_shape(shrunken: ModuleType, words: Path) -> None:
    bench = Bench(shrunken, "m3d", words)
    model = bench.model(vision="spatial_pooling")
    with pytest.raises(SettingError, match="token grid"):
        model.encode_image(torch.rand(1, 1, 6, 12, 12))


def test_two_of_a_kind_are_refused(shrunken: ModuleType, words: Path) -> None:
    bench = Bench(shrunken, "m3d", words)
    for twice in (
        "adapter, adapter",
        "lora, ia3",
        "spatial_pooling, spatial_pooling",
        "visual_prompts, visual_prompts",
    ):
        with pytest.raises(SettingError, match="a second one"):
            bench.model(vision=twice)


@pytest.mark.parametrize("method", EVERYWHERE["vision"])
def test_a_study_of_several_scans(shrunken: ModuleType, words: Path, method: str) -> None:
    """HLIP cuts a study into groups of rows between its layers; each study is read as if it were alone."""
    bench = Bench(shrunken, "hlip", words)
    model = shaken(bench.model(vision=method)).eval()
    studies = torch.rand(2, 3, *model.backbone.volume_shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        both = model.encode_image(studies).vector
        torch.testing.assert_close(model.encode_image(studies[1:]).vector, both[1:], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(both[0], both[1], atol=1e-4)


def test_guiding_texts_follow_the_groups_of_a_study() -> None:
    text = torch.arange(2.0)[:, None, None].expand(2, 3, 4)
    wide = regrouped(text, 6)
    assert wide[:, 0, 0].tolist() == [0, 0, 0, 1, 1, 1]
    assert torch.equal(regrouped(wide, 2), text)
