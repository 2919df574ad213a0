"""``voxtune preprocess`` on small stripped brains: tables, resume, shards, workers, a kill in the middle, bad scans."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from voxtune.commands import preprocess as stage
from voxtune.commands.preprocess import preprocess
from voxtune.commands.spread import on_processes
from voxtune.data.manifest import read_manifest, read_table
from voxtune.data.scans import ScanCache
from voxtune.errors import DataError, SettingError, SomeScansFailedError, UsageError
from voxtune.imaging import template
from voxtune.imaging.presets import TINY, fits
from voxtune.imaging.read import read_scan
from voxtune.imaging.tensor import to_tensor
from voxtune.imaging.write import write_volume
from voxtune.types.volume import Volume


def study(folder: Path, names: tuple[str, ...] = ("one", "two"), *, source: str = "made up") -> Path:
    """A manifest of stripped brains of different brightness and size, slightly askew."""
    folder.mkdir(parents=True, exist_ok=True)
    volume = template.template(64)
    lines = ["participant_id\tscan_id\timage\tdiagnosis\tsource\tcolour"]
    for number, name in enumerate(names):
        affine = np.diag([1 + 0.03 * number, 1.0, 1.02, 1.0]) @ volume.affine
        affine[:3, 3] += 4 * number + 3
        texture = 1 + 0.1 * np.sin(np.indices(volume.shape).sum(axis=0) / (3 + number))
        write_volume(
            Volume((volume.voxels * texture * 500).astype(np.float32), affine), folder / f"{name}.nii.gz"
        )
        lines.append(f"p{number}\t{name}\t{name}.nii.gz\tNC\t{source}\tred")
    path = folder / "manifest.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A manifest and its preprocessed folder, made by one worker."""
    root = tmp_path_factory.mktemp("study")
    manifest = study(root / "in")
    preprocess(manifest, root / "out", preset="tiny")
    return manifest, root / "out"


def test_what_it_writes(done: tuple[Path, Path]) -> None:
    manifest, out = done
    rows = read_manifest(out / "manifest.tsv")
    assert [row.scan_id for row in rows] == ["one", "two"]
    assert rows[0].model_extra == {"colour": "red", "qc": rows[0].model_extra["qc"]}
    assert rows[0].diagnosis == "NC"
    for row in rows:
        volume = read_scan(out / row.image)
        assert fits(volume, TINY)
        record = json.loads((out / row.scan_id / "chain.json").read_text(encoding="utf-8"))
        names = [step["name"] for step in record["steps"]]
        assert names == ["read", "orient", "skull", "denoise", "bias", "register", "resample", "intensity"]
        assert np.asarray(record["transform"]).shape == (4, 4)
        assert record["qc"]["dice"] > 0.93
        assert str(manifest.parent) not in json.dumps(record)
        page = (out / row.scan_id / "page.html").read_text(encoding="utf-8")
        assert "data:image/png;base64," in page
        assert "SIMULATED" not in page
        assert "http://" not in page
    table = read_table(out / "qc.tsv", ["scan_id", "verdict", "dice", "correlation"])
    assert [line["scan_id"] for line in table] == ["one", "two"]
    assert not (out / "failed.tsv").exists()
    cache = ScanCache.beside(out / "manifest.tsv", TINY)
    assert cache is not None
    assert np.abs(cache["two"] - to_tensor(read_scan(out / "two" / "volume.nii.gz"), TINY)).max() < 0.003


@pytest.mark.no_cover_children
def test_two_workers_give_the_same_bytes(done: tuple[Path, Path], tmp_path: Path) -> None:
    manifest, out = done
    preprocess(manifest, tmp_path / "two", preset="tiny", workers=2)
    assert hashes(tmp_path / "two") == hashes(out)


@pytest.mark.slow
@pytest.mark.no_cover_children
def test_a_dask_cluster_gives_the_same_bytes(done: tuple[Path, Path], tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    manifest, out = done
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        preprocess(manifest, tmp_path / "dask", preset="tiny", scheduler=cluster.scheduler_address)
    assert hashes(tmp_path / "dask") == hashes(out)


def test_a_second_run_does_nothing_and_a_change_redoes_one(done: tuple[Path, Path], tmp_path: Path) -> None:
    manifest = study(tmp_path / "in")
    out = tmp_path / "out"
    preprocess(manifest, out, preset="tiny")
    assert hashes(out) == hashes(done[1])
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("volume.nii.gz")}
    preprocess(manifest, out, preset="tiny")
    assert stamps == {path: path.stat().st_mtime_ns for path in out.rglob("volume.nii.gz")}
    changed = read_scan(tmp_path / "in" / "two.nii.gz")
    write_volume(changed.with_voxels(changed.voxels * 0.5), tmp_path / "in" / "two.nii.gz")
    preprocess(manifest, out, preset="tiny")
    redone = {path.parent.name for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp}
    assert redone == {"two"}


def test_shards_complete_each_other(done: tuple[Path, Path], tmp_path: Path) -> None:
    manifest, out = done
    preprocess(manifest, tmp_path / "out", preset="tiny", shard="2/2")
    assert [row.scan_id for row in read_manifest(tmp_path / "out" / "manifest.tsv")] == ["two"]
    assert "1 still to do" in (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    preprocess(manifest, tmp_path / "out", preset="tiny", shard="1/2")
    assert hashes(tmp_path / "out") == hashes(out)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "a/b", "2", "1/0"])
def test_impossible_shards(done: tuple[Path, Path], tmp_path: Path, shard: str) -> None:
    with pytest.raises(SettingError, match="shard"):
        preprocess(done[0], tmp_path, preset="tiny", shard=shard)


