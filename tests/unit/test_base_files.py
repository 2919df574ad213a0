"""An adapter knows the files of its base and finds them: given, beside it, where its run found them, in VOXTUNE_HOME; random numbers only where asked for."""

import json
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from voxtune.backbones.m3d_clip import M3dClip
from voxtune.backbones.tiny import Tiny
from voxtune.catalog import BACKBONES, load
from voxtune.cli import main
from voxtune.config import RunConfig, read_recipe
from voxtune.errors import UsageError, WeightsError
from voxtune.evaluation.evaluated_model import own_base, read_model
from voxtune.model.adapter import AdapterFacts, load_adapter, read_facts, save_adapter, shareable_config
from voxtune.model.base_files import base_files, check_weights, lacks_weights, steps, with_files
from voxtune.model.build import build_model
from voxtune.run_dir import write_text

ASSETS = Path(str(files("voxtune.backbones") / "assets" / "tiny"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a base that is not shipped, with its tokenizer beside them."""
    folder = tmp_path_factory.mktemp("base")
    tensors = load_file(ASSETS / "tiny.safetensors")
    first = next(iter(tensors))
    save_file(tensors | {first: tensors[first] + 1}, folder / "mine.safetensors")
    shutil.copy(ASSETS / "tokenizer.json", folder)
    return folder


@pytest.fixture(scope="module")
def run(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose adapter was made on those weights."""
    root = tmp_path_factory.mktemp("run")
    backbone = Tiny(weights=base / "mine.safetensors", tokenizer=base)
    config = read_recipe("deft").model_copy(update={"backbone": backbone, "text": ()}).settled()
    model = build_model(config)
    facts = AdapterFacts(
        base="tiny", base_files=base_files(backbone), base_sha256=model.base_sha256, adapter_sha256="", preset="tiny",
        classes=("NC", "AD"), class_texts=("{name}",), config=shareable_config(config),
    )  # fmt: skip
    save_adapter(root / "adapter", model, facts, "")
    write_text(root / "config.json", config.to_json())
    return root


@pytest.fixture
def adapter(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The adapter alone, on a machine that has nothing else."""
    monkeypatch.setenv("VOXTUNE_HOME", str(tmp_path / "home"))
    return Path(shutil.copytree(run / "adapter", tmp_path / "adapter"))


def test_an_adapter_states_its_files_without_places(run: Path, base: Path) -> None:
    facts = read_facts(run / "adapter")
    assert facts.base_files.keys() == {"weights", "tokenizer/tokenizer.json"}
    assert str(base) not in (run / "adapter" / "adapter.json").read_text(encoding="utf-8")
    shipped = AdapterFacts.model_validate(facts.model_dump() | {"base_files": {}})
    assert "base_files" not in shipped.model_dump(), "of a shipped base nothing is added"


def test_what_is_missing_is_the_two_commands_that_get_it(adapter: Path) -> None:
    with pytest.raises(WeightsError) as error:
        load_adapter(adapter)
    for words in ("needs the weights of tiny (sha256 ", "voxtune weights get tiny", "voxtune weights convert tiny FILE", "--base FILE or FOLDER"):  # fmt: skip
        assert words in str(error.value)


PLACES: dict[str, Callable[[Path, Path, Path], Path | None]] = {
    "beside the adapter": lambda base, adapter, _: _copied(base, adapter),
    "VOXTUNE_HOME": lambda base, _, home: _copied(base, home / "weights" / "tiny"),
    "a folder that is named": lambda base, *_: base,
    "a file that is named": lambda base, *_: base / "mine.safetensors",
}


def _copied(base: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in base.iterdir():
        shutil.copy(path, target)
    # Of several files the sha256 decides; one that 'weights convert' states need not be read.
    shutil.copy(ASSETS / "tiny.safetensors", target / "a.safetensors")
    (target / "a.json").write_text("[]", encoding="utf-8")


@pytest.mark.parametrize("place", PLACES)
def test_it_is_found(place: str, adapter: Path, base: Path, tmp_path: Path) -> None:
    named = PLACES[place](base, adapter, tmp_path / "home")
    assert load_adapter(adapter, named).facts.base == "tiny"


def test_it_is_found_where_its_run_found_it(
    run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOXTUNE_HOME", str(tmp_path))
    assert load_adapter(run / "adapter").facts.base == "tiny"
    other = Path(shutil.copytree(run, tmp_path / "run"))
    (other / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(WeightsError, match="voxtune weights get"):
        load_adapter(other / "adapter")


def test_a_named_place_without_it_is_an_error(adapter: Path, base: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="not 'empty' nor in it"):
        load_adapter(adapter, tmp_path / "empty")
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(base / "mine.safetensors", bare)
    with pytest.raises(WeightsError, match=r"needs the tokenizer of tiny \(tokenizer.json\)"):
        load_adapter(adapter, bare)


def test_text_weights_are_found_by_their_sum(base: Path, tmp_path: Path) -> None:
    import hashlib

    settings = load(BACKBONES, "radfm", "backbone")()
    text = tmp_path / "text.safetensors"
    text.write_bytes(b"text")
    vision = tmp_path / "radfm.safetensors"
    vision.write_bytes(b"vision")
    known = {"text_weights": hashlib.sha256(b"text").hexdigest()}
    found = with_files(settings, "radfm", known, tmp_path / "adapter", vision)
    assert (found.weights, found.text_weights) == (vision, text)
    with pytest.raises(WeightsError, match="needs the text weights of radfm"):
        with_files(settings, "radfm", {"text_weights": "0" * 64}, tmp_path / "adapter", vision)
    assert with_files(settings, "radfm", {}, tmp_path / "adapter", tmp_path).weights == vision


def test_every_base_is_shipped_or_refused_without_weights() -> None:
    for kind in BACKBONES:
        settings = load(BACKBONES, kind, "backbone")
        if kind in {"tiny", "tiny_untaught", "ct_clip_small"}:
            assert not lacks_weights(settings()), kind
            continue
        with pytest.raises(UsageError, match=r"--set backbone\.fresh=true"):
            check_weights(settings(), kind)
        check_weights(settings(fresh=True), kind)
        check_weights(settings(weights=Path("x")), kind)


def test_every_command_refuses_random_numbers(tmp_path: Path) -> None:
    (tmp_path / "m.tsv").write_text("participant_id\tscan_id\timage\n", encoding="utf-8")
    config = tmp_path / "config.json"
    plain = read_recipe("deft").model_copy(update={"backbone": M3dClip()})
    config.write_text(plain.to_json(), encoding="utf-8")
    for command in (
        ["train", str(config), "-o", str(tmp_path / "run"), "--data", str(tmp_path / "m.tsv")],
        ["evaluate", str(config), "--data", str(tmp_path / "m.tsv"), "-o", str(tmp_path / "out")],
    ):
        said = CliRunner().invoke(main, command)
        assert said.exit_code in {2, 3}, said.output
        assert steps("m3d").splitlines()[1] in said.output
    assert plain.edit("backbone.fresh=true").backbone == M3dClip(fresh=True)
    assert RunConfig.from_json(plain.to_json()).backbone == M3dClip()
    assert json.loads(plain.to_json())["backbone"]["fresh"] is False


def test_an_evaluation_looks_for_a_base_that_has_moved(
    base: Path, run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Tiny(weights=base / "mine.safetensors", tokenizer=base)
    assert own_base(settings) is settings
    assert own_base(Tiny(weights=base / "gone.safetensors")) is None
    config = tmp_path / "config.json"
    config.write_text(
        read_recipe("deft").model_copy(update={"backbone": M3dClip()}).to_json(), encoding="utf-8"
    )
    with pytest.raises(UsageError, match="no weights"):
        read_model(config)


def test_the_weights_of_a_home_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxtune.backbones.m3d_clip import M3dClip
    from voxtune.model.base_files import from_home

    monkeypatch.setenv("VOXTUNE_HOME", str(tmp_path))
    assert from_home(M3dClip(), "m3d") == M3dClip(), "nothing is there"
    home = tmp_path / "weights" / "m3d"
    home.mkdir(parents=True)
    for name in ("m3d.safetensors", "vocab.txt"):
        (home / name).touch()
    found = from_home(M3dClip(), "m3d")
    assert (found.weights, found.tokenizer) == (home / "m3d.safetensors", home)
    named = M3dClip(weights=tmp_path / "mine.safetensors")
    assert from_home(named, "m3d") == named, "what was named wins"
