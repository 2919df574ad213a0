"""Every kind of file of ``benchmarks/files/cases.py``: read as nibabel reads it, read with a reason not to pass, or refused."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import nibabel
import numpy as np
import pytest

from voxtune.errors import ScanError
from voxtune.imaging.read import open_scan

ROOT = Path(__file__).resolve().parents[2]


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("file_cases", ROOT / "benchmarks" / "files" / "cases.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["file_cases"] = module
    spec.loader.exec_module(module)
    return module


cases = _module()


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: f"{case.group}: {case.what}")
def test_a_file_of_this_kind(case: object, tmp_path: Path) -> None:
    path = case.build(tmp_path)
    if case.outcome == "refused":
        with pytest.raises(ScanError, match=case.says) as caught:
            open_scan(path, orientation=case.orientation)
        # A pair goes by its half that is at fault.
        assert str(caught.value).startswith(path.name.split(".")[0] + ".")
        assert str(tmp_path) not in str(caught.value)
        return
    scan = open_scan(path, orientation=case.orientation)
    assert bool(scan.notes) == (case.outcome == "warned")
    assert case.says in "; ".join(scan.notes)
    truth = cases.VOXELS
    if case.group in {"place", "numbers", "sizes"}:
        own = np.asarray(nibabel.load(path).dataobj, dtype=np.float32)
        truth = np.nan_to_num(own.reshape(truth.shape), nan=float(np.nanmin(own)))
    assert np.array_equal(scan.volume.voxels, truth)
    if case.outcome == "read":
        assert np.allclose(scan.volume.affine, cases.AFFINE, atol=1e-3)


def test_the_table_has_every_case() -> None:
    import json

    rows = json.loads((ROOT / "benchmarks" / "files" / "results" / "files.json").read_text(encoding="utf-8"))
    assert [(row["group"], row["what"], row["outcome"]) for row in rows] == [
        (case.group, case.what, case.outcome) for case in cases.CASES
    ]
