"""The whole sweep on shrunken models: every row of the table of systems, a killed sweep that goes on, the command itself."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from safetensors.torch import save_file

from voxtune.backbones.biomedclip import VitSizes
from voxtune.backbones.load import load_backbone
from voxtune.backbones.med3dvlm_text import DistilBertSizes
from voxtune.backbones.med3dvlm_vision import DcFormerSizes
from voxtune.backbones.medclip_vision import SwinSizes
from voxtune.backbones.slices import Slicing
from voxtune.cli import main
from voxtune.commands.reproduce.command import Options, reproduce
from voxtune.commands.reproduce.data import Request
from voxtune.commands.reproduce.externals import External
from voxtune.commands.simulate.command import simulate
from voxtune.data.manifest import read_manifest, write_manifest
from voxtune.errors import UsageError

TEXT = {"vocab": 4000, "width": 24, "depth": 2, "heads": 2, "mlp": 32, "max_length": 64, "pooler": False}
CUBE = (64, 64, 64)
SHRUNKEN: dict[str, dict[str, Any]] = {
    "m3d": {"volume": CUBE, "input_volume": None, "patch": (16, 16, 16), "width": 24, "depth": 3, "heads": 2, "mlp": 32, "text": TEXT},
    "radfm": {
        "volume": CUBE, "table": (4, 4, 4), "patch": (16, 16, 16), "channels": 1, "width": 24, "depth": 3, "heads": 2, "head_width": 8,
        "mlp": 32, "perceiver": {"latents": 3, "depth": 2, "heads": 2, "head_width": 8, "mlp": 32}, "language_width": 8, "embed": 16,
        "text": TEXT,
    },
    "med3dvlm": {
        "volume": CUBE, "vision": DcFormerSizes(channels=(4, 6, 8, 10, 12), kernels=(5, 5, 3, 3), blocks=(1, 1, 2, 1, 1)),
        "text": DistilBertSizes(vocab=4000, width=24, depth=2, heads=2, mlp=32, max_length=64), "embed": 16,
    },
    "medclip": {
        "volume": CUBE, "slicing": Slicing(count=4), "vision": SwinSizes(image=28, patch=2, width=8, depths=(2, 2), heads=(2, 2), window=7),
        "text": TEXT, "embed": 16,
    },
    "biomedclip": {
        "volume": CUBE, "slicing": Slicing(count=4), "vision": VitSizes(image=16, patch=8, width=24, depth=2, heads=2, mlp=32),
        "text": TEXT, "text_hidden": 20, "embed": 16,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> Request:
    root = tmp_path_factory.mktemp("cohorts")
    own = simulate(root / "own", participants=30, visits=1, seed=3)
    other = simulate(root / "other", participants=18, visits=1, seed=4, scanners=2)
    rows = [row for row in read_manifest(other) if row.diagnosis in {"NC", "AD"}]
    return Request(own, (External(write_manifest(rows, root / "other" / "external.tsv")),))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``VOXTUNE_HOME`` with a shrunken file of every base, its sizes in the record beside it, and a tokenizer."""
    root = tmp_path_factory.mktemp("home")
    assets = files("voxtune.backbones") / "assets" / "tiny"
    for name, sizes in SHRUNKEN.items():
        folder = root / "weights" / name
        folder.mkdir(parents=True)
        model: Any = load_backbone(name, **sizes)
        save_file(
            {key: value.clone() for key, value in model.state_dict().items()}, folder / f"{name}.safetensors"
        )
        said = (
            json.loads(type(model.settings).model_validate(sizes).model_dump_json())
            if hasattr(model, "settings")
            else None
        )
        plain = said or {
            key: value.model_dump(mode="json") if hasattr(value, "model_dump") else value
            for key, value in sizes.items()
        }
        record = {"settings": {key: plain[key] for key in sizes}, "preset": "tiny"}
        (folder / f"{name}.json").write_text(json.dumps(record), encoding="utf-8")
        shutil.copyfile(str(assets / "tokenizer.json"), folder / "tokenizer.json")
    return root


