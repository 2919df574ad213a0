"""Choices as a person writes them: ``visual_prompts(20), lora(8, targets=(query, key))``. Read as data, never evaluated."""

import ast
from dataclasses import dataclass

CONSTANTS: dict[str, object] = {"true": True, "false": False, "none": None}


@dataclass(frozen=True)
class Call:
    """One choice: its name, values without a name, values with one."""

    kind: str
    positional: tuple[object, ...]
    named: dict[str, object]


def read_calls(text: str) -> tuple[Call, ...]:
    """Choices in the order they are written; ``none`` and nothing are no choice.

    Values are numbers, words (quoted where they hold anything but letters, digits, ``_`` and ``.``), ``true``, ``false``, ``none``,
    and tuples of these.

    Raises:
        ValueError: not of this form; the message says where.
    """
    if text.strip().lower() in {"", "none"}:
        return ()
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"'{text}' is no list of choices like 'visual_prompts(20), lora(8)'") from error
    parts = tree.elts if isinstance(tree, ast.Tuple) else [tree]
    return tuple(_call(part) for part in parts)


def _call(node: ast.expr) -> Call:
    if not isinstance(node, ast.Call):
        return Call(_word(node), (), {})
    names = [keyword.arg for keyword in node.keywords]
    if None in names or len(set(names)) < len(names):
        raise ValueError(f"'{ast.unparse(node)}': every named value needs a name of its own")
    named = {str(keyword.arg): _value(keyword.value) for keyword in node.keywords}
    return Call(_word(node.func), tuple(_value(value) for value in node.args), named)


def _value(node: ast.expr) -> object:
    if isinstance(node, ast.Tuple | ast.List):
        return [_value(part) for part in node.elts]
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | bool | None):
        return node.value
    if (
        isinstance(node, ast.UnaryOp)
        and isinstance(node.op, ast.USub)
        and isinstance(node.operand, ast.Constant)
    ):
        inner = node.operand.value
        if isinstance(inner, int | float):
            return -inner
    word = _word(node)
    return CONSTANTS.get(word.lower(), word)


def _word(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_word(node.value)}.{node.attr}"
    raise ValueError(f"'{ast.unparse(node)}' is neither a name nor a plain value")
