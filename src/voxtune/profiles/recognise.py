"""Which profile a cohort is of, by its classes and columns; said, with what it rests on, wherever it is used."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from voxtune.profiles import blank, chest, dementia
from voxtune.profiles.read import read_profile
from voxtune.types.profile import Profile, plain
from voxtune.types.records import ManifestRow


@dataclass(frozen=True)
class Recognised:
    """A profile and why it was taken, in a sentence."""

    profile: Profile
    why: str

    @property
    def sentence(self) -> str:
        """For a person."""
        return f"Profile '{self.profile.name}': {self.why}."


TEMPLATES: Mapping[str, Profile] = MappingProxyType(
    {**dict.fromkeys(("deft", "deft_code", "oasis"), dementia.PROFILE), "ct_rate": chest.PROFILE}
)
"""The profile whose fields a built-in report template asks for."""


def chosen_profile(
    profile: str | Profile | None, rows: Iterable[ManifestRow], template: object = None
) -> Recognised:
    """The profile that was asked for, else the one of the report template, else the one the rows look like.

    Raises:
        UsageError: no such profile.
        DataError: a file that is no profile.
    """
    if profile is None and (of_template := TEMPLATES.get(str(template))):
        return Recognised(of_template, f"the one of report template '{template}'")
    if profile is None:
        return recognise(list(rows))
    found = profile if isinstance(profile, Profile) else read_profile(profile)
    return Recognised(found, "as asked for")


def recognise(rows: Sequence[ManifestRow]) -> Recognised:
    """The profile of a cohort by its own classes, then by columns that hold a value; ``blank`` where nothing tells."""
    present = {row.diagnosis for row in rows if row.diagnosis}
    known = [name for name in dementia.PROFILE.classes if name in present]
    if known:
        return Recognised(
            dementia.PROFILE,
            f"recognised by the classes {', '.join(known)} (profile=NAME says otherwise)",
        )
    filled = {plain(name) for row in rows for name, value in row if value is not None}
    for profile in (chest.PROFILE, dementia.PROFILE):
        if columns := [name for name in profile.columns if name in filled]:
            named = ", ".join(columns[:3])
            return Recognised(profile, f"recognised by the columns {named} (profile=NAME says otherwise)")
    return Recognised(
        blank.PROFILE,
        "no profile is known for these classes and columns, so no field is text until it is named "
        "(--set report.fields=COLUMN, or a profile of your own: --set profile=FILE.toml)",
    )
