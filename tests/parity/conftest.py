"""Golden cases: a test that takes ``<kind>_case`` runs once for every case folder of that kind under ``VOXTUNE_PARITY``.

The kind is what ``case.json`` says, not the folder's name; kinds that no test takes belong to nobody here.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Case:
    folder: Path
    facts: dict[str, Any]

    @property
    def sizes(self) -> dict[str, Any]:
        return self.facts["constructor"]

    def bert_sizes(self) -> Any:
        """The text tower's sizes as our settings."""
        from voxtune.backbones.bert import BertSizes

        text = self.sizes["text"]
        return BertSizes(
            vocab=text["vocab_size"],
            width=text["hidden_size"],
            depth=text["num_hidden_layers"],
            heads=text["num_attention_heads"],
            mlp=text["intermediate_size"],
            max_length=text["max_position_embeddings"],
            token_types=text.get("type_vocab_size", 2),
            norm_eps=text["layer_norm_eps"],
            pooler=any(".pooler." in key for key in self.tensors("weights")),
        )

    def tensors(self, group: str) -> dict[str, Tensor]:
        """The tensors of ``weights``, ``input`` or ``output`` by their names; images to float32, as the README says."""
        with safe_open(self.folder / "case.safetensors", framework="pt") as file:
            names = [name for name in file.keys() if name.startswith(f"{group}/")]  # noqa: SIM118
            found = {name.split("/", 1)[1]: file.get_tensor(name) for name in names}
        return {name: t.float() if t.dtype == torch.float16 else t for name, t in found.items()}

    def weights_file(
        self, folder: Path, extra: dict[str, Tensor] | None = None, without: tuple[str, ...] = ()
    ) -> Path:
        """The weights as a published file would hold them: upstream key names."""
        path = folder / "model.safetensors"
        kept = {k: v.contiguous() for k, v in self.tensors("weights").items() if k not in without}
        save_file({**kept, **(extra or {})}, path)
        return path

    def check(self, got: dict[str, Tensor], *, whole: bool = True, ties: float = 0.0) -> None:
        """Every output is compared; none may be left out.

        ``ties``: share of values that a part of the tolerance need not hold for, the whole one does. Of a scan stored as integers
        the tolerance is one step, and a value in the middle between two integers is rounded up here and down there.
        """
        expected = self.tensors("output")
        if whole:
            assert set(got) == set(expected), f"not compared: {set(expected) ^ set(got)}"
        rtol = self.facts["tolerance"]["rtol"]
        worst: list[str] = []
        for name, value in got.items():
            want = expected[name]
            assert value.shape == want.shape, (
                f"{name}: shape {tuple(value.shape)}, expected {tuple(want.shape)}"
            )
            if not want.is_floating_point():
                if not torch.equal(value, want):
                    worst.append(f"{name}: {int((value != want).sum())} integers differ")
                continue
            bound = self.facts["tolerance"]["atol"][name] + rtol * want.abs()
            excess = (value - want).abs() / bound
            largest, over = float(excess.max()), float((~(excess <= 1)).double().mean())
            if not largest <= 1 and not (largest * part() <= 1 and over <= ties):
                worst.append(f"{name}: {largest:.3g} times the tolerance, {over:.2g} of the values over it")
        assert not worst, "; ".join(worst)


def parted(tolerance: Any) -> Any:
    """The tolerances of a case, or the part of each that ``VOXTUNE_TOLERANCE_PART`` asks for (``make test-isa``: a tenth)."""
    if isinstance(tolerance, dict):
        return {name: parted(one) for name, one in tolerance.items()}
    return tolerance * part() if isinstance(tolerance, float) else tolerance


def part() -> float:
    """What part of the tolerances is asked for."""
    return float(os.environ.get("VOXTUNE_TOLERANCE_PART", "1"))


def cases(kind: str) -> list[Case]:
    """Every case folder of a kind, whatever the folder's name; unknown kinds belong to other tests."""
    base = Path(os.environ.get("VOXTUNE_PARITY") or ROOT.parent / "shared" / "parity").resolve()
    found = []
    for file in sorted(base.rglob("case.json")) if base.is_dir() else []:
        facts = json.loads(file.read_text(encoding="utf-8"))
        if facts.get("case") == kind:
            facts["tolerance"] = parted(facts["tolerance"])
            found.append(Case(file.parent, facts))
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for name in metafunc.fixturenames:
        if not name.endswith("_case"):
            continue
        kind = name.removesuffix("_case")
        absent = pytest.mark.skip(
            reason=f"no golden case of kind {kind} (set VOXTUNE_PARITY to their folder)"
        )
        found = [pytest.param(case, id=case.folder.name) for case in cases(kind)]
        metafunc.parametrize(name, found or [pytest.param(None, marks=absent, id="absent")])
