"""The byte harness tells what differs between two trees, and hides no more than the fields it names."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save

BYTES = Path(__file__).parents[1] / "bytes"
EPOCH = {"epoch": 0, "loss": 5.25, "metric": 0.75, "seconds": 0.9, "memory_mib": 828.7, "energy_wh": 0.0025}


@pytest.fixture(scope="module")
def tools() -> dict[str, ModuleType]:
    """The scripts of ``tests/bytes``, which import each other by their bare names."""
    found = {}
    for name in ("normalise", "differences"):
        spec = importlib.util.spec_from_file_location(name, BYTES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        found[name] = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found[name])
    yield found
    for name in found:
        del sys.modules[name]


def test_only_named_fields_are_hidden(tools: dict[str, ModuleType]) -> None:
    normalised = tools["normalise"].normalised
    lines = {name: json.dumps(EPOCH | change).encode() for name, change in {
        "as it was": {}, "clock": {"seconds": 3.1, "energy_wh": 1.0}, "loss": {"loss": 5.250000000000001}, "gone": {"seconds": None},
    }.items()}  # fmt: skip
    log = {name: normalised("people/run0/log.jsonl", line) for name, line in lines.items()}
    assert log["as it was"] == log["clock"]
    assert log["as it was"] != log["loss"]
    assert log["as it was"] != log["gone"]
    checkpoint = "people/run0/checkpoints/epoch-0001-step-000000.json"
    history = [
        json.dumps({"sums": {"loss": 1}, "history": [EPOCH | {"seconds": s}]}).encode() for s in (1, 2)
    ]
    assert normalised(checkpoint, history[0]) == normalised(checkpoint, history[1])
    for other in (
        "people/run0/config.json",
        "people/predicted/predictions.tsv",
        "people/run0/adapter/adapter.json",
    ):
        assert normalised(other, lines["clock"]) == lines["clock"]


def test_a_page_is_compared_but_for_what_it_cost(tools: dict[str, ModuleType]) -> None:
    normalised = tools["normalise"].normalised
    page = "<td>time</td><td>{} s on EPYC</td><td>steps</td><td>{}</td><td>peak memory</td><td>{:.2f} GiB a process</td>"
    one, slow, longer = (
        normalised("a/page.html", page.format(*values).encode())
        for values in ((3, 8, 0.9), (70, 8, 1.2), (3, 9, 0.9))
    )
    assert one == slow
    assert one != longer
    assert normalised("people/said.html", page.format(3, 8, 0.9).encode()) == page.format(3, 8, 0.9).encode()


def test_differences_are_told_by_field(tools: dict[str, ModuleType], tmp_path: Path) -> None:
    files = {
        "metrics.json": [
            json.dumps({"auroc": {"value": value, "low": 0.5}}).encode() for value in (0.75, 0.76)
        ],
        "t.tsv": [f"scan_id\tp_AD\nA\t0.5\nB\t{value}\n".encode() for value in ("0.1", "0.10000001")],
        "m.safetensors": [save({"weight": torch.tensor([1.0, value])}) for value in (2.0, 2.5)],
        "page.html": [b"<p>same</p>\n<p>old</p>\n", b"<p>same</p>\n<p>new</p>\n"],
        "thumbnail.png": [b"\xff\x00\x01", b"\xff\x00\x02"],
        "same.txt": [b"x", b"x"],
        "gone.txt": [b"x", None],
    }
    for side, name in enumerate(("before", "after")):
        folder = tmp_path / f"{name}.files"
        folder.mkdir()
        for path, contents in files.items():
            if contents[side] is not None:
                (folder / path).write_bytes(contents[side])
        sums = {
            path: str(hash(contents[side])) for path, contents in files.items() if contents[side] is not None
        }
        (tmp_path / f"{name}.json").write_text(json.dumps({"files": sums}))
    found = dict(tools["differences"].differences(tmp_path / "before.json", tmp_path / "after.json"))
    assert found == {
        "gone.txt": ["only before"],
        "m.safetensors": ["weight: torch.float32 [2], by at most 0.5"],
        "metrics.json": ["auroc.value: 0.75 -> 0.76"],
        "page.html": ["-<p>old</p>", "+<p>new</p>"],
        "t.tsv": ["line 2 (B), p_AD: '0.1' -> '0.10000001'"],
        "thumbnail.png": ["3 bytes before, 3 after; first at byte 2"],
    }
    only = tools["differences"].differences(tmp_path / "before.json", tmp_path / "after.json", "*.tsv")
    assert [path for path, _ in only] == ["t.tsv"]


def test_progress_counts_by_where_it_ends(tools: dict[str, ModuleType]) -> None:
    normalised = tools["normalise"].normalised
    said = {
        "fast": "Simulating: 90/90, 7 s\nA warning: mind 3/4, 5 s.\nTraining: 8/8, 2 s, loss 4.8, 65 scans/s\n",
        "slow": "Simulating: 76/90, 10 s\nSimulating: 90/90, 12 s\nA warning: mind 3/4, 5 s.\nTraining: 8/8, 9 s, loss 4.8, 9 scans/s\n",
        "less": "Simulating: 76/76, 7 s\nA warning: mind 3/4, 5 s.\nTraining: 8/8, 2 s, loss 4.8, 65 scans/s\n",
    }
    found = {
        name: normalised("said/00-simulate.err.txt", text.encode()).decode() for name, text in said.items()
    }
    assert found["fast"] == found["slow"]
    assert found["fast"] != found["less"]
    assert "Training: 8/8" in found["fast"]
    assert "A warning" in found["fast"]
