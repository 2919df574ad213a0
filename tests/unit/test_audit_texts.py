"""What a number of a report is beside its value: its marks, whether it is the table's, whether it is always the same."""

from collections.abc import Callable

import numpy as np
import pytest

from voxtune.audit.checks import AuditInputs, find_leaks
from voxtune.audit.text import body
from voxtune.audit.tokens import NUMBER, _format, _value
from voxtune.data.splits import make_split
from voxtune.pages.audit_page import audit_page
from voxtune.types.records import ManifestRow, Report


@pytest.mark.parametrize(
    ("written", "form", "value"),
    [
        ("6137.00", "#.00", 6137), ("6,137.00", "#,#.00", 6137), ("1,040,000", "#,#", 1_040_000), ("7,5", "#,0", 7.5),
        ("07", "0#", 7), ("0.5", "#.0", 0.5), ("+3", "+#", 3), ("-3.5", "#.0", -3.5), ("12%", "#%", 12), ("1.5e3", "#.0e", 1500),
        ("6.137,00", "#,00", 6137), ("12,345,6", "#,0", 12345.6),
    ],
)  # fmt: skip
def test_a_number_has_a_form_and_a_value(written: str, form: str, value: float) -> None:
    found = NUMBER.fullmatch(written)
    assert found is not None
    assert (_format(written), _value(written)) == (form, pytest.approx(value))


