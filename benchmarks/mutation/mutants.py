"""One small change at a time: a flipped comparison, an exchanged operator, a changed constant, a negated condition."""

import ast
import copy
import hashlib
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

COMPARED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn,
    ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
COMBINED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Mod: ast.Mult, ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.MatMult: ast.Add,
}  # fmt: skip

EXCHANGED = {"min": "max", "max": "min"}


@dataclass(frozen=True)
class Mutant:
    """A changed source and what was changed in it."""

    name: str
    """``function: before -> after #n``, the same as long as that line is the same."""
    source: str


def mutants(source: str) -> list[Mutant]:
    """Every single change of a file that should make a test fail."""
    tree = ast.parse(source)
    found: list[Mutant] = []
    seen: dict[str, int] = {}
    for place in _places(tree):
        for change in _changes(place.node):
            changed = copy.deepcopy(tree)
            before, after = _at(tree, place.path), change
            _replace(changed, place.path, after)
            name = f"{place.scope}: {ast.unparse(_statement(tree, place.path))[:110]} | {ast.unparse(before)} -> {ast.unparse(after)}"
            seen[name] = seen.get(name, 0) + 1
            found.append(Mutant(f"{name} #{seen[name]}", ast.unparse(ast.fix_missing_locations(changed))))
    return found


def code_sha256(source: str) -> str:
    """The sha256 of the statements that can be changed: no comments, docstrings, imports, classes that only declare fields."""
    lines, tree = source.splitlines(), ast.parse(source)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            lines[token.start[0] - 1] = lines[token.start[0] - 1][: token.start[1]]
    still = [
        one for one in tree.body if not any(True for place in _places(one) for _ in _changes(place.node))
    ]
    texts = [
        one for one in ast.walk(tree) if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
    ]
    for node in [*still, *texts]:
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
        lines[first - 1 : node.end_lineno] = [""] * len(lines[first - 1 : node.end_lineno])
    return hashlib.sha256("\n".join(line.rstrip() for line in lines if line.strip()).encode()).hexdigest()


Path = tuple[tuple[str, int | None], ...]


@dataclass(frozen=True)
class _Place:
    node: ast.AST
    path: Path
    scope: str


def _places(node: ast.AST, path: Path = (), scope: str = "module") -> Iterator[_Place]:
    """Nodes that compute something; annotations, docstrings, errors and the declared fields of a class are left out."""
    if isinstance(node, ast.Raise | ast.Import | ast.ImportFrom | ast.Assert):
        return
    if (
        isinstance(node, ast.keyword) and node.arg == "strict"
    ):  # of zip: states an invariant, as an assert does
        return
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        scope = node.name if scope == "module" else f"{scope}.{node.name}"
    yield _Place(node, path, scope)
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "decorator_list", "type_comment", "bases"}:
            continue
        if isinstance(value, ast.AST):
            yield from _places(value, (*path, (field, None)), scope)
        elif isinstance(value, list):
            for number, one in enumerate(value):
                docstring = isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
                declared = isinstance(node, ast.ClassDef) and isinstance(one, ast.AnnAssign)
                if isinstance(one, ast.AST) and not docstring and not declared:
                    yield from _places(one, (*path, (field, number)), scope)


def _changes(node: ast.AST) -> Iterator[ast.AST]:  # noqa: C901  (a table of kinds)
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARED:
        yield ast.Compare(node.left, [COMPARED[type(node.ops[0])](), *node.ops[1:]], node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in COMBINED:
        yield ast.BinOp(node.left, COMBINED[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        yield node.operand
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield ast.Constant(not node.value)
        elif isinstance(node.value, int | float):
            yield ast.Constant(node.value + 1)
    elif isinstance(node, ast.Name) and node.id in EXCHANGED and isinstance(node.ctx, ast.Load):
        yield ast.Name(EXCHANGED[node.id], ast.Load())
    elif isinstance(node, ast.Attribute) and node.attr in EXCHANGED:
        yield ast.Attribute(node.value, EXCHANGED[node.attr], node.ctx)


def _at(tree: ast.AST, path: Path) -> ast.AST:
    here: ast.AST = tree
    for field, number in path:
        value = getattr(here, field)
        here = value if number is None else value[number]
    return here


def _replace(tree: ast.AST, path: Path, new: ast.AST) -> None:
    field, number = path[-1]
    parent = _at(tree, path[:-1])
    if number is None:
        setattr(parent, field, new)
    else:
        getattr(parent, field)[number] = new


def _statement(tree: ast.AST, path: Path) -> ast.AST:
    """The smallest expression statement, condition or return around a node, to know it by."""
    for length in range(len(path), -1, -1):
        node = _at(tree, path[:length])
        if isinstance(node, ast.stmt) and not isinstance(
            node, ast.FunctionDef | ast.ClassDef | ast.For | ast.If | ast.With
        ):
            return node
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module | ast.For | ast.If | ast.With):
            return _at(tree, path[: length + 1]) if length < len(path) else _at(tree, path)
    return tree
