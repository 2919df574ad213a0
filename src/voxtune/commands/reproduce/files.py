"""A finished table as Markdown, CSV and LaTeX; the page is ``pages/reproduce_page``."""

import csv
import io
from collections.abc import Iterable, Sequence

from voxtune.commands.reproduce.accuracy import Accuracy, Against
from voxtune.commands.reproduce.paper import Paper, Role, Table
from voxtune.commands.reproduce.scores import Line

CSV_COLUMNS = (
    "table", "row", "cohort", "role", "simulated", "status", "reason", "accuracy", "sd", "low", "high", "seeds", "each_seed", "n_scans",
    "n_participants", "published", "published_sd", "minus_published", "minus_reference", "minus_reference_low", "minus_reference_high", "p",
    "p_holm", "training_scans", "trained_parameters", "published_trained_millions", "balanced_accuracy", "auroc", "mmse_mae", "seconds",
)  # fmt: skip


def ours(one: Accuracy | None) -> str:
    """``74.5 ± 1.2 [68.0, 80.1]``."""
    if one is None:
        return "-"
    spread = f" ± {one.sd:.1f}" if one.sd is not None else ""
    interval = f" [{one.low:.1f}, {one.high:.1f}]" if one.low is not None and one.high is not None else ""
    return f"{one.mean:.1f}{spread}{interval}"


def published(line: Line, role: Role) -> str:
    """``78.8 ± 3.2``."""
    value = line.row.published.get(role)
    if value is None:
        return "-"
    return f"{value.value:.1f}" + (f" ± {value.sd:.1f}" if value.sd is not None else "")


def difference(line: Line, role: Role) -> str:
    """Ours minus published, with its sign."""
    value = line.difference(role)
    return "-" if value is None else f"{value:+.1f}"


def against(one: Against | None) -> str:
    """``-3.1 [-7.0, +0.9], p 0.12``; p after Holm."""
    if one is None:
        return "-"
    interval = f" [{one.low:+.1f}, {one.high:+.1f}]" if one.low is not None and one.high is not None else ""
    return f"{one.difference:+.1f}{interval}" + (f", p {p_text(one.p_holm)}" if one.p is not None else "")


def tested(table: Table, line: Line, role: Role) -> str:
    """The comparison of a row, or that it is what others are compared with."""
    one = line.accuracy.get(role)
    if one and one.against is None and table.is_reference(line.row):
        return "reference"
    return against(one.against if one else None)


def p_text(value: float | None) -> str:
    """A p as a paper prints it."""
    if value is None:
        return "not defined"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def trained(line: Line) -> str:
    """Trained parameters."""
    return "-" if line.trained is None else f"{line.trained:,}"


def roles_of(lines: Sequence[Line]) -> list[Role]:
    """The cohorts (of findings, the scores) of a table that some row was scored on or published for."""
    return list(dict.fromkeys(role for line in lines for role in (*line.row.published, *line.accuracy)))


FIGURES = {"diagnosis": "Accuracy", "findings": "Scores"}
"""What the cells of a table are, by the task of its paper."""


def cohort(paper: Paper, role: Role, *, simulated: bool) -> str:
    """What a cohort is called: the paper's, or who stands in its place."""
    name = paper.cohorts[role]
    if role in paper.others:
        return f"your cohort {name}"
    who = f"{'SIMULATED' if simulated else 'your cohort'} in the place of {paper.people or name}"
    return f"{name} ({who})" if paper.people else who


def counts(lines: Sequence[Line], role: Role) -> str:
    """``131 scans of 60 participants``."""
    one = next((line.accuracy[role] for line in lines if role in line.accuracy), None)
    return "not scored" if one is None else f"{one.n_scans} scans of {one.n_participants} participants"


