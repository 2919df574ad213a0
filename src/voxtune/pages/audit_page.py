"""The page of an audit: what was found, the two scans of a pair side by side, the text with the telling piece marked."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape

from voxtune.pages.layout import image, render
from voxtune.pages.slices import PLANES, cut, lettered, to_ras
from voxtune.types.volume import Volume

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_PAIRS, MOST_TEXTS = 4, 4
_MARKED = re.compile(r"<mark>(.*?)</mark>")
WORDS = {"refuse": "refuses training", "warn": "warning", "note": "note"}
CLASSES = {"refuse": "fail", "warn": "warn", "note": "soft"}


def audit_page(
    report: Mapping[str, Any],
    sides: Mapping[str, str],
    texts: Mapping[str, str],
    read: Callable[[str], Volume | None],
    *,
    simulated: bool,
) -> str:
    """HTML of one audit.

    Args:
        report: what ``audit.json`` holds.
        sides: the side of each scan.
        texts: report texts by scan_id.
        read: the volume of a scan; ``None`` where it cannot be read.
        simulated: whether any scan is SIMULATED.
    """
    shown = []
    for level in ("refuse", "warn", "note"):
        for finding in report["findings"]:
            if finding["level"] == level:
                accepted = level == "refuse" and finding["check"] in report["allowed"]
                shown.append(
                    {
                        "check": finding["check"].replace("_", " "),
                        "message": finding["message"],
                        "word": "accepted" if accepted else WORDS[level],
                        "look": CLASSES[level],
                        "pairs": _pairs(finding, sides, texts, read) if level != "note" else [],
                        "texts": _texts(finding, sides, texts) if level != "note" else [],
                    }
                )
    states = [
        {"check": check.replace("_", " "), "state": state} for check, state in report["checked"].items()
    ]
    context = {
        "verdict": report["verdict"],
        "refused": report["refused"],
        "findings": shown,
        "states": states,
    }
    return render("audit_page.html.j2", context, title="Leakage audit", simulated=simulated)


def _pairs(
    finding: Mapping[str, Any],
    sides: Mapping[str, str],
    texts: Mapping[str, str],
    read: Callable[[str], Volume | None],
) -> list[dict[str, Any]]:
    found = []
    for first, second in finding["pairs"][:MOST_PAIRS]:
        names = [f"{scan} ({sides.get(scan, 'no side')})" for scan in (first, second)]
        if finding["check"] == "same_text":
            found.append({"names": names, "figure": None, "text": texts.get(first, "")})
            continue
        volumes = read(first), read(second)
        figure = image(pair_figure(volumes, names)) if None not in volumes else None
        found.append({"names": names, "figure": figure, "text": ""})
    return found


def pair_figure(volumes: Sequence[Volume | None], names: Sequence[str]) -> "Figure":
    """Two scans below each other, a middle slice of each plane, each in its own grey scale."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.9), facecolor="black", layout="compressed")
    axes = np.atleast_2d(np.array(figure.subplots(len(volumes), len(PLANES), squeeze=False)))
    for row, (volume, name) in enumerate(zip(volumes, names, strict=True)):
        if volume is None:
            continue
        ras = to_ras(volume)
        inside = ras.voxels[np.isfinite(ras.voxels) & (ras.voxels != 0)]
        low, high = (float(np.percentile(inside, q)) for q in (1, 99.5)) if inside.size else (0.0, 1.0)
        for column, plane in enumerate(PLANES):
            spacing = [ras.spacing[axis] for axis in range(3) if axis != PLANES.index(plane)]
            panel = axes[row, column]
            panel.imshow(
                cut(ras.voxels, plane, 0.5), cmap="gray", origin="lower", vmin=low, vmax=max(high, low + 1e-6),
                aspect=spacing[1] / spacing[0], interpolation="bilinear",
            )  # fmt: skip
            panel.set_axis_off()
            lettered(panel, plane, 8)
        axes[row, 0].set_title(name, color="white", fontsize=9, loc="left")
    return figure


def _texts(
    finding: Mapping[str, Any], sides: Mapping[str, str], texts: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Texts in which a telling piece stands, with it marked: first one of each kind of marks, then others."""
    tokens = [token for token in finding["tokens"] if token]
    if not tokens or finding["check"] not in {"label_in_text", "text_probe"}:
        return []
    chosen = [scan for scan in (finding["scans"] or texts) if scan in texts]
    marked = ((scan, mark(texts[scan], tokens)) for scan in chosen)
    with_mark = [(scan, text) for scan, text in marked if "<mark>" in text]
    # 'volume' in one class and 'VOLUME' in another: whoever sees one alone does not see what tells.
    first = {frozenset(_MARKED.findall(text)): scan for scan, text in reversed(with_mark)}
    with_mark.sort(key=lambda one: one[0] not in first.values())
    return [
        {"name": f"{scan} ({sides.get(scan, 'no side')})", "text": text}
        for scan, text in with_mark[:MOST_TEXTS]
    ]


def mark(text: str, tokens: Sequence[str]) -> Markup:
    """The text as HTML, escaped, every telling token in ``<mark>``, in its own letter case where it has capitals."""
    patterns = []
    for token in sorted(tokens, key=len, reverse=True):
        # A name before '#' is told by its number: both are marked.
        name, valued = (token.removesuffix(" #"), True) if token.endswith(" #") else (token, False)
        # Where the space itself is what tells (two, a line's end, one at the end), nothing but that space is meant.
        spaced = name != " ".join(name.split())
        body = re.escape(name) if spaced else r"\s*".join(re.escape(part) for part in name.split())
        body += r"\W{0,4}[-+]?\d+(?:[.,]\d+)*" if valued else ""
        body = body if name != name.lower() else f"(?i:{body})"
        edges = (r"(?<!\w)" if name[0].isalnum() else "", r"(?!\w)" if valued or name[-1].isalnum() else "")
        patterns.append(edges[0] + body + edges[1])
    pieces, end = [], 0
    for found in re.finditer("|".join(patterns), text):
        if found.end() > found.start():
            pieces += [
                escape(text[end : found.start()]),
                Markup("<mark>"),
                escape(found.group()),
                Markup("</mark>"),
            ]
            end = found.end()
    return Markup("").join([*pieces, escape(text[end:])])
