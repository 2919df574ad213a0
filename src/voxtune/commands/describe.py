"""``voxtune describe``: a text for each scan of a manifest."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from voxtune.data.manifest import read_manifest, write_reports
from voxtune.errors import DataError
from voxtune.reports.policy import Use
from voxtune.reports.wording import Missing, load_template, write_report
from voxtune.types.records import Report


@dataclass(frozen=True)
class Described:
    """What was written, and lines for a person: how many, the first few texts."""

    reports: Path
    summary: str


def describe(
    manifest: Path,
    output: Path,
    template: str | Path = "deft",
    missing: Missing = "omit",
    *,
    label: bool = True,
    policy: Mapping[str, Use] | None = None,
) -> Described:
    """Write ``reports.tsv``.

    Args:
        manifest: the manifest to read.
        output: the table of reports to write.
        template: ``deft``, ``deft_code``, ``oasis`` or the path of a Jinja2 text file.
        missing: leave missing values out, or write ``data unavailable``.
        label: whether texts state the class.
        policy: changes to the field policy.

    Raises:
        LeakageError: the template asks for a field that defines the class.
        DataError: no scan has anything to say.
    """
    chosen = load_template(template)
    reports: list[Report] = []
    silent: list[str] = []
    for row in read_manifest(manifest):
        try:
            reports.append(write_report(row, chosen, missing=missing, label=label, policy=policy))
        except DataError as error:
            if "nothing to say" not in str(error):
                raise
            silent.append(row.scan_id)
    if not reports:
        raise DataError(
            f"{manifest.name}: no scan has a label or a value that template '{chosen.name}' asks for."
        )
    write_reports(reports, output)
    lines = preview(reports)
    if silent:
        lines.append(
            f"{len(silent)} scans have neither a label nor a value: no report ({', '.join(silent[:5])})"
        )
    return Described(output, "\n".join([*lines, f"Reports: {output}"]))


def preview(reports: list[Report], first: int = 3) -> list[str]:
    """Lines for a person: how many, how many different, the first few."""
    different = len({report.text for report in reports})
    shown = [f"{report.scan_id}: {report.text}" for report in reports[:first]]
    return [
        f"{len(reports)} reports, {different} different texts, fields {', '.join(reports[0].fields)}",
        *shown,
    ]
