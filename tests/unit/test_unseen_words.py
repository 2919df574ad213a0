"""Words that nobody sees, formulas and dollar signs: what came from a file stays text wherever it is shown or taken away."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from voxtune.cohorts.cells import decoded
from voxtune.data.manifest import read_manifest, read_table, write_manifest, write_table
from voxtune.errors import DataError, TableError
from voxtune.pages.layout import image, render
from voxtune.pages.print_files import tex, write_figure, write_print_table
from voxtune.profiles.read import read_profile
from voxtune.serving.answer import plain_cell
from voxtune.types.records import ManifestRow
from voxtune.types.words import plain_text, shows, unseen_in

HIDDEN = ("\x1b[2J", "\x00", "\x7f", "\x9b31m", "\u202e", "\u2066", "\u200f", "\u2028", "\ufeff")
"""A terminal's orders, NUL, delete, an order of one letter, marks that turn lines around, a line break that is none, a mark of byte order."""
HEADER = "participant_id\tscan_id\timage\tdiagnosis\tward\n"


@pytest.mark.parametrize("mark", HIDDEN)
@pytest.mark.parametrize("place", ["p{}\ts\ta.nii\tAD\t1\n", "p\ts\ta{}.nii\tAD\t1\n", "p\ts\ta.nii\tA{}D\t1\n", "p\ts\ta.nii\tAD\tx{}y\n"])  # fmt: skip
def test_a_manifest_with_what_nobody_sees_is_refused_by_line_and_column(
    tmp_path: Path, mark: str, place: str
) -> None:
    path = tmp_path / "m.tsv"
    path.write_text(HEADER + place.format(mark), encoding="utf-8")
    with pytest.raises(TableError, match=r"line 2.*holds U\+[0-9A-F]{4}") as refused:
        read_manifest(path)
    assert shows(str(refused.value))


@pytest.mark.parametrize("mark", HIDDEN)
def test_so_is_one_whose_column_is_called_so(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "m.tsv"
    path.write_text(HEADER.replace("ward", f"wa{mark}rd") + "p\ts\ta.nii\tAD\t1\n", encoding="utf-8")
    with pytest.raises(TableError, match="its name holds") as refused:
        read_manifest(path)
    assert shows(str(refused.value))


def test_what_would_be_refused_is_not_written(tmp_path: Path) -> None:
    row = ManifestRow(participant_id="p", scan_id="s", image="a.nii", diagnosis="A\x1bD")
    with pytest.raises(TableError, match=r"scan_id 's'.*U\+001B"):
        write_manifest([row], tmp_path / "m.tsv")
    assert not (tmp_path / "m.tsv").exists()


@pytest.mark.parametrize("column", ["participant_id", "image", "diagnosis"])
@pytest.mark.parametrize("mark", ["\n", "\t"])
def test_a_name_is_one_line(tmp_path: Path, column: str, mark: str) -> None:
    path = tmp_path / "m.tsv"
    cells = {"participant_id": "p", "scan_id": "s", "image": "a.nii", "diagnosis": "AD", "ward": f"1{mark}2"}
    path.write_text(HEADER + "\t".join(f'"{one}"' for one in cells.values()) + "\n", encoding="utf-8")
    assert len(read_manifest(path)) == 1, "a remark may have several lines"
    cells[column] = f"A{mark}D"
    path.write_text(HEADER + "\t".join(f'"{one}"' for one in cells.values()) + "\n", encoding="utf-8")
    with pytest.raises(TableError, match=rf"'{column}'.*holds U\+000"):
        read_manifest(path)


def test_other_letters_stay(tmp_path: Path) -> None:
    row = ManifestRow(
        participant_id="p", scan_id="s", image="é/数据.nii", diagnosis="Ataxie à début", site="מרכז"
    )
    assert read_manifest(write_manifest([row], tmp_path / "m.tsv"))[0].site == "מרכז"


def test_marks_of_direction_in_a_source_table_are_left_out() -> None:
    assert decoded("id,dx\n1,A\u200eD\u202c\n".encode()) == "id,dx\n1,AD\n"


def test_every_table_of_ours_moves_no_cursor(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.tsv", ("a",), [{"a": "x\x1b[31my\u202ez"}])
    assert shows(path.read_text(encoding="utf-8"))
    assert read_table(path)[0]["a"] == r"x\x1b[31my\u202ez"


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-cmd|x", "@sum"])
def test_a_formula_is_text(tmp_path: Path, text: str) -> None:
    assert plain_cell(text) == plain_text(text) == f"'{text}"
    write_print_table(
        tmp_path, "t", ("name",), [{"name": text}, {"name": "-0.5"}], caption="c", simulated=False
    )
    assert (tmp_path / "tables" / "t.csv").read_text() == f"name\n'{text}\n-0.5\n"


def test_latex_gets_one_line_of_text() -> None:
    assert tex("a\n\\input{x}\x1b%") == r"a \textbackslash{}input\{x\}\textbackslash{}x1b\%"


@pytest.mark.parametrize("name", ["$\\frac{$", "$x$", "costs $5 or $6", r"$\nothing$", "$", "a\\$b"])
def test_a_dollar_sign_in_a_name_is_no_formula(tmp_path: Path, name: str) -> None:
    def draw(axes: object) -> None:
        axes.set_yticks([0], [name])  # type: ignore[attr-defined]
        axes.set_title(name)  # type: ignore[attr-defined]
        axes.set_xscale("log")  # type: ignore[attr-defined]

    write_figure(tmp_path, "f", draw, simulated=True)
    assert (tmp_path / "figures" / "f.svg").is_file()
    figure = Figure()
    draw(figure.subplots())
    assert image(figure).startswith("data:image/png")


def test_a_page_turns_no_line_around() -> None:
    page = render("base.html.j2", {}, title="a\u202eb\x1b<c>", simulated=False)
    assert r"a\u202eb\x1b&lt;c&gt;" in page
    assert shows(page)


def test_a_profile_with_what_nobody_sees_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('classes = ["A", "B\\u202e"]\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"'classes\.1' holds a character that nobody sees"):
        read_profile(path)
    path.write_text("a = " + "[" * 5000, encoding="utf-8")
    with pytest.raises(DataError, match="not TOML"):
        read_profile(path)


def test_where_it_stands_is_said() -> None:
    assert unseen_in({"a": [{"b": "x"}, {"b": "\x1b"}]}) == "a.1.b"
    assert unseen_in({"a\u202e": 1}) == "a\\u202e"
    assert unseen_in({"a": [1, None, "fine\n"]}) == ""
