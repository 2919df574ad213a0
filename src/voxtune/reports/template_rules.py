"""What a report template from a file may hold: its fields, words, conditions, plain arithmetic, short lists. Nothing that reaches further."""

import re

from jinja2 import nodes

from voxtune.errors import UsageError

FILTERS = frozenset(
    ("abs", "capitalize", "d", "default", "float", "format", "int", "lower", "replace", "round", "string", "title", "trim", "upper")
)  # fmt: skip
TESTS = frozenset(("defined", "none", "number", "string", "undefined", "eq", "ne", "lt", "le", "gt", "ge"))
PLAIN = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If, nodes.CondExpr, nodes.And, nodes.Or, nodes.Not,
    nodes.Compare, nodes.Operand, nodes.Concat, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Neg, nodes.Pos,
    nodes.Tuple, nodes.List, nodes.Assign, nodes.Keyword, nodes.Filter, nodes.Test, nodes.Call, nodes.For,
)  # fmt: skip
MOST_NODES, MOST_TURNS = 20_000, 100
_NAMES = {
    "Getattr": "a dot after a value", "Getitem": "square brackets after a value", "Include": "include", "Import": "import", "FromImport": "import",
    "Extends": "extends", "Macro": "macro", "CallBlock": "call", "FilterBlock": "filter block", "Pow": "**",
    "Mod": "% after something else than a pattern that is written out",
}  # fmt: skip
_CONVERSION = re.compile(r"%(%|[-+ 0#]{0,3}\d{0,3}(\.\d{1,2})?[deEfgGis])")
"""What may stand after a per cent sign of a pattern: no name, no width that is given elsewhere or has four digits."""


def check_template(tree: nodes.Template, name: str) -> None:
    """See that a parsed template holds nothing else.

    Raises:
        UsageError: it does; the line and what stands there are named.
    """
    for seen, (depth, node) in enumerate(_walk(tree, 0)):
        problem = "more parts than a report needs" if seen > MOST_NODES else _problem(node, depth)
        if problem:
            raise UsageError(
                f"Report template '{name}', line {node.lineno or 1}: {problem}, which a report template may not hold. "
                f"It has its fields, listed(...), if, for over a list that is written out, and the filters {', '.join(sorted(FILTERS))}."
            )


def names_in(tree: nodes.Template) -> frozenset[str]:
    """The names that a template asks for and does not set itself; nothing of it is computed for that, not even what is constant."""
    names = list(tree.find_all(nodes.Name))
    return frozenset(one.name for one in names if one.ctx == "load") - {
        one.name for one in names if one.ctx == "store"
    }


def _walk(node: nodes.Node, loops: int) -> "list[tuple[int, nodes.Node]]":
    found: list[tuple[int, nodes.Node]] = []
    left = [(loops, node)]
    while left and len(found) <= MOST_NODES:
        depth, one = left.pop()
        found.append((depth, one))
        inside = depth + isinstance(one, nodes.For)
        left += [(inside, child) for child in one.iter_child_nodes()]
    return found


def _problem(node: nodes.Node, loops: int) -> str | None:
    kind = type(node).__name__
    if not isinstance(node, PLAIN) and not (isinstance(node, nodes.Mod) and _is_pattern(node.left)):
        return f"there is {_NAMES.get(kind, kind.lower())}"
    if isinstance(node, nodes.Filter | nodes.Test):
        return _named(node, kind)
    if isinstance(node, nodes.Call):
        plain = isinstance(node.node, nodes.Name) and node.node.name == "listed"
        return None if plain and not node.dyn_args and not node.dyn_kwargs else "there is a call"
    if isinstance(node, nodes.For):
        literal = isinstance(node.iter, nodes.Tuple | nodes.List) and len(node.iter.items) <= MOST_TURNS
        if not literal or node.recursive or loops > 1:
            return "there is a loop over something else than a short list that is written out"
    if isinstance(node, nodes.Assign) and not isinstance(node.target, nodes.Name):
        return "there is an assignment to something else than a name"
    return None


def _named(node: nodes.Filter | nodes.Test, kind: str) -> str | None:
    known = FILTERS if isinstance(node, nodes.Filter) else TESTS
    if node.name not in known or node.dyn_args or node.dyn_kwargs:
        return f"there is the {kind.lower()} '{node.name}'"
    if node.name == "format" and not _is_pattern(node.node):
        return "there is the filter 'format' of something else than a plain pattern such as '%.2f' that is written out"
    return None


def _is_pattern(node: nodes.Node | None) -> bool:
    """Whether this is one of some texts that are written out and whose conversions are short."""
    if isinstance(node, nodes.CondExpr):
        return _is_pattern(node.expr1) and (node.expr2 is None or _is_pattern(node.expr2))
    if not isinstance(node, nodes.Const) or not isinstance(node.value, str):
        return False
    return "%" not in _CONVERSION.sub("", node.value)
