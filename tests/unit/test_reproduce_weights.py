"""Weights on this machine are found by their headers: full-size files are never read, and what does not fit is said."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from voxtune.backbones.load import load_backbone
from voxtune.commands.reproduce.command import Options
from voxtune.commands.reproduce.dry_run import dry_run
from voxtune.commands.reproduce.weights import find_weights, fingerprint, read_header, with_weights
from voxtune.errors import WeightsError
from voxtune_recipes.paper_deft import ours

BASES = ("m3d", "radfm", "med3dvlm", "medclip", "biomedclip")


def shapes_of(name: str, **sizes: Any) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        model: Any = load_backbone(name, **sizes)
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


def sparse(file: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    """A safetensors file of that shape that takes no disk: its numbers are a hole."""
    header, end = {}, 0
    for key, shape in shapes.items():
        start, end = end, end + 4 * math.prod(shape)
        header[key] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.truncate(8 + len(text) + end)
    return file


def put(home: Path, name: str, **sizes: Any) -> Path:
    return sparse(home / "weights" / name / f"{name}.safetensors", shapes_of(name, **sizes))


def test_with_full_size_checkpoints_every_row_is_ready(tmp_path: Path) -> None:
    for name in BASES:
        file = put(tmp_path, name)
        (file.parent / "vocab.txt").write_text("[PAD]\n", encoding="utf-8")
    said = dry_run("deft", tmp_path / "out", Options(tables=(2,), home=tmp_path))
    rows = [line for line in said.splitlines() if "  " in line][1:]
    states = [
        line.split("  ")[-1] and [cell for cell in line.split("  ") if cell.strip()][1].strip()
        for line in rows
    ]
    assert len(states) == 21
    assert states.count("ready") == 20
    assert states.count("quoted") == 1
    assert "missing" not in said
    assert not (tmp_path / "out").exists(), "a dry run writes nothing"


def test_an_empty_machine_says_how_to_get_each(tmp_path: Path) -> None:
    said = dry_run("deft", tmp_path / "out", Options(tables=(2,), home=tmp_path))
    assert said.count("missing: its weights are not on this machine") == 14
    for name in BASES:
        assert f"voxtune weights convert {name} FILE" in said
    assert said.count("  ready  ") == 6


def test_a_file_without_a_tokenizer_is_ready_once_it_has_one(tmp_path: Path) -> None:
    file = put(tmp_path, "m3d")
    found = find_weights("m3d", tmp_path)
    assert found.ready
    assert "vocab.txt" in found.advice
    (file.parent / "vocab.txt").write_text("[PAD]\n", encoding="utf-8")
    assert find_weights("m3d", tmp_path).advice == ""


def test_a_file_of_another_model_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "m3d").rename(tmp_path / "weights" / "m3d" / "else.safetensors")
    (tmp_path / "weights" / "radfm").mkdir()
    (tmp_path / "weights" / "m3d" / "else.safetensors").rename(
        tmp_path / "weights" / "radfm" / "radfm.safetensors"
    )
    found = find_weights("radfm", tmp_path)
    assert not found.ready
    assert "does not fit model 'radfm'" in found.problem


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    file = put(tmp_path, "m3d")
    size = file.stat().st_size
    with file.open("r+b") as stream:
        stream.truncate(size - 1)
    assert "cut short" in find_weights("m3d", tmp_path).problem
    for content in (
        b"",
        b"\x05",
        b"\x10\0\0\0\0\0\0\0not json at all!",
        (10**12).to_bytes(8, "little") + b"{}",
    ):
        file.write_bytes(content)
        with pytest.raises(WeightsError, match="safetensors"):
            read_header(file)


def test_the_record_beside_a_file_holds_its_sizes(tmp_path: Path) -> None:
    file = put(tmp_path, "m3d", depth=2, mlp=64)
    assert not find_weights("m3d", tmp_path).ready
    record = {"settings": {"depth": 2, "mlp": 64}, "preset": "tiny"}
    file.with_suffix(".json").write_text(json.dumps(record), encoding="utf-8")
    found = find_weights("m3d", tmp_path)
    assert found.ready
    config = with_weights(ours("m3d"), found, tmp_path)
    tree = config.model_dump(mode="json")["backbone"]
    assert (tree["depth"], tree["mlp"], tree["weights"], config.preset) == (2, 64, str(file), "tiny")


def test_other_weights_have_another_fingerprint(tmp_path: Path) -> None:
    shapes = {"a": (1024, 1024), "b": (3,)}
    one, two = sparse(tmp_path / "1.safetensors", shapes), sparse(tmp_path / "2.safetensors", shapes)
    assert fingerprint(one) == fingerprint(two)
    with two.open("r+b") as stream:
        stream.seek(-4, 2)
        stream.write(b"\1\2\3\4")
    assert fingerprint(one) != fingerprint(two)
