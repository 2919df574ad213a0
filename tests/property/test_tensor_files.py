"""The same tensors and facts are the same bytes: adapters are pinned to the sha256 of what was converted or merged."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from voxtune.storage.tensors import write_tensors

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=15)
@given(
    facts=st.dictionaries(TEXT, TEXT, min_size=2, max_size=6),
    names=st.lists(TEXT.filter(lambda name: name != "__metadata__"), min_size=1, max_size=5, unique=True),
)
def test_the_same_content_is_the_same_bytes(
    facts: dict[str, str], names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    tensors = {name: torch.full((place + 1,), float(place)) for place, name in enumerate(names)}
    found = set()
    for _ in range(4):
        write_tensors(folder / "a.safetensors", tensors, facts)
        write_tensors(folder / "b.safetensors", tensors, dict(reversed(facts.items())))
        found |= {(folder / name).read_bytes() for name in ("a.safetensors", "b.safetensors")}
    assert len(found) == 1
    with safe_open(folder / "a.safetensors", "pt") as stored:
        assert stored.metadata() == facts
        assert all(torch.equal(stored.get_tensor(name), value) for name, value in tensors.items())
