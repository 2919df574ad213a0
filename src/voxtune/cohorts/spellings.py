"""Names that may mean one thing: the same letters and numbers but for case, punctuation, prefixes and zeros."""

import re
from collections.abc import Iterable, Mapping


def bare(name: str) -> str:
    """A name without prefix ``sub-`` or ``ses-``, case, punctuation between letters, leading zeros and a ``.0`` behind a number."""
    name = re.sub(r"^(sub|ses)(-|_|(?=\d))", "", name.strip(), flags=re.IGNORECASE)
    name = re.sub(r"^(\d+)\.0+$", r"\1", name)
    parts = re.findall(r"[^\W\d_]+|\d+", name)
    return " ".join(part.lstrip("0") or "0" if part.isdigit() else part.casefold() for part in parts)


def letters(name: str) -> str:
    """A class name without case and punctuation: ``A.D.`` and ``ad`` are the same, ``CDR 0.5`` and ``CDR 05`` are not."""
    return (
        re.sub(r"[\s._'\"\u2018\u2019\u201c\u201d-]+", "", name.casefold())
        if not any(sign.isdigit() for sign in name)
        else name.casefold().strip()
    )


def alike(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of different names with the same ``bare`` form, in the order of first use."""
    groups: dict[str, dict[str, None]] = {}
    for name in names:
        groups.setdefault(bare(name), {})[name] = None
    return [tuple(group) for group in groups.values() if len(group) > 1]


def matched(name: str, known: Mapping[str, tuple[str, ...]]) -> str | None:
    """The one known name that ``name`` means, exactly or by its bare form; ``known`` lists names by bare form.

    Returns ``None`` where there is none, or where several known names have that form and none is written just so.
    """
    same = known.get(bare(name), ())
    return name if name in same else same[0] if len(same) == 1 else None


def by_bare(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Names by their bare form."""
    groups: dict[str, dict[str, None]] = {}
    for name in names:
        groups.setdefault(bare(name), {})[name] = None
    return {form: tuple(group) for form, group in groups.items()}