# --------------------------------------------------------------------------------------------- formats
def markdown(paper: Paper, table: Table, lines: Sequence[Line], *, simulated: bool) -> str:
    """Tables for a README: one for each cohort, counts below."""
    parts = [
        f"**Table {table.number}. {table.caption}.** {FIGURES[paper.task]}, %."
        + (" SIMULATED people." if simulated else "")
    ]
    first = next(iter(roles_of(lines)), "own")
    for role in roles_of(lines):
        head = [
            "row",
            "ours: mean ± sd [95% interval]",
            "published",
            "ours - published",
            "against the reference row, p after Holm",
        ]
        if role == first:
            head.append("trained parameters")
        parts += ["", f"{cohort(paper, role, simulated=simulated)}: {counts(lines, role)}.", ""]
        parts += [md_row(head), md_row(["---"] * len(head))]
        for line in lines:
            one = line.accuracy.get(role)
            if one is None and line.status not in {"quoted", "done", "partial"}:
                cells = [line.row.label, f"{line.status}: {line.reason}", published(line, role), "-", "-"]
            else:
                test = tested(table, line, role)
                cells = [
                    line.row.label + partial(line),
                    ours(one),
                    published(line, role),
                    difference(line, role),
                    test,
                ]
            parts.append(md_row([*cells, trained(line)] if role == first else cells))
    return "\n".join(parts) + "\n"


def partial(line: Line) -> str:
    """What is said behind the label of a row: its own number of scans where the row is about that, and seeds it lacks."""
    size = f": {line.size} here" if line.row.size is not None and line.size is not None else ""
    return size + (f" ({line.seeds_missing} seeds to come)" if line.status == "partial" else "")


def md_row(cells: Iterable[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(one.replace("|", "\\|").replace("\n", " ") for one in cells) + " |"


def csv_text(paper: Paper, table: Table, lines: Sequence[Line], *, simulated: bool) -> str:
    """One line for each row and cohort, with every number in full."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for line in lines:
        for role in roles_of(lines):
            one, said = line.accuracy.get(role), line.row.published.get(role)
            test = one.against if one else None
            values: dict[str, object] = {
                "table": table.number,
                "row": line.row.label,
                "cohort": paper.cohorts[role],
                "role": role,
                "simulated": simulated,
                "status": line.status,
                "reason": line.reason,
                "published": said.value if said else None,
                "published_sd": said.sd if said else None,
                "published_trained_millions": line.row.published_trained,
                "minus_published": line.difference(role),
                "training_scans": line.size,
                "trained_parameters": line.trained,
                "seconds": round(line.seconds, 1),
            }
            if one is not None:
                values |= {
                    "accuracy": one.mean, "sd": one.sd, "low": one.low, "high": one.high, "seeds": one.seeds,
                    "each_seed": " ".join(f"{each:.4f}" for each in one.each), "n_scans": one.n_scans, "n_participants": one.n_participants,
                    **one.extra,
                }  # fmt: skip
            if test is not None:
                values |= {
                    "minus_reference": test.difference, "minus_reference_low": test.low, "minus_reference_high": test.high,
                    "p": test.p, "p_holm": test.p_holm,
                }  # fmt: skip
            writer.writerow({name: "" if value is None else value for name, value in values.items()})
    return buffer.getvalue()


_TEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}", "±": r"$\pm$", "<": r"$<$"}  # fmt: skip


def tex(text: str) -> str:
    """Text with what LaTeX would read as a command escaped."""
    return "".join(_TEX.get(letter, letter) for letter in text)


def latex(paper: Paper, table: Table, lines: Sequence[Line], *, simulated: bool) -> str:
    """A ``table`` environment for booktabs, the columns of all cohorts side by side."""
    roles = roles_of(lines)
    head = ["Row"]
    for role in roles:
        head += [f"{paper.cohorts[role]}, ours", "published", "$p$"]
    body = []
    for line in lines:
        cells = [tex(line.row.label + partial(line))]
        for role in roles:
            one = line.accuracy.get(role)
            test = one.against if one else None
            mean = tex(ours(one)) if one else tex("-" if line.status == "quoted" else line.status)
            cells += [mean, tex(published(line, role)), tex(p_text(test.p_holm)) if test else "-"]
        body.append(" & ".join(cells) + r" \\")
    said = "SIMULATED people. " if simulated else ""
    who = "; ".join(f"{paper.cohorts[role]} column: {counts(lines, role)}" for role in roles)
    caption = (
        f"{said}{table.caption}: {FIGURES[paper.task].lower()} (\\%), mean $\\pm$ standard deviation over training seeds with 95\\% interval over participants; "
        f"$p$ against the reference row after Holm's correction. {tex(who)}."
    )
    return "\n".join(
        [
            r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", rf"\begin{{tabular}}{{l{'rrr' * len(roles)}}}", r"\toprule",
            " & ".join(head) + r" \\", r"\midrule", *body, r"\bottomrule", r"\end{tabular}", r"\end{table}",
        ]
    ) + "\n"  # fmt: skip
