"""The keys of every golden case pass conversion; what conversion leaves out is only what cannot change any output."""

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from voxtune.commands.weights.convert import convert


def converted(name: str, case: Any, folder: Path) -> None:
    tensors = case.tensors("weights")
    torch.save(tensors, folder / "published.pt")
    record = convert(name, folder / "published.pt", folder / "out.safetensors")
    with safe_open(folder / "out.safetensors", framework="pt") as file:
        kept = set(file.keys())
    assert record["keys"] == len(kept)
    assert set(tensors) - kept <= set(case.facts["keys_without_effect"])


def test_m3d_clip(m3d_clip_case: Any, tmp_path: Path) -> None:
    converted("m3d", m3d_clip_case, tmp_path)


def test_radfm(radfm_case: Any, tmp_path: Path) -> None:
    converted("radfm", radfm_case, tmp_path)


def test_med3dvlm(med3dvlm_case: Any, tmp_path: Path) -> None:
    converted("med3dvlm", med3dvlm_case, tmp_path)


def test_ct_clip(ct_clip_case: Any, tmp_path: Path) -> None:
    converted("ct_clip", ct_clip_case, tmp_path)


def test_merlin(merlin_case: Any, tmp_path: Path) -> None:
    converted("merlin", merlin_case, tmp_path)


def test_medclip(medclip_case: Any, tmp_path: Path) -> None:
    converted("medclip", medclip_case, tmp_path)


def test_biomedclip(biomedclip_case: Any, tmp_path: Path) -> None:
    converted("biomedclip", biomedclip_case, tmp_path)


def test_medblip(medblip_case: Any, tmp_path: Path) -> None:
    converted("medblip_vit", medblip_case, tmp_path)


def test_hlip(hlip_case: Any, tmp_path: Path) -> None:
    converted("hlip", hlip_case, tmp_path)


def test_colipri(colipri_case: Any, tmp_path: Path) -> None:
    converted("colipri", colipri_case, tmp_path)


def test_neurovfm(neurovfm_case: Any, tmp_path: Path) -> None:
    converted("neurovfm", neurovfm_case, tmp_path)


def test_brainiac(brainiac_case: Any, tmp_path: Path) -> None:
    converted("brainiac", brainiac_case, tmp_path)
