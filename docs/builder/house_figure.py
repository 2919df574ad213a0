"""The house of docs/house.md: rooms and arrows as the code has them (grimp), floors as import-linter enforces them."""

import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from html import escape
from pathlib import Path
from types import MappingProxyType

import grimp

ROOT = Path(__file__).resolve().parents[2]
WIDTH, FLOOR, ROOM, LEFT = 1000, 92, 44, 20


@cache
def floors() -> list[list[str]]:
    """The rooms of each floor, the highest first, as the contract in pyproject.toml names them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [layers] = [
        one["layers"] for one in project["tool"]["importlinter"]["contracts"] if one["type"] == "layers"
    ]
    return [[room.strip() for room in floor.split("|")] for floor in layers]


@cache
def imports() -> Counter[tuple[str, str]]:
    """How many lines of each room import which other room."""
    graph = grimp.build_graph("voxtune", cache_dir=None, exclude_type_checking_imports=True)
    found: Counter[tuple[str, str]] = Counter()
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            pair = _room(importer), _room(imported)
            if pair[0] and pair[1] and pair[0] != pair[1]:
                found[pair] += len(graph.get_import_details(importer=importer, imported=imported))
    return found


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def _files(room: str) -> list[Path]:
    folder = ROOT / "src/voxtune" / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def house() -> str:
    """Rooms on their floors with the arrows between them."""
    places: dict[str, tuple[float, float, float]] = {}
    for level, rooms in enumerate(floors()):
        width, step = 190.0, (WIDTH - 2 * LEFT) / len(rooms)
        # A room alone on its floor stands aside, left and right in turn, so that arrows to lower floors pass beside it.
        aside = (step / 4) * (-1) ** level if len(rooms) == 1 and level > 1 else 0.0
        for number, room in enumerate(rooms):
            places[room] = (LEFT + step * (number + 0.5) - width / 2 + aside, 20 + level * FLOOR, width)
    arrows = [_arrow(places, *pair, count) for pair, count in sorted(imports().items())]
    boxes = [_box(room, *place) for room, place in places.items()]
    height = 20 + len(floors()) * FLOOR
    style = "".join(
        f"svg.house:has(#room-{room}:hover) .from-{room}{{stroke:var(--class-0);opacity:.9!important}}"
        f"svg.house:has(#room-{room}:hover) .to-{room}{{stroke:var(--class-1);opacity:.9!important}}"
        for room in places
    )
    return (
        f'<svg class="house" role="img" aria-label="The rooms of voxtune and their imports; all arrows point down" viewBox="0 0 {WIDTH} {height}" '
        f'font-size="15"><style>{style}</style><defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z" fill="context-stroke"/></marker></defs>{"".join(arrows)}{"".join(boxes)}</svg>'
    )


def _box(room: str, x: float, y: float, width: float) -> str:
    files = _files(room)
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)
    size = f"{len(files)} files, {lines:,} lines" if len(files) > 1 else f"{lines:,} lines"
    names = ", ".join(path.stem for path in files if path.stem != "__init__")
    return (
        f'<g id="room-{room}"><title>{escape(room)}: {escape(names)}</title><rect class="room" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{ROOM}" rx="5"/>'
        f'<text x="{x + width / 2:.0f}" y="{y + 19:.0f}" text-anchor="middle" font-weight="600">{escape(room)}</text>'
        f'<text x="{x + width / 2:.0f}" y="{y + 36:.0f}" text-anchor="middle" font-size="11">{size}</text></g>'
    )


def _arrow(places: Mapping[str, tuple[float, float, float]], importer: str, imported: str, count: int) -> str:
    x1, y1, w1 = places[importer]
    x2, y2, w2 = places[imported]
    # Leave and arrive on the side that faces the other room, so that arrows of one room fan out.
    lean = max(-1.0, min(1.0, ((x2 + w2 / 2) - (x1 + w1 / 2)) / 400))
    start, end = x1 + w1 * (0.5 + 0.35 * lean), x2 + w2 * (0.5 - 0.35 * lean)
    top, bottom = y1 + ROOM, y2 - 1
    bend = (bottom - top) / 2
    short = not any(
        imports()[importer, room] and _reaches(room, imported)
        for room in places
        if room not in {importer, imported}
    )
    return (
        f'<path class="arrow {"near" if short else "far"} from-{importer} to-{imported}" marker-end="url(#head)" stroke-width="{0.8 + min(count, 40) ** 0.5 / 2:.1f}" '
        f'd="M{start:.0f} {top:.0f}C{start:.0f} {top + bend:.0f} {end:.0f} {bottom - bend:.0f} {end:.0f} {bottom:.0f}"/>'
    )


@cache
def _reaches(importer: str, imported: str) -> bool:
    """Whether the import is there, directly or through other rooms."""
    return any(a == importer and (b == imported or _reaches(b, imported)) for a, b in imports())


def import_table() -> str:
    """How many import lines of each room name each other room."""
    rooms = [room for floor in floors() for room in floor]
    head = "".join(f"<th><span>{escape(room)}</span></th>" for room in rooms[1:])
    rows = []
    for row in rooms[:-1]:
        cells = "".join(f"<td>{imports()[row, column] or ''}</td>" for column in rooms[1:])
        rows.append(f"<tr><th>{escape(row)}</th>{cells}</tr>")
    return f'<table class="imports"><thead><tr><th></th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


FIGURES: Mapping[str, Callable[[], str]] = MappingProxyType({"house": house, "import-table": import_table})
