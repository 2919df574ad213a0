"""Doors of ``fuzz``: adapters and what stands beside them, with hostile values and seals that fit."""

import hashlib
import json
import random
from pathlib import Path

from mutations import Target, changed, mutated


def adapter(root: Path, folder: Path) -> Target:
    """Facts with hostile values, with sums that fit."""
    import shutil

    from voxtune.model.adapter import FILES, load_adapter
    from voxtune.storage.seal import write_sums

    copy = Path(shutil.copytree(root / "adapter", folder / "adapter", dirs_exist_ok=True))
    tree = json.loads((copy / "adapter.json").read_text(encoding="utf-8"))
    tensors = (copy / FILES[0]).read_bytes()

    def run(draw: random.Random) -> object:
        facts = changed(tree, draw)
        if draw.random() < 0.3:
            data = mutated(tensors, draw)
            (copy / FILES[0]).write_bytes(data)
            facts["adapter_sha256"] = hashlib.sha256(data).hexdigest()
        else:
            (copy / FILES[0]).write_bytes(tensors)
        (copy / "adapter.json").write_text(json.dumps(facts), encoding="utf-8")
        write_sums(copy, FILES, shared=True)
        return load_adapter(copy)

    return run


def case_bank(_: Path, folder: Path) -> Target:
    """A bank of cases with hostile values and a seal that fits, asked for the neighbours of a scan."""
    import numpy as np

    from voxtune.cases.bank import anonymous_bank, cases_of, read_bank
    from voxtune.cases.nearest import Case, nearest
    from voxtune.storage.seal import write_sealed

    numbers = np.random.default_rng(0).normal(size=(24, 16))
    numbers /= np.linalg.norm(numbers, axis=1, keepdims=True)
    cases = [
        Case(f"s{n}", f"p{n}", one, diagnosis=("NC", "AD")[n % 2], targets={"mmse": 20.0 + n % 9})
        for n, one in enumerate(numbers)
    ]
    whole = anonymous_bank(cases, "a" * 64).model_dump(mode="json")
    query = Case("q", None, numbers[0])

    def run(draw: random.Random) -> object:
        write_sealed(folder / "case_bank.json", changed(whole, draw))
        bank = read_bank(folder, "a" * 64)
        assert bank is not None
        near = nearest(query, cases_of(bank, ("mmse",)), "image", 3)
        assert all(np.isfinite(one.score) for one in near.neighbours)
        return near

    return run


def norms(_: Path, __: Path) -> Target:
    """A normative model with hostile values, asked where scans stand."""
    import math

    from pydantic import ValidationError

    from voxtune.errors import WeightsError
    from voxtune.profiles.read import read_profile
    from voxtune.reports.norms import fit_norms
    from voxtune.reports.standing import standings
    from voxtune.types.norms import Norms
    from voxtune.types.records import ManifestRow

    rows = [
        ManifestRow(
            participant_id=f"p{n}", scan_id=f"s{n}", image="a.nii", diagnosis="NC", age=60 + n % 25, sex="FM"[n % 2],
            hippocampus_mm3=6000 + 40 * (n % 17), ventricles_mm3=30000 + 900 * (n % 13), icv_mm3=1.4e6 + 9e3 * (n % 19),
        )
        for n in range(80)
    ]  # fmt: skip
    tree = fit_norms(rows, read_profile("dementia"), ("NC",)).norms.model_dump(mode="json")

    def run(draw: random.Random) -> object:
        try:
            found = Norms.model_validate_json(json.dumps(changed(tree, draw)))
        except ValidationError as error:  # as the facts of an adapter are refused
            raise WeightsError(str(error)) from None
        said = [standings(found, row) for row in rows[:5]]
        assert all(
            math.isfinite(two)
            for one in said
            for place in one.regions.values()
            for two in vars(place).values()
        )
        return said

    return run


def scores(root: Path, folder: Path) -> Target:
    """An evaluation whose answers and facts were changed, compared with a whole one."""
    import shutil

    from voxtune.commands.compare import compare

    own = root / "run" / "evaluation" / "test"
    copy = folder / "evaluation"
    copy.mkdir(exist_ok=True)
    for name in ("predictions.tsv", "evaluation.json"):
        shutil.copy(own / name, copy / name)
    table, facts = (copy / "predictions.tsv").read_bytes(), json.loads((own / "evaluation.json").read_text())

    def run(draw: random.Random) -> object:
        (copy / "predictions.tsv").write_bytes(mutated(table, draw))
        (copy / "evaluation.json").write_text(json.dumps(changed(facts, draw)))
        found = compare(copy, own)
        json.dumps(found, allow_nan=False)
        return found

    return run
