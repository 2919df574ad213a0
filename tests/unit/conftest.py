"""What unit tests share: the shrunken backbones of the contract test."""

import importlib.util
from pathlib import Path
from types import ModuleType

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