@pytest.mark.no_cover_children
def test_bad_scans_never_stop_the_rest(tmp_path: Path) -> None:
    manifest = study(tmp_path / "in", ("good", "cut", "gone"))
    cut = tmp_path / "in" / "cut.nii.gz"
    cut.write_bytes(cut.read_bytes()[:4000])
    (tmp_path / "in" / "gone.nii.gz").unlink()
    with pytest.raises(SomeScansFailedError, match=r"2 of 3 scans failed.*failed\.tsv"):
        preprocess(manifest, tmp_path / "out", preset="tiny", workers=2)
    failed = {line["scan_id"]: line["reason"] for line in read_table(tmp_path / "out" / "failed.tsv")}
    assert set(failed) == {"cut", "gone"}
    assert "cut short" in failed["cut"]
    assert "no such file" in failed["gone"]
    assert [row.scan_id for row in read_manifest(tmp_path / "out" / "manifest.tsv")] == ["good"]
    assert "cut short" in (tmp_path / "out" / "page.html").read_text(encoding="utf-8")
    # Mended, the rest is done and the table of failures goes.
    study(tmp_path / "in", ("good", "cut", "gone"))
    preprocess(manifest, tmp_path / "out", preset="tiny")
    assert not (tmp_path / "out" / "failed.tsv").exists()
    assert not list((tmp_path / "out").rglob("failed.txt"))


def test_all_failed_is_bad_data(tmp_path: Path) -> None:
    manifest = study(tmp_path / "in", ("one",))
    (tmp_path / "in" / "one.nii.gz").write_bytes(b"")
    with pytest.raises(DataError, match="Every scan failed") as caught:
        preprocess(manifest, tmp_path / "out", preset="tiny")
    assert caught.value.exit_code == 3


def test_a_bug_in_a_step_is_a_failed_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxtune.imaging import chain

    def broken(*_: object) -> None:
        raise ZeroDivisionError("by design")

    monkeypatch.setattr(chain, "register", broken)
    with pytest.raises(DataError, match=r"cannot be preprocessed: .*ZeroDivisionError"):
        preprocess(study(tmp_path / "in", ("one",)), tmp_path / "out", preset="tiny")


def test_a_killed_process_is_a_failed_scan(tmp_path: Path) -> None:
    """A worker that dies (out of memory) fails its own scan and no other."""
    jobs = [
        stage.Job(name, tmp_path / name, tmp_path / "out" / name, TINY, None, resume=True, simulated=False)
        for name in ("one", "two")
    ]
    out = [said for _, said in on_processes(stage.preprocess_one, jobs, stage._died, 2)]
    assert len(out) == 2
    assert all("no such file" in sentence for sentence in out if sentence)
    assert "killed" in stage._died(jobs[0])
    assert "killed" in (tmp_path / "out" / "one" / "failed.txt").read_text(encoding="utf-8")


def test_it_never_overwrites_its_own_input(tmp_path: Path) -> None:
    manifest = study(tmp_path, ("one",))
    with pytest.raises(UsageError, match="choose another folder"):
        preprocess(manifest, tmp_path, preset="tiny")


def test_simulated_scans_say_so(tmp_path: Path) -> None:
    manifest = study(tmp_path / "in", ("one",), source="simulated")
    preprocess(manifest, tmp_path / "out", preset="tiny")
    for page in (tmp_path / "out" / "page.html", tmp_path / "out" / "one" / "page.html"):
        assert "SIMULATED" in page.read_text(encoding="utf-8")


def test_no_scheduler_is_a_usage_error(done: tuple[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(UsageError, match="Dask scheduler"):
        preprocess(done[0], tmp_path, preset="tiny", scheduler="nonsense://x")


class Deadly(stage.Job):
    """A scan that kills the process it is sent to, as running out of memory does."""

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (9,)


def test_a_scan_that_kills_its_process_takes_no_other_along(tmp_path: Path) -> None:
    kinds = {"one": stage.Job, "deadly": Deadly, "two": stage.Job}
    jobs = [
        kind(name, tmp_path / f"{name}.nii.gz", tmp_path / "out" / name, TINY, stripped=True, resume=False, simulated=False)
        for name, kind in kinds.items()
    ]  # fmt: skip
    said = [said for _, said in on_processes(stage.preprocess_one, jobs, stage._died, 2)]
    assert len(said) == 3
    (died,) = [line for line in said if line and line.startswith("deadly: ")]
    assert "was killed (most often: out of memory)" in died
    assert (tmp_path / "out" / "deadly" / "failed.txt").read_text(encoding="utf-8").strip() == died
    assert sum("no such file" in str(line) for line in said) == 2, "the others were done and say their own"


@pytest.mark.no_cover_children
def test_kill_in_the_middle_loses_only_the_scan_in_flight(done: tuple[Path, Path], tmp_path: Path) -> None:
    manifest, out = done
    code = "import sys; from pathlib import Path; from voxtune.commands.preprocess import preprocess; preprocess(Path(sys.argv[1]), Path(sys.argv[2]), preset='tiny')"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(manifest), str(tmp_path / "out")], stderr=subprocess.DEVNULL
    )
    first = tmp_path / "out" / "one" / "chain.json"
    deadline = time.monotonic() + 120
    while not first.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finished = {path.parent.name for path in (tmp_path / "out").rglob("chain.json")}
    assert "one" in finished
    stamps = {
        path: path.stat().st_mtime_ns
        for path in (tmp_path / "out").rglob("volume.nii.gz")
        if path.parent.name in finished
    }
    preprocess(manifest, tmp_path / "out", preset="tiny")
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}
    assert hashes(tmp_path / "out") == hashes(out)
