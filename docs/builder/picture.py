"""What VoxTune does in one picture: ``python docs/builder/picture.py`` writes docs/images/voxtune.svg.

The drawing follows the colour scheme of whoever looks at it; the brain is a slice of the real, public-domain head that ships with
VoxTune, the figures under it are those of its own recipe.
"""

import base64
import io
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "images" / "voxtune.svg"
HEAD = ROOT / "src/voxtune/simulate/assets/head_pddl/T1w_2mm.nii.gz"
STYLE = """
svg { --ink: #1b1f24; --soft: #57606a; --card: #f3f5f8; --frozen: #d7e3f4; --learned: #f6d9bf; --line: #9aa6b2; font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
@media (prefers-color-scheme: dark) { svg { --ink: #e6edf3; --soft: #9aa6b2; --card: #1c222b; --frozen: #24364f; --learned: #5a3a20; --line: #6b7683; } }
text { fill: var(--ink); font-size: 15px; } .soft { fill: var(--soft); font-size: 13px; } .bold { font-weight: 600; }
.card { fill: var(--card); stroke: var(--line); } .frozen { fill: var(--frozen); stroke: var(--line); } .learned { fill: var(--learned); stroke: var(--line); }
.arrow { stroke: var(--soft); stroke-width: 2; fill: none; marker-end: url(#tip); }
""".strip()


def slice_png() -> str:
    """An axial slice of the shipped head as PNG, transparent where there is air."""
    import nibabel as nib

    volume = nib.as_closest_canonical(nib.load(HEAD))
    voxels = np.asarray(volume.dataobj, dtype=np.float32)
    plane = np.rot90(voxels[:, :, int(voxels.shape[2] * 0.62)])
    grey = np.clip(255 * plane / np.percentile(plane, 99.5), 0, 255).astype(np.uint8)
    rows, columns = np.where(grey > 25)
    box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    opaque = np.where(grey[box] > 12, 255, 0).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([grey[box]] * 3 + [opaque]), "RGBA").save(buffer, format="png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def box(x: int, y: int, width: int, height: int, kind: str, *lines: str) -> str:
    """A rounded box; the first line is bold."""
    start = y + height / 2 - (len(lines) - 1) * 9 + 5
    texts = "".join(
        f'<text x="{x + width / 2}" y="{start + 19 * number:.0f}" text-anchor="middle" class="{"soft" if number else "bold"}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" class="{kind}"/>{texts}'


def arrow(*points: tuple[int, int]) -> str:
    """A line through points with a tip at its end."""
    return f'<polyline points="{" ".join(f"{x},{y}" for x, y in points)}" class="arrow"/>'


def picture() -> str:
    """The whole drawing."""
    parts = [
        f'<image x="32" y="34" width="104" height="124" preserveAspectRatio="xMidYMid meet" href="data:image/png;base64,{slice_png()}"/>',
        '<text x="84" y="180" text-anchor="middle" class="bold">a scan</text>',
        box(16, 236, 136, 74, "card", "a table", "volumes, MMSE,", "diagnosis"),
        arrow((154, 96), (184, 96)),
        box(188, 62, 150, 68, "card", "preprocess", "skull, bias,", "template, grid"),
        arrow((154, 273), (184, 273)),
        box(188, 239, 150, 68, "card", "describe", "'A photo of AD. ...'", "in training only"),
        arrow((340, 96), (380, 96)),
        arrow((340, 273), (380, 273)),
        '<rect x="364" y="18" width="358" height="320" rx="12" fill="none" stroke="var(--line)" stroke-dasharray="5 4"/>',
        box(384, 38, 186, 54, "frozen", "vision tower", "published, frozen"),
        box(384, 96, 186, 44, "learned", "prompts, MMSE"),
        box(384, 215, 186, 54, "frozen", "text tower", "published, frozen"),
        box(384, 273, 186, 44, "learned", "text prompts"),
        arrow((572, 89), (642, 89), (642, 130)),
        arrow((572, 266), (642, 266), (642, 222)),
        box(578, 134, 130, 84, "learned", "meet", "cross-attention,", "similarity"),
        arrow((712, 176), (752, 176)),
        box(
            756,
            122,
            164,
            108,
            "card",
            "an answer",
            "class, probability,",
            "MMSE in points,",
            "a page with a map",
        ),
        arrow((838, 232), (838, 246)),
        box(756, 250, 164, 74, "card", "and its worth", "interval, baselines,", "leakage audit"),
        '<rect x="384" y="352" width="16" height="16" rx="3" class="frozen"/><text x="407" y="365" class="soft">frozen: never changed</text>',
        '<rect x="578" y="352" width="16" height="16" rx="3" class="learned"/><text x="601" y="365" class="soft">learned: the adapter you keep and share</text>',
    ]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 936 382" role="img" aria-label="A scan and a table become a volume and a report text; a '
        'frozen vision tower and a frozen text tower with a few learned vectors compare them; the answer comes with its interval, baselines and an audit">'
        f"<style>{STYLE}</style>"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto"><path d="M0 0L8 4L0 8z" fill="var(--soft)"/></marker></defs>'
        f"{''.join(parts)}</svg>\n"
    )


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(picture(), encoding="utf-8")
