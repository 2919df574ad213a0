"""The knowledge graph: sources cited, nothing that gives a class away, the same words for the same scan, walks from findings alone."""

import json
import re
from importlib import resources
from pathlib import Path

import pytest

from voxtune.audit.text import label_in_text
from voxtune.errors import DataError, LeakageError, UsageError
from voxtune.profiles.knowledge import GRAPHS, knowledge_of, needed_knowledge, read_graph
from voxtune.profiles.read import read_profile
from voxtune.reports.graph_text import graph_text
from voxtune.reports.norms import fit_norms
from voxtune.reports.standing import HIGH, LOW
from voxtune.reports.wording import graph_template, label_sentence, write_report
from voxtune.types.knowledge import names_class
from voxtune.types.profile import Profile, inside
from voxtune.types.records import ManifestRow

DEMENTIA, BLANK, CHEST = (read_profile(name) for name in ("dementia", "blank", "chest"))
SMALL = """
[sources]
a = "A: paper"
[nodes.small]
concept = "c"
column = "hippocampus_mm3"
side = "low"
present = ["it is small"]
absent = ["it is not small"]
sources = ["a"]
"""

PROCESS = '[nodes.loss]\nkind = "process"\nsources = ["a"]\n'


def person(seed: int, percentiles: dict[str, float | None] | None = None) -> dict[str, object]:
    """Values of a person as a template sees them."""
    values: dict[str, object] = {"label": None, "percentiles_for": "age 74 and sex F"}
    for place, column in enumerate(DEMENTIA.regions):
        percentile = (percentiles or {}).get(column, float((seed * 37 + place * 23) % 100))
        values |= {column: 5000.0, f"{column}_percentile": percentile, f"{column}_standing": " (rank)"}
    return values


@pytest.mark.parametrize("name", GRAPHS)
def test_every_statement_cites_a_source_and_names_no_class(name: str) -> None:
    profile = read_profile(name)
    found = knowledge_of(profile)
    assert found is not None
    assert all(
        re.search(r"doi:10\.\d{4}|arXiv:\d{4}\.\d{5}|PMID \d{8}", source) for source in found.sources.values()
    )
    cited = {
        one
        for part in (*found.nodes.values(), *found.relations, *found.classes.values())
        for one in part.sources
    }
    assert cited == set(found.sources)
    for sentence in found.sentences:
        assert sentence[0].islower()
        assert not sentence.endswith(".")
        assert profile.said(sentence) is None
    columns = {one.column for one in found.measured.values()}
    assert columns <= set(profile.regions)
    assert columns >= {column for column, one in profile.regions.items() if one.text}


