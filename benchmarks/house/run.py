"""Measure the house: import circles, branches on the kind of task, forms of an answer, encode loops, where the lines are.

    python benchmarks/house/run.py [TREE]        print the measures of a source tree (default: this one)
    python benchmarks/house/run.py --store NAME [TREE]    also write results/NAME.json
    git worktree add ../before REVISION && python benchmarks/house/run.py --store before ../before

Everything is read from the code as text; nothing of it is imported or run.
"""

import argparse
import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TASK = re.compile(r"\bfindings\b|\btask\b|\.choice\b|\"(regression|each|one)\"|\bmany\b")
"""A test that looks at this decides by the kind of task. ``diagnosis`` alone is a column of the manifest, ``choice`` alone a chosen setting or series."""
SCANS = {"scan_ids", "scan_id", "participants", "participant"}
ANSWERS = {"probabilities", "predicted", "called", "log_odds"}


def files(tree: Path) -> Iterator[tuple[Path, ast.Module, str]]:
    for path in sorted((tree / "src" / "voxtune").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        yield path.relative_to(tree / "src"), ast.parse(text), text


def lines_of(text: str) -> int:
    return len(text.splitlines())


# ------------------------------------------------------------------------------------------------ circles
def imports(tree: Path) -> dict[str, set[str]]:
    """Modules and the modules of ours they import, those inside functions too, those for types alone not."""
    names = {}
    for path, module, _ in files(tree):
        dotted = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        names[dotted] = module
    found: dict[str, set[str]] = {}
    for name, module in names.items():
        seen: set[str] = set()
        _imports(module, seen, names)
        found[name] = seen - {name}
    return found


def _imports(node: ast.AST, seen: set[str], names: dict[str, ast.Module]) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        if isinstance(child, ast.ImportFrom) and child.module:
            for alias in child.names:
                whole = f"{child.module}.{alias.name}"
                seen |= {one for one in (whole if whole in names else child.module,) if one in names}
        elif isinstance(child, ast.Import):
            seen |= {alias.name for alias in child.names if alias.name in names}
        _imports(child, seen, names)


def circles(tree: Path) -> list[list[str]]:  # noqa: C901  (Tarjan in one place)
    """Groups of modules that import one another, directly or not (Tarjan)."""
    graph = imports(tree)
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = []
            while True:
                group.append(stack.pop())
                if group[-1] == node:
                    break
            if len(group) > 1:
                found.append(sorted(group))

    sys.setrecursionlimit(10_000)
    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


# ------------------------------------------------------------------------------------------------ branches
def task_branches(tree: Path) -> list[str]:
    """Tests outside ``tasks/`` that decide by the kind of task."""
    found = []
    for path, module, text in files(tree):
        if path.parts[1] in {"tasks", "audit", "cohorts", "simulate"} or "audit" in path.stem:
            continue  # an audit's findings are another word; cohorts and the simulator write columns
        for node in ast.walk(module):
            tests: list[ast.expr] = []
            if isinstance(node, ast.If | ast.IfExp | ast.While):
                tests = [node.test]
            elif isinstance(node, ast.comprehension):
                tests = node.ifs
            for test in tests:
                source = ast.get_source_segment(text, test) or ""
                if TASK.search(source) and not re.search(r"findings\.items|for .* in", source):
                    found.append(f"{path}:{test.lineno}: {' '.join(source.split())}")
    return found


# ------------------------------------------------------------------------------------- answers and loops
def answer_forms(tree: Path) -> list[str]:
    """Classes that hold scans beside what a model said of them; the record of one row is the row of the table, no form of its own."""
    found = []
    for path, module, _ in files(tree):
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef) and node.name != "Prediction":
                names = {
                    one.target.id
                    for one in node.body
                    if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
                }
                if names & SCANS and names & ANSWERS:
                    found.append(f"{path}: {node.name}")
    return found


def encode_loops(tree: Path) -> list[str]:
    """Functions outside training that walk over scans in batches and stack what they read."""
    found = []
    for path, module, text in files(tree):
        if path.parts[1] in {"training", "imaging", "simulate"}:
            continue
        for node in ast.walk(module):
            if not isinstance(node, ast.FunctionDef):
                continue
            source = ast.get_source_segment(text, node) or ""
            loops = [
                one for one in ast.walk(node) if isinstance(one, ast.For | ast.ListComp | ast.GeneratorExp)
            ]
            inner = any("torch.stack([read(" in (ast.get_source_segment(text, one) or "") for one in loops)
            if inner and "range(0, len(" in source:
                found.append(f"{path}: {node.name}")
    return found


def measure(tree: Path) -> dict[str, Any]:
    rooms: dict[str, int] = {}
    for path, _, text in files(tree):
        room = path.parts[1] if len(path.parts) > 2 else "(files of the package itself)"
        rooms[room] = rooms.get(room, 0) + lines_of(text)
    total = sum(rooms.values())
    verbs = rooms.get("commands", 0) + rooms.get("stages", 0)
    return {
        "files": sum(1 for _ in files(tree)),
        "lines": total,
        "rooms": dict(sorted(rooms.items())),
        "commands_share": round(100 * verbs / total, 1),
        "circles": circles(tree),
        "task_branches": task_branches(tree),
        "answer_forms": answer_forms(tree),
        "encode_loops": encode_loops(tree),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tree", nargs="?", type=Path, default=ROOT)
    parser.add_argument("--store", metavar="NAME")
    arguments = parser.parse_args()
    found = measure(arguments.tree.resolve())
    for name in ("files", "lines", "commands_share"):
        print(f"{name}: {found[name]}")
    for name in ("circles", "task_branches", "answer_forms", "encode_loops"):
        print(f"{name}: {len(found[name])}")
        for one in found[name]:
            print(f"    {one}")
    if arguments.store:
        target = HERE / "results" / f"{arguments.store}.json"
        target.parent.mkdir(exist_ok=True)
        target.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