def findings(
    text: Callable[[ManifestRow, bool, np.random.Generator], str],
    change: Callable[[ManifestRow, bool], ManifestRow] = lambda row, ad: row,
) -> dict[str, str]:
    """Level of each check of texts, for 36 people of two classes, whose rows may be changed before."""
    rng = np.random.default_rng(0)
    rows = [
        ManifestRow(
            participant_id=f"p{i}",
            scan_id=f"p{i}",
            image=f"p{i}",
            diagnosis=("NC", "AD")[i % 2],
            hippocampus_mm3=round(float(rng.normal(7000, 700))),
            sex="FM"[i // 2 % 2],
        )
        for i in range(36)
    ]
    rows = [change(row, row.diagnosis == "AD") for row in rows]
    reports = {
        row.scan_id: Report(
            scan_id=row.scan_id,
            text=text(row, row.diagnosis == "AD", rng),
            fields=("diagnosis", "hippocampus_mm3"),
        )
        for row in rows
    }
    found = find_leaks(rows, make_split(rows, seed=0), reports, AuditInputs(permute=0)).findings
    return {one.check: one.level for one in found if one.level != "note"}


def plain(row: ManifestRow, form: str = ".2f", more: str = "") -> str:
    return f"A photo of {row.diagnosis}. Hippocampal volume: {format(row.hippocampus_mm3 or 0, form)} mm^3{more}."


@pytest.mark.parametrize(
    "text",
    [
        lambda row, ad, rng: plain(row, ",.2f" if ad else ".2f"),
        lambda row, ad, rng: plain(row.model_copy(update={"hippocampus_mm3": round(row.hippocampus_mm3, -2)}) if ad else row),
        lambda row, ad, rng: plain(row, more=f", slices: {176 if ad else int(rng.integers(150, 200))}"),
        lambda row, ad, rng: plain(row, ".2f").replace(": ", ": 0" if ad else ": "),
    ],
    ids=["thousands", "rounded", "constant", "leading nought"],
)  # fmt: skip
def test_what_a_number_looks_like_in_one_class_is_a_leak(text: Callable[..., str]) -> None:
    assert "text_probe" in findings(text)


@pytest.mark.parametrize(
    "text",
    [
        lambda row, ad, rng: plain(row),
        lambda row, ad, rng: plain(row).upper() if rng.uniform() < 0.3 else plain(row),
        lambda row, ad, rng: plain(row, ",.2f" if rng.uniform() < 0.5 else ".2f"),
        lambda row, ad, rng: plain(row, more=f", slices: {int(rng.integers(150, 200))}"),
    ],
    ids=["default", "letter case", "thousands", "number"],
)
def test_the_same_by_chance_is_none(text: Callable[..., str]) -> None:
    assert findings(text) == {}


def full_width(text: str) -> str:
    return "".join(chr(ord(one) + 0xFEE0) if one.isdigit() else one for one in text)


def sexed(row: ManifestRow, words: str) -> str:
    """The row's sex as one of ``F/M``, ``woman/man`` ..."""
    return f"{plain(row)} {words.split('/')[int(row.sex == 'M')]}."


FORMS: dict[str, tuple[Callable[..., str], Callable[..., str]]] = {
    "spaces between sentences": (plain, lambda row: plain(row).replace(". H", ".  H")),
    "a line's end": (plain, lambda row: plain(row).replace(". H", ".\nH")),
    "a space at the end": (plain, lambda row: f"{plain(row)} "),
    "a space that does not break": (plain, lambda row: plain(row).replace(" mm", "\u00a0mm")),
    "no space before the unit": (plain, lambda row: plain(row).replace(" mm", "mm")),
    "other digits": (plain, lambda row: full_width(plain(row))),
    "powers of ten": (lambda row: plain(row, ".4f"), lambda row: plain(row, ".4e")),
    "word for the sex": (lambda row: sexed(row, "female/male"), lambda row: sexed(row, "woman/man")),
    "letter for the sex": (lambda row: sexed(row, "F/M"), lambda row: sexed(row, "f/m")),
    "order of sentences": (
        lambda row: f"{plain(row)} Read twice. Units of mm. By hand.", lambda row: f"{plain(row)} Units of mm. Read twice. By hand.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_a_form_of_one_class_is_a_leak_and_by_chance_is_none(name: str) -> None:
    usual, other = FORMS[name]
    assert findings(lambda row, ad, rng: other(row) if ad else usual(row))["text_probe"] == "refuse"
    assert findings(lambda row, ad, rng: other(row) if rng.uniform() < 0.5 else usual(row)) == {}


CODES: dict[str, Callable[[int, np.random.Generator], str]] = {
    "first letter": lambda way, rng: f"{'AB'[way]}{rng.integers(1000, 9999)}",
    "first letters": lambda way, rng: f"{('ctl', 'dem')[way]}_{rng.integers(1000, 9999)}",
    "last letter": lambda way, rng: f"{rng.integers(1000, 9999)}{'AB'[way]}",
    "first of any": lambda way, rng: f"{'ab'[way]}{''.join(rng.choice(list('0123456789abcdef'), 8))}0",
    "length": lambda way, rng: f"x{rng.integers(10 ** (3 + way), 10 ** (4 + way))}",
    "odd": lambda way, rng: str(2 * rng.integers(500, 5000) + way),
}


@pytest.mark.parametrize("name", CODES)
def test_how_a_code_is_made_is_a_leak_though_each_text_has_its_own(name: str) -> None:
    made = CODES[name]
    assert "text_probe" in findings(lambda row, ad, rng: f"{plain(row)} Subject {made(int(ad), rng)}.")
    by_chance = findings(lambda row, ad, rng: f"{plain(row)} Subject {made(int(rng.integers(2)), rng)}.")
    assert by_chance == {}


def test_whole_values_of_one_table_are_told_from_measured_ones_of_another() -> None:
    def whole(row: ManifestRow) -> ManifestRow:
        return row.model_copy(update={"hippocampus_mm3": round(row.hippocampus_mm3 or 0)})

    def measured(row: ManifestRow) -> ManifestRow:
        return row.model_copy(update={"hippocampus_mm3": round(row.hippocampus_mm3 or 0) + 0.25})

    assert "text_probe" in findings(lambda row, ad, rng: plain(row), lambda row, ad: whole(row) if ad else measured(row))  # fmt: skip
    assert findings(lambda row, ad, rng: plain(row), lambda row, ad: measured(row)) == {}


def test_a_number_made_of_allowed_values_is_no_leak_and_one_that_adds_to_them_is() -> None:
    def telling(row: ManifestRow, ad: bool) -> ManifestRow:
        return row.model_copy(update={"hippocampus_mm3": (row.hippocampus_mm3 or 0) - 900 * ad})

    share = findings(
        lambda row, ad, rng: plain(row, more=f", {row.hippocampus_mm3 / 9000:.3f} of usual"), telling
    )
    assert share == {}
    both = findings(
        lambda row, ad, rng: plain(row, more=f", slices {2 * rng.integers(80, 90) + ad}"), telling
    )
    assert "text_probe" in both


def test_a_class_name_in_one_phrase_beside_changing_numbers_tells_nothing() -> None:
    assert findings(lambda row, ad, rng: f"{plain(row)} TE {rng.integers(2, 5)} of the AD protocol.") == {}


def test_the_label_sentence_is_one_in_any_letter_case_and_of_no_other_class() -> None:
    assert body("A PHOTO OF AD. VOLUME 3", "AD") == "VOLUME 3"
    assert body("A photo of ADHD. Volume 3", "AD") == "A photo of ADHD. Volume 3"
    assert body("Volume 3", None) == "Volume 3"


def test_the_page_shows_a_text_of_each_kind_of_mark() -> None:
    finding = {"check": "text_probe", "level": "refuse", "message": "Case.", "scans": [], "tokens": ["VOLUME", "volume"], "pairs": [], "figures": {}}  # fmt: skip
    report = {"findings": [finding], "checked": {}, "verdict": "1 finding refuses training.", "refused": True, "allowed": []}  # fmt: skip
    texts = {f"s{i}": "volume 3" for i in range(9)} | {"t": "VOLUME 3"}
    page = audit_page(report, dict.fromkeys(texts, "train"), texts, lambda _: None, simulated=False)
    assert "<mark>VOLUME</mark>" in page
    assert page.count("<mark>volume</mark>") == 3
