"""Pages and files of tokens and maps: one person at as many stages as can be, nothing unescaped, SIMULATED where it is."""

import json
from typing import Any

from voxtune.commands.reproduce.explained import (
    caption_of,
    choose_stages,
    is_made,
    word_rows,
    words_csv,
    words_latex,
    words_markdown,
)
from voxtune.pages.reproduce_page import (
    ShownCohort,
    ShownRow,
    ShownTable,
    overview_page,
    table_page,
    words_page,
)
from voxtune.types.records import ManifestRow

CLASSES = ("NC", "MCI", "AD")


def row(person: str, stage: str, visit: int = 0) -> ManifestRow:
    return ManifestRow(participant_id=person, scan_id=f"{person}_{visit}", image="i.nii.gz", diagnosis=stage)


def test_the_person_with_most_stages_is_drawn() -> None:
    rows = [
        row("a", "AD"),
        row("b", "NC", 0),
        row("b", "MCI", 1),
        row("b", "MCI", 2),
        row("c", "MCI"),
        row("d", "other"),
    ]
    chosen = choose_stages(rows, CLASSES)
    assert [(stage, one.scan_id) for stage, one in chosen] == [("NC", "b_0"), ("MCI", "b_1"), ("AD", "a_0")]
    assert "2 participants (nobody was seen at every stage)" in caption_of(chosen, 2)
    assert "of one participant" in caption_of(chosen, 1)
    assert "b_0" not in caption_of(chosen, 2)
    assert choose_stages([row("d", "other")], CLASSES) == []


def facts() -> dict[str, Any]:
    def token(name: str, value: float) -> dict[str, Any]:
        return {"token": name, "value": value, "low": value - 0.01, "high": value + 0.01}

    return {
        "table": 6,
        "caption": "Tokens",
        "simulated": True,
        "groups": {"NC": {"participants": 3}, "AD": {"participants": 5}},
        "tokens": {
            "NC": [token("hippo_campal", 0.02)],
            "AD": [token("mm^3", 0.03), token("of", 0.02), token("the", 0.01)],
        },
    }


def test_the_tokens_in_every_format() -> None:
    assert word_rows(facts())[0] == ("NC (3 participants)", ["hippo_campal 0.020 [0.010, 0.030]"])
    text = words_markdown(facts())
    assert "| NC (3 participants) | hippo_campal 0.020 [0.010, 0.030] | - | - |" in text
    assert "SIMULATED" in text
    assert words_csv(facts()).splitlines()[2] == "6,AD,1,mm^3,0.03,0.019999999999999997,0.04,True"
    assert r"hippo\_campal" in words_latex(facts())
    assert "SIMULATED" in words_latex(facts())
    assert "SIMULATED" in words_page(6, "Tokens", word_rows(facts()), simulated=True)


def test_a_part_is_made_once_for_one_adapter(tmp_path: Any) -> None:
    path = tmp_path / "table_6.json"
    assert not is_made(path, {"cell": "a"})
    path.write_text(json.dumps({"made_of": {"cell": "a"}}), encoding="utf-8")
    assert is_made(path, {"cell": "a"})
    assert not is_made(path, {"cell": "b"})


def test_the_page_escapes_and_says_what_is_missing() -> None:
    rows = (
        ShownRow(
            "<b>ours</b>",
            "78.0 ± 1.0 [70.0, 84.0]",
            "78.8",
            "-0.8",
            "reference",
            "1,000",
            value=78,
            low=70,
            high=84,
            reference=True,
        ),
        ShownRow("other", "-", "50.0", "-", "-", "-", note="its weights are not on this machine"),
    )
    table = ShownTable(
        2, "Systems", "A citation", True, (ShownCohort("SIMULATED in the place of ADNI", "9 scans of 4 participants", rows),), "ours", "guess 40%",
        "A method.", "A cost.", "2 rows: 1 done, 1 missing", (("other: its weights are not on this machine", "voxtune weights get"),),
    )  # fmt: skip
    page = table_page(table)
    assert "&lt;b&gt;ours&lt;/b&gt;" in page
    for said in (
        "SIMULATED",
        "9 scans of 4 participants",
        "voxtune weights get",
        "78.0 ± 1.0",
        "guess 40%",
        "A method.",
        "A cost.",
    ):
        assert said in page
    overview = overview_page([table], [("Figure 2", "figure_2.html")], simulated=True)
    assert "SIMULATED" in overview
    assert "SIMULATED" in overview_page([], [("Figure 2", "figure_2.html")], simulated=True)
    assert 'href="table_2.html"' in overview
    assert 'href="figure_2.html"' in overview
