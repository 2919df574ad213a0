"""An adapter that was changed, belongs elsewhere, comes from the future or holds a pickle is refused, with the reason."""

import hashlib
import json
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from voxtune.cli import main
from voxtune.model.adapter import FILES
from voxtune.serving.bundled import adapter_folder
from voxtune.storage.seal import write_sums

MARK = "unpickled"


class Evil:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (Path(MARK),)


@pytest.fixture
def adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped adapter, to be spoiled."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(adapter_folder(Path("demo")), tmp_path / "spoiled"))


def edit(adapter: Path, **changes: object) -> None:
    path = adapter / "adapter.json"
    tree = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(tree | changes), encoding="utf-8")
    write_sums(adapter, FILES)  # whoever changes an adapter can write those too


def one_byte(adapter: Path) -> None:
    path = adapter / "adapter.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def cut(adapter: Path) -> None:
    path = adapter / "adapter.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def with_pickle(adapter: Path) -> None:
    """The sender signs what he sends: the hash alone does not protect."""
    data = pickle.dumps(Evil())
    (adapter / "adapter.safetensors").write_bytes(data)
    edit(adapter, adapter_sha256=hashlib.sha256(data).hexdigest())


def lying_header(adapter: Path) -> None:
    data = (2**62).to_bytes(8, "little") + b"{}"
    (adapter / "adapter.safetensors").write_bytes(data)
    edit(adapter, adapter_sha256=hashlib.sha256(data).hexdigest())


def outside_code(adapter: Path) -> None:
    tree = json.loads((adapter / "adapter.json").read_text(encoding="utf-8"))
    config = tree["config"] | {"backbone": {"kind": "os:system"}}
    edit(adapter, config=config)


def no_json(adapter: Path) -> None:
    (adapter / "adapter.json").write_bytes(pickle.dumps(Evil()))


SPOILED: dict[str, tuple[Callable[[Path], None], str]] = {
    "one byte": (one_byte, "changed or truncated"),
    "cut": (cut, "changed or truncated"),
    "other base": (lambda adapter: edit(adapter, base_sha256="0" * 64), "works only on its own base"),
    "newer": (lambda adapter: edit(adapter, format=99), "format 99.*update voxtune"),
    "pickle": (with_pickle, "cannot be read"),
    "pickle as facts": (no_json, "expected the facts of an adapter as JSON"),
    "lying header": (lying_header, "cannot be read"),
    "outside code": (outside_code, "No backbone named 'os:system'"),
    "unknown fact": (lambda adapter: edit(adapter, execute="rm"), "execute"),
    "no classes": (lambda adapter: edit(adapter, classes=[]), "classes"),
    "no temperature": (lambda adapter: edit(adapter, temperature=0), "temperature"),
    "no tensors": (lambda adapter: (adapter / "adapter.safetensors").unlink(), "has no adapter.safetensors"),
    "nothing": (shutil.rmtree, "is not an adapter"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_it_is_refused_with_the_reason(adapter: Path, name: str) -> None:
    spoil, reason = SPOILED[name]
    spoil(adapter)
    scan = adapter.parent / "scan.nii"
    scan.touch()
    result = CliRunner().invoke(main, ["predict", str(adapter), str(scan), "-o", str(adapter.parent / "out")])
    assert result.exit_code in {2, 3}, result.output
    assert re.search(reason, result.output), result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not (adapter.parent / MARK).exists()
    assert not (adapter.parent / "out").exists()


def test_the_unspoiled_copy_gets_past_its_loading(adapter: Path) -> None:
    scan = adapter.parent / "scan.nii"
    scan.touch()
    result = CliRunner().invoke(main, ["predict", str(adapter), str(scan), "-o", str(adapter.parent / "out")])
    assert result.exit_code == 3
    assert "scan.nii: the file is empty" in result.output


def test_tensors_of_another_shape_are_refused(adapter: Path) -> None:
    from safetensors.torch import load_file, save

    path = adapter / "adapter.safetensors"
    state = load_file(path)
    name = next(name for name, value in state.items() if value.ndim > 1)
    data = save(state | {name: state[name][:1]})
    path.write_bytes(data)
    edit(adapter, adapter_sha256=hashlib.sha256(data).hexdigest())
    (adapter.parent / "scan.nii").touch()
    result = CliRunner().invoke(main, ["predict", str(adapter), "scan.nii"])
    assert result.exit_code == 3
    assert "does not fit" in result.output
