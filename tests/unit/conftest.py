"""What unit tests share: the shrunken backbones of the contract test."""

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def shrunken() -> ModuleType:
    """The module ``test_backbone_contract``: ``SMALL``, ``small(name)``, ``volumes(model)``, ``ids(model)``."""
    path = Path(__file__).parent / "test_backbone_contract.py"
    spec = importlib.util.spec_from_file_location("shrunken_backbones", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def vanishing() -> Callable[[Mapping[str, Any]], list[str]]:
    """A function from parameters with gradients in float64 to the names of those whose gradient is zero in truth.

    In float32 a gradient that is zero in truth may be rounding noise, which is not zero, or not, by the instruction set; in
    float64 zero and very little are far apart.
    """

    def names(parameters: Mapping[str, Any]) -> list[str]:
        sizes = {}
        for name, value in parameters.items():
            assert str(value.dtype) == "torch.float64", name
            sizes[name] = 0.0 if value.grad is None else float(value.grad.abs().max())
        least = 1e-12 * max(sizes.values())
        return [name for name, size in sizes.items() if size <= least]

    return names


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of 24 SIMULATED people, one scan each, for tests that train."""
    from voxtune.commands.simulate.command import simulate

    return simulate(tmp_path_factory.mktemp("people"), participants=24, visits=1, seed=3)


@pytest.fixture(autouse=True)
def _figures_are_not_drawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures for papers cost a second of each evaluation; ``test_print_files`` draws them, and so do the tests of whole paths."""
    if request.path.stem not in {"test_print_files", "test_explain_prints", "test_embed", "test_curve"}:
        for module in ("evaluation_prints", "comparison_prints", "explain_prints", "demo_prints"):
            monkeypatch.setattr(f"voxtune.pages.{module}.write_figure", lambda *_, **__: None)


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals from 100 draws of participants: for tests that score many runs and look at no interval."""
    from voxtune.evaluation.evaluation import Evaluation
    from voxtune.evaluation.intervals import Draw

    monkeypatch.setattr(Evaluation, "draw", property(lambda self: Draw(100, self.model.config.seed)))
