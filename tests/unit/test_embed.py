"""Embeddings and a dataset for other programs: order, files, failures, and the linear probe of ``evaluate`` made again from them."""

import json
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import voxtune
from voxtune.cli import main
from voxtune.commands.simulate.command import simulate
from voxtune.data.manifest import read_manifest, read_table
from voxtune.errors import DataError, SettingError, UsageError


@pytest.fixture(scope="module")
def cohort(people: Path) -> Path:
    return people


@pytest.fixture(scope="module")
def run(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    voxtune.fit(
        "deft", folder, data=cohort, assignments=["training.epochs=1", "targets=none"], say=lambda _: None
    )
    return folder


def test_features_are_one_row_a_scan_in_the_order_of_the_manifest(cohort: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main, ["embed", "tiny", str(cohort), "-o", str(tmp_path / "out"), "--tokens", "--json"]
    )
    assert result.exit_code == 0, result.output
    vectors, tokens = (np.load(tmp_path / "out" / name) for name in ("embeddings.npy", "tokens.npy"))
    rows = read_table(tmp_path / "out" / "embeddings.tsv", ("scan_id", "participant_id", "diagnosis"))
    facts = json.loads((tmp_path / "out" / "embed.json").read_text())
    assert [row["scan_id"] for row in rows] == [row.scan_id for row in read_manifest(cohort)]
    assert vectors.dtype == tokens.dtype == np.float32
    assert vectors.shape == (len(rows), facts["width"])
    assert tokens.shape == tuple(facts["tokens"]["shape"])
    assert len(tokens) == len(rows)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert facts["simulated"] is True
    assert "SIMULATED" in voxtune.embed("tiny", cohort, tmp_path / "out", say=lambda _: None).summary
    assert not (tmp_path / "out" / "tokens.npy").exists(), (
        "tokens of another call must not stay beside other embeddings"
    )
    # The same scans one by one by the model itself.
    model, scans = voxtune.load_backbone("tiny"), voxtune.scans(str(cohort), "tiny")
    with torch.no_grad():
        alone = model.encode_image(scans[4].volume[None])
    np.testing.assert_allclose(alone[0].numpy(), vectors[4], atol=1e-5)


def test_the_page_makes_the_linear_probe_of_evaluate_again(
    cohort: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/features.md").read_text(encoding="utf-8")
    line, probe, loop = re.findall(r"```\w+\n(.*?)```", page, re.DOTALL)
    voxtune.evaluate(run, say=lambda _: None)
    monkeypatch.chdir(tmp_path)
    for name, folder in (("cohort", cohort.parent), ("run", run)):
        (tmp_path / name).symlink_to(folder)
    assert CliRunner().invoke(main, line.split()[1:]).exit_code == 0
    names: dict[str, Any] = {}
    exec(probe, names)
    rows = names["rows"][names["test"]]
    stored = {
        row["scan_id"]: row
        for row in read_table(run / "evaluation/test/baselines/linear_probe/predictions.tsv")
    }
    known = [[float(stored[scan][f"p_{name}"]) for name in names["probe"].classes_] for scan in rows.scan_id]
    np.testing.assert_allclose(names["probabilities"], known, atol=1e-6)
    exec(loop, {})


def test_an_adapter_embeds_as_its_own_model(cohort: Path, run: Path) -> None:
    base = voxtune.embed("tiny", cohort, say=lambda _: None)
    found = voxtune.embed(str(run), str(cohort), say=lambda _: None, tokens=True)
    assert found.folder is None
    assert found.tokens is not None
    assert (
        found.facts["adapter_sha256"]
        == json.loads((run / "adapter/adapter.json").read_text())["adapter_sha256"]
    )
    assert np.abs(found.vectors - base.vectors).max() > 1e-3
    loaded = voxtune.load_adapter(run / "adapter")
    scan = voxtune.scans(cohort, "tiny")[0]
    with torch.no_grad():
        output = loaded.model(scan.volume[None], ["A photo of NC", "A photo of AD"])
    np.testing.assert_allclose(output.image[0].numpy(), found.vectors[0], atol=1e-5)
    assert output.scores.shape == (1, 2)
    with pytest.raises(SettingError, match="preset"):
        voxtune.embed(run, cohort, preset="deft")
    with pytest.raises(UsageError, match="goes with a backbone"):
        voxtune.embed(run, cohort, settings={"width": "8"})


def test_one_bad_scan_does_not_stop_the_others(tmp_path: Path) -> None:
    manifest = simulate(tmp_path, participants=3, visits=1, seed=1)
    rows = read_manifest(manifest)
    text = manifest.read_text()
    (tmp_path / "other.nii.gz").write_bytes(b"\x1f\x8b damaged")
    # Another table, so that no cache of arrays stands in for the images.
    bad = tmp_path / "elsewhere" / "manifest.tsv"
    bad.parent.mkdir()
    bad.write_text(
        text.replace(rows[0].image, "../other.nii.gz")
        .replace(rows[1].image, "http://host/x.nii")
        .replace(rows[2].image, f"../{rows[2].image}")
    )
    result = CliRunner().invoke(main, ["embed", "tiny", str(bad), "-o", str(tmp_path / "out")])
    assert result.exit_code == 5, result.output
    assert np.load(tmp_path / "out/embeddings.npy").shape[0] == 1
    failed = read_table(tmp_path / "out/failed.tsv", ("scan_id", "error"))
    assert [row["scan_id"] for row in failed] == [row.scan_id for row in rows[:2]]
    bad.write_text("\n".join(bad.read_text().splitlines()[:3]) + "\n")
    with pytest.raises(DataError, match="None of the 2 scans"):
        voxtune.embed("tiny", bad, tmp_path / "out")


def test_what_cannot_be_is_refused(cohort: Path) -> None:
    with pytest.raises(UsageError, match="no backbone, adapter or run"):
        voxtune.embed("nothing", cohort)
    with pytest.raises(UsageError, match="has no weights"):
        voxtune.embed("biomedclip", cohort, settings={
            "vision": '{"width": 24, "depth": 1, "heads": 2, "mlp": 32}', "text": '{"width": 24, "depth": 1, "heads": 2, "mlp": 32}'
        })  # fmt: skip
    with pytest.raises(UsageError, match="give --preset"):
        voxtune.embed("hlip", cohort)
    with pytest.raises(UsageError, match="no such file of weights"):
        voxtune.embed("tiny", cohort, base="absent.safetensors")
    with pytest.raises(SettingError, match="preset"):
        voxtune.embed("tiny", cohort, preset="deft")
    for device in ("gpu", "cuda:x", "cuda:99"):
        with pytest.raises(SettingError, match="device"):
            voxtune.embed("tiny", cohort, device=device)


def test_scans_are_a_dataset(cohort: Path) -> None:
    scans = voxtune.scans(cohort, "tiny")
    assert len(scans) == len(read_manifest(cohort))
    assert pickle.loads(pickle.dumps(scans))[1].scan_id == scans[1].scan_id
    batches = list(scans.loader(batch_size=8))
    assert batches[0].volumes.shape == (8, 1, 64, 64, 64)
    assert [name for batch in batches for name in batch.scan_ids] == [row.scan_id for row in scans.rows]
    model = voxtune.load_backbone("tiny")
    with torch.no_grad():
        output = model(batches[0].volumes, ["a healthy brain", "a brain with dementia"])
    assert output.scores.shape == (8, 2)
    assert output.image.shape == (8, model.embed_dim)
    with pytest.raises(UsageError):
        voxtune.scans(cohort, "none")


def test_what_needs_no_large_library_imports_none(
    cohort: Path, tmp_path: Path, unmeasured: dict[str, str]
) -> None:
    """Torch's own optimisers import torch._dynamo when they are made; nothing else here may, and nothing may ask for the others."""
    script = (
        "import sys\nfrom voxtune.cli import main\n"
        "def heavy(): return {'peft', 'transformers', 'monai', 'accelerate', 'huggingface_hub', 'datasets'} & set(sys.modules)\n"
        f"main(['embed', 'tiny', {str(cohort)!r}, '-o', 'out'], standalone_mode=False)\n"
        "assert not heavy() | ({'torch._dynamo', 'lightning_fabric', 'sklearn', 'matplotlib'} & set(sys.modules)), sys.modules.keys()\n"
        f"main(['train', 'deft', '--data', {str(cohort)!r}, '-o', 'run', '--set', 'training.epochs=1'], standalone_mode=False)\n"
        "print('HEAVY', sorted(heavy()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=unmeasured,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_importing_the_package_costs_nothing() -> None:
    script = "import time\nbegan = time.process_time()\nimport voxtune\nprint(time.process_time() - began)"
    seconds = [
        float(
            subprocess.run(
                [sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True
            ).stdout
        )
        for _ in range(2)
    ]
    assert min(seconds) < 0.15


def test_sites_are_brought_onto_one_scale_or_refused(cohort: Path, tmp_path: Path) -> None:
    plain = voxtune.embed("tiny", cohort, say=lambda _: None)
    done = voxtune.embed("tiny", cohort, tmp_path / "out", harmonise="sex", say=lambda _: None)
    assert np.allclose(np.linalg.norm(done.vectors, axis=1), 1, atol=1e-5)
    assert not np.allclose(done.vectors, plain.vectors)
    stated = json.loads((tmp_path / "out" / "embed.json").read_text(encoding="utf-8"))["harmonised"]
    assert sum(stated["sites"].values()) == 24
    assert stated["sentence"] in done.summary
    assert "harmonised" not in plain.facts
    with pytest.raises(DataError, match="at least 10 are needed"):
        voxtune.embed("tiny", cohort, tmp_path / "site", harmonise="site", say=lambda _: None)
    with pytest.raises(UsageError, match="not tokens"):
        voxtune.embed("tiny", cohort, harmonise="sex", tokens=True, say=lambda _: None)
