"""Doors of ``fuzz``: adapters and what stands beside them, with hostile values and seals that fit."""

import contextlib
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


EXTREMES = (1e308, -1e308, 1e31, 1e29, -1e29, 5e-324, 1e-99, 0, -1, 2**63)
COMPUTED = ("trust", "offsets", "thresholds", "temperature", "classes", "mmse_scores")
"""Facts of an adapter that answers are computed from."""


def answers(_: Path, folder: Path) -> Target:
    """Facts with extreme numbers, or lists of other lengths, with sums that fit; then a scan is judged, a promise given, drift looked for."""
    import shutil
    from types import SimpleNamespace

    import numpy as np
    import torch

    from voxtune.data.images import load_preset
    from voxtune.errors import VoxTuneError
    from voxtune.evaluation.drift import find_drift
    from voxtune.evaluation.reference import Seen
    from voxtune.evaluation.scan_figures import Basis
    from voxtune.model.adapter import FILES
    from voxtune.serving.bundled import adapter_folder
    from voxtune.serving.monitor import Monitor, moments
    from voxtune.serving.predictor import Predictor
    from voxtune.storage.seal import write_sums
    from voxtune.types.conformal import WantedSets

    copy = Path(shutil.copytree(adapter_folder(Path("demo")), folder / "adapter", dirs_exist_ok=True))
    tree = json.loads((copy / "adapter.json").read_text(encoding="utf-8"))
    shape = load_preset(tree["preset"]).tensor_shape
    volume = torch.from_numpy(np.random.default_rng(0).random(shape, dtype=np.float32))
    record = SimpleNamespace(qc=SimpleNamespace(verdict="pass", reasons=()), series=None, simulated=True)

    def run(draw: random.Random) -> object:
        facts = json.loads(json.dumps(tree))
        place, key = facts, draw.choice(COMPUTED)
        while isinstance(place[key], dict | list) and place[key] and draw.random() < 0.9:
            place = place[key]
            key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
        old = place[key]
        place[key] = (
            draw.choice((old[:-1], old + old, old[::-1], []))
            if isinstance(old, list)
            else draw.choice(EXTREMES)
        )
        (copy / "adapter.json").write_text(json.dumps(facts), encoding="utf-8")
        write_sums(copy, FILES, shared=True)
        predictor = Predictor(copy)
        found, caveats = predictor.judge("a", volume, SimpleNamespace(record=record))
        said = [found.model_dump(mode="json"), caveats.model_dump(mode="json")]
        with contextlib.suppress(VoxTuneError):  # too few participants to promise it
            said.append(predictor._promised(found, caveats, WantedSets(coverage=0.8)).model_dump(mode="json"))  # noqa: SLF001
        trust = predictor.adapter.facts.trust
        if trust.reference is not None:
            monitor = Monitor(moments(trust.reference.figures))
            for number in range(40):
                monitor.add(
                    {name: one[number % len(one)] for name, one in trust.reference.figures.items()}, "answer"
                )
            said.append(monitor.as_json())
        if trust.reference is not None and trust.familiar is not None:
            features, basis = predictor._features(volume), Basis.of_training(trust.familiar)  # noqa: SLF001
            seen = Seen(
                [str(one) for one in range(25)],
                [basis.figures(features * (1 + one / 99)) for one in range(25)],
                [None] * 25,
            )
            chances = np.full((25, len(found.probabilities)), 1 / len(found.probabilities))
            said.append(find_drift(seen, trust.reference, None, trust.familiar, chances=chances).as_json())
        return json.dumps(said, allow_nan=False)

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