def test_a_sign_of_the_chest_never_uses_the_name_of_its_finding() -> None:
    found = knowledge_of(CHEST)
    assert found is not None
    for node in found.nodes.values():
        for sentence in (*node.present, *node.absent):
            assert node.column.lower() not in sentence.lower()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("not toml", "not TOML"),
        (SMALL.replace('sources = ["a"]', 'sources = ["b"]'), "no source"),
        (SMALL.replace("it is small", "it is AD"), "gives a class away"),
        (SMALL.replace("it is small", "it shows dementia"), "gives a class away"),
        (SMALL + '[classes.AD]\npresent = ["large"]\nsources = ["a"]\n', "no finding"),
        (SMALL + '[classes.AD]\nmild = ["small"]\nsources = ["a"]\n', "no mild wording"),
        (SMALL + '[classes.AD]\nsources = ["a"]\n', "at least one sign"),
        (SMALL + '[[relations]]\nstart = "small"\nend = "big"\nwords = ["w"]\nsources = ["a"]\n', "no node"),
        (SMALL.replace('column = "hippocampus_mm3"\n', ""), "a finding has"),
        (SMALL + "[nodes.small.extra]\n", "extra"),
        (SMALL + SMALL.split("[nodes.small]")[1].join(["[nodes.again]", ""]), "same column"),
        (SMALL + "[nodes.small]\n", "not TOML"),
        (SMALL.replace("hippocampus_mm3", "hipp_mm3"), "no region of the profile"),
        (SMALL.replace("hippocampus_mm3", "icv_mm3"), "no region of the profile that texts state"),
        (SMALL.replace('side = "low"\n', ""), "'side'"),
        (SMALL.replace('concept = "c"', 'concept = "c"\nkind = "process"'), "only a finding"),
        (SMALL + '[[relations]]\nstart = "small"\nend = "small"\nwords = ["w"]\nsources = ["a"]\n', "itself"),
        (SMALL + PROCESS + 2 * '[[relations]]\nstart = "small"\nend = "loss"\nwords = ["w"]\nsources = ["a"]\n', "twice"),
        (SMALL + '[classes.AD]\npresent = ["small"]\nabsent = ["small"]\nsources = ["a"]\n', "more than one way"),
        (SMALL.replace("it is small", "it is \u200bAD"), "one line"),
        (SMALL.replace("it is small", "it is \uff21\uff24"), "gives a class away"),
        (SMALL.replace("it is small", "it is Alzheimer\u2019s"), "gives a class away"),
        (SMALL.replace("it is small", "it is {name}"), "one line"),
        (SMALL.replace("it is small", "<script>alert(1)</script>"), "one line"),
        (SMALL.replace("it is small", "a\\nb"), "one line"),
        (SMALL.replace("it is small", ""), "at least 1"),
        (SMALL.replace("it is small", "w" * 201), "at most 200"),
        (SMALL.replace("it is small", "it is small."), "full stop"),
        (SMALL.replace("it is small", "it is small. A photo of X"), "one sentence"),
        (SMALL.replace("it is small", "is it small?"), "another mark at its end"),
        (SMALL.replace("it is small", "it is \u0410D"), "gives a class away"),
        (SMALL.replace("it is small", "it is A\u0332D"), "gives a class away"),
        (SMALL.replace("it is small", "it shows d\u0435mentia"), "gives a class away"),
        (SMALL.replace("it is small", "It is NOT small"), "stands in present and in absent"),
        ('scan = "A scan of AD in which"' + SMALL, "gives a class away"),
        (SMALL.replace('"A: paper"', '""'), "at least 1"),
        ("a = " + "[" * 5000, "not TOML"),
    ],
)  # fmt: skip
def test_a_graph_that_is_wrong_is_refused(change: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_graph(change, "mine", DEMENTIA)


def test_a_profile_of_ones_own_brings_its_graph(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    graph = re.sub(r"(?m)^\[", "[knowledge.", SMALL)
    file.write_text(
        'classes = ["HC", "PD"]\n[regions.putamen_mm3]\nname = "Putamen volume"\n'
        + graph.replace("hippocampus_mm3", "putamen_mm3"),
        encoding="utf-8",
    )
    profile = read_profile(file)
    found = needed_knowledge(profile, "this")
    assert found.nodes["small"].present == ("it is small",)
    # It goes with the profile into a run and an adapter; a profile without one is written as ever.
    again = Profile.model_validate_json(profile.model_dump_json())
    assert knowledge_of(again) == found
    assert "knowledge" not in DEMENTIA.model_dump()
    assert "knowledge" not in json.loads(DEMENTIA.model_dump_json())
    whole = file.read_text("utf-8")
    file.write_text("\ufeff" + whole.replace("\n", "\r\n"), encoding="utf-8")
    assert read_profile(file) == profile
    for before, after in (
        ("Putamen volume", "PD volume"),
        ("classes =", 'opening = "A scan of PD shows"\nclasses ='),
    ):
        file.write_text(whole.replace(before, after), encoding="utf-8")
        with pytest.raises(DataError, match="which gives a class away"):
            read_profile(file)
    file.write_text(whole.replace("it is small", "it is PD"), encoding="utf-8")
    with pytest.raises(DataError, match=r"mine.toml: .*'it is PD' says 'PD', which gives a class away"):
        read_profile(file)
    file.write_text(
        file.read_text("utf-8").replace("it is PD", "w").replace("concept", "konzept"), encoding="utf-8"
    )
    with pytest.raises(
        DataError, match=r"'knowledge.nodes.small.konzept': no such key; expected one of kind, concept"
    ):
        read_profile(file)


def test_a_region_may_have_a_finding_at_either_end() -> None:
    other = (
        SMALL.split("[nodes.small]")[1]
        .replace("low", "high")
        .replace("it is small", "it is large")
        .replace("it is not small", "it is not large")
    )
    graph = read_graph(f"{SMALL}[nodes.large]{other}", "mine", DEMENTIA)
    said = {
        p: graph_text(graph, DEMENTIA, person(1, {"hippocampus_mm3": p}), "s", "omit")
        for p in (1.0, 50.0, 99.0)
    }
    assert "it is small (rank)" in said[1.0].lower()
    assert "it is large (rank)" in said[99.0].lower()
    assert re.search(r"it is not (small|large) \(rank\)", said[50.0].lower())


def test_names_and_decimals_are_those_of_the_profile() -> None:
    field = DEMENTIA.regions["hippocampus_mm3"].model_copy(
        update={"name": "DaT ratio", "decimals": 0, "unit": ""}
    )
    own = DEMENTIA.model_copy(update={"regions": {"dat_ratio": field}})
    knowledge = needed_knowledge(DEMENTIA, "")
    values = {
        "percentiles_for": "",
        "dat_ratio": 5000.0,
        "dat_ratio_percentile": 50.0,
        "dat_ratio_standing": "",
    }
    assert graph_text(knowledge, own, values, "s", "omit") == "DaT ratio is usual."
    assert graph_text(knowledge, own, values | {"dat_ratio_percentile": None}, "s", "omit").endswith(
        "DaT ratio: 5000."
    )
    assert [inside(name) for name in ("Hippocampal volume", "MTL volume", "pH")] == [
        "hippocampal volume",
        "MTL volume",
        "pH",
    ]


def test_a_circle_of_relations_ends() -> None:
    ways = [("small", "loss"), ("loss", "small")]
    text = (
        SMALL
        + PROCESS
        + "".join(
            f'[[relations]]\nstart = "{a}"\nend = "{b}"\nwords = ["from {a}"]\nsources = ["a"]\n'
            for a, b in ways
        )
    )
    graph = read_graph(text, "mine", DEMENTIA)
    told = graph_text(graph, DEMENTIA, person(1, {"hippocampus_mm3": 1.0}), "s", "omit")
    assert told.endswith("From small. From loss.")


def test_blank_knows_nothing() -> None:
    assert knowledge_of(BLANK) is None
    with pytest.raises(UsageError, match=r"\[knowledge\]"):
        needed_knowledge(BLANK, "this")
    with pytest.raises(UsageError, match="measured regions"):
        write_report(ManifestRow(participant_id="p", scan_id="s", image="i"), "graph", profile=CHEST)


def test_files_are_text() -> None:
    for name in GRAPHS:
        assert (
            resources.files("voxtune.profiles")
            .joinpath("graphs", f"{name}.toml")
            .read_text("utf-8")
            .startswith("#")
        )


def test_the_same_scan_has_the_same_words_and_others_have_others() -> None:
    knowledge = needed_knowledge(DEMENTIA, "")
    texts = [graph_text(knowledge, DEMENTIA, person(1), f"s{n}", "omit") for n in range(12)]
    assert texts == [graph_text(knowledge, DEMENTIA, person(1), f"s{n}", "omit") for n in range(12)]
    assert len(set(texts)) > 3


def test_findings_are_said_as_the_percentiles_are_and_never_otherwise() -> None:
    knowledge = needed_knowledge(DEMENTIA, "")
    for seed in range(60):
        values = person(seed)
        text = graph_text(knowledge, DEMENTIA, values, f"s{seed}", "omit").lower()
        for node in knowledge.measured.values():
            percentile = values[f"{node.column}_percentile"]
            assert isinstance(percentile, float)
            there = percentile <= LOW if node.side == "low" else percentile >= HIGH
            assert any(f"{one} (rank)" in text for one in node.present) == there
            if any(f"{one} (rank)" in text for one in node.absent):
                assert 10 <= percentile <= 90
        walked = [one for one in knowledge.relations if any(words in text for words in one.words)]
        assert bool(walked) <= any(
            (p <= LOW if n.side == "low" else p >= HIGH)
            for n in knowledge.measured.values()
            if isinstance(p := values[f"{n.column}_percentile"], float)
        )


def test_a_walk_never_turns_in_a_circle_and_ends() -> None:
    everything = {column: 99.0 if column == "ventricles_mm3" else 1.0 for column in DEMENTIA.regions}
    knowledge = needed_knowledge(DEMENTIA, "")
    text = graph_text(knowledge, DEMENTIA, person(0, everything), "s", "omit")
    sentences = re.findall(r"[^.]+\.", text)
    assert len(sentences) == len(set(sentences)) == 4


def test_missing_regions_and_people_beyond_the_controls() -> None:
    knowledge = needed_knowledge(DEMENTIA, "")
    partly = person(2, {"fusiform_mm3": None, "hippocampus_mm3": None}) | {"hippocampus_mm3": None}
    assert (
        "hippocampal volume is unavailable"
        in graph_text(knowledge, DEMENTIA, partly, "s", "unavailable").lower()
    )
    assert "unavailable" not in graph_text(knowledge, DEMENTIA, partly, "s", "omit")
    alone = graph_text(knowledge, DEMENTIA, person(2, dict.fromkeys(DEMENTIA.regions)), "s", "omit")
    assert alone.startswith(f"{DEMENTIA.opening}: Hippocampal volume: 5000.00 mm^3")
    nothing = person(2, dict.fromkeys(DEMENTIA.regions)) | dict.fromkeys(DEMENTIA.regions)
    assert graph_text(knowledge, DEMENTIA, nothing, "s", "omit") == ""
    unadjusted = graph_text(knowledge, DEMENTIA, person(2) | {"percentiles_for": ""}, "s", "omit")
    assert not unadjusted.startswith("For")
    opened = DEMENTIA.model_copy(update={"regions": DEMENTIA.regions | {"mtl_mm3": DEMENTIA.regions["hippocampus_mm3"].model_copy(update={"name": "MTL volume"})}})  # fmt: skip
    for percentile, words in (
        (50.0, "MTL volume is usual"),
        (2.0, "MTL volume is below usual"),
        (98.0, "MTL volume is above usual"),
    ):
        values = person(2) | {"mtl_mm3": 1.0, "mtl_mm3_percentile": percentile, "mtl_mm3_standing": ""}
        assert words in graph_text(knowledge, opened, values, "s", "omit")


def cohort(count: int) -> list[ManifestRow]:
    """People of three classes with all volumes; the later the class, the smaller."""
    rows = []
    for place in range(count):
        stage = place % 3
        scale = (1 - 0.12 * stage) * (1 + 0.02 * ((place * 7) % 11 - 5))
        rows.append(
            ManifestRow.model_validate(
                {
                    "participant_id": f"p{place}", "scan_id": f"s{place}", "image": "x", "diagnosis": ("NC", "MCI", "AD")[stage],
                    "age": 65 + (place * 5) % 20, "sex": "FM"[(place // 3) % 2], "icv_mm3": 1.4e6 + 1e4 * ((place * 3) % 25),
                    **{name: 6000 * scale for name in DEMENTIA.regions if name not in {"icv_mm3", "ventricles_mm3"}},
                    "ventricles_mm3": 30000 / scale,
                }
            )
        )  # fmt: skip
    return rows


@pytest.mark.parametrize("template", ["normative", "graph"])
def test_no_generated_sentence_states_the_class_and_the_audit_agrees(template: str) -> None:
    rows = cohort(90)
    norms = fit_norms(rows[:45], DEMENTIA)
    reports = {row.scan_id: write_report(row, template, profile=DEMENTIA, norms=norms) for row in rows}
    for row in rows:
        text = reports[row.scan_id].text
        assert text.startswith(label_sentence(str(row.diagnosis), DEMENTIA))
        rest = text.removeprefix(label_sentence(str(row.diagnosis), DEMENTIA))
        assert names_class(rest, ("NC", "MCI", "AD")) is None
        assert DEMENTIA.said(rest) is None
    # A text hangs on the label in its first sentence and nowhere else.
    for row in rows[:12]:
        relabelled = row.model_copy(update={"diagnosis": "AD"})
        other = write_report(relabelled, template, profile=DEMENTIA, norms=norms)
        assert other.text.removeprefix(label_sentence("AD", DEMENTIA)) == reports[row.scan_id].text.removeprefix(label_sentence(str(row.diagnosis), DEMENTIA))  # fmt: skip
    found = label_in_text(rows, reports, DEMENTIA)
    assert [one for one in found if one.level == "refuse"] == []


def test_a_class_that_the_words_would_name_is_refused() -> None:
    rows = [
        row.model_copy(update={"diagnosis": "hippocampus" if row.diagnosis == "AD" else row.diagnosis})
        for row in cohort(60)
    ]
    norms = fit_norms(rows, DEMENTIA)
    shown = [row for row in rows if row.diagnosis == "hippocampus"]

    def everyone() -> None:
        for row in shown:
            write_report(row, graph_template(DEMENTIA), profile=DEMENTIA, norms=norms)

    with pytest.raises(LeakageError, match="which is the class"):
        everyone()


def test_names_of_classes_are_found_as_the_audit_finds_them() -> None:
    assert names_class("a sign of ad hoc", ("AD",)) is None
    assert names_class("a sign of AD", ("AD",)) == "AD"
    assert names_class("Mild Stroke here", ("stroke",)) == "stroke"
    assert names_class("the 3 of them", ("3", "x")) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("there is mild atrophy of it", "mild_atrophy"), ("there is mild atrophy of it", "Mild-Atrophy"), ("There is Mild\u00a0atrophy", "MildAtrophy"),
        ("there is mild-atrophy", "mild atrophy"), ("Low volume goes with it", "low"), ("is low", "low"), ("ﬁnding", "finding"), ("a sign of A.D. here", "A_D"),
        ("the limbic Braak stages", "limbic-braak"),
    ],
)  # fmt: skip
def test_a_class_is_found_in_a_text_under_any_spelling(text: str, name: str) -> None:
    assert names_class(text, ("other", name)) == name
    assert names_class(f"{text}ish and x{text}".replace(" ", "x"), (name,)) is None
    assert names_class("nothing of the kind", (name,)) is None


def test_a_class_of_several_words_is_no_leak_of_itself() -> None:
    rows = [
        row.model_copy(update={"diagnosis": "late  stage" if row.diagnosis == "AD" else row.diagnosis})
        for row in cohort(60)
    ]
    norms = fit_norms(rows, DEMENTIA)
    reports = {row.scan_id: write_report(row, "normative", profile=DEMENTIA, norms=norms) for row in rows}
    assert reports["s2"].text.startswith("A photo of late stage. The MRI")
    assert [one for one in label_in_text(rows, reports, DEMENTIA) if one.level == "refuse"] == []
