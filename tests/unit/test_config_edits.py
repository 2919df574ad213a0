"""Settings travel as JSON and are edited by path; every mistake is a sentence that helps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxtune.catalog import TABLES, load
from voxtune.config import RunConfig, read_recipe
from voxtune.errors import UsageError


@pytest.fixture(scope="module")
def recipe() -> RunConfig:
    config = load(TABLES["recipes"], "deft")()
    assert isinstance(config, RunConfig)
    return config


def test_values_are_read_as_their_setting_needs_them(recipe: RunConfig) -> None:
    edited = (
        recipe.edit("training.epochs=3")
        .edit("vision.0.length=7")
        .edit("aggregation.form=none")
        .edit("training.stop_after=none")
    )
    assert edited.training.epochs == 3
    assert edited.model_dump()["vision"][0]["length"] == 7
    assert edited.aggregation.form == "none"
    assert edited.training.stop_after is None
    assert edited.edit('classes.names=["A","B"]').classes.names == ("A", "B")
    assert edited.edit('vision=["visual_prompts"]').model_dump()["vision"][0]["length"] == 20
    assert recipe.training.epochs != 3  # the recipe itself is frozen


def test_methods_are_written_as_calls(recipe: RunConfig) -> None:
    def kinds(assignment: str) -> list[dict[str, object]]:
        return list(recipe.edit(assignment).model_dump()[assignment.partition("=")[0]])

    prompts, lora = kinds("vision=visual_prompts(16, deep=false),lora(4, alpha=2.5, variant=dora)")
    assert (prompts["kind"], prompts["length"], prompts["deep"]) == ("visual_prompts", 16, False)
    assert (lora["kind"], lora["rank"], lora["alpha"], lora["variant"]) == ("lora", 4, 2.5, "dora")
    assert kinds("text=lora(2, targets=(self.query, 'layer.*key'))")[0]["targets"] == (
        "self.query",
        "layer.*key",
    )
    assert kinds("text=lora(targets=query)")[0]["targets"] == ("query",)
    assert kinds("text=lora")[0]["rank"] == 8
    assert kinds("text=lora(rank=3, alpha=none)")[0]["rank"] == 3
    assert kinds("text=none") == kinds("text=") == kinds("text=[]") == []
    assert kinds('text=["lora(5)", {"kind": "text_prompts"}]')[0]["rank"] == 5
    assert recipe.edit("vision.0=lora(6)").model_dump()["vision"][0]["rank"] == 6
    again = recipe.edit("vision=visual_prompts(16),lora(4)")
    assert RunConfig.from_json(again.to_json()) == again


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("training.epoch=3", r"No setting 'training\.epoch'\. Here: epochs, batch_size"),
        ("vision.1.length=3", "a list of 1 has no entry '1'"),
        ("training.epochs.x=3", "No setting"),
        ("training.epochs", "--set takes PATH=VALUE"),
        ("training.epochs=many", r"Setting 'training\.epochs'.*got 'many'"),
        ("training.epochs=0", r"Setting 'training\.epochs'.*greater than or equal to 1"),
        ("loss.targets=person", r"Setting 'loss\.targets'"),
        ("backbone.kind=tinny", "Did you mean 'tiny'"),
        ("vision=lorra(8)", "Did you mean 'lora'"),
        ("vision=lora(8, rnk=3)", "lora has no setting 'rnk'; it has: rank, alpha"),
        ("vision=lora(8, 16)", r"lora takes one value without a name \('rank'\), got 2"),
        ("vision=lora(8, rank=3)", "'rank' is given twice"),
        ("vision=lora(0)", r"lora: Setting 'rank'.*greater than or equal to 1"),
        ("vision=lora(many)", "lora: Setting 'rank'.*got 'many'"),
        ("vision=lora(8", "no list of choices like"),
        ("vision=lora(2 ** 99)", r"'2 \*\* 99' is neither a name nor a plain value"),
        ("vision=lora(*x)", "neither a name"),
        ("vision=lora(**x)", "needs a name of its own"),
        ("vision=open('x').read()", "neither a name"),
        ("vision.0=lora(2),lora(3)", "Expected one adaptation method"),
        ('vision.0={"kind": "lora", "rank": "x"}', r"Setting 'vision\.0\.rank'"),
    ],
)
def test_a_wrong_edit_says_what_would_be_right(recipe: RunConfig, assignment: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        recipe.edit(assignment)


@given(
    epochs=st.integers(1, 500),
    rate=st.floats(1e-6, 1.0),
    length=st.integers(1, 512),
    form=st.sampled_from(["batch", "tokens", "none"]),
)
def test_json_round_trip(epochs: int, rate: float, length: int, form: str) -> None:
    config = read_recipe("deft")
    for assignment in (
        f"training.epochs={epochs}",
        f"optimiser.rate={rate!r}",
        f"vision.0.length={length}",
        f"aggregation.form={form}",
    ):
        config = config.edit(assignment)
    assert RunConfig.from_json(config.to_json()) == config


def test_a_configuration_names_only_what_the_catalogue_has() -> None:
    text = read_recipe("deft").to_json().replace('"kind": "tiny"', '"kind": "os:system"')
    with pytest.raises(UsageError, match="No backbone named 'os:system'"):
        RunConfig.from_json(text)
    with pytest.raises(UsageError, match="Setting"):
        RunConfig.from_json("{}")


@pytest.mark.parametrize("value", ["1e31", "1e300"])
def test_a_number_beyond_what_can_be_computed_with_is_refused(recipe: RunConfig, value: str) -> None:
    with pytest.raises(UsageError, match="beyond what can be computed with"):
        recipe.edit(f"loss.temperature_high={value}")


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 100_000, '{"a": 1, "a": 2}', "NaN", "1e999"])
def test_a_value_that_programs_read_differently_is_text(recipe: RunConfig, value: str) -> None:
    with pytest.raises(UsageError):
        recipe.edit(f"training.epochs={value}")
