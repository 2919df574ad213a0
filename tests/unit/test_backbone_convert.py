"""Published pickles become safetensors without running anything; what is unsafe, damaged or foreign is refused."""

import json
import os
import pickle
import re
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

import voxtune
from voxtune.commands.weights.command import weights
from voxtune.commands.weights.convert import convert, fit
from voxtune.errors import UsageError, WeightsError
from voxtune.weights.load import file_sha256
from voxtune.weights.published import PUBLISHED

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


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    found = {}
    for key, value in cast(Any, voxtune.load_backbone("m3d", **M3D)).state_dict().items():
        ours, theirs = next(((a, b) for a, b in NAMES if key.startswith(a)), ("", ""))
        found[theirs + key[len(ours) :]] = value.clone()
    return found


class Code:
    """What a malicious pickle asks to run."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.trace}",)


def test_a_published_file_through_its_own_process(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    file = tmp_path / "pytorch_model.bin"
    torch.save({"state_dict": {f"module.{key}": value for key, value in tensors.items()}, "epoch": 3}, file)
    said = weights("convert", "m3d", file, home=tmp_path / "home")
    output = tmp_path / "home/weights/m3d/m3d.safetensors"
    assert str(output) in said
    record = json.loads(output.with_suffix(".json").read_text(encoding="utf-8"))
    assert record["source_sha256"] == file_sha256(file)
    assert record["sha256"] == file_sha256(output)
    assert record["keys"] == len(tensors)
    assert record["published_sizes"] is False
    model = cast(Any, voxtune.load_backbone("m3d", output, **M3D))
    assert torch.equal(model.vision.norm.weight, tensors["vision_encoder.norm.weight"])


def test_without_a_home_it_is_written_beside(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    torch.save(tensors, tmp_path / "x.pt")
    weights("convert", "m3d", tmp_path / "x.pt")
    assert (tmp_path / "x.safetensors").is_file()
    with pytest.raises(WeightsError, match="safetensors already"):
        weights("convert", "m3d", tmp_path / "x.safetensors")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_refused_and_nothing_runs(
    tmp_path: Path, tensors: dict[str, Tensor], zipped: bool
) -> None:
    file, trace = tmp_path / "model.bin", tmp_path / "ran"
    torch.save({**tensors, "x": Code(trace)}, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(WeightsError, match=r"refused.*Nothing was run"):
        weights("convert", "m3d", file, home=tmp_path / "home")
    assert not trace.exists()
    assert not (tmp_path / "home/weights/m3d/m3d.safetensors").exists()
    pickle.loads(pickle.dumps(Code(trace)))
    assert trace.exists(), "the pickle of this test would not have run anything"


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.9])
def test_a_truncated_file_is_refused(
    tmp_path: Path, tensors: dict[str, Tensor], zipped: bool, share: float
) -> None:
    file = tmp_path / "model.bin"
    torch.save(tensors, file, _use_new_zipfile_serialization=zipped)
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(WeightsError, match=r"cut short"):
        convert("m3d", file, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_a_file_that_is_no_pickle_at_all(tmp_path: Path) -> None:
    for content in (b"", b"<html>404</html>", b"PK\x03\x04 and no more"):
        (tmp_path / "model.pth").write_bytes(content)
        with pytest.raises(WeightsError, match="Download it again"):
            convert("m3d", tmp_path / "model.pth", tmp_path / "out.safetensors")


def test_safetensors_are_checked_and_stripped_too(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    file = tmp_path / "model.safetensors"
    save_file({**tensors, "language_encoder.embeddings.position_ids": torch.arange(3)}, file)
    record = convert("m3d", file, tmp_path / "out.safetensors")
    assert (record["keys"], record["dropped_keys"]) == (len(tensors), 1)
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        convert("m3d", file, tmp_path / "out.safetensors")


def test_tied_tensors_are_written_apart(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    tied = dict(tensors)
    tied["vision_encoder.norm.bias"] = tied["vision_encoder.norm.weight"]
    torch.save(tied, tmp_path / "model.bin")
    convert("m3d", tmp_path / "model.bin", tmp_path / "out.safetensors")
    model = cast(Any, voxtune.load_backbone("m3d", tmp_path / "out.safetensors", **M3D))
    assert torch.equal(model.vision.norm.bias, model.vision.norm.weight)


def test_a_converter_that_dies_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.bin").write_bytes(b"x")
    for said in ("", "[]", "not json"):
        done = subprocess.CompletedProcess([], returncode=-9, stdout=said)
        monkeypatch.setattr(subprocess, "run", lambda *_, answer=done, **__: answer)
        with pytest.raises(WeightsError, match="stopped with code -9"):
            weights("convert", "m3d", tmp_path / "model.bin")


def test_renamed_keys_and_other_models_are_refused(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    file, out = tmp_path / "model.bin", tmp_path / "out.safetensors"
    torch.save({key.replace("mlp", "ffn"): value for key, value in tensors.items()}, file)
    with pytest.raises(
        WeightsError, match=r"unknown: vision_encoder.blocks.0.ffn.*missing: vision_encoder.blocks.0.mlp"
    ):
        convert("m3d", file, out)
    torch.save(tensors, file)
    with pytest.raises(WeightsError, match="belong to another model"):
        convert("hlip", file, out)
    torch.save([1, 2], file)
    with pytest.raises(WeightsError, match="expected a state dict"):
        convert("m3d", file, out)
    torch.save({"epoch": 3}, file)
    with pytest.raises(WeightsError, match="no tensors"):
        convert("m3d", file, out)
    assert not out.exists()


def full_size(name: str, **chosen: str) -> dict[str, tuple[int, ...]]:
    """Published key names (for models whose names we keep but for prefixes) with published shapes."""
    with torch.device("meta"):
        model = cast(Any, voxtune.load_backbone(name, **chosen))
    prefix = {
        "vision_projection.": "visual.head.proj.",
        "text_projection.": "text.proj.",
        "vision.": "visual.trunk.",
        "text.": "text.transformer.",
    }
    found = {}
    for key, value in model.state_dict().items():
        ours, theirs = next(((a, b) for a, b in prefix.items() if key.startswith(a)), ("", ""))
        found[theirs + key[len(ours) :]] = tuple(value.shape)
    return found


@pytest.mark.parametrize("variant", ["brain_mri", "hub_large"])
def test_the_variant_of_a_file_is_found(variant: str) -> None:
    _, chosen, _, published = fit("hlip", full_size("hlip", variant=variant))
    assert published
    assert chosen == ({} if variant == "brain_mri" else {"variant": variant})


def test_a_layer_that_is_missing_from_a_published_file_is_no_other_size() -> None:
    shapes = {key: shape for key, shape in full_size("hlip").items() if ".blocks.7." not in key}
    with pytest.raises(WeightsError, match=r"12 missing: visual\.trunk\.blocks\.7"):
        fit("hlip", shapes)


def test_what_is_never_read_is_left_out(tmp_path: Path) -> None:
    sizes: dict[str, Any] = {
        "vision": {"width": 24, "codebook": 16, "image": 8, "frames": 6, "patch": 4, "depth_patch": 2, "spatial_depth": 1,
                   "temporal_depth": 1, "heads": 2, "head_width": 8, "inner": 16},
        "text": TEXT, "latent": 16,
    }  # fmt: skip
    prefix = (("vision_projection.", "to_visual_latent."), ("text_projection.", "to_text_latent."), ("vision.", "visual_transformer."),
              ("text.", "text_transformer."))  # fmt: skip
    model = cast(Any, voxtune.load_backbone("ct_clip", **sizes))
    tensors = {}
    for key, value in model.state_dict().items():
        ours, theirs = next(((a, b) for a, b in prefix if key.startswith(a)), ("", ""))
        tensors[theirs + key[len(ours) :]] = value
    extras = {
        "to_visual_latent_extra.weight": torch.zeros(16, 96),
        "visual_transformer.to_pixels.0.weight": torch.zeros(3),
        "visual_transformer.vq._codebook.cluster_size": torch.zeros(1, 16),
        "text_transformer.embeddings.position_ids": torch.arange(20),
    }
    torch.save(tensors | extras, tmp_path / "ct.pt")
    record = convert("ct_clip", tmp_path / "ct.pt", tmp_path / "ct.safetensors")
    assert record["dropped_keys"] == len(extras)
    with safe_open(tmp_path / "ct.safetensors", framework="pt") as file:
        assert set(file.keys()) == set(tensors)
    image = torch.rand(1, *model.volume_shape)
    again = cast(Any, voxtune.load_backbone("ct_clip", tmp_path / "ct.safetensors", **sizes))
    assert torch.equal(again.encode_image(image), model.encode_image(image))


def test_heads_of_the_published_config_go_onto_the_card(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    torch.save(tensors, tmp_path / "m3d.bin")
    (tmp_path / "config.json").write_text(json.dumps({"num_heads": 3, "model_type": "m3d_clip"}))
    convert("m3d", tmp_path / "m3d.bin", tmp_path / "out/m3d.safetensors")
    with pytest.raises(WeightsError, match="num_heads is 3"):
        voxtune.load_backbone("m3d", tmp_path / "out/m3d.safetensors", **M3D)


@pytest.mark.parametrize(
    "text", ["{", "[]", "null", "[" * 100_000, '{"num_heads": ' + "9" * 5000 + "}", '{"num_heads": NaN}']
)
def test_a_config_that_cannot_be_read_is_said(tmp_path: Path, tensors: dict[str, Tensor], text: str) -> None:
    torch.save(tensors, tmp_path / "m3d.bin")
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=r"config\.json: (not JSON|expected a JSON object)"):
        convert("m3d", tmp_path / "m3d.bin", tmp_path / "out/m3d.safetensors")


def test_list_names_every_backbone_with_licence_and_size() -> None:
    said = weights("list")
    for name, one in PUBLISHED.items():
        line = next(line for line in said.splitlines() if line.startswith(f"{name} "))
        assert one.licence in line
        assert one.where in line
        assert re.search(r"\d\.\d\d|-", line)


@pytest.mark.parametrize(
    ("words", "match"), [(("get",), "NAME"), (("get", "m3"), "Known"), (("convert", "m3d"), "FILE")]
)
def test_incomplete_commands(words: tuple[str, ...], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        weights(*words)


class Hub:
    """A stand-in for the hub's client: what it lists and what it gives."""

    def __init__(self, files: list[str], given: Path | None) -> None:
        self.files, self.given = files, given

    def HfApi(self) -> "Hub":  # noqa: N802
        return self

    def repo_info(self, _repo: str, repo_type: str, timeout: float) -> "Hub":
        assert repo_type in {"model", "dataset"}
        assert timeout < 60
        return self

    @property
    def siblings(self) -> list[Any]:
        return [type("One", (), {"rfilename": name}) for name in self.files]

    def hf_hub_download(self, _repo: str, _file: str, **_where: object) -> str:
        if self.given is None:
            raise PermissionError("403: gated")
        return str(self.given)


def test_get_downloads_and_converts(
    tmp_path: Path, tensors: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    monkeypatch.setitem(
        __import__("sys").modules,
        "huggingface_hub",
        Hub(["pytorch_model.bin"], tmp_path / "pytorch_model.bin"),
    )
    assert "Converted" in weights("get", "m3d", home=tmp_path / "home")
    assert (tmp_path / "home/weights/m3d/m3d.safetensors").is_file()


def test_get_of_a_gated_repository_says_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(list(PUBLISHED["ct_clip"].files), None)
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", hub)
    with pytest.raises(
        WeightsError,
        match=r"(?s)could not be downloaded.*accept its terms.*hf auth login.*convert ct_clip FILE",
    ):
        weights("get", "ct_clip", home=tmp_path)
    hub.files = ["other.pt", "README.md"]
    with pytest.raises(WeightsError, match=r"it has other\.pt"):
        weights("get", "ct_clip", home=tmp_path)
    with pytest.raises(WeightsError, match="cannot be downloaded by a command"):
        weights("get", "medclip", home=tmp_path)


def test_get_without_the_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(WeightsError, match="pip install 'huggingface-hub>="):
        weights("get", "m3d", home=tmp_path)
