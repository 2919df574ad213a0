"""``voxtune describe``: a text for each scan of a manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voxtune.data.manifest import read_manifest, write_reports
from voxtune.errors import DataError
from voxtune.profiles.plausible import implausible
from voxtune.profiles.recognise import chosen_profile
from voxtune.reports.listed import Missing
from voxtune.reports.policy import Use, left_out_note, opened
from voxtune.reports.wording import load_template, write_report
from voxtune.types.profile import Profile
from voxtune.types.records import Report


@dataclass(frozen=True)
class Described:
    """What was written, and lines for a person: how many, the first few texts."""

    reports: Path
    summary: str


def describe(  # noqa: PLR0913  (the options of the command)
    manifest: Path,
    output: Path,
    template: str | Path | None = None,
    missing: Missing = "omit",
    *,
    label: bool = True,
    policy: Mapping[str, Use] | None = None,
    profile: str | Profile | None = None,
    fields: Sequence[str] = (),
) -> Described:
    """Write ``reports.tsv``.

    Args:
        manifest: the manifest to read.
        output: the table of reports to write.
        template: ``deft``, ``deft_code``, ``oasis``, ``fields`` or the path of a Jinja2 text file; ``None``: the profile's own.
        missing: leave missing values out, or write ``data unavailable``.
        label: whether texts state the class.
        policy: changes to the field policy.
        profile: ``dementia``, ``chest``, ``blank``, ``FILE.toml``, or a profile; ``None``: recognised, and said.
        fields: columns that the profile does not know, opened by name.

    Raises:
        LeakageError: the template asks for a field that defines the class, or for one that nobody opened.
        DataError: no scan has anything to say.
    """
    rows = read_manifest(manifest)
    found = chosen_profile(profile, rows, template)
    allowed = {**(policy or {}), **opened(fields, found.profile, rows)}
    chosen = load_template(template or found.profile.template, found.profile, allowed)
    reports: list[Report] = []
    silent: list[str] = []
    for row in rows:
        try:
            report = write_report(
                row, chosen, missing=missing, label=label, policy=allowed, profile=found.profile
            )
            reports.append(report)
        except DataError as error:
            if "nothing to say" not in str(error):
                raise
            silent.append(row.scan_id)
    if not reports:
        raise DataError(
            f"{manifest.name}: no scan has a label or a value that template '{chosen.name}' asks for."
        )
    write_reports(reports, output)
    lines = [*preview(reports), found.sentence]
    lines += [f"Warning: {sentence}." for sentence in implausible(rows, found.profile)]
    lines += filter(None, [left_out_note(rows, found.profile, fields)])
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
