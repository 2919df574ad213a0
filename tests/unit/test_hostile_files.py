"""Files of ours that somebody else wrote: what does not fit is refused in a sentence, whatever the seal says."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from voxtune.audit.fingerprints import LENGTH, Fingerprint
from voxtune.audit.kept import keep, read_kept
from voxtune.cases.bank import anonymous_bank, read_bank
from voxtune.cases.nearest import Case, nearest
from voxtune.config import RunConfig
from voxtune.errors import DataError, WeightsError
from voxtune.evaluation.evaluated_model import read_model
from voxtune.model.adapter import read_facts
from voxtune.profiles.read import read_profile
from voxtune.reports.norms import fit_norms
from voxtune.reports.standing import standings
from voxtune.serving.bundled import adapter_folder
from voxtune.storage.seal import with_hash, write_sealed
from voxtune.types.case_bank import BANK
from voxtune.types.norms import Norms, RegionNorm
from voxtune.types.records import ManifestRow

SHA = "a" * 64


@pytest.fixture
def bank() -> dict[str, Any]:
    numbers = np.random.default_rng(0).normal(size=(12, 16))
    numbers /= np.linalg.norm(numbers, axis=1, keepdims=True)
    cases = [
        Case(f"s{n}", f"p{n}", one, diagnosis=("NC", "AD")[n % 2], targets={"mmse": 25.0})
        for n, one in enumerate(numbers)
    ]
    return anonymous_bank(cases, SHA).model_dump(mode="json")


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("vector", 0), 1e200, "unit length"),
        (("vector", 0), 7.0, "unit length"),
        (("vector",), [0.0] * 16, "unit length"),
        (("diagnosis",), "A\x1b[31mD", "control characters"),
        (("means", "a\u202e"), 1.0, "control characters"),
        (("means", "mmse"), 1e300, "larger than"),
    ],
)
def test_a_bank_with_impossible_content_is_refused(
    tmp_path: Path, bank: dict[str, Any], place: tuple[Any, ...], value: object, said: str
) -> None:
    assert read_bank(_written(tmp_path, bank), SHA) is not None
    here = bank["groups"][0]
    for key in place[:-1]:
        here = here[key]
    here[place[-1]] = value
    with pytest.raises(WeightsError, match=said):
        read_bank(_written(tmp_path, bank), SHA)


def _written(folder: Path, bank: dict[str, Any]) -> Path:
    write_sealed(folder / BANK, bank)
    return folder


def test_a_bank_of_another_model_is_refused() -> None:
    query = Case("q", None, np.array([1.0, 0.0]))
    with pytest.raises(DataError, match="3 numbers, those of this model 2"):
        nearest(query, [Case("s", "p", np.array([1.0, 0.0, 0.0]))], "image", 1)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"age": [0, 130]}, "does not fit its own limits"),
        ({"regions.hippocampus_mm3.coefficients.0": 1e308, "regions.hippocampus_mm3.spread": 1e-300}, "gives no number"),
        ({"regions.hippocampus_mm3.inverse.0.0": -1e308}, "gives no number"),
    ],
)  # fmt: skip
def test_a_normative_model_that_gives_no_number_is_refused(edit: dict[str, Any], said: str) -> None:
    rows = [
        ManifestRow(
            participant_id=f"p{n}", scan_id=f"s{n}", image="a.nii", diagnosis="NC", age=60 + n % 25, sex="FM"[n % 2],
            hippocampus_mm3=6000 + 40 * (n % 17), icv_mm3=1.4e6 + 9e3 * (n % 19),
        )
        for n in range(80)
    ]  # fmt: skip
    tree = fit_norms(rows, read_profile("dementia"), ("NC",)).norms.model_dump(mode="json")
    old = rows[0].model_copy(update={"participant_id": "q", "age": 99.0 if "age" in edit else 70.0})
    for path, value in edit.items():
        here = tree
        *parents, leaf = (int(one) if one.isdigit() else one for one in path.split("."))
        for one in parents:
            here = here[one]
        here[leaf] = value
    with pytest.raises(DataError, match=said):
        standings(Norms.model_validate_json(json.dumps(tree)), old)


def test_a_normative_model_of_more_people_than_there_are_is_refused() -> None:
    line = {"coefficients": [8.0], "inverse": [[1.0]], "spread": 0.1, "participants": 40}
    assert RegionNorm.model_validate(line | {"freedom": 39})
    with pytest.raises(ValidationError, match="freedom"):
        RegionNorm.model_validate(line | {"freedom": 10**30})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped adapter as the run that it came of."""
    root = tmp_path_factory.mktemp("runs") / "run"
    adapter = adapter_folder(Path("demo"))
    shutil.copytree(adapter, root / "adapter")
    config = RunConfig.model_validate(read_facts(adapter).config)
    (root / "config.json").write_text(config.to_json(), encoding="utf-8")
    (root / "split.json").write_text('{"train": [], "val": [], "test": []}', encoding="utf-8")
    return root


def test_a_run_whose_settings_were_edited_is_not_scored(run: Path) -> None:
    text = (run / "config.json").read_text(encoding="utf-8")
    tree = json.loads(text)
    tree["training"]["workers"] = 3  # how, not what
    (run / "config.json").write_text(json.dumps(tree), encoding="utf-8")
    assert read_model(run).adapter is not None
    tree["training"]["batch_size"] += 1
    (run / "config.json").write_text(json.dumps(tree), encoding="utf-8")
    with pytest.raises(DataError, match="not what its adapter was trained with"):
        read_model(run)


@pytest.mark.parametrize("what", ["packed", "short", "no zip", "nan", "other names"])
def test_a_kept_fingerprint_that_nobody_made_is_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    whole = np.linspace(0, 1, LENGTH)
    path = tmp_path / "a.npz"
    keep(path, Fingerprint(None, {"body": (whole, whole)}))
    assert read_kept(path) is not None
    bad = {"short": whole[:9], "nan": np.full(LENGTH, np.nan)}.get(what, whole)
    buffer = io.BytesIO()
    save = np.savez_compressed if what == "packed" else np.savez
    save(buffer, **{"a" if what == "other names" else "body": bad, "mirrored body": np.zeros(LENGTH)})
    path.write_bytes(with_hash(b"nothing" if what == "no zip" else buffer.getvalue()))
    assert read_kept(path) is None
    assert "made again" in capsys.readouterr().err
    assert not path.exists()
