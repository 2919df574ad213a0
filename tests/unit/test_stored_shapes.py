"""What one command stored and another looks up is refused in a sentence where a name is missing or a value is of another kind."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from voxtune.commands.curve.results import read_point
from voxtune.commands.train.start import is_done
from voxtune.errors import DataError
from voxtune.evaluation.choice import CHOICE, read_choice
from voxtune.evaluation.run_list import FOLDS, run_folders
from voxtune.evaluation.tables import read_metrics
from voxtune.run_dir import RunDir, read_json, write_json
from voxtune.storage.seal import Stored, read_sealed, write_sealed
from voxtune.training.checkpoint import Standing, load_checkpoint, save_checkpoint
from voxtune.types import stored

SHAPES = [one for one in vars(stored).values() if hasattr(one, "__required_keys__")]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=4), inside, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    "shape", [one for one in SHAPES if one.__required_keys__], ids=lambda one: one.__name__
)
@pytest.mark.parametrize("seal", [True, False])
def test_an_empty_object_is_none_of_them(shape: type, seal: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    if seal:
        write_sealed(path, {})
    else:
        path.write_text("{}")
    with pytest.raises(DataError, match=r"a\.json: expected what it is; "):
        read_json(path, "what it is", shape)


@given(values=st.dictionaries(st.text(min_size=1, max_size=4), VALUES, max_size=4), name=st.text(max_size=5))
def test_a_name_that_is_missing_is_told_with_its_file_at_any_depth(
    values: dict[str, Any], name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "kept.json"
    write_sealed(path, {"whole": values})
    found = read_sealed(path, "what was kept")
    assert found == {"whole": values}
    assert json.loads(json.dumps(found)) == found
    for place in (found, found["whole"]):
        assert isinstance(place, Stored)
        if name not in place:
            with pytest.raises(DataError, match=r"kept\.json: expected what was kept; '") as told:
                place[name]
            assert f"'{name}' is missing" in str(told.value)
            assert place.get(name) is None


@pytest.mark.parametrize("content", [{}, {"folds": 3}, {"folds": [["a"]]}, {"folds": None}])
def test_folds_that_are_none(content: dict[str, Any], tmp_path: Path) -> None:
    write_json(tmp_path / FOLDS, content)
    with pytest.raises(DataError, match="the folds of a cross-validation"):
        run_folders(tmp_path)


@pytest.mark.parametrize(
    "content", [{}, {"candidates": 1}, {"candidates": [{}], "chosen": 0, "metric": "", "participants": {}}]
)
def test_a_choice_that_is_none(content: dict[str, Any], tmp_path: Path) -> None:
    write_json(tmp_path / CHOICE, content)
    with pytest.raises(DataError, match="what a run chose"):
        read_choice(tmp_path)


@pytest.mark.parametrize("training", [None, 3, {}, {"seed": "x", "scans": {}, "participants": {}}])
def test_an_adapter_that_says_nothing_of_its_training(training: Any, tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    write_json(run.adapter / "adapter.json", {"adapter_sha256": "a", "training": training})
    with pytest.raises(DataError, match=r"adapter\.json: expected the facts of an adapter"):
        read_point(tmp_path, tmp_path, None)


def test_a_run_is_done_when_its_page_is_there(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.adapter.mkdir()
    (run.adapter / "adapter.safetensors").touch()
    assert not is_done(tmp_path)
    run.page.touch()
    assert is_done(tmp_path)


@pytest.mark.parametrize(
    "changed",
    [{"best_metric": None}, {"best_epoch": None}, {"history": []}, {"history": 3}, {"epoch": "x"}, {"sums": {"a": []}}, {"history": [{"best": False}]}],
)  # fmt: skip
def test_a_checkpoint_whose_facts_are_none(changed: dict[str, Any], tmp_path: Path) -> None:
    standing = Standing(epoch=1, best_metric=0.5, best_epoch=0, history=[{"best": True}])
    save_checkpoint(tmp_path, standing.name, {"a": torch.zeros(1)}, standing)
    assert load_checkpoint(tmp_path, standing.name)[1] == standing
    path = tmp_path / f"{standing.name}.json"
    write_sealed(path, dict(read_sealed(path, "a checkpoint")) | changed)
    with pytest.raises(DataError, match="cannot be read"):
        load_checkpoint(tmp_path, standing.name)


@pytest.mark.parametrize("score", [3, None, "x", [], {"value": "x"}])
def test_a_score_that_is_none_is_not_exported(score: Any, tmp_path: Path) -> None:
    write_json(tmp_path / "metrics.json", {"accuracy": score})
    with pytest.raises(DataError, match=r"metrics\.json: not a table of scores"):
        read_metrics(tmp_path / "metrics.json")
