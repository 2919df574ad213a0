"""Which scans a picture of many averages, by what a model is asked."""

import pytest

from voxtune.model.questions import ClassQuestion, FindingQuestion, NoQuestion, Question
from voxtune.types.records import ManifestRow

CLASSES = ClassQuestion(("NC", "AD"), ("{name}",))
FINDINGS = FindingQuestion({"Nodule": ("Nodule",)}, ("{finding} is present.", "{finding} is not present."))


@pytest.mark.parametrize(
    ("question", "target", "cells", "group"),
    [
        (CLASSES, "AD", {"diagnosis": "NC"}, "NC"),
        (CLASSES, "AD", {"diagnosis": "MCI"}, None),
        (CLASSES, "AD", {}, None),
        (FINDINGS, "Nodule", {"Nodule": "1"}, "with Nodule"),
        (FINDINGS, "Nodule", {"Nodule": "0.0"}, "without Nodule"),
        (FINDINGS, "Nodule", {"Nodule": "n/a"}, None),
        (FINDINGS, "report", {"Nodule": "1"}, None),
        (NoQuestion(), "age", {}, "all scans"),
    ],
)
def test_a_scan_is_grouped_by_what_is_asked(
    question: Question, target: str, cells: dict[str, str], group: str | None
) -> None:
    row = ManifestRow.model_validate({"participant_id": "p", "scan_id": "s", "image": "x", **cells})
    assert question.group(row, target) == group
