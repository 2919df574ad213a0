"""Which cohorts a method is tested on beside its own: each is one of the paper's, by what its manifest says or by the name it was given."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voxtune.commands.reproduce.paper import Paper, Role
from voxtune.errors import UsageError
from voxtune.types.records import ManifestRow

EXTERNAL: Role = "external"
"""Of the paper's first external cohort; others are ``external-NAME``."""


@dataclass(frozen=True)
class External:
    """A cohort as it was given: ``PATH`` or ``NAME=PATH``."""

    manifest: Path
    name: str = ""
    """Empty: the manifest says it."""

    @classmethod
    def parsed(cls, text: str) -> "External":
        """From the command line; a file whose own path has a ``=`` is taken as it is."""
        name, equals, path = text.partition("=")
        if equals and not Path(text).is_file():
            return cls(Path(path), name.strip())
        return cls(Path(text))


def is_external(role: Role) -> bool:
    """Whether a role is that of an external cohort."""
    return role == EXTERNAL or role.startswith(f"{EXTERNAL}-")


def external_roles(paper: Paper, given: Sequence[External]) -> dict[Role, tuple[str, Path]]:
    """Role, name and manifest of each cohort, those of the paper first in its order.

    A single cohort whose manifest does not say which it is stands in the place of the paper's first, as its column says.

    Raises:
        UsageError: one of several cohorts is not named and its manifest does not say which it is, two are of one name, or the paper has no
            external cohort.
    """
    if given and not paper.external_classes:
        raise UsageError(f"'{paper.name}' tests on no external cohort; leave --external out.")
    found: dict[Role, tuple[str, Path]] = {}
    for one in given:
        known = None if one.name else told_name(one.manifest, paper)
        if not one.name and known is None and len(given) > 1:
            names = ", ".join(name for role, name in paper.cohorts.items() if is_external(role))
            raise UsageError(
                f"'{one.manifest}': its IDs, tables and folder do not say which cohort it is. "
                f"Name it: --external NAME={one.manifest} (the paper has {names})."
            )
        role, name = _role(paper, one.name or known or paper.cohorts[EXTERNAL])
        if role in found:
            raise UsageError(
                f"'{found[role][1]}' and '{one.manifest}' are both '{name}'; give each a name of its own: --external NAME=PATH."
            )
        found[role] = (name, one.manifest)
    order = [*paper.cohorts, *found]
    return dict(sorted(found.items(), key=lambda item: order.index(item[0])))


def told_name(manifest: Path, paper: Paper) -> str | None:
    """The name of the public cohort that a manifest seems to be of, by IDs, tables and folder, as the paper has it; ``None``: none, or more than one."""
    from voxtune.data.manifest import read_manifest
    from voxtune.weights.seen import cohorts_of

    rows: Sequence[ManifestRow] = read_manifest(manifest)
    told = cohorts_of(
        [(row.participant_id, row.scan_id) for row in rows],
        sorted({row.source for row in rows if row.source}),
        manifest.resolve().parent.name,
    )
    known = {_bare(name): name for role, name in paper.cohorts.items() if is_external(role)}
    names = {known.get(_bare(one.cohort), one.cohort) for one in told}
    of_paper = names & set(known.values())
    names = of_paper or names
    return names.pop() if len(names) == 1 else None


def _role(paper: Paper, name: str) -> tuple[Role, str]:
    """The paper's role of that name, or a role of its own."""
    for role, known in paper.cohorts.items():
        if is_external(role) and _bare(known) == _bare(name):
            return role, known
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not plain:
        raise UsageError(f"--external: '{name}' is no name; give letters or digits before the '='.")
    return f"{EXTERNAL}-{plain}", name


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.lower())


def external_sides(names: Mapping[Role, object]) -> list[Role]:
    """The roles of external cohorts among some."""
    return [role for role in names if is_external(role)]
