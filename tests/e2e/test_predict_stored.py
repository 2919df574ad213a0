"""What ``voxtune preprocess`` has made is taken as it is: by ``predict`` and ``explain`` as by ``evaluate``."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from voxtune.catalog import PRESETS, load
from voxtune.cli import main
from voxtune.commands.simulate.command import simulate
from voxtune.data.images import prepare_scan
from voxtune.data.manifest import read_manifest, read_table, write_manifest
from voxtune.errors import ScanError
from voxtune.imaging.stored import stored_scan
from voxtune.storage.seal import unsealed

pytestmark = pytest.mark.slow
TINY = load(PRESETS, "tiny", "preset")


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small cohort, preprocessed, with its training cache."""
    root = tmp_path_factory.mktemp("stored")
    manifest = simulate(root / "cohort", participants=9, visits=1, seed=5)
    call("preprocess", manifest, root / "pre", "--preset", "tiny")
    return root


@pytest.fixture
def volume(home: Path) -> Path:
    return min((home / "pre").glob("*/volume.nii.gz"))


def test_predict_says_exactly_what_evaluate_says(home: Path) -> None:
    manifest = home / "pre" / "manifest.tsv"
    rows = read_manifest(manifest)
    other = write_manifest(
        [row.model_copy(update={"image": str(manifest.parent / row.image)}) for row in rows],
        home / "pre" / "other.tsv",
    )
    call(
        "train", "deft", "-o", home / "run", "--data", manifest, "--set", "training.epochs=1",
    )  # fmt: skip
    call("evaluate", home / "run", "--data", manifest)
    call("predict", home / "run", other, "-o", home / "answers")
    scored = read_table(home / "run/evaluation/test/predictions.tsv")
    answers = {row["scan_id"]: row for row in read_table(home / "answers" / "predictions.tsv")}
    assert len(answers) == len(rows)
    assert scored
    for row in scored:
        answer = answers[row["scan_id"]]
        for name, value in row.items():
            if name == "mmse_predicted":
                continue  # of so few training scores predict states none
            if name.startswith("p_"):
                # A batch of many and a batch of one differ in the last bits of float32.
                assert float(answer[name]) == pytest.approx(float(value), abs=2e-6), name
            else:
                assert answer[name] == value
    verdicts = {row["scan_id"]: row["verdict"] for row in read_table(home / "pre" / "qc.tsv")}
    assert {name: row["quality"] for name, row in answers.items()} == verdicts


def test_a_stored_volume_is_not_preprocessed_again(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = unsealed(json.loads((volume.parent / "chain.json").read_text(encoding="utf-8")))

    def never(*_: object, **__: object) -> None:
        raise AssertionError("it was made by this preset already")

    with monkeypatch.context() as patch:
        patch.setattr("voxtune.imaging.chain.preprocess_scan", never)
        taken = prepare_scan(volume, TINY)
        assert prepare_scan(volume, TINY, stripped=True).preprocessed.record == taken.preprocessed.record
    assert taken.preprocessed.record.model_dump(mode="json") == unsealed(record)
    assert prepare_scan(volume, TINY, stripped=False).preprocessed.record.key != record["key"], (
        "whoever says that it has a skull is believed"
    )


def test_without_a_fitting_record_it_is_a_scan_like_any_other(volume: Path, tmp_path: Path) -> None:
    def copied(name: str, **edits: object) -> Path:
        folder = tmp_path / name
        shutil.copytree(volume.parent, folder)
        record = unsealed(json.loads((folder / "chain.json").read_text(encoding="utf-8")))
        (folder / "chain.json").write_text(json.dumps(record | edits), encoding="utf-8")
        return folder / "volume.nii.gz"

    assert stored_scan(copied("whole"), TINY) is not None
    assert stored_scan(copied("key", key="0" * 64), TINY) is None, "made with other settings"
    assert stored_scan(copied("input", input_sha256="0" * 64), TINY) is None
    assert stored_scan(volume, load(PRESETS, "deft", "preset")) is None, "made by another preset"
    damaged = copied("damaged")
    damaged.with_name("chain.json").write_text("{", encoding="utf-8")
    with pytest.raises(ScanError, match=r"record of a scan as JSON.*voxtune preprocess"):
        stored_scan(damaged, TINY)
    renamed = copied("renamed").rename(tmp_path / "renamed" / "head.nii.gz")
    assert stored_scan(renamed, TINY) is None, "the record is of volume.nii.gz"
    bare = copied("bare")
    bare.with_name("chain.json").unlink()
    assert stored_scan(bare, TINY) is None


def test_the_record_of_a_machine_with_other_libraries_counts(volume: Path, tmp_path: Path) -> None:
    from voxtune.imaging.chain import Declared, chain_key

    folder = tmp_path / "elsewhere"
    shutil.copytree(volume.parent, folder)
    record = unsealed(json.loads((folder / "chain.json").read_text(encoding="utf-8")))
    record["versions"]["scipy"] = "9.9"
    record["key"] = chain_key(record["input_sha256"], TINY, Declared(None), record["versions"])
    (folder / "chain.json").write_text(json.dumps(record), encoding="utf-8")
    assert stored_scan(folder / "volume.nii.gz", TINY) is not None


def test_a_changed_volume_never_gets_the_tensor_of_the_old_one(volume: Path, tmp_path: Path) -> None:
    shutil.copytree(volume.parents[1], tmp_path / "pre")
    mine = tmp_path / "pre" / volume.parent.name / "volume.nii.gz"
    assert prepare_scan(mine, TINY).tensor.equal(prepare_scan(volume, TINY).tensor)
    other = sorted((tmp_path / "pre").glob("*/volume.nii.gz"))[1]
    shutil.copyfile(other, mine)
    with pytest.raises(ScanError, match="was changed since it was preprocessed"):
        prepare_scan(mine, TINY)
