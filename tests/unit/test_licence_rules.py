"""Licences of bases as rules: what follows into the card, what is refused, with the clause named."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

import voxtune
from voxtune.commands.export import check_licence
from voxtune.commands.train.adapter import licence_of
from voxtune.commands.weights.convert import convert
from voxtune.errors import LicenceError
from voxtune.model.adapter import AdapterFacts
from voxtune.pages.model_card import model_card
from voxtune.weights.licences import stated_beside, terms
from voxtune.weights.published import PUBLISHED

M3D = {"volume": (4, 8, 8), "patch": (2, 4, 4), "width": 24, "depth": 1, "heads": 2, "mlp": 32,
       "text": {"vocab": 60, "width": 24, "depth": 1, "heads": 2, "mlp": 32, "max_length": 20, "pooler": True}}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "rules"),
    [
        ("MIT", ""), ("Apache-2.0", ""), ("CC BY 4.0", ""), ("CC BY-NC 4.0", "nc"), ("CC-BY-NC-SA-4.0", "nc sa"), ("CC BY-NC-ND 4.0", "nc nd"),
        ("cc-by-nd-4.0", "nd"), ("non-commercial (read the licence beside the file)", "nc"), ("noncommercial, share alike", "nc sa"),
        ("for commercial and non-commercial use", ""), ("unknown", "?"), ("unstated", "?"), ("code MIT; weights without a statement", "?"),
        ("Creative Commons Attribution-NonCommercial-NoDerivatives 4.0", "nc nd"), ("SANDIA licence", ""),
    ],
)  # fmt: skip
def test_words_become_rules(words: str, rules: str) -> None:
    found = terms(words)
    flags = {
        "nc": found.non_commercial,
        "sa": found.share_alike,
        "nd": found.no_derivatives,
        "?": not found.known,
    }
    assert " ".join(name for name, on in flags.items() if on) == rules
    assert len(found.rules) == len(rules.split())


def test_every_base_has_terms() -> None:
    assert not terms(PUBLISHED["colipri"].licence).rules
    assert terms(PUBLISHED["neurovfm"].licence).share_alike
    assert terms(PUBLISHED["brainiac"].licence).non_commercial
    assert terms(PUBLISHED["ct_clip"].licence).share_alike


def facts(licence: str, vision: tuple[dict[str, object], ...] = ({"kind": "lora"},)) -> AdapterFacts:
    return AdapterFacts(
        base="some_base", base_sha256="0", adapter_sha256="0", preset="m3d", classes=("a", "b"), class_texts=("{name}",), licence=licence,
        training={"scans": dict.fromkeys(("train", "val", "test"), 1), "participants": dict.fromkeys(("train", "val", "test"), 1),
                  "diagnoses": {"a": 1}, "recipe": "x", "seed": 0},
        config={"vision": list(vision), "text": []},
    )  # fmt: skip


def test_no_derivatives_forbids_a_changed_copy_and_names_the_clause() -> None:
    bound = facts("CC BY-NC-ND 4.0")
    check_licence(bound, merge=False)
    with pytest.raises(LicenceError, match=r"NoDerivatives, Section 2\(a\)\(1\)\(B\)"):
        check_licence(bound, merge=True)
    whole = facts("CC BY-NC-ND 4.0", ({"kind": "full"},))
    with pytest.raises(LicenceError, match="whole vision tower"):
        check_licence(whole, merge=False)
    for free in ("MIT", "CC BY-NC-SA 4.0", "unknown"):
        check_licence(facts(free, ({"kind": "full"},)), merge=True)


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        ("CC BY-NC-SA 4.0", ("Non-commercial use only", "only under the same licence (CC 4.0: Section 3(b)")),
        ("CC BY-NC-ND 4.0", ("Non-commercial use only", "keep the adapter to yourself")),
        ("unknown", ("is not known: ask its authors",)),
    ],
)
def test_the_card_says_what_must_be_kept(licence: str, said: tuple[str, ...]) -> None:
    tree = facts(licence).model_dump(mode="json")
    card = model_card(tree)
    for one in said:
        assert one in card
    assert "what the base has seen in its own pretraining: not known" in card
    control = model_card(tree | {"control_of": "abc", "training": tree["training"] | {"learned": {"metric": "auroc", "value": 0.5}},
                                 "config": {"training": {"epochs": 1}}})  # fmt: skip
    assert said[0] in control


def test_the_card_says_what_the_base_has_seen() -> None:
    card = model_card(facts("MIT").model_dump(mode="json") | {"base": "colipri"})
    assert "CT-RATE train" in card
    assert "2510.15042" in card
    assert "Non-commercial" not in card


CC = "Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International Public License\n\nBy exercising ...\n"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("LICENSE", CC, "CC BY-NC-SA 4.0 (file sha256 "),
        ("LICENSE.txt", "# Institution X Research Licence\nfor non-commercial use\n", "Institution X Research Licence; non-commercial (file "),
        ("LICENSE", "MIT License\n\nPermission is hereby granted, free of charge, to any person\n", "MIT License (file "),
        ("README.md", "---\nlicense: cc-by-nc-nd-4.0\ntags: [x]\n---\n# Card\n", "CC BY-NC-ND 4.0 (card "),
        ("README.md", "---\nlicense: other\nlicense_name: acme-research\n---\n", "acme-research (card "),
        ("README.md", "no card\n", None),
        ("LICENSE", "\n", "unstated (file "),
    ],
)  # fmt: skip
def test_the_licence_beside_a_file_is_read(name: str, text: str, said: str | None, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = stated_beside(tmp_path / "model.bin")
    assert found is None if said is None else str(found).startswith(said)


def test_a_licence_travels_from_conversion_into_the_adapter(tmp_path: Path) -> None:
    model = voxtune.load_backbone("m3d", **M3D)
    names = {"vision.": "vision_encoder.", "text.": "language_encoder.", "vision_projection.": "mm_vision_proj.", "text_projection.": "mm_language_proj."}  # fmt: skip
    state = {}
    for key, value in model.state_dict().items():  # type: ignore[attr-defined]
        ours, theirs = next(((a, b) for a, b in names.items() if key.startswith(a)), ("", ""))
        state[theirs + key[len(ours) :]] = value
    torch.save(state, tmp_path / "m3d.bin")
    (tmp_path / "LICENSE").write_text(CC, encoding="utf-8")
    record = convert("m3d", tmp_path / "m3d.bin", tmp_path / "m3d.safetensors")
    with safe_open(tmp_path / "m3d.safetensors", framework="pt") as file:
        assert file.metadata()["licence"] == record["licence"]
        assert json.loads(file.metadata()["card"]) == {}
    loaded = voxtune.load_backbone("m3d", tmp_path / "m3d.safetensors", **M3D)
    assert licence_of("m3d", loaded) == record["licence"]
    assert licence_of("m3d", model) == PUBLISHED["m3d"].licence
    assert licence_of("m3d") == PUBLISHED["m3d"].licence
    assert licence_of("tiny") == "Apache-2.0"
    assert licence_of("my_own") == "unstated"


@pytest.mark.parametrize("method", ["deft", "medct"])
@pytest.mark.parametrize("base", ["colipri", "neurovfm", "brainiac"])
def test_recipes_on_the_bases_of_2026(method: str, base: str) -> None:
    from voxtune.catalog import PRESETS, load
    from voxtune.config import read_recipe
    from voxtune.model.build import build_model

    config = read_recipe(f"{method}_{base}")
    assert type(config).from_json(config.to_json()) == config
    with torch.device("meta"):
        model = build_model(config)
    assert tuple(model.backbone.volume_shape) == load(PRESETS, config.preset).tensor_shape
    share = sum(value.numel() for value in model.parameters() if value.requires_grad) / sum(
        value.numel() for value in model.parameters()
    )
    assert 0.001 < share < 0.02
