"""An adapter that is not whole, not finite or not of a size is refused before anything is built of it."""

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from voxtune.errors import ScanError, WeightsError
from voxtune.evaluation.answers import answers_alone
from voxtune.model import adapter as adapters
from voxtune.model.adapter import FILES, load_adapter, read_facts
from voxtune.model.adapter_bounds import _values, check_bounds
from voxtune.model.questions import ClassQuestion
from voxtune.serving.bundled import adapter_folder
from voxtune.storage.seal import SUMS, write_sums
from voxtune.types.conformal import ConformalScores
from voxtune.types.records import Comparison, Prediction


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return Path(shutil.copytree(adapter_folder(Path("demo")), tmp_path / "strange"))


def edit(adapter: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the facts, with sums that fit: whoever sends an adapter can write those too."""
    tree = json.loads((adapter / "adapter.json").read_text(encoding="utf-8"))
    change(tree)
    (adapter / "adapter.json").write_text(json.dumps(tree), encoding="utf-8")
    write_sums(adapter, FILES)


def put(*path: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    def change(tree: dict[str, Any]) -> None:
        for name in path[:-1]:
            tree = tree[name]
        tree[path[-1]] = value

    return change


HOSTILE = {
    "temperature": (put("temperature", value=float("nan")), "JSON"),
    "infinite offset": (put("offsets", "NC", value=float("inf")), "JSON"),
    "many classes": (put("classes", value=[str(n) for n in range(1001)]), "more classes"),
    "many texts": (put("class_texts", value=["x {name}"] * 201), "more classes or texts"),
    "escape in a class": (put("classes", value=["NC\x1b[2J", "MCI", "AD"]), "control characters"),
    "a heading in a class": (put("classes", value=["NC\n\n# Safe", "MCI", "AD"]), "not one line"),
    "turned around": (put("licence", value="\u202egpj"), "control characters"),
    "escape in a name": (put("training", "\x1b", value=1), "control characters"),
    "long text": (put("licence", value="x" * 10_001), "10001 characters"),
    "deep": (put("config", "backbone", "depth", value=10**9), "'depth' is larger"),
    "wide": (put("config", "backbone", "width", value=2**40), "'width' is larger"),
    "huge volume": (put("config", "backbone", "volume", value=[2**19, 2**19, 2**19]), "longer or larger"),
    "a class twice": (put("classes", value=["NC", "MCI", "NC"]), "named twice"),
    "other classes": (put("trust", "reference", "classes", value=["NC", "MCI", "X"]), "of other classes"),
    "a finding by one text": (put("task", value="findings"), "two texts"),
    "no spread": (put("trust", "familiar", "variances", 0, value=0), "variances"),
    "a direction more": (put("trust", "familiar", "directions", 0, value=[0.1]), "number for each feature"),
    "many findings": (put("config", "classes", "findings", value=["x"] * 5000), "longer or larger"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_no_adapter_needs_is_refused_before_it_is_built(adapter: Path, name: str) -> None:
    change, said = HOSTILE[name]
    edit(adapter, change)
    with pytest.raises(WeightsError, match=said):
        load_adapter(adapter)


def numbers(tree: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The place of every number, of a list the first and the last."""
    if isinstance(tree, dict):
        for name, one in tree.items():
            yield from numbers(one, (*path, name))
    elif isinstance(tree, list):
        for place in sorted({0, len(tree) - 1} if tree else ()):
            yield from numbers(tree[place], (*path, place))
    elif isinstance(tree, int | float) and not isinstance(tree, bool):
        yield path


@pytest.mark.parametrize("value", [1e31, -1e308, 10**60, 5e-324])
def test_every_number_is_one_that_can_be_computed_with(adapter: Path, value: float) -> None:
    tree = json.loads((adapter / "adapter.json").read_text(encoding="utf-8"))
    for path in numbers(tree):
        changed = copy.deepcopy(tree)
        put(*path, value=value)(changed)
        with pytest.raises(WeightsError, match=r"no such number|is larger than"):
            check_bounds(changed, "strange")


def test_what_a_training_may_keep_an_adapter_may_state() -> None:
    # A softmax of far-apart classes leaves such shares.
    kept = ConformalScores(scores=(1e-300, 1e-17, 0.5), without=(5e-324,))
    assert _values(json.loads(kept.model_dump_json()), "") is None
    assert kept.scores[0] == 0.0
    assert kept.scores[1] == 1e-17


def test_a_base_that_no_memory_holds_is_not_built(adapter: Path) -> None:
    edit(
        adapter,
        put(
            "config",
            "backbone",
            value={"kind": "m3d", "fresh": True, "width": 2**16, "mlp": 2**18, "heads": 16},
        ),
    )
    with pytest.raises(WeightsError, match="more than the limit of 10,000,000,000"):
        load_adapter(adapter)


def test_facts_beyond_their_size_are_not_read(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "LARGEST_JSON", 100)
    with pytest.raises(WeightsError, match="more than the limit of 100"):
        read_facts(adapter)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_one_number_that_is_none_refuses_the_adapter(adapter: Path, value: float) -> None:
    state = load_file(adapter / FILES[0])
    name = next(name for name, one in state.items() if one.is_floating_point() and one.numel() > 1)
    state[name].view(-1)[0] = value
    _write(adapter, save(state))
    with pytest.raises(WeightsError, match="NaN or infinite"):
        load_adapter(adapter)


def test_tensors_of_other_kinds_of_numbers_are_refused(adapter: Path) -> None:
    state = load_file(adapter / FILES[0])
    name = next(iter(state))
    _write(adapter, save(state | {name: state[name].to(torch.complex64)}))
    with pytest.raises(WeightsError, match="expected real numbers"):
        load_adapter(adapter)


def _write(adapter: Path, data: bytes) -> None:
    import hashlib

    (adapter / FILES[0]).write_bytes(data)
    edit(adapter, put("adapter_sha256", value=hashlib.sha256(data).hexdigest()))


def test_one_changed_byte_of_either_file_or_of_the_sums_is_refused(adapter: Path) -> None:
    write_sums(adapter, FILES)
    for name in (*FILES, SUMS):
        whole = (adapter / name).read_bytes()
        for place in (0, len(whole) // 2, len(whole) - 1):
            damaged = bytearray(whole)
            damaged[place] ^= 1
            (adapter / name).write_bytes(damaged)
            with pytest.raises(WeightsError):
                load_adapter(adapter)
        (adapter / name).write_bytes(whole)
    load_adapter(adapter)


def test_a_new_adapter_without_its_sums_is_not_whole_and_an_old_one_is(adapter: Path) -> None:
    edit(adapter, put("format", value=2))
    read_facts(adapter)
    (adapter / SUMS).unlink()
    with pytest.raises(WeightsError, match="has no SHA256SUMS"):
        read_facts(adapter)
    edit(adapter, put("format", value=1))
    (adapter / SUMS).unlink()
    assert read_facts(adapter).format == 1


def test_an_answer_that_is_no_number_is_no_answer() -> None:
    question = ClassQuestion(("NC", "AD"), ("{name}",))
    logits = torch.tensor([[0.0, 1.0], [float("nan"), 0.0], [0.0, float("inf")]])
    with pytest.raises(
        ScanError, match=r"b: what the model says of it is not a finite number \(so of 2 of 3"
    ):
        answers_alone(question, ["a", "b", "c"], logits, {})
    with pytest.raises(ScanError, match="c: "):
        answers_alone(question, ["c"], logits[:1], {"mmse": torch.tensor([float("nan")])})
    with pytest.raises(ValueError, match="finite"):
        Prediction(scan_id="a", predicted="NC", probabilities={"NC": np.nan})


def test_a_comparison_decides_nothing_on_nan() -> None:
    made = Comparison("accuracy", "a test", 1.0, 0.0, 1.0, 0.5, 1.0, 0.01, float("nan"), 9, 9)
    assert made.sign == 0
