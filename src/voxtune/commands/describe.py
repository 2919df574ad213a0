"""``voxtune describe``: a text for each scan of a manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voxtune.config import ReportSettings
from voxtune.data.manifest import read_manifest, write_reports
from voxtune.errors import DataError, UsageError
from voxtune.profiles.plausible import implausible
from voxtune.profiles.recognise import chosen_profile
from voxtune.reports.listed import Missing
from voxtune.reports.needed import needed_norms
from voxtune.reports.norms import FittedNorms, said_of_norms
from voxtune.reports.policy import Use, left_out_note, opened
from voxtune.reports.wording import asks_norms, load_template, write_report
from voxtune.types.profile import Profile
from voxtune.types.records import ManifestRow, Report


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
    norms: str | Path | None = None,
    controls: Sequence[str] = (),
) -> Described:
    """Write ``reports.tsv``.

    Args:
        manifest: the manifest to read.
        output: the table of reports to write.
        template: ``deft``, ``deft_code``, ``oasis``, ``fields``, ``normative``, ``graph`` or the path of a Jinja2 text file; ``None``: the
            profile's own.
        missing: leave missing values out, or write ``data unavailable``.
        label: whether texts state the class.
        policy: changes to the field policy.
        profile: ``dementia``, ``chest``, ``blank``, ``FILE.toml``, or a profile; ``None``: recognised, and said.
        fields: columns that the profile does not know, opened by name.
        norms: an adapter or run whose normative model percentiles are of, or a split folder: it is fitted on its training side's controls.
        controls: the classes that are controls, for a split folder; none: those the profile knows.

    Raises:
        LeakageError: the template asks for a field that defines the class, or for one that nobody opened.
        DataError: no scan has anything to say, or too few controls.
        UsageError: the template states percentiles and nobody says of whom.
    """
    rows = read_manifest(manifest)
    found = chosen_profile(profile, rows, template)
    allowed = {**(policy or {}), **opened(fields, found.profile, rows)}
    chosen = load_template(template or found.profile.template, found.profile, allowed)
    asked = ReportSettings(template=str(template or found.profile.template), fields=tuple(fields), controls=tuple(controls))  # fmt: skip
    model = None if norms is None else norms_from(Path(norms), rows, found.profile, asked)
    reports: list[Report] = []
    silent: list[str] = []
    for row in rows:
        try:
            report = write_report(
                row, chosen, missing=missing, label=label, policy=allowed, profile=found.profile, norms=model
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
    lines = [*preview(reports), found.sentence, *measured_by(reports)]
    lines += [f"Warning: {sentence}." for sentence in implausible(rows, found.profile)]
    lines += said_of_norms(rows, model) if model is not None and asks_norms(chosen, found.profile) else []
    lines += filter(None, [left_out_note(rows, found.profile, fields)])
    if silent:
        lines.append(
            f"{len(silent)} scans have neither a label nor a value: no report ({', '.join(silent[:5])})"
        )
    return Described(output, "\n".join([*lines, f"Reports: {output}"]))


def norms_from(
    source: Path, rows: Sequence[ManifestRow], profile: Profile, settings: ReportSettings
) -> FittedNorms | None:
    """The normative model that an adapter or run keeps, or one of the training side of a split as a training there would fit it.

    Raises:
        UsageError: an adapter without one.
        DataError: too few controls on that side.
    """
    if (source / "split.json").is_file() and (source / "train.tsv").is_file():
        from voxtune.data.split_files import read_split

        train = set(read_split(source).train)
        return needed_norms(settings, profile, [row for row in rows if row.scan_id in train])
    from voxtune.model.adapter import read_facts
    from voxtune.serving.bundled import adapter_folder

    kept = read_facts(adapter_folder(source)).norms
    if kept is None:
        raise UsageError(
            f"'{source.name}' keeps no normative model: its texts state no percentiles. Give a split folder, or an adapter that was trained "
            "with --set report.template=normative or graph."
        )
    return FittedNorms(kept)


def measured_by(reports: Sequence[Report]) -> list[str]:
    """Whose volumes the texts state, where they are not all the cohort's own."""
    stated = [report for report in reports if any(name.endswith("_mm3") for name in report.fields)]
    ours = [report for report in stated if report.volumes_source]
    if not ours:
        return []
    tools = ", ".join(sorted({str(report.volumes_source) for report in ours}))
    if len(ours) == len(stated):
        return [f"The volumes in all {len(ours)} texts are of {tools}."]
    return [
        f"Warning: the volumes in {len(ours)} texts are of {tools}, in {len(stated) - len(ours)} of the cohort's own table: two methods call "
        "different things by one name."
    ]


def preview(reports: list[Report], first: int = 3) -> list[str]:
    """Lines for a person: how many, how many different, the first few."""
    different = len({report.text for report in reports})
    shown = [f"{report.scan_id}: {report.text}" for report in reports[:first]]
    return [
        f"{len(reports)} reports, {different} different texts, fields {', '.join(reports[0].fields)}",
        *shown,
    ]
