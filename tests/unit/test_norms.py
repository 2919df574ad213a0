"""Percentiles: of training controls alone, never of oneself, refused beyond the controls, the same in every door that writes texts."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from voxtune.commands.describe import describe, norms_from
from voxtune.commands.train.texts import say_of_texts, training_norms, training_reports
from voxtune.config import ReportSettings, RunConfig
from voxtune.data.manifest import read_reports, write_manifest
from voxtune.errors import DataError, LeakageError, UsageError
from voxtune.evaluation.baselines import unlabelled_texts
from voxtune.pages.norms_figure import norms_figure
from voxtune.profiles.read import read_profile
from voxtune.reports.needed import kept_norms, needed_norms
from voxtune.reports.norms import FittedNorms, control_classes, fit_norms, said_of_norms
from voxtune.reports.norms_fit import fit
from voxtune.reports.standing import Standing, design, ordinal, standings
from voxtune.reports.wording import columns_of, load_template, write_report
from voxtune.types.norms import Norms
from voxtune.types.profile import ReportField
from voxtune.types.records import ManifestRow
from voxtune_recipes.deft import recipe

DEMENTIA, BLANK, CHEST = (read_profile(name) for name in ("dementia", "blank", "chest"))


def people(
    count: int, seed: int = 0, classes: tuple[str, ...] = ("NC", "MCI", "AD"), **changes: object
) -> list[ManifestRow]:
    """Adults whose volumes follow head size, age and sex, and shrink from class to class."""
    draw = np.random.default_rng(seed)
    rows = []
    for place in range(count):
        stage = place % len(classes)
        age, sex = float(draw.uniform(60, 88)), "FM"[int(draw.integers(2))]
        size = float(np.exp(draw.normal(np.log(1.5e6), 0.07)))
        rows.append(
            ManifestRow.model_validate(
                {
                    "participant_id": f"p{place}", "scan_id": f"s{place}", "image": "x", "diagnosis": classes[stage],
                    "age": round(age, 1), "sex": sex, "icv_mm3": size,
                    "hippocampus_mm3": 7300 * (size / 1.5e6) * np.exp(-0.006 * (age - 74) + 0.1 * draw.standard_normal()) * (1 - 0.15 * stage),
                    "ventricles_mm3": 30000 * np.exp(0.02 * (age - 74) + 0.3 * draw.standard_normal()) * (1 + 0.3 * stage),
                    **changes,
                }
            )
        )  # fmt: skip
    return rows


def test_percentiles_of_new_controls_are_spread_evenly() -> None:
    fitted = fit_norms(people(120, 1, ("NC",)), DEMENTIA)
    found = [fitted.standings(row).regions for row in people(400, 2, ("NC",))]
    for column in ("hippocampus_mm3", "ventricles_mm3"):
        shares = [one[column].percentile / 100 for one in found if column in one]
        assert len(shares) > 380
        assert stats.kstest(shares, "uniform").pvalue > 0.001
    assert sum(fitted.norms.regions["hippocampus_mm3"].left_out) == 120


def test_few_controls_are_cautious_and_say_what_they_are_not_adjusted_for() -> None:
    few, many = (fit_norms(people(count, 3, ("NC",)), DEMENTIA).norms for count in (5, 200))
    assert few.terms == ()
    assert "too few" in few.sentence
    assert many.terms == ("head_size", "age", "sex")
    assert many.adjusted == "age, sex and head size"
    assert many.degree == 3
    row = people(1, 9)[0].model_copy(update={"hippocampus_mm3": 5000.0, "age": 75.0, "icv_mm3": 1.5e6})
    cautious, sure = (standings(norms, row).regions["hippocampus_mm3"].z for norms in (few, many))
    assert sure < cautious < 0
    with pytest.raises(DataError, match=r"5 control participants .*there are 4"):
        fit_norms(people(4, 3, ("NC",)), DEMENTIA)


def test_nobody_is_held_against_themselves() -> None:
    rows = people(12, 4, ("NC",))
    odd = rows[0].model_copy(update={"hippocampus_mm3": 3000.0})
    rows = [odd, *rows[1:]]
    fitted = fit_norms(rows, DEMENTIA)
    without = fit_norms(rows[1:], DEMENTIA).norms
    own = fitted.without["p0"]
    assert own is not None
    assert own.terms == fitted.norms.terms
    assert (
        fitted.standings(odd).regions["hippocampus_mm3"].z
        < standings(fitted.norms, odd).regions["hippocampus_mm3"].z
    )
    assert (
        own.regions["hippocampus_mm3"].participants == without.regions["hippocampus_mm3"].participants == 11
    )
    text = write_report(odd, "normative", profile=DEMENTIA, norms=fitted).text
    assert fitted.standings(odd).regions["hippocampus_mm3"].words in text


def test_the_test_side_changes_no_byte() -> None:
    rows = people(60, 5)
    train, rest = rows[:30], rows[30:]
    config = recipe().edit("report.template=normative").settled(DEMENTIA)
    norms = training_norms(train, config)
    assert norms is not None
    before = norms.norms.model_dump_json()
    changed = [row.model_copy(update={"hippocampus_mm3": 1.0, "diagnosis": "NC"}) for row in rest]
    texts = training_reports([*train, *changed], config, training_norms(train, config))
    assert training_norms(train, config).norms.model_dump_json() == before  # type: ignore[union-attr]
    assert {row.scan_id: training_reports(rows, config, norms)[row.scan_id] for row in train} == {
        row.scan_id: texts[row.scan_id] for row in train
    }


def test_a_participant_counts_once_however_many_scans() -> None:
    rows = people(20, 6, ("NC",))
    again = [rows[0].model_copy(update={"scan_id": f"again{k}"}) for k in range(6)]
    one, many = (fit_norms(some, DEMENTIA).norms for some in (rows, [*rows, *again]))
    assert many.participants == one.participants
    assert many.regions["hippocampus_mm3"].coefficients == pytest.approx(
        one.regions["hippocampus_mm3"].coefficients, rel=1e-6
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"age": 99}, "age 99 is outside"),
        ({"age": 40}, "age 40 is outside"),
        ({"age": None}, "no age"),
        ({"sex": None}, "no sex"),
        ({"icv_mm3": None}, "no head size"),
        ({"icv_mm3": 0}, "no head size"),
        ({"icv_mm3": 2.4e6}, "intracranial volume of 2400000"),
        ({"hippocampus_mm3": None, "ventricles_mm3": 0}, "no volume"),
    ],
)
def test_beyond_the_controls_nothing_is_said(change: dict[str, object], why: str) -> None:
    fitted = fit_norms(people(60, 7, ("NC",)), DEMENTIA)
    row = people(1, 8, ("AD",))[0].model_copy(update=change)
    found = fitted.standings(row)
    assert found.regions == {}
    assert found.why is not None
    assert why in found.why
    for template in ("normative", "graph"):
        text = write_report(row, template, profile=DEMENTIA, norms=fitted).text
        assert "percentile" not in text
        if row.hippocampus_mm3:
            assert f"Hippocampal volume: {row.hippocampus_mm3:.2f} mm^3" in text
    said = said_of_norms([row], fitted)
    assert "1 of 1 scans have no percentiles" in said[1]
    assert "99" not in said[1].replace("99th", "")


def test_a_value_of_another_unit_is_no_small_volume() -> None:
    rows = people(30, 1, ("NC",))
    fitted = fit_norms(rows, DEMENTIA)
    new = rows[0].model_copy(update={"participant_id": "new"})
    other = new.model_copy(update={"hippocampus_mm3": 6.1})
    assert set(fitted.standings(other).regions) == {"ventricles_mm3"}
    text = write_report(other, "graph", profile=DEMENTIA, norms=fitted).text.lower()
    assert "hippocamp" not in text
    alone = other.model_copy(update={"ventricles_mm3": None})
    assert fitted.standings(alone).why == "hippocampus_mm3 outside what is plausible (another unit?)"
    head = new.model_copy(update={"icv_mm3": 1500.0})
    assert fitted.standings(head).why == "icv_mm3 outside what is plausible (another unit?)"
    assert fitted.standings(new.model_copy(update={"icv_mm3": float("inf")})).regions == {}
    # The same of the controls: what is of another unit is in no fit.
    mixed = [
        row.model_copy(update={"hippocampus_mm3": row.hippocampus_mm3 / 1000, "icv_mm3": row.icv_mm3 / 1000}) if place % 6 == 0 else row
        for place, row in enumerate(rows)
    ]  # fmt: skip
    rest = [row for place, row in enumerate(rows) if place % 6]
    found, expected = fit_norms(mixed, DEMENTIA).norms, fit_norms(rest, DEMENTIA).norms
    assert found.regions["hippocampus_mm3"].coefficients == pytest.approx(
        expected.regions["hippocampus_mm3"].coefficients
    )
    assert found.head_size == expected.head_size
    every = [row.model_copy(update={"hippocampus_mm3": row.hippocampus_mm3 / 1000, "ventricles_mm3": None}) for row in rows]  # fmt: skip
    with pytest.raises(
        DataError, match=r"there are 0. 30 scans of controls have values outside .* another unit"
    ):
        fit_norms(every, DEMENTIA)


def test_controls_who_do_not_differ_are_said_as_they_are() -> None:
    same = [
        row.model_copy(update={"hippocampus_mm3": 7000.0, "ventricles_mm3": None})
        for row in people(12, 1, ("NC",))
    ]
    with pytest.raises(DataError, match=r"there are 12. No volume that 5 of them have differs"):
        fit_norms(same, DEMENTIA)
    women = [
        row.model_copy(update={"sex": "M" if place == 0 else "F"})
        for place, row in enumerate(people(30, 1, ("NC",)))
    ]
    assert (
        "not adjusted for sex: one control alone is of the other sex"
        in fit_norms(women, DEMENTIA).norms.sentence
    )


def test_every_control_has_percentiles() -> None:
    rows = people(60, 7, ("NC",))
    assert said_of_norms(rows, fit_norms(rows, DEMENTIA)) == [fit_norms(rows, DEMENTIA).norms.sentence]


def test_a_sex_that_no_control_has() -> None:
    women = people(30, 7, ("NC",), sex="F")
    norms = fit_norms(women, DEMENTIA).norms
    assert "sex" not in norms.terms
    assert "do not differ" in norms.sentence
    assert standings(norms, women[0].model_copy(update={"sex": "M"})).why == "no control is of sex M"
    unsexed = fit_norms(people(30, 7, ("NC",), sex=None), DEMENTIA).norms
    assert standings(unsexed, women[0]).regions
    assert "0 of 30 controls have it" in unsexed.sentence


def test_columns_that_say_the_same_are_no_model() -> None:
    assert fit(np.ones((6, 2)), np.arange(6.0), np.array(list("abcdef")), 5) is None
    assert fit(np.ones((6, 6)), np.arange(6.0), np.array(list("abcdef")), 5) is None


def test_controls_without_ages_or_heads_are_not_adjusted() -> None:
    norms = fit_norms(people(30, 7, ("NC",), age=None, icv_mm3=None), DEMENTIA).norms
    assert norms.age is None
    assert norms.head_size is None
    assert norms.terms == ("sex",)
    assert "ages" not in norms.sentence.split(";")[0]


def test_a_control_alone_with_a_column_is_left_without_its_model() -> None:
    rows = people(6, 10, ("NC",))
    same = [row.model_copy(update={"hippocampus_mm3": 7000.0, "ventricles_mm3": 3e4}) for row in rows]
    with pytest.raises(DataError, match="there are 6"):
        fit_norms(same, DEMENTIA)  # they do not differ: a spread of 0 is none
    nearly = [*same[:5], same[5].model_copy(update={"hippocampus_mm3": 6000.0})]
    fitted = fit_norms(nearly, DEMENTIA)
    assert fitted.without["p5"] is None
    assert fitted.standings(nearly[5]).why == "too few controls beside this one"
    few = [
        row.model_copy(update={"ventricles_mm3": None}) if place > 3 else row
        for place, row in enumerate(rows)
    ]
    assert set(fit_norms(few, DEMENTIA).norms.regions) == {"hippocampus_mm3"}


def test_the_class_of_controls_is_known_or_said() -> None:
    assert control_classes(DEMENTIA) == ("NC", "CN")
    assert control_classes(BLANK, ("HC",)) == ("HC",)
    with pytest.raises(DataError, match=r"report\.controls=CLASS"):
        control_classes(BLANK)


def test_percentiles_need_a_model_that_is_given() -> None:
    row = people(1)[0]
    for template in ("normative", "graph"):
        with pytest.raises(UsageError, match="describe --norms"):
            write_report(row, template, profile=DEMENTIA)
        with pytest.raises(UsageError, match="has none"):
            load_template(template, BLANK)
    assert "hippocampus_mm3" in columns_of(load_template("normative", DEMENTIA), DEMENTIA)
    assert columns_of(load_template("deft"), DEMENTIA) >= {"hippocampus_mm3"}


def test_a_template_of_ones_own_may_state_percentiles(tmp_path: Path) -> None:
    fitted = fit_norms(people(60, 7, ("NC",)), DEMENTIA)
    own = tmp_path / "own.txt"
    own.write_text(
        "{% if label %}A photo of {{ label }}.{% endif %} Rank {{ hippocampus_mm3_percentile | round }} for {{ percentiles_for }}"
    )
    row = people(1, 8, ("AD",))[0]
    report = write_report(row, own, profile=DEMENTIA, norms=fitted)
    assert (
        f"Rank {round(fitted.standings(row).regions['hippocampus_mm3'].percentile)}.0 for age" in report.text
    )
    assert set(report.fields) == {"diagnosis", "hippocampus_mm3", "age", "sex", "icv_mm3"}
    assert needed_norms(ReportSettings(template=str(own)), DEMENTIA, people(60)) is not None
    assert needed_norms(ReportSettings(template="deft"), DEMENTIA, people(60)) is None
    assert needed_norms(ReportSettings(template="normative", file="r.tsv"), DEMENTIA, []) is None


def test_a_column_of_that_name_is_not_replaced_in_silence(tmp_path: Path) -> None:
    fitted = fit_norms(people(60, 7, ("NC",)), DEMENTIA)
    theirs = ManifestRow.model_validate(people(1)[0].model_dump() | {"hippocampus_mm3_z": "1.5"})
    with pytest.raises(UsageError, match="hippocampus_mm3_z"):
        write_report(theirs, "normative", profile=DEMENTIA, norms=fitted)
    own = tmp_path / "own.txt"
    own.write_text("z {{ hippocampus_mm3_z }}")
    policy = {"hippocampus_mm3_z": "training"}
    assert write_report(theirs, own, profile=DEMENTIA, policy=policy).text == "z 1.5"  # type: ignore[arg-type]


def test_the_field_policy_holds_for_what_percentiles_are_made_of() -> None:
    rows = people(60)
    with pytest.raises(LeakageError, match="target"):
        training_reports(rows, recipe().edit("targets=hippocampus_mm3").edit("report.template=normative").edit("report.fields=hippocampus_mm3").settled(DEMENTIA))  # fmt: skip
    aged = recipe().edit("targets=age").edit("report.template=normative").settled(DEMENTIA)
    norms = training_norms(rows, aged)
    assert norms is not None
    assert "age" not in norms.norms.terms
    assert "it may not be in a text" in norms.norms.sentence
    text = training_reports(rows, aged, norms)["s0"]
    assert "age" not in text.fields
    ruled = [row.model_copy(update={"diagnosis_rule": "rule: NC if age<70"}) for row in rows]
    assert "age" not in needed_norms(ReportSettings(template="normative"), DEMENTIA, ruled).norms.terms  # type: ignore[union-attr]
    with pytest.raises(LeakageError, match="age"):
        write_report(ruled[0], "normative", profile=DEMENTIA, norms=fit_norms(rows, DEMENTIA))
    shrunk = recipe().edit("targets=hippocampus_mm3").edit("report.template=normative").settled(DEMENTIA)
    assert "Hippocampal" not in training_reports(rows, shrunk, training_norms(rows, shrunk))["s0"].text
    with pytest.raises(LeakageError, match="training only"):
        write_report(
            rows[0], "normative", profile=DEMENTIA, norms=fit_norms(rows, DEMENTIA), when="inference"
        )


def test_describe_takes_a_split_or_an_adapter(tmp_path: Path) -> None:
    from voxtune.commands.split import split

    rows = people(60)
    manifest = write_manifest(rows, tmp_path / "manifest.tsv")
    split(manifest, tmp_path / "split")
    made = describe(manifest, tmp_path / "r.tsv", "normative", norms=tmp_path / "split")
    assert "Percentiles: of" in made.summary
    train = {line.split("\t")[0] for line in (tmp_path / "split" / "train.tsv").read_text().splitlines()[1:]}
    own = fit_norms([row for row in rows if row.scan_id in train], DEMENTIA)
    written = read_reports(tmp_path / "r.tsv")
    assert written["s3"].text == write_report(rows[3], "normative", profile=DEMENTIA, norms=own).text
    with pytest.raises(UsageError, match="--norms"):
        describe(manifest, tmp_path / "r.tsv", "graph")
    with pytest.raises(UsageError, match="keeps no normative model"):
        norms_from(Path("demo"), rows, DEMENTIA, ReportSettings(template="normative"))
    # As a training on this split would: what is in the label's rule is not adjusted for.
    ruled = write_manifest([row.model_copy(update={"diagnosis_rule": "rule: NC if age<70"}) for row in rows], tmp_path / "ruled.tsv")  # fmt: skip
    split(ruled, tmp_path / "ruled")
    told = describe(ruled, tmp_path / "r.tsv", "normative", norms=tmp_path / "ruled")
    assert "not adjusted for age: it may not be in a text" in told.summary


def test_curves_are_drawn_in_the_unit_of_the_table() -> None:
    fitted = fit_norms(people(40, 1, ("NC",)), DEMENTIA).norms.model_dump(mode="json")
    figure = norms_figure(
        fitted, {"hippocampus_mm3": ("Hippocampal volume", "mm^3"), "ventricles_mm3": ("DaT ratio", "")}
    )
    hippocampus, ratio = figure.axes[:2]
    assert (hippocampus.get_ylabel(), ratio.get_ylabel()) == ("ml", "")
    assert 5 < hippocampus.lines[4].get_ydata().mean() < 10
    assert ratio.lines[4].get_ydata().mean() > 10_000
    assert hippocampus.get_xlabel() == "age (years)"
    ageless = fit_norms(people(40, 1, ("NC",), age=None), DEMENTIA).norms.model_dump(mode="json")
    axes = norms_figure(ageless, {"hippocampus_mm3": ("Hippocampal volume", "mm^3")}).axes[0]
    assert (axes.get_xlabel(), list(axes.get_xticks())) == ("any age", [])


def test_the_baseline_of_texts_uses_the_stored_model() -> None:
    rows = people(60)
    fitted = FittedNorms(fit_norms(rows, DEMENTIA).norms)
    stated = unlabelled_texts(rows, "normative", DEMENTIA, norms=fitted)
    assert "percentile" in stated["s0"].text
    assert "A photo of" not in stated["s0"].text
    assert "percentile" not in unlabelled_texts(rows, "normative", DEMENTIA)["s0"].text


def test_what_an_adapter_keeps_finds_its_models_without_each_control_again() -> None:
    rows = people(60)
    own = ReportSettings(template="normative")
    kept = fit_norms(rows[:30], DEMENTIA).norms
    assert kept_norms(None, own, DEMENTIA) is None
    again = kept_norms(kept, own, DEMENTIA, rows[:30])
    assert again is not None
    assert again.without
    for others in ((), rows[30:], rows[:3]):
        found = kept_norms(kept, own, DEMENTIA, others)
        assert found is not None
        assert not found.without
        assert found.norms == kept


def test_a_stored_model_comes_back_and_an_impossible_one_is_refused() -> None:
    norms = fit_norms(people(90), DEMENTIA).norms
    tree = json.loads(norms.model_dump_json())
    assert Norms.model_validate(tree) == norms
    region = tree["regions"]["hippocampus_mm3"]
    broken = (
        {"age": None}, {"terms": ["age", "age"]}, {"sexes": ["F"]}, {"knots": [], "terms": ["age"]}, {"knots": tree["knots"][::-1]},
        {"terms": ["sex"]}, {"regions": {"hippocampus_mm3": region | {"inverse": [[1.0]]}}}, {"participants": 0},
    )  # fmt: skip
    for change in broken:
        with pytest.raises(ValidationError):
            Norms.model_validate(tree | change)


def test_training_says_what_percentiles_rest_on() -> None:
    lines: list[str] = []
    rows = people(60)
    config = RunConfig.model_validate(recipe().model_dump()).edit("report.template=graph").settled(DEMENTIA)
    say_of_texts(rows, config, lines.append, training_norms(rows, config))
    assert any(line.startswith("Percentiles: of 20 control participants") for line in lines)
    assert training_norms(rows, config.edit("loss.contrastive_weight=0")) is None


@given(st.floats(1000, 15000), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_percentile_and_z_say_the_same(volume: float, seed: int) -> None:
    norms = fit_norms(people(30, seed, ("NC",)), DEMENTIA).norms
    row = people(1, 8)[0].model_copy(update={"hippocampus_mm3": volume, "age": 75.0, "icv_mm3": 1.5e6})
    one = standings(norms, row).regions["hippocampus_mm3"]
    assert 0 <= one.percentile <= 100
    assert abs(one.z) == 10 or one.percentile == pytest.approx(100 * stats.norm.cdf(one.z), abs=1e-6)


def test_words_of_percentiles() -> None:
    assert [ordinal(value) for value in (1, 2, 3, 4, 11, 12, 13, 21, 22, 93)] == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "93rd"]  # fmt: skip
    assert Standing(0.4, -2.7).words == "below the 1st percentile"
    assert Standing(99.5, 2.6).words == "above the 99th percentile"
    assert Standing(4.2, -1.7).words == "4th percentile"


# ------------------------------------------------------------------------------------------------ controls of other kinds
def changed(rows: list[ManifestRow], change: dict[int, dict[str, object]]) -> list[ManifestRow]:
    """Rows with other values at some places."""
    return [row.model_copy(update=change.get(place, {})) for place, row in enumerate(rows)]


@pytest.mark.parametrize("count", [12, 30, 50, 90])
@pytest.mark.parametrize("ages", [(70, 80), (60, 70, 80), (60, 65, 70, 75), (60, 65, 70, 75, 80)])
def test_few_different_ages_bend_the_curve_less_and_refuse_nobody(ages: tuple[int, ...], count: int) -> None:
    rows = people(count, 1, ("NC",))
    rows = changed(rows, {place: {"age": float(ages[place % len(ages)])} for place in range(count)})
    fitted = fit_norms(rows, DEMENTIA)
    assert set(fitted.norms.regions) == {"hippocampus_mm3", "ventricles_mm3"}
    assert ("age" in fitted.norms.terms) == (count >= 9)
    assert fitted.standings(rows[1]).regions


def test_what_goes_with_another_term_is_not_adjusted_for_twice() -> None:
    rows = [
        row.model_copy(update={"icv_mm3": 1.6e6 if row.sex == "M" else 1.4e6})
        for row in people(30, 1, ("NC",))
    ]
    fitted = fit_norms(rows, DEMENTIA)
    assert fitted.norms.terms == ("head_size", "age")
    assert "not adjusted for sex: among the controls it goes with head size and age" in fitted.norms.sentence
    assert fitted.standings(rows[0]).regions


@pytest.mark.parametrize(("column", "bound"), [("age", "age"), ("icv_mm3", "head_size"), ("sex", "sexes")])
def test_what_few_controls_have_bounds_nobody_and_is_nobodys_own(column: str, bound: str) -> None:
    rows = people(30, 1, ("NC",))
    rows = changed(rows, {place: {column: None} for place in range(1, 30)})
    norms = fit_norms(rows, DEMENTIA).norms
    assert not getattr(norms, bound)
    assert all(standings(norms, row).regions for row in people(9, 2) if row.age and 61 < row.age < 87)


@pytest.mark.parametrize("column", ["age", "icv_mm3"])
def test_a_text_is_the_same_whatever_a_target_is(column: str) -> None:
    rows = people(60)
    config = recipe().edit(f"targets={column}").edit("report.template=normative").settled(DEMENTIA)
    other = [
        row.model_copy(update={column: {"age": 20.0 + place, "icv_mm3": 8e5 + 2e4 * place}[column]})
        for place, row in enumerate(rows)
    ]
    texts = [training_reports(some, config, training_norms(rows, config)) for some in (rows, other)]
    assert texts[0] == texts[1]
    assert training_norms(other, config).norms == training_norms(rows, config).norms  # type: ignore[union-attr]


def test_what_only_bounds_is_a_source_of_the_text_too() -> None:
    rows = people(5, 3, ("NC",))
    fitted = fit_norms(rows, DEMENTIA)
    assert fitted.norms.terms == ()
    assert "age" in write_report(rows[0], "normative", profile=DEMENTIA, norms=fitted).fields
    ruled = rows[0].model_copy(update={"diagnosis_rule": "rule: NC if age<70"})
    with pytest.raises(LeakageError, match="age"):
        write_report(ruled, "normative", profile=DEMENTIA, norms=fitted)


@pytest.mark.parametrize("known", ["F", "few"])
def test_a_region_without_a_model_is_said(known: str) -> None:
    rows = people(40, 1, ("NC",))
    have = {place for place, row in enumerate(rows) if (row.sex == "F" if known == "F" else place < 4)}
    rows = changed(rows, {place: {"ventricles_mm3": None} for place in range(40) if place not in have})
    norms = fit_norms(rows, DEMENTIA).norms
    assert set(norms.regions) == {"hippocampus_mm3"}
    assert f"no percentiles of ventricular size: {len(have)} of 40 controls have it" in norms.sentence


@given(st.integers(0, 99), st.integers(8, 60))
@settings(max_examples=15, deadline=None)
def test_the_model_without_a_control_is_the_one_fitted_without(seed: int, count: int) -> None:
    rows = people(count, seed, ("NC",))
    rows += [rows[0].model_copy(update={"scan_id": "again", "hippocampus_mm3": 7000.0})]
    rows = changed(rows, {2: {"ventricles_mm3": None}})
    fitted = fit_norms(rows, DEMENTIA)
    columns = standing_design(rows, fitted.norms)
    owners = np.array([row.participant_id for row in rows])
    logs = np.log([row.hippocampus_mm3 or np.nan for row in rows])
    for person in ("p0", "p1", f"p{count - 1}"):
        own = fitted.without[person]
        others = fit(columns[owners != person], logs[owners != person], owners[owners != person], 2)
        assert (own is None) == (others is None)
        if own is not None and others is not None:
            found, again = own.regions["hippocampus_mm3"], others.line()
            assert found.coefficients == pytest.approx(again.coefficients, rel=1e-6, abs=1e-9)
            assert found.spread == pytest.approx(again.spread, rel=1e-6)
            assert np.array(found.inverse) == pytest.approx(np.array(again.inverse), rel=1e-6, abs=1e-9)
            assert (found.freedom, found.participants) == (again.freedom, again.participants)


def standing_design(rows: list[ManifestRow], norms: Norms) -> np.ndarray:
    return design(rows, norms.terms, norms.knots, norms.degree, norms.middle)


def test_without_the_one_who_says_what_a_term_is_nothing_is_said_of_the_region() -> None:
    rows = people(40, 1, ("NC",))
    women = [place for place, row in enumerate(rows) if row.sex == "F"]
    few = [*women[:1], *[place for place, row in enumerate(rows) if row.sex == "M"][:9]]
    rows = changed(rows, {place: {"ventricles_mm3": None} for place in range(40) if place not in few})
    fitted = fit_norms(rows, DEMENTIA)
    assert "ventricles_mm3" in fitted.norms.regions
    kept = {place: fitted.without[f"p{place}"] for place in few}
    assert all(one is not None for one in kept.values())
    assert [place for place, one in kept.items() if "ventricles_mm3" not in one.regions] == women[:1]  # type: ignore[union-attr]
    fewer = changed(rows, {place: {"ventricles_mm3": None} for place in few[7:]})
    alone = fit_norms(fewer, DEMENTIA)
    assert "ventricles_mm3" in alone.norms.regions
    assert "ventricles_mm3" not in alone.without[f"p{few[1]}"].regions  # type: ignore[union-attr]


def test_a_measure_with_values_below_zero_is_no_volume() -> None:
    signed = DEMENTIA.model_copy(
        update={"regions": DEMENTIA.regions | {"asymmetry": ReportField(name="Asymmetry", decimals=1)}}
    )
    rows = [
        ManifestRow.model_validate(row.model_dump() | {"asymmetry": f"{place % 7 - 2}"})
        for place, row in enumerate(people(40, 1, ("NC",)))
    ]
    fitted = fit_norms(rows, signed)
    assert set(fitted.norms.regions) == {"hippocampus_mm3", "ventricles_mm3"}
    assert "no percentiles of asymmetry: some controls have values below 0" in fitted.norms.sentence
    assert "Asymmetry: -2.0." in write_report(rows[0], "normative", profile=signed, norms=fitted).text
    alone = DEMENTIA.model_copy(update={"regions": {"asymmetry": signed.regions["asymmetry"]}})
    with pytest.raises(DataError, match="there are 0"):
        fit_norms(rows, alone)


def test_many_regions_without_a_model_are_counted() -> None:
    names = [name for name in DEMENTIA.regions if name not in {"hippocampus_mm3", "icv_mm3"}]
    rows = [
        row.model_copy(update=dict.fromkeys(names, 6000.0 + place if place < 3 else None))
        for place, row in enumerate(people(30, 1, ("NC",)))
    ]
    sentence = fit_norms(rows, DEMENTIA).norms.sentence
    assert sentence.count("3 of 30 controls have it") == 3
    assert "no percentiles of 1 more region." in sentence  # the fifth has volumes of another unit