@pytest.mark.slow
@pytest.mark.no_cover
def test_every_row_of_the_systems_runs_on_a_shrunken_set(
    cohorts: Request, home: Path, tmp_path: Path
) -> None:
    options = Options(tables=(2,), request=cohorts, seeds=1, home=home, edits=("training.epochs=1",))
    reproduce("deft", tmp_path, options, lambda _: None)
    table = json.loads((tmp_path / "table_2.json").read_text(encoding="utf-8"))
    states = {line["label"]: (line["status"], line["reason"]) for line in table["lines"]}
    odd = {label: why for label, (state, why) in states.items() if state not in {"done", "quoted"}}
    assert set(odd) == {"Med3DVLM + LGA"}, (
        "an image of the shrunken base is one token: LGA has nothing to attend to"
    )
    assert "no gradient reaches vision.between.lga" in odd["Med3DVLM + LGA"]
    assert len(states) == 21
    for line in table["lines"]:
        if line["status"] == "done":
            assert {role: one["n_scans"] for role, one in line["accuracy"].items()}.keys() == {
                "own",
                "external",
            }
    with (tmp_path / "table_2.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * 21
    page = (tmp_path / "table_2.html").read_text(encoding="utf-8")
    assert "SIMULATED" in page
    assert "Traceback" not in page
    assert page.count("<h2>SIMULATED in the place of") == 2
    for name in ("table_2.md", "table_2.tex", "page.html"):
        assert (tmp_path / name).stat().st_size > 200


SWEEP = """
import sys
from pathlib import Path
from voxtune.commands.reproduce.command import Options, reproduce
from voxtune.commands.reproduce.data import Request
from voxtune.commands.reproduce.externals import External
own, external, out = sys.argv[1:]
request = Request(Path(own), (External(Path(external)),))
reproduce("deft", Path(out), Options(tables=(4,), request=request, seeds=1, base="tiny", edits=("training.epochs=2",)))
"""


def attempts(out: Path) -> dict[str, int]:
    return {
        path.parent.name: len(path.read_text(encoding="utf-8").splitlines())
        for path in out.glob("cells/*/attempts.jsonl")
    }


def results(out: Path) -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in out.glob("cells/*/result.json")}


@pytest.mark.slow
@pytest.mark.no_cover_children
def test_a_killed_sweep_goes_on_where_it_was(cohorts: Request, tmp_path: Path) -> None:
    script, out = tmp_path / "sweep.py", tmp_path / "out"
    script.write_text(SWEEP, encoding="utf-8")
    order = [sys.executable, str(script), str(cohorts.data), str(cohorts.external[0].manifest), str(out)]
    first = subprocess.Popen(order, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    # Kill it in the middle: a cell is finished and another has been begun.
    while not (results(out) and len(attempts(out)) > len(results(out))):
        assert first.poll() is None, "the sweep ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    before, begun = results(out), attempts(out)
    assert 1 <= len(before) < 3
    interrupted = begun.keys() - before.keys()
    assert len(interrupted) == 1

    options = Options(
        tables=(4,), request=cohorts, seeds=1, base="tiny", edits=("training.epochs=2",), workers=2
    )
    reproduce("deft", out, options, lambda _: None)
    after = results(out)
    assert len(after) == 3, "no cell is lost"
    assert {name: after[name] for name in before} == before, "no finished cell is touched"
    assert attempts(out) == {name: 2 if name in interrupted else 1 for name in after}, "no cell runs twice"
    assert not list((out / "locks").iterdir())
    table = json.loads((out / "table_4.json").read_text(encoding="utf-8"))
    assert [line["status"] for line in table["lines"]] == ["done"] * 3
    assert all(line["accuracy"]["own"]["seeds"] == 1 for line in table["lines"])

    again = reproduce("deft", out, options, lambda _: None)
    assert "3 done" in again.summary
    assert results(out) == after
    with pytest.raises(UsageError, match="another reproduction"):
        reproduce(
            "deft",
            out,
            Options(tables=(4,), request=Request(cohorts.data), seeds=1, base="tiny"),
            lambda _: None,
        )


def test_the_command_rehearses(cohorts: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXTUNE_HOME", str(tmp_path / "home"))
    given = [
        "reproduce",
        "deft",
        "--table",
        "3",
        "--data",
        str(cohorts.data),
        "--dry-run",
        "-o",
        str(tmp_path / "out"),
    ]
    said = CliRunner().invoke(main, given)
    assert said.exit_code == 0, said.output
    assert said.output.count("missing: its weights are not on this machine") == 9
    assert "voxtune weights convert m3d FILE" in said.output
    said = CliRunner().invoke(main, [*given, "--base", "tiny"])
    assert said.output.count("  ready  ") == 9
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.no_cover_children
def test_cells_are_shared_out_by_a_dask_cluster(
    cohorts: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        edits, address = ("training.epochs=1",), cluster.scheduler_address
        options = Options(tables=(4,), request=cohorts, seeds=1, base="tiny", edits=edits, scheduler=address)
        lines: list[str] = []
        reproduce("deft", Path("out"), options, lines.append)
    assert attempts(tmp_path / "out") == dict.fromkeys(results(tmp_path / "out"), 1)
    assert len(results(tmp_path / "out")) == 3
    assert sum(line.endswith(": done") for line in lines) == 3, lines
    table = json.loads((tmp_path / "out" / "table_4.json").read_text(encoding="utf-8"))
    assert [line["status"] for line in table["lines"]] == ["done"] * 3


def test_nobody_at_the_address_of_the_scheduler(
    cohorts: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")

    def unreachable(*_: object, **__: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(distributed, "Client", unreachable)
    options = Options(tables=(4,), request=cohorts, seeds=1, base="tiny", scheduler="tcp://127.0.0.1:9")
    with pytest.raises(UsageError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        reproduce("deft", tmp_path, options, lambda _: None)
    assert not results(tmp_path)
