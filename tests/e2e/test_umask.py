"""From a download to an answer under two umasks: what may name a participant is its owner's alone, the rest is as the umask says."""

import os
import shutil
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from voxtune.cli import main
from voxtune.data.manifest import read_manifest

SHARED = (
    "adapter/adapter.json",
    "adapter/SHA256SUMS",
    "adapter/README.md",
    "run/config.json",
    "run/log.jsonl",
)
"""Some of what is made to be passed on."""


@pytest.fixture(scope="module")
def download(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BIDS folder of simulated people."""
    root = tmp_path_factory.mktemp("download")
    call("simulate", root / "cohort", "--participants", 9, "--visits", 1, "--seed", 3)
    lines = ["participant_id\tdiagnosis\tage\tsex\tmmse"]
    for row in read_manifest(root / "cohort" / "manifest.tsv"):
        anat = root / "bids" / f"sub-{row.participant_id}" / "anat"
        anat.mkdir(parents=True)
        shutil.copy(root / "cohort" / row.image, anat / f"sub-{row.participant_id}_T1w.nii.gz")
        lines.append(f"sub-{row.participant_id}\t{row.diagnosis}\t{row.age}\t{row.sex}\t{row.mmse}")
    (root / "bids" / "participants.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / "bids" / "dataset_description.json").write_text('{"Name": "some people", "BIDSVersion": "1.9.0"}')
    return root / "bids"


def call(*words: object) -> None:
    ended = CliRunner().invoke(main, [str(one) for one in words])
    assert ended.exit_code == 0, ended.output


@pytest.mark.slow
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_nobody_else_reads_a_name(download: Path, tmp_path: Path, umask: int) -> None:
    root, manifest, before = tmp_path / "study", tmp_path / "study" / "manifest.tsv", os.umask(umask)
    try:
        call("ingest", "bids", download, "-o", manifest)
        call("split", manifest, "-o", root / "split", "--seed", 1)
        call(
            "train", "deft", "-o", root / "run", "--data", manifest, "--split", root / "split", "--set", "vision=visual_prompts(2)",
            "--set", "text=none", "--set", "training.epochs=1",
        )  # fmt: skip
        call("evaluate", root / "run", "--data", manifest)
        call("export", root / "run", "-o", root / "adapter")
        scan = next(iter(sorted(download.rglob("*.nii.gz"))))
        call("predict", root / "adapter", scan, "-o", root / "predictions")
    finally:
        os.umask(before)
    people = [row.participant_id for row in read_manifest(manifest)]
    open_to_others = {path for path in root.rglob("*") if stat.S_IMODE(path.stat().st_mode) & 0o077}
    if umask == 0o077:
        assert not open_to_others
    named = [
        path
        for path in open_to_others
        if path.is_file() and any(one in path.name or one.encode() in path.read_bytes() for one in people)
    ]
    assert not named
    modes = {stat.S_IMODE((root / name).stat().st_mode) for name in SHARED}
    assert modes == {0o666 & ~umask}
