"""Classes and findings described by their signs: as many texts as asked for, kept in the adapter, refused where none are known."""

import pytest
from pydantic import ValidationError

from voxtune.config import RunConfig
from voxtune.errors import UsageError
from voxtune.explanation.biomarkers import report_parts
from voxtune.explanation.concepts import concept_of, concept_table
from voxtune.model.adapter import AdapterFacts
from voxtune.model.questions import ClassQuestion, FindingQuestion, question_of
from voxtune.profiles.knowledge import needed_knowledge
from voxtune.profiles.read import read_profile
from voxtune.reports.class_signs import described, sets_of_classes, sets_of_pairs, signs_of
from voxtune.tasks.task import task_of
from voxtune_recipes.deft import recipe
from voxtune_recipes.medct import small

DEMENTIA, CHEST, BLANK = (read_profile(name) for name in ("dementia", "chest", "blank"))
CLASSES = ("NC", "MCI", "AD")


def with_signs(count: int, config: RunConfig | None = None) -> RunConfig:
    return (config or recipe()).edit(f"classes.signs={count}").settled(CHEST if config else DEMENTIA)


def test_each_class_has_as_many_texts_as_asked_for_and_none_is_alike() -> None:
    found = described(DEMENTIA, CLASSES, 3, pairs=False)
    assert {len(texts) for texts in found.values()} == {3}
    assert len({text for texts in found.values() for text in texts}) == 9
    assert found["AD"][0].startswith("A brain MRI scan in which the hippocampus is small, ")
    assert "no atrophy" in " ".join(found["NC"])
    assert all(name not in text for name in CLASSES for text in found[name])


def test_signs_are_further_sets_behind_the_names() -> None:
    task = task_of(with_signs(2), CLASSES)
    sets = task.class_texts()
    assert sets[0] == ["A photo of NC", "A photo of MCI", "A photo of AD"]
    assert len(sets) == 3
    assert task_of(with_signs(0), CLASSES).class_texts() == sets[:1]
    question = ClassQuestion(CLASSES, ("A photo of {name}",), signs=signs_of(with_signs(2), CLASSES))
    assert question.texts == sets
    raw = question.raw()
    assert raw is not None
    assert raw.texts == sets


def test_findings_are_described_there_and_not_there() -> None:
    config = with_signs(1, small())
    names = config.classes.findings or ("Pleural effusion", "Emphysema")
    signs = signs_of(config.edit(f"classes.findings={__import__('json').dumps(list(names))}"), names)
    assert signs[names[0]][0] != signs[names[0]][1]
    question = FindingQuestion(
        {name: (name,) for name in names}, ("{finding} is present.", "{finding} is not present."), signs=signs
    )
    assert [len(one) for one in question.texts] == [2 * len(names)] * 2
    assert sets_of_pairs(names) == []
    found = described(CHEST, ("pleural_effusion",), 2, pairs=True)["pleural_effusion"]
    assert found[0] == "There is fluid in the pleural space."
    assert len(found) == 4


def test_a_class_without_signs_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"no signs of 'FTD'.*AD, CN, MCI, NC"):
        signs_of(with_signs(1), ("NC", "FTD"))
    with pytest.raises(UsageError, match="Gallstones"):
        described(CHEST, ("Gallstones",), 1, pairs=True)
    with pytest.raises(UsageError, match="knowledge graph"):
        described(BLANK, ("A",), 1, pairs=False)
    with pytest.raises(UsageError, match="it has those of nothing"):
        described(CHEST, ("A",), 1, pairs=False)


def test_what_an_adapter_was_trained_with_goes_first() -> None:
    kept = {"NC": ("kept words",), "FTD": ("more words",)}
    found = signs_of(with_signs(1), ("NC", "AD", "FTD"), kept)
    assert (found["NC"], found["FTD"]) == (("kept words",), ("more words",))
    assert found["AD"][0].startswith("A brain MRI scan")
    assert signs_of(with_signs(1), ("NC", "FTD"), kept) == kept
    assert sets_of_classes(("NC",), ("{name}",), {"NC": ("kept words",)}) == [["NC"], ["kept words"]]


def facts(**changes: object) -> AdapterFacts:
    tree = {
        "base": "tiny", "base_sha256": "a", "adapter_sha256": "b", "preset": "tiny", "classes": ["NC", "AD"],
        "class_texts": ["A photo of {name}"], "config": {},
    }  # fmt: skip
    return AdapterFacts.model_validate(tree | changes)


