"""What the licence of a base's weights allows to do with what is made from them. Words of a licence in, rules out; imports nothing heavy.

A licence belongs to a weights file, not to our code: ``voxtune weights convert`` reads the one that lies beside the published file,
and what the file states goes before what our table says. Clauses are those of Creative Commons 4.0, whose letters most bases use.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from voxtune.errors import LicenceError

_BOTH = re.compile(r"(non-?)?commercial\s+(and|or)\s+(non-?)?commercial", re.IGNORECASE)
"""Permission for either: says nothing against commerce."""
_MARKS = (
    (
        "non_commercial",
        re.compile(r"\bNC\b|non-?\s?commercial|research only|academic use only", re.IGNORECASE),
    ),
    ("share_alike", re.compile(r"\bSA\b|share-?\s?alike", re.IGNORECASE)),
    ("no_derivatives", re.compile(r"\bND\b|no-?\s?deriv(ative|s)|no adapted material", re.IGNORECASE)),
)
_UNKNOWN = re.compile(r"unknown|unstated|without a statement|^\s*$", re.IGNORECASE)
_NAMED = re.compile(r"Attribution((?:-(?:NonCommercial|ShareAlike|NoDerivatives|NoDerivs))*) (\d\.\d)")
_LETTERS = {"NonCommercial": "NC", "ShareAlike": "SA", "NoDerivatives": "ND", "NoDerivs": "ND"}
FILES = ("LICENSE", "LICENCE", "LICENSE.md", "LICENCE.md", "LICENSE.txt", "LICENCE.txt")
CARD = "README.md"
READ_BYTES = 200_000
"""Of a licence file or card; longer ones are read so far."""


@dataclass(frozen=True)
class Terms:
    """The rules of a licence as far as its words tell."""

    licence: str
    non_commercial: bool = False
    share_alike: bool = False
    no_derivatives: bool = False
    known: bool = True

    @property
    def rules(self) -> tuple[str, ...]:
        """What whoever passes an adapter on must keep, a sentence each, the clause named."""
        found = []
        if not self.known:
            found.append(
                "The licence of the base is not known: ask its authors before you share anything made from it."
            )
        if self.non_commercial:
            found.append(
                "Non-commercial use only, of the adapter too (CC 4.0: Section 2(a)(1), 'for NonCommercial purposes only')."
            )
        if self.share_alike:
            found.append("Share it only under the same licence (CC 4.0: Section 3(b), ShareAlike).")
        if self.no_derivatives:
            found.append("Do not pass on what was adapted from it: keep the adapter to yourself (CC 4.0: Section 2(a)(1)(B), adapted material may be "
                         "produced 'but not Share[d]').")  # fmt: skip
        return tuple(found)

    def check_sharing(self, base: str, what: str) -> None:
        """Refuse to write weights of the base in changed form where the licence forbids to pass them on.

        Raises:
            LicenceError: no derivatives; the clause is named.
        """
        if self.no_derivatives:
            raise LicenceError(
                f"{what} would be a changed copy of '{base}', whose licence ({self.licence}) forbids to share one: NoDerivatives, Section "
                "2(a)(1)(B): adapted material may be produced, 'but not Share[d]'. Use the adapter of the run as it lies there, beside the "
                "unchanged base; 'voxtune export' without --merge writes a small adapter, marked as not to be shared."
            )


def terms(licence: str) -> Terms:
    """The rules that the words of a licence name: its name (``CC BY-NC-SA 4.0``) or our remark on it."""
    words = _BOTH.sub("", licence)
    marks = {name: bool(pattern.search(words)) for name, pattern in _MARKS}
    return Terms(licence, **marks, known=not _UNKNOWN.search(licence))


def stated_beside(file: Path) -> str | None:
    """The licence that a file or card in the folder of published weights states, in few words with the sha256 of where it stands.

    The card's own field (``license:``) goes first, then a file named LICENSE; ``None`` where there is neither.
    """
    card = file.with_name(CARD)
    if card.is_file():
        head = re.match(r"---\n(.*?)\n---", _text(card), re.DOTALL)
        fields = (
            dict(re.findall(r"^(license|license_name):\s*['\"]?([^'\"\n]+)", head[1], re.MULTILINE))
            if head
            else {}
        )
        name = fields.get("license_name") if fields.get("license") == "other" else None
        if name or fields.get("license"):
            return f"{_tidy(name or fields['license'])} (card {_sha(card)})"
    found = next((place for name in FILES if (place := file.with_name(name)).is_file()), None)
    if found is None:
        return None
    text = _text(found)
    named = _NAMED.search(text)
    if named:
        letters = "-".join(["BY", *(_LETTERS[part] for part in named[1].split("-") if part)])
        return f"CC {letters} {named[2]} (file {_sha(found)})"
    first = next(
        (line.strip("# ").strip() for line in text.splitlines() if line.strip("# ").strip()), "unstated"
    )
    words = _BOTH.sub("", text)
    marks = [
        name.replace("_", "-")
        for name, pattern in _MARKS
        if pattern.search(words) and not pattern.search(first)
    ]
    return f"{first[:100]}{'; ' + ', '.join(marks) if marks else ''} (file {_sha(found)})"


def _tidy(name: str) -> str:
    """A hub's short name as people write it: ``cc-by-nc-4.0`` is CC BY-NC 4.0."""
    short = re.fullmatch(r"cc-by((?:-(?:nc|sa|nd))*)-(\d\.\d)", name.strip().lower())
    return f"CC BY{short[1].upper()} {short[2]}" if short else name.strip()


def _text(file: Path) -> str:
    with file.open("rb") as stream:
        return stream.read(READ_BYTES).decode("utf-8", errors="replace").replace("\r\n", "\n")


def _sha(file: Path) -> str:
    return f"sha256 {hashlib.sha256(file.read_bytes()).hexdigest()[:12]}"
