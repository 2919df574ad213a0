"""Loading accounts for every key of a file and every place of a model, exactly once."""

import string

from hypothesis import given
from hypothesis import strategies as st

from voxtune.weights.load import KeyRules, plan

NAMES = st.text(alphabet=string.ascii_lowercase[:4] + ".", min_size=1, max_size=6)
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 3))
STATE = st.dictionaries(NAMES, SHAPES, max_size=12)
RULES = KeyRules(model="x", rename=((r"^a", "b"),), drop=((r"^c", "unused"),), new=(r"^d",), alone="v.")


@given(theirs=STATE, ours=STATE, part=st.sampled_from(["whole", "vision"]))
def test_keys_and_places_are_partitioned(
    theirs: dict[str, tuple[int, int]], ours: dict[str, tuple[int, int]], part: str
) -> None:
    found = plan(theirs, ours, RULES, part=part)
    assert sorted([*found.places.values(), *found.dropped, *found.unknown]) == sorted(theirs)
    assert sorted([*found.places, *found.new, *found.missing]) == sorted(ours)
    assert len(found.shaped) == sum(ours[name] != theirs[key] for name, key in found.places.items())
    assert found.fits == (not found.unknown and not found.missing and not found.shaped)
    if not found.fits:
        said = found.misfit("x")
        assert all(key in said for key in found.unknown[:3] + found.missing[:3])


@given(state=STATE)
def test_a_models_own_names_always_fit(state: dict[str, tuple[int, int]]) -> None:
    assert plan(state, state, KeyRules(model="x")).fits
