"""What a disease adds: its own fields may be text, what defines its classes never is, and the unknown only by name."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxtune.catalog import PROFILES, load
from voxtune.cohorts.ranges import RANGES
from voxtune.commands.describe import describe
from voxtune.commands.train.one_run import _guided_by_its_classes
from voxtune.config import RunConfig, read_recipe
from voxtune.data.manifest import read_reports, write_manifest
from voxtune.errors import DataError, LeakageError, SettingError, UsageError
from voxtune.profiles.blank import PROFILE as BLANK
from voxtune.profiles.chest import PROFILE as CHEST
from voxtune.profiles.dementia import PROFILE as DEMENTIA
from voxtune.profiles.plausible import implausible
from voxtune.profiles.read import LARGEST, read_profile
from voxtune.profiles.recognise import chosen_profile, recognise
from voxtune.reports.policy import is_unknown, left_out_note, opened, rule_fields, use_of
from voxtune.reports.wording import load_template, write_report
from voxtune.types.profile import Profile, ReportField, bare, plain
from voxtune.types.records import ManifestRow

PARKINSON = """
citation = "A paper on Parkinson's disease, 2026."
classes = ["HC", "PD"]
class_texts = ["A scan of {name}", "The diagnosis is {name}"]
opening = "The scan shows"
defining = ["updrs*", "hoehn_yahr", "moca"]
telling = ["UPDRS", "Parkinson"]

[regions.dat_ratio]
name = "DaT ratio"
range = [0.1, 10]

[regions.putamen_mm3]
name = "Putamen volume"
unit = "mm^3"
decimals = 0
range = [1000, 20000]
labels = [12, 51]

