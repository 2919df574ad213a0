"""A file becomes a model only if every key is accounted for, and is held in memory once."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import voxtune
from voxtune.errors import WeightsError
from voxtune.weights.load import KeyRules, file_sha256, plan, weights_sha256

TEXT = {"vocab": 60, "width": 24, "depth": 2, "heads": 2, "mlp": 32, "max_length": 20}
M3D: dict[str, Any] = {
    "volume": (4, 8, 8),
    "patch": (2, 4, 4),
    "width": 24,
    "depth": 2,
    "heads": 2,
    "mlp": 32,
    "text": TEXT,
}
NAMES = (
    ("vision_projection.", "mm_vision_proj."),
    ("text_projection.", "mm_language_proj."),
    ("vision.", "vision_encoder."),
    ("text.", "language_encoder."),
)


def published(model: Any) -> dict[str, Tensor]:
    """A model's tensors under the key names of the authors' file."""
    found = {}
    for key, value in model.state_dict().items():
        ours, theirs = next(((a, b) for a, b in NAMES if key.startswith(a)), ("", ""))
        found[theirs + key[len(ours) :]] = value.clone()
    return found


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    return published(voxtune.load_backbone("m3d", **M3D, seed=7))


def saved(folder: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> Path:
    path = folder / "model.safetensors"
    save_file(tensors, path, metadata=metadata)
    return path


def loaded(path: Path, **changes: Any) -> Any:
    return cast(Any, voxtune.load_backbone("m3d", path, **(M3D | changes)))


def test_a_file_gives_back_the_model(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    file = saved(tmp_path, tensors)
    model, first = loaded(file), cast(Any, voxtune.load_backbone("m3d", **M3D, seed=7))
    assert all(torch.equal(value, first.state_dict()[key]) for key, value in model.state_dict().items())
    assert model.loaded.file == "model.safetensors"
    assert model.loaded.sha256 == file_sha256(file) == weights_sha256(model)
    assert weights_sha256(first) is None
    assert not model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_harmless_extras_are_dropped_and_reported(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    extras = {
        "language_encoder.embeddings.position_ids": torch.arange(20)[None],
        "vision_encoder.blocks.0.cross_attn.to_q.weight": torch.zeros(24, 24),
        "vision_encoder.blocks.1.norm_cross_attn.bias": torch.zeros(24),
    }
    assert set(loaded(saved(tmp_path, tensors | extras)).loaded.dropped) == set(extras)


def test_prefix_of_data_parallel_training_is_removed(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    assert loaded(
        saved(tmp_path, {f"module.{key}": value for key, value in tensors.items()})
    ).loaded.keys == len(tensors)


def test_what_does_not_fit_is_listed(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    del tensors["vision_encoder.norm.weight"]
    tensors["vision_encoder.surprise"] = torch.zeros(1)
    tensors["mm_vision_proj.weight"] = torch.zeros(24, 23)
    with pytest.raises(WeightsError) as error:
        loaded(saved(tmp_path, tensors))
    said = str(error.value)
    assert "1 unknown: vision_encoder.surprise" in said
    assert "1 missing: vision_encoder.norm.weight" in said
    assert "1 wrong shape: mm_vision_proj.weight (file [24, 23], model [24, 24])" in said


def test_long_lists_are_cut_and_counted(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    renamed = {
        key.replace("attn", "attention"): value for key, value in tensors.items() if "vision_encoder" in key
    }
    with pytest.raises(WeightsError, match=r"and \d+ more"):
        loaded(saved(tmp_path, renamed))


def test_another_models_file_is_called_that(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="belong to another model"):
        loaded(saved(tmp_path, {f"layer.{i}.weight": torch.zeros(2) for i in range(5)}))


def test_a_twice_named_place_is_unknown() -> None:
    rules = KeyRules(model="x", rename=((r"^old\.", "new."),))
    found = plan({"old.a": (1,), "new.a": (1,)}, {"new.a": (1,)}, rules)
    assert found.unknown == ("new.a",)


@pytest.mark.parametrize("cut", [4, 100, -10])
def test_a_truncated_file(tmp_path: Path, tensors: dict[str, Tensor], cut: int) -> None:
    file = saved(tmp_path, tensors)
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        loaded(file)


def test_other_formats_and_absent_files(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"")
    with pytest.raises(WeightsError, match="weights convert"):
        loaded(tmp_path / "model.bin")
    with pytest.raises(WeightsError, match="No weights file"):
        loaded(tmp_path / "absent.safetensors")


def test_half_precision_files_become_float32(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    model = loaded(saved(tmp_path, {key: value.half() for key, value in tensors.items()}))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.encode_image(torch.rand(1, 1, 4, 8, 8)).isfinite().all()


def test_a_file_of_the_vision_tower_alone(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    alone = {
        key.removeprefix("vision_encoder."): value
        for key, value in tensors.items()
        if key.startswith("vision_encoder.")
    }
    file = saved(tmp_path, alone)
    with pytest.raises(WeightsError, match="part='vision'"):
        loaded(file)
    model = loaded(file, part="vision")
    assert torch.equal(model.vision.norm.weight, alone["norm.weight"])
    assert all(name.startswith(("text", "vision_projection", "logit_scale")) for name in model.loaded.new)
    assert not any(parameter.is_meta for parameter in model.parameters())
    assert model.logit_scale.item() == pytest.approx(2.6592600369)
    again = loaded(file, part="vision")
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("place", ["header", "beside"])
def test_heads_are_those_of_the_card(tmp_path: Path, tensors: dict[str, Tensor], place: str) -> None:
    card = json.dumps({"num_heads": 3, "other": "x"})
    file = saved(tmp_path, tensors, {"card": card} if place == "header" else None)
    if place == "beside":
        (tmp_path / "config.json").write_text(card)
    with pytest.raises(WeightsError, match="num_heads is 3 on the card, 2 here"):
        loaded(file)
    assert loaded(file, heads=3).vision.blocks[0].attn.heads == 3
    assert loaded(file, card="ignore").vision.blocks[0].attn.heads == 2


def test_a_card_that_is_not_json(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    file = saved(tmp_path, tensors)
    (tmp_path / "config.json").write_text("{num_heads: 2")
    with pytest.raises(WeightsError, match=r"config\.json is not JSON"):
        loaded(file)
    (tmp_path / "config.json").write_text("[]")
    assert loaded(file).loaded.keys == len(tensors)


def test_a_text_tower_from_its_own_file(tmp_path: Path) -> None:
    radfm: dict[str, Any] = {
        "volume": (8, 8, 4), "table": (2, 2, 4), "patch": (4, 4, 2), "width": 24, "depth": 1, "heads": 2, "head_width": 8, "mlp": 32,
        "perceiver": {"latents": 3, "depth": 1, "heads": 2, "head_width": 8, "mlp": 32}, "language_width": 8,
        "embed": 16, "text": TEXT | {"pooler": False},
    }  # fmt: skip
    first = cast(Any, voxtune.load_backbone("radfm", **radfm, seed=1))
    back = (
        ("vision.perceiver.", "embedding_layer.perceiver."),
        ("vision.", "embedding_layer.vision_encoder."),
        ("fc.", "embedding_layer.fc."),
    )
    whole = {"lang_model.model.norm.weight": torch.zeros(3), "embedding_layer.bert_model.x": torch.zeros(3)}
    for key, value in first.state_dict().items():
        ours, theirs = next(((a, b) for a, b in back if key.startswith(a)), ("", ""))
        if ours:
            whole[theirs + key[len(ours) :]] = value
    save_file(whole, tmp_path / "radfm.safetensors")
    bert = {f"bert.{key}": value + 1 for key, value in first.text.state_dict().items()}
    save_file(
        bert | {"cls.predictions.bias": torch.zeros(3), "bert.pooler.dense.bias": torch.zeros(24)},
        tmp_path / "bert.safetensors",
    )
    model = cast(
        Any,
        voxtune.load_backbone(
            "radfm", tmp_path / "radfm.safetensors", text_weights=tmp_path / "bert.safetensors", **radfm
        ),
    )
    assert all(
        torch.equal(value, first.text.state_dict()[key] + 1) for key, value in model.text.state_dict().items()
    )
    assert torch.equal(model.vision.perceiver.latents, first.vision.perceiver.latents)
    assert set(model.loaded.dropped) == {"lang_model.model.norm.weight", "embedding_layer.bert_model.x"}
    assert {name.split(".")[0] for name in model.loaded.new} == {
        "vision_projection",
        "text_projection",
        "logit_scale",
    }
    assert model.logit_scale.item() == pytest.approx(2.6592600369)
    assert weights_sha256(model) not in {None, model.loaded.sha256, model.text_loaded.sha256}


SCRIPT = """
import sys, torch, voxtune
from pathlib import Path
sizes = dict(width=768, depth=4, text=dict(depth=4))
file = Path(sys.argv[1])
if sys.argv[2] == "new":
    from safetensors.torch import save_file
    back = (("vision_projection.", "mm_vision_proj."), ("text_projection.", "mm_language_proj."), ("vision.", "vision_encoder."),
            ("text.", "language_encoder."))
    named = {}
    for key, value in voxtune.load_backbone("m3d", **sizes).state_dict().items():
        ours, theirs = next(((a, b) for a, b in back if key.startswith(a)), ("", ""))
        named[theirs + key[len(ours):]] = value
    save_file(named, file)
else:
    import torch._dynamo, voxtune.backbones.m3d_clip  # torch imports the first on the way, 100 MB that are no weights
    def status(word):
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(word + ":"))
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the imports
    before = status("VmRSS")
    model = voxtune.load_backbone("m3d", file, **sizes)
    float(sum(parameter.detach().sum() for parameter in model.parameters()))
    print((status("VmHWM") - before) * 1024 / file.stat().st_size)
"""


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux's /proc"
)
@pytest.mark.no_cover_children
def test_peak_memory_is_below_1_3_times_the_weights(tmp_path: Path) -> None:
    file = tmp_path / "m3d.safetensors"
    for action in ("new", "load"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(file), action],
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
    assert 0.95 < float(done.stdout) < 1.3, "far below 1 would mean that the weights were never read"


@pytest.mark.no_cover_children
def test_loading_imports_no_symbolic_machinery() -> None:
    """torch imports it to fill tensors that have no storage; it takes longer than everything else about a small model."""
    script = "import sys, voxtune; voxtune.load_backbone('tiny'); print({'sympy', 'torch._dynamo'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.strip() == "set()"
