"""What no gradient can reach at the sizes at hand is found before training, on any processor, and refused.

The truth is taken in float64, where a gradient that is zero in truth is 1e-16 of the others; in float32 it may be a hundred
thousand times as large, or exactly zero, by the instruction set.
"""

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from voxtune.catalog import BACKBONES, load
from voxtune.config import Aggregation, LossSettings, RunConfig, TrainingSettings
from voxtune.data.examples import Examples, Labels
from voxtune.errors import DataError
from voxtune.losses.total import total
from voxtune.model.build import build_model
from voxtune.model.vlm import VisionLanguageModel
from voxtune.tasks.task import task_of
from voxtune.training.loop import fit, read_shares
from voxtune.training.objective import loss_terms
from voxtune.training.ranks import start_ranks
from voxtune.training.reach import Unreached, unreached
from voxtune.training.records import Steer, TrainingInputs, Watcher
from voxtune.training.step import StepSettings

RANKS = start_ranks(TrainingSettings(accelerator="cpu"))
ONE_TOKEN = (17, 20, 18)
ASKS = ("q_proj", "k_proj")
SHIFTS = ("k_proj.bias", "key.bias")
"""A softmax does not change when every key is moved alike, at any size: it is how these layers were published."""
CLASS_ONLY = LossSettings(class_weight=1.0, contrastive_weight=0.0)


class Case:
    """A small model, a batch and a loss, and what of it is dead."""

    def __init__(
        self, backbone: str, vision: str = "none", text: str = "none", *, dead: tuple[str, ...] = (), volume: tuple[int, int, int] | None = None,
        loss: LossSettings | None = None, form: str = "none", learned: bool = False, scans: int = 3, length: int = 5, classes: int = 0,
        projections: str = "frozen", checkpointing: bool = False,
    ) -> None:  # fmt: skip
        self.backbone, self.methods, self.volume, self.dead = (
            backbone,
            {"vision": vision, "text": text},
            volume,
            dead,
        )
        self.loss = loss or LossSettings()
        self.aggregation = Aggregation.model_validate({"form": form, "learned": learned, "heads": 2})
        self.scans, self.length, self.classes = scans, length, classes
        self.projections, self.checkpointing = projections, checkpointing

    def build(self, shrunken: ModuleType, words: Path) -> tuple[RunConfig, VisionLanguageModel]:
        sizes: dict[str, Any] = shrunken.SMALL[self.backbone] | (
            {"volume": self.volume} if self.volume else {}
        )
        settings = load(BACKBONES, self.backbone)(**sizes, tokenizer=words)
        config = RunConfig.model_validate(
            self.methods
            | {"name": "reach", "preset": "t", "backbone": {"kind": self.backbone} | settings.model_dump(), "loss": self.loss}
            | {"aggregation": self.aggregation, "projections": self.projections}
            | {"targets": (), "training": TrainingSettings(epochs=1, checkpointing=self.checkpointing)}
        )  # fmt: skip
        model = build_model(config)
        generator = torch.Generator().manual_seed(9)
        with torch.no_grad():
            for value in model.parameters():
                if value.requires_grad:  # gates that start at zero hide what is behind them
                    value.add_(0.1 * torch.randn(value.shape, generator=generator))
        return config, model.train()

    def inputs(self, config: RunConfig, model: VisionLanguageModel, shrunken: ModuleType) -> TrainingInputs:
        volumes = shrunken.volumes(model.backbone, self.scans)
        ids, _ = shrunken.ids(model.backbone, self.scans)
        mask = torch.arange(ids.shape[1]).expand_as(ids) < self.length
        names = tuple(f"s{number}" for number in range(self.scans))
        scans = dict(zip(names, volumes, strict=True))
        labels = torch.arange(self.scans) % max(1, self.classes)
        examples = Examples(names, names, Labels(labels), ids, mask)
        kinds = shrunken.ids(model.backbone, self.classes)[0] if self.classes else None
        tokens = [] if kinds is None else [(kinds, torch.ones_like(kinds, dtype=torch.bool))]
        return TrainingInputs(
            task_of(config, "abc"), examples, scans.__getitem__, lambda _: Steer(0.0), tokens
        )


CASES = {
    "an image of one token": Case("med3dvlm", "lga(4, texts=('a b', 'c'))", volume=ONE_TOKEN, dead=("extractor.adapter_norm", *(f"extractor.atten.{name}" for name in ASKS))),
    "one guiding text": Case("m3d", "lga(4, texts=('a b',))", dead=("injector.vit_norm", *(f"injector.atten.{name}" for name in ASKS))),
    "both": Case("med3dvlm", "lga(4, texts=('c',))", volume=ONE_TOKEN, dead=(
        "extractor.adapter_norm", "injector.vit_norm", *(f"{half}.atten.{name}" for half in ("extractor", "injector") for name in ASKS))),
    "enough of everything": Case("m3d", "lga(4, texts=('a b', 'c')), lora(2), adapter(2)", "lora(2), text_prompts(2)", projections="trained"),
    "the same, recomputed": Case("m3d", "visual_prompts(2), lora(2)", "lora(2)", checkpointing=True),
    "texts of one token": Case("m3d", text="lora(2, targets=['query', 'key', 'value'])", length=1, dead=("query.", "key.")),
    "a batch of one": Case("m3d", "lora(2)", "lora(2)", scans=1, dead=("",)),
    "a batch of one, attending": Case("m3d", "lora(2)", form="batch", learned=True, scans=1, dead=("",)),
    "a batch of two, attending": Case("m3d", "lora(2)", form="batch", learned=True, scans=2),
    "one class": Case("m3d", "lora(2)", loss=CLASS_ONLY, classes=1, dead=("",)),
    "two classes": Case("m3d", "lora(2)", loss=CLASS_ONLY, classes=2),
    "words and patches": Case("m3d", "lora(2)", "lora(2)", form="tokens"),
}  # fmt: skip


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("words")
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]
    (folder / "vocab.txt").write_text("\n".join(marks) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}', encoding="utf-8")
    return folder