[fields.age]
name = "Age"
unit = "years"
decimals = 0
use = "inference"
"""


@pytest.fixture
def parkinson(tmp_path: Path) -> Profile:
    path = tmp_path / "parkinson.toml"
    path.write_text(PARKINSON, encoding="utf-8")
    return read_profile(path)


def person(number: int = 0, **changes: object) -> ManifestRow:
    values: dict[str, object] = {
        "participant_id": f"p{number}", "scan_id": f"s{number}", "image": "i", "diagnosis": ("HC", "PD")[number % 2], "age": 60,
        "dat_ratio": f"{1.25 + number}", "Putamen (mm3)": "4000", "UPDRS.Total (points)": str(10 + number),
    }  # fmt: skip
    return ManifestRow.model_validate(values | changes)


# ------------------------------------------------------------------------------------------- the text
def test_a_persons_own_profile_writes_its_text(parkinson: Profile) -> None:
    report = write_report(person(1), "fields", profile=parkinson)
    assert report.text == (
        "A scan of PD. The scan shows: DaT ratio: 2.25, Putamen volume: 4000 mm^3, Age: 60 years."
    )
    assert report.fields == ("diagnosis", "dat_ratio", "putamen_mm3", "age")
    bare_text = write_report(person(1), "fields", profile=parkinson, label=False).text
    assert "PD" not in bare_text
    assert bare_text.startswith("The scan shows: DaT")


@pytest.mark.parametrize("profile", [*PROFILES, "parkinson"])
@pytest.mark.parametrize(
    "column",
    ["updrs_total", "UPDRS Total", "updrs.total", "UPDRSTotal", "Updrs_Total_points", "updrs total (pts)"],
)
def test_a_class_defining_score_is_text_under_no_spelling(
    profile: str, column: str, parkinson: Profile, tmp_path: Path
) -> None:
    chosen = parkinson if profile == "parkinson" else read_profile(profile)
    row = ManifestRow.model_validate(
        {"participant_id": "p", "scan_id": "s", "image": "i", "diagnosis": "PD", column: "31"}
    )
    path = tmp_path / "mine.txt"
    path.write_text(f"{{{{ {plain(column)} }}}}")
    with pytest.raises(LeakageError, match=plain(column)) as refused:
        write_report(row, path, profile=chosen)
    if chosen is parkinson:
        assert "report.fields" not in str(refused.value)
        with pytest.raises(LeakageError, match="defines the class"):
            opened([column], chosen, [row])
        with pytest.raises(SettingError, match="never"):
            use_of(column, {column: "training"}, profile=chosen)
    else:  # unknown: the sentence says how to open it
        assert f"--set report.fields={plain(column)}" in str(refused.value)


@pytest.mark.parametrize("profile", [BLANK, DEMENTIA, CHEST])
def test_an_unknown_field_is_text_when_it_is_named_and_only_then(profile: Profile, tmp_path: Path) -> None:
    rows = [person(0), person(1)]
    assert left_out_note(rows, profile) is not None
    assert is_unknown("dat_ratio", profile)
    closed = write_report(rows[1], load_template("fields", profile), profile=profile)
    assert "2.25" not in closed.text
    policy = opened(["DaT ratio"], profile, rows)
    report = write_report(rows[1], "fields", profile=profile, policy=policy)
    assert "Dat ratio: 2.25" in report.text
    assert "dat_ratio" in report.fields
    assert "31" not in report.text
    with pytest.raises(UsageError, match=r"no column 'nothing'.*dat_ratio"):
        opened(["nothing"], profile, rows)


@pytest.mark.parametrize(
    "field",
    [
        "diagnosis",
        "Diagnosis_Rule",
        "mmse",
        "MMSE Score (points)",
        "CDR-SB",
        "scan_id",
        "Participant ID",
        "image",
        "group",
        "Simulated",
    ],
)
def test_nothing_opens_what_says_the_class_or_who_it_is(field: str) -> None:
    row = person(0, **({} if plain(field) in ManifestRow.model_fields else {field: "1"}))
    for profile in (BLANK, CHEST, DEMENTIA):
        with pytest.raises(LeakageError, match="may never be in a text"):
            opened([field], profile, [row])


@given(
    words=st.lists(st.sampled_from(["updrs", "total", "ledd", "tremor"]), min_size=1, max_size=3),
    separators=st.lists(st.sampled_from(["", " ", "_", ".", "-", "__", " ."]), min_size=3, max_size=3),
    case=st.sampled_from([str.lower, str.upper, str.title]),
    unit=st.sampled_from(["", "_mm3", " (points)", ".pts", " mm^3", "_ml"]),
)
def test_spellings_of_a_name_are_one_name(
    words: list[str], separators: list[str], case: object, unit: str
) -> None:
    spelled = "".join(
        word + sep for word, sep in zip(words, [*separators[: len(words) - 1], ""], strict=True)
    )
    assert callable(case)
    assert bare(case(spelled) + unit) == "".join(words)
    profile = Profile(name="x", defining=("_".join(words),))
    assert profile.defined_by(case(spelled) + unit) is not None


def test_a_rule_names_its_columns_under_any_spelling() -> None:
    assert rule_fields("rule: UPDRS.Total>30:PD", ["updrs_total", "total", "age"]) == {"updrs_total", "total"}
    assert rule_fields("rule: age_at_scan<40:young", ["age", "age_at_scan"]) == {"age_at_scan"}
    assert rule_fields(None, ["age"]) == set()


def test_dementia_keeps_its_fields_and_no_other() -> None:
    for column, field in DEMENTIA.regions.items():
        assert use_of(column, profile=DEMENTIA) == field.use == "training"
    assert {use_of(one, profile=DEMENTIA) for one in ("age", "sex")} == {"inference"}
    assert use_of("apoe4", profile=DEMENTIA) == "never"
    assert use_of("apoe4", {"APOE4": "training"}, profile=DEMENTIA) == "training"
    assert use_of("age", {"age": "never"}, profile=DEMENTIA) == "never"


def test_odd_values_stand_as_they_are_or_are_closed(parkinson: Profile) -> None:
    policy = {"side": "training", "age": "never", "dat_ratio": "training"}
    row = person(0, side="left")
    report = write_report(row, load_template("fields", parkinson, policy), profile=parkinson, policy=policy)  # type: ignore[arg-type]
    assert report.text.endswith("DaT ratio: 1.25, Putamen volume: 4000 mm^3, Side: left.")
    with pytest.raises(DataError, match="Putamen volume"):
        write_report(person(0, **{"Putamen (mm3)": "large"}), "fields", profile=parkinson)


# ------------------------------------------------------------------------------------------- the file
@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("classes = 3", "classes"),
        ("colour = 'red'", "colour"),
        ("[regions.putamen_mm3]\nunit = 'mm^3'", r"regions\.putamen_mm3\.name"),
        ("[regions.putamen_mm3]\nname = 'P'\nunits = 'mm^3'", r"regions\.putamen_mm3\.units.*unit, decimals"),
        ("[regions.putamen_mm3]\nname = 'P'\nrange = [5, 1]", r"regions\.putamen_mm3\.range"),
        ("[regions.putamen_mm3]\nname = 'P: {x}'", r"regions\.putamen_mm3\.name"),
        ("[regions.'12']\nname = 'P'", "12"),
        ("[regions.label]\nname = 'P'", "label"),
        ("[regions.a_b]\nname = 'P'\n[regions.'A B']\nname = 'Q'", "A B"),
        ("[regions.a]\nname = 'P'\n[fields.a]\nname = 'Q'", "regions and in fields"),
        ("defining = ['updrs*']\n[fields.updrs_total]\nname = 'Q'", "updrs_total.*defines the class"),
        ("[fields.mmse]\nname = 'Q'", "mmse.*defines the class"),
        ("defining = ['*']", "every column"),
        ("defining = ['']", "defining"),
        ("telling = ['UPDRS', '+']", "every text"),
        ("classes = ['PD', 'PD']", "classes"),
        ("class_texts = ['A photo']", r"class_texts.*\{name\}"),
        ("regions = 3", "regions"),
        ("classes = [", "not TOML"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"mine\.toml.*{named}"):
        read_profile(path)


def test_a_profile_file_is_bounded_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("# " + "x" * LARGEST)
    with pytest.raises(DataError, match="at most"):
        read_profile(path)
    path.write_bytes(b"name = '\xff'")
    with pytest.raises(DataError, match="UTF-8"):
        read_profile(path)
    path.write_text("x = " + "[" * 5000)
    with pytest.raises(DataError, match="not TOML"):
        read_profile(path)
    with pytest.raises(UsageError, match=r"none\.toml.*no such file"):
        read_profile(tmp_path / "none.toml")
    with pytest.raises(UsageError, match=r"Did you mean 'dementia'.*FILE\.toml"):
        read_profile("dementa")


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(PARKINSON)

    def refused(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(DataError, match=r"mine\.toml: it cannot be read \(Permission denied\)"):
        read_profile(path)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_shipped_profiles_survive_json(name: str) -> None:
    profile = read_profile(name)
    assert Profile.model_validate_json(profile.model_dump_json()) == profile
    assert profile.name == name


def test_the_example_in_this_file_is_toml() -> None:
    assert set(tomllib.loads(PARKINSON)) <= set(Profile.model_fields)


# ------------------------------------------------------------------------------------- the run's settings
def test_a_run_holds_its_profile_whole(tmp_path: Path) -> None:
    path = tmp_path / "parkinson.toml"
    path.write_text(PARKINSON, encoding="utf-8")
    config = read_recipe("deft").edit(f"profile={path}").edit("report.fields=age, site")
    path.unlink()
    assert config.profile is not None
    assert config.profile.classes == ("HC", "PD")
    assert config.report.fields == ("age", "site")
    assert RunConfig.from_json(config.to_json()) == config
    assert str(tmp_path) not in config.to_json()
    settled = config.settled()
    assert settled.report.template == "fields"
    assert settled.classes.templates == ("A scan of {name}",)
    assert "2509.07613" in settled.citations
    assert "Parkinson" in settled.citations
    assert config.edit("profile=none").profile is None
    with pytest.raises(UsageError, match="chset"):
        config.edit("profile=chset")


def test_a_run_from_before_there_were_profiles_has_the_one_it_meant() -> None:
    deft, medct = read_recipe("deft"), read_recipe("medct")
    assert (deft.known_profile, medct.known_profile) == (DEMENTIA, CHEST)
    assert deft.settled().report.template == "deft"
    assert deft.same_run(deft.settled())
    assert not deft.same_run(deft.settled(BLANK))
    assert "1909" not in deft.citations
    assert deft.citations.count("2509.07613") == 1


@pytest.mark.parametrize(
    ("recipe", "paper"), [("lga", "LGA"), ("spp_lora", "M3D"), ("deft_lora", "Cheng"), ("medct", "Hamamci")]
)
def test_pages_cite_the_paper_of_the_recipe(recipe: str, paper: str) -> None:
    assert paper in read_recipe(recipe).citations


# --------------------------------------------------------------------------------------- recognising
@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"diagnosis": "AD"}, "dementia"),
        ({"diagnosis": "AD", "findings": "No nodule."}, "dementia"),
        ({"diagnosis": "older", "hippocampus_mm3": 3000}, "dementia"),
        ({"nWBV": "0.7"}, "dementia"),
        ({"Findings": "No nodule."}, "chest"),
        ({"diagnosis": "PD", "dat_ratio": "1", "updrs_total": "30"}, "blank"),
        ({"diagnosis": "PD", "mmse": 29}, "blank"),
        ({}, "blank"),
    ],
)
def test_a_cohort_is_recognised_and_said(values: dict[str, object], name: str) -> None:
    row = ManifestRow.model_validate({"participant_id": "p", "scan_id": "s", "image": "i"} | values)
    found = recognise([row])
    assert found.profile.name == name
    assert f"Profile '{name}': " in found.sentence
    assert ("report.fields" in found.sentence) == (name == "blank")


def test_what_is_asked_for_wins_over_what_is_recognised() -> None:
    row = ManifestRow(participant_id="p", scan_id="s", image="i", diagnosis="AD")
    assert chosen_profile("blank", [row]).profile is BLANK
    assert chosen_profile(CHEST, [row]).sentence == "Profile 'chest': as asked for."
    assert chosen_profile(None, [], "deft").profile is DEMENTIA
    assert chosen_profile(None, [row], "label").profile is DEMENTIA


def test_hardly_possible_values_are_named(parkinson: Profile) -> None:
    rows = [
        person(0, **{"Putamen (mm3)": "4.1"}),
        person(1),
        person(2, dat_ratio="high"),
        person(3, age="61"),
    ]
    said = implausible(rows, parkinson)
    assert len(said) == 2
    assert "putamen_mm3" in said[1]
    assert "1 of 4" in said[1]
    assert "1000 to 20000 mm^3" in said[1]
    assert "scan 's0' has 4.1" in said[1]
    assert "scan 's2' has high" in said[0]
    assert implausible([person(0, dat_ratio="inf")], parkinson)
    words = Profile(
        name="x", fields={"side": ReportField(name="Side", decimals=None), "n": ReportField(name="N")}
    )
    assert implausible([person(0, side="left", n="3")], words) == []
    assert "a number" in implausible([person(0, n="x")], words)[0]


# ------------------------------------------------------------------------------------------ describe
def test_describe_says_what_it_leaves_out_and_what_it_warns_of(tmp_path: Path) -> None:
    manifest = write_manifest([person(0), person(1)], tmp_path / "m.tsv")
    said = describe(manifest, tmp_path / "r.tsv").summary
    assert "Profile 'blank'" in said
    assert "dat_ratio, putamen_mm3" in said
    assert "--set report.fields=dat_ratio" in said
    assert read_reports(tmp_path / "r.tsv")["s0"].text == "A photo of HC."
    described = describe(manifest, tmp_path / "r.tsv", fields=("dat_ratio",))
    assert "In no text" in described.summary
    assert read_reports(tmp_path / "r.tsv")["s0"].fields == ("diagnosis", "dat_ratio")
    path = tmp_path / "parkinson.toml"
    path.write_text(PARKINSON.replace("[0.1, 10]", "[5, 10]"))
    said = describe(manifest, tmp_path / "r.tsv", profile=str(path)).summary
    assert "Warning: column 'dat_ratio': 2 of 2 values" in said
    assert "In no text" not in said
    with pytest.raises(LeakageError, match=r"updrs"):
        describe(manifest, tmp_path / "r.tsv", profile=str(path), fields=("updrs_total",))
    many = ManifestRow.model_validate(person(0).model_dump() | {f"extra{n}": "1" for n in range(12)})
    assert "more" in str(left_out_note([many], BLANK))


def test_a_method_guided_by_texts_is_guided_by_the_cohorts_classes() -> None:
    said: list[str] = []
    lga = read_recipe("lga").settled(Profile(name="x", class_texts=("A scan of {name}",)))
    found = _guided_by_its_classes(lga, [person(0), person(1)], said.append)
    assert found.vision[0].model_dump()["texts"] == ("A scan of HC", "A scan of PD")
    assert "A scan of PD" in said[0]
    dementia = [person(0, diagnosis="NC"), person(1, diagnosis="AD")]
    assert _guided_by_its_classes(lga, dementia, said.append) == lga
    assert _guided_by_its_classes(read_recipe("deft"), [person(0)], said.append) == read_recipe("deft")
    assert len(said) == 1


def test_what_is_plausible_is_possible() -> None:
    """No value that a profile calls usual may be one that is never read."""
    checked = 0
    for name in PROFILES:
        known = load(PROFILES, name)
        for column, field in known.columns.items():
            limits = RANGES.get(column)
            if limits is not None and field.range is not None:
                assert limits.low <= field.range[0] <= field.range[1] <= limits.high, (name, column)
                checked += 1
    assert checked >= 6