def test_an_adapter_keeps_its_signs_and_files_without_stay_as_they_were() -> None:
    assert "signs" not in facts().model_dump(mode="json")
    assert "norms" not in facts().model_dump(mode="json")
    kept = facts(signs={"NC": ["usual"], "AD": ["small"]})
    assert AdapterFacts.model_validate(kept.model_dump(mode="json")) == kept
    assert question_of(kept).texts == [["A photo of NC", "A photo of AD"], ["usual", "small"]]
    pair = facts(
        task="findings",
        classes=["a"],
        class_texts=["{finding}", "no {finding}"],
        signs={"a": ["there", "not there"]},
    )
    assert question_of(pair).texts == [["a", "no a"], ["there", "not there"]]
    for signs in ({"NC": ["usual"]}, {"NC": ["x"] * 21, "AD": ["x"] * 21}):
        with pytest.raises(ValidationError, match="signs of every class"):
            facts(signs=signs)


def test_settings_of_before_stay_the_same_run() -> None:
    tree = recipe().model_dump(mode="json")
    assert "signs" not in tree["classes"]
    assert "controls" not in tree["report"]
    assert RunConfig.model_validate(tree) == recipe()
    assert "signs" in with_signs(2).model_dump(mode="json")["classes"]


# ------------------------------------------------------------------------------------------------ concepts
GRAPH_TEXT = (
    "A photo of AD. For age 70, the hippocampus is small (2nd percentile, z -2.06), ventricular volume is usual (50th percentile, z 0.00). "
    "Spread to temporal neocortex goes with the isocortical Braak stages."
)


def test_parts_of_a_graph_text_are_its_regions_and_sentences() -> None:
    parts = report_parts(GRAPH_TEXT, DEMENTIA)
    assert [GRAPH_TEXT[one.start : one.end] for one in parts] == [one.name for one in parts]
    assert [one.name[-8:] for one in parts] == ["o of AD.", "z -2.06)", ", z 0.00)"[-8:], " stages."]
    assert [one.name for one in report_parts("A nodule of 3.5 mm. No effusion", DEMENTIA)] == [
        "A nodule of 3.5 mm.",
        "No effusion",
    ]


@pytest.mark.parametrize("like", ["age 74", "age 74 and sex F", "age 74, sex F and head size", "head size"])
def test_whom_percentiles_are_for_is_no_word_of_a_region(like: str) -> None:
    text = f"A photo of AD. For {like}, the hippocampus is small (below the 1st percentile, z -3.30), the ventricles are large (97th percentile, z 1.90)."
    _, first, second = report_parts(text, DEMENTIA)
    assert first.name == "the hippocampus is small (below the 1st percentile, z -3.30)"
    assert text[first.start : first.end] == first.name
    assert text[second.start : second.end] == "the ventricles are large (97th percentile, z 1.90)"


def test_a_percentile_is_part_of_its_biomarker() -> None:
    text = "The MRI scan reveals the following biomarkers, with percentiles for age 74: Hippocampal volume: 5266.79 mm^3 (4th percentile, z -1.75), Ventricular size: 30000.00 mm^3."
    first, second = report_parts(text, DEMENTIA)
    assert (first.name, second.name) == ("Hippocampal volume", "Ventricular size")
    assert text[first.start : first.end] == "Hippocampal volume: 5266.79 mm^3 (4th percentile, z -1.75)"
    assert text[second.start : second.end] == "Ventricular size: 30000.00 mm^3"


def test_heat_and_words_are_put_together_by_concept() -> None:
    regions = [
        {"label": 17, "region": "Left hippocampus", "share": 0.3, "volume_share": 0.01},
        {"label": 1006, "region": "Left entorhinal", "share": 0.1, "volume_share": 0.01},
        {"label": 4, "region": "Left ventricle", "share": 0.05, "volume_share": 0.02},
        {"label": 99, "region": "Elsewhere", "share": 0.55, "volume_share": 0.96},
    ]
    parts = {one.name: 0.1 for one in report_parts(GRAPH_TEXT, DEMENTIA)} | {"Whole brain volume": -0.2}
    found = {row["concept"]: row for row in concept_table(regions, {"parts": parts}, DEMENTIA)}
    assert found["medial temporal lobe"]["share"] == pytest.approx(0.4)
    assert found["medial temporal lobe"]["regions"] == ["Left hippocampus", "Left entorhinal"]
    assert found["medial temporal lobe"]["text"] == pytest.approx(0.1)
    assert found["ventricles"]["text"] == pytest.approx(0.1)
    assert found["temporal neocortex"] == {
        "concept": "temporal neocortex",
        "regions": [],
        "share": None,
        "volume_share": None,
        "text": pytest.approx(0.1),
    }
    assert found["whole brain"]["text"] == pytest.approx(-0.2)
    assert next(iter(found)) == "medial temporal lobe"
    assert concept_table(regions, None, BLANK) == []
    assert {row["text"] for row in concept_table(regions, None, DEMENTIA)} == {None}


def test_parts_of_a_radiology_report_have_their_concept() -> None:
    knowledge = needed_knowledge(CHEST, "")
    assert concept_of("There is a small pleural effusion on the left.", knowledge, CHEST) == "pleura"
    assert concept_of("Nothing of note.", knowledge, CHEST) is None