def sizes_of_gradients(case: Case, model: VisionLanguageModel, inputs: TrainingInputs) -> dict[str, float]:
    """The largest entry of each parameter's gradient in float64, as part of the largest of all."""
    exact = model.double()
    batch = replace(
        inputs.train.facts(list(range(case.scans))),
        volumes=torch.stack([inputs.read(name) for name in inputs.train.scan_ids]).double(),
    )
    output = exact(batch, inputs.class_tokens if case.classes else None)
    loss = total(
        loss_terms(output, batch, case.loss, inputs.task, {}),
        {},
        case.loss.class_weight,
        case.loss.contrastive_weight,
    )
    names = {name: value for name, value in exact.named_parameters() if value.requires_grad}
    grads = torch.autograd.grad(loss, list(names.values()), allow_unused=True)
    found = {
        name: 0.0 if grad is None else float(grad.abs().max())
        for name, grad in zip(names, grads, strict=True)
    }
    largest = max(found.values()) or 1.0
    return {name: value / largest for name, value in found.items()}


@pytest.mark.parametrize("name", CASES)
def test_the_parts_without_a_gradient_are_known(shrunken: ModuleType, words: Path, name: str) -> None:
    case = CASES[name]
    config, model = case.build(shrunken, words)
    inputs = case.inputs(config, model, shrunken)
    share = next(read_shares(inputs, [(0, list(range(case.scans)))], 0, RANKS))
    classes = inputs.class_tokens if case.classes else None
    trained = {key: value for key, value in model.named_parameters() if value.requires_grad}
    state = torch.random.get_rng_state()
    found = unreached(
        model, trained, share, classes, StepSettings(case.loss, inputs.task, {}, "volumes", None, RANKS)
    )
    torch.random.set_rng_state(state)
    assert all(value.grad is None for value in trained.values()), "it leaves no gradient behind"
    assert {key for key in trained if any(part in key for part in case.dead)} == set(found.names)
    sizes = sizes_of_gradients(case, model, inputs)
    dead = {key for key, size in sizes.items() if size < 1e-12}
    assert {key for key in dead if not key.endswith(SHIFTS)} <= set(found.names) <= dead


def test_a_run_that_would_train_in_vain_is_refused(shrunken: ModuleType, words: Path, tmp_path: Path) -> None:
    case = CASES["an image of one token"]
    config, model = case.build(shrunken, words)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    with pytest.raises(
        DataError,
        match=r"no gradient reaches vision.between.lga.*and \d+ more.*5 of the model's attentions have a single",
    ):
        fit(model, case.inputs(config, model, shrunken), config, tmp_path, Watcher())
    assert all(torch.equal(before[name], value) for name, value in model.named_parameters())


@pytest.mark.parametrize(("frames", "said"), [(2, 1), (4, 0)])
def test_what_learns_nothing_in_part_is_said(
    shrunken: ModuleType, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: int, said: int
) -> None:
    """LoRA on a matrix of keys and values, in a tower that attends over one slab: the values still teach it, the keys do not."""
    short = shrunken.SMALL["ct_clip"]["vision"].model_copy(update={"frames": frames})
    monkeypatch.setitem(shrunken.SMALL, "ct_clip", shrunken.SMALL["ct_clip"] | {"vision": short})
    case = Case("ct_clip", "lora(2, targets=['to_kv'])")
    config, model = case.build(shrunken, words)
    sentences: list[str] = []
    fit(model, case.inputs(config, model, shrunken), config, tmp_path, Watcher(say=sentences.append))
    assert len(sentences) == said
    assert all("over a single thing" in one and "learn nothing" in one for one in sentences)


def test_what_cannot_be_told_of_parts_of_processes_is_said() -> None:
    """Parameters spread over processes are not in the graph; the second sentence holds only where there is something to tell."""
    spread = Unreached(untold=("a", "b"), replaced=3)
    assert ["2 trained parameters" in one and "not told" in one for one in spread.doubts] == [True]
    assert not Unreached(untold=("a",)).doubts
    assert not Unreached(names=("a",), replaced=1).doubts, "refused already"


def test_blocks_to_be_compiled_are_looked_at_as_they_are_written(
    shrunken: ModuleType, words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES["one guiding text"]
    config, model = case.build(shrunken, words)
    calls: list[Tensor] = []
    for block in model.vision.tower.blocks:
        block._compiled_call_impl = calls.append  # what nn.Module.compile leaves
    stances: list[str] = []

    class Stance:
        def __init__(self, stance: str) -> None:
            stances.append(stance)

        def __enter__(self) -> None:
            for block in model.vision.tower.blocks:
                block._compiled_call_impl = None

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(torch.compiler, "set_stance", Stance)
    inputs = case.inputs(config, model, shrunken)
    share = next(read_shares(inputs, [(0, [0, 1, 2])], 0, RANKS))
    trained = {key: value for key, value in model.named_parameters() if value.requires_grad}
    assert unreached(
        model, trained, share, None, StepSettings(case.loss, inputs.task, {}, "volumes", None, RANKS)
    ).names
    assert (stances, calls) == (["force_eager"], [])
