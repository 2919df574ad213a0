"""The page on adding a method tells the truth: its code, in one file with one catalogue line, trains and comes back."""

import re
from pathlib import Path
from types import MappingProxyType

import pytest
import torch

import voxtune.choices
import voxtune.peft
from voxtune.backbones.tiny import Tiny
from voxtune.catalog import PEFT_METHODS
from voxtune.config import RunConfig, read_recipe
from voxtune.model.build import adapter_state, build_model, load_adapter_state
from voxtune.model.parameter_table import parameter_table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "add-a-method.md"
BASE = Tiny(
    fresh=True, volume=(32, 16, 16), stem=(8, 8), width=24, depth=4, heads=2, mlp=32, embed_dim=16,
    text=Tiny().text.model_copy(update={"width": 24, "depth": 2, "heads": 2, "mlp": 32}),
)  # fmt: skip


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """Recipe ``deft`` where the page's file and line are in place."""
    page = PAGE.read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    lines = re.findall(r'^ +"(\w+)": "voxtune\.peft\.(\w+):(\w+)",$', page, flags=re.MULTILINE)
    assert len(code) == len(lines) == 1
    assert len(code[0].splitlines()) <= 42
    name, module, kind = lines[0]
    (tmp_path / f"{module}.py").write_text(code[0], encoding="utf-8")
    monkeypatch.setattr(voxtune.peft, "__path__", [*voxtune.peft.__path__, str(tmp_path)])
    longer = MappingProxyType({**PEFT_METHODS, name: f"voxtune.peft.{module}:{kind}"})
    monkeypatch.setattr(voxtune.choices, "PEFT_METHODS", longer)
    return read_recipe("deft").model_copy(update={"backbone": BASE})


def test_the_example_of_the_page(recipe: RunConfig) -> None:
    edits = re.findall(r"--set '?((?:vision|text)=[^'\s]+)", PAGE.read_text(encoding="utf-8"))
    assert len(edits) == 2
    for edit in edits:
        recipe = recipe.edit(edit)
    assert RunConfig.from_json(recipe.to_json()) == recipe
    model = build_model(recipe)
    counts = {part.part: part.trained for part in parameter_table(model)}
    assert counts["vision.between.ssf"] == 2 * 2 * 24
    assert counts["text.between.ssf"] == 2 * 2 * 24

    volumes = torch.rand(3, 1, 32, 16, 16, generator=torch.Generator().manual_seed(0))
    ids, mask = model.backbone.tokenize(["A photo of NC", "A photo of MCI", "A photo of AD"])
    plain = build_model(recipe.edit("vision=visual_prompts(20)").edit("text=none"))
    torch.testing.assert_close(model.encode_image(volumes).vector, plain.encode_image(volumes).vector)

    trained = [value for name, value in model.named_parameters() if "ssf" in name]
    optimiser = torch.optim.SGD(trained, lr=0.5)
    for _ in range(3):
        optimiser.zero_grad()
        logits = 5 * model.encode_image(volumes).vector @ model.encode_text(ids, mask).vector.T
        loss = torch.nn.functional.cross_entropy(logits, torch.arange(3))
        loss.backward()
        assert all(value.grad is not None and bool(value.grad.any()) for value in trained)
        optimiser.step()
    again = build_model(recipe)
    load_adapter_state(again, adapter_state(model))
    torch.testing.assert_close(again.encode_image(volumes).vector, model.encode_image(volumes).vector)
    assert not torch.allclose(again.encode_image(volumes).vector, plain.encode_image(volumes).vector)


def test_without_the_line_the_name_is_unknown() -> None:
    with pytest.raises(voxtune.config.UsageError, match="No adaptation method named 'ssf'"):
        read_recipe("deft").edit("vision=ssf(2)")
