"""The names of ``import voxtune`` take a path as text or as ``Path``, whichever of them it is."""

import inspect
from typing import Any

import pytest

import voxtune

CALLED = [name for name in voxtune.__all__ if name not in {"__version__", "RunConfig"}]


def paths_alone(function: Any) -> list[str]:
    """The parameters that take a ``Path`` and no text."""
    target = function.__init__ if inspect.isclass(function) else function
    return [
        name
        for name, one in inspect.signature(target).parameters.items()
        if "Path" in str(one.annotation) and "str" not in str(one.annotation)
    ]


@pytest.mark.parametrize("name", CALLED)
def test_a_path_may_be_a_text(name: str) -> None:
    assert paths_alone(getattr(voxtune, name)) == []


def test_a_parameter_that_takes_no_text_is_found() -> None:
    from voxtune.commands.split import split

    assert "manifest" in paths_alone(split)
