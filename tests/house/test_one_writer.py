"""Files are written by ``storage.write`` alone: whole or not at all, on the disk, private. Whatever else writes is listed here with its reason."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
METHODS = {
    "write_text", "write_bytes", "touch", "truncate", "rename", "symlink_to", "hardlink_to", "link_to", "to_csv", "to_json", "to_parquet", "to_excel", "to_pickle",
    "to_filename", "savefig", "save", "save_as", "savez", "savez_compressed", "savetxt", "save_file", "save_model", "save_pretrained", "save_state", "tofile",
    "open_memmap", "memmap", "copyfile", "copy2", "copytree", "copyfileobj", "copymode", "move", "make_archive", "unpack_archive", "extract", "extractall", "mkstemp",
    "NamedTemporaryFile", "FileHandler", "write_png", "imwrite", "imsave", "WriteImage", "dump",
}  # fmt: skip
"""Names of functions and methods that make or change a file, in the standard library and in what this package imports."""
OF_MODULE = {
    ("shutil", "copy"), ("os", "rename"), ("os", "replace"), ("os", "renames"), ("os", "link"), ("os", "symlink"), ("os", "open"), ("os", "mkfifo"), ("os", "mknod"),
}  # fmt: skip
SCRATCH = "in a scratch folder, of which nothing is kept"
ELSEWHERE = {
    "voxtune/storage/lock.py _write_new open": "a lock is the one file that only one process can make; here too its text is whole before it has its name",
    "voxtune/storage/lock.py create_once link": "how it takes its name",
    "voxtune/cohorts/tree_rows.py keep_scans rename": "of columns",
    "voxtune/cli/base.py _complain open": "the null device",
    "voxtune/imaging/archive.py _unpack open": SCRATCH,
    "voxtune/imaging/dicom/gdcm.py _write save_as": SCRATCH,
    "voxtune/imaging/dicom/gdcm.py decode save": SCRATCH,
    "voxtune/serving/upload.py receive open": SCRATCH,
    "voxtune/serving/upload.py _form open": SCRATCH,
    "voxtune/serving/upload.py _recognised rename": SCRATCH,
    "voxtune/serving/service.py storage_trouble write_bytes": "asks whether there is room; gone at once",
    "voxtune/serving/answers.py _write replace": "sets a whole table aside under another name",
    "voxtune_recipes/pretrain_tiny.py pretrain open": "the log of a training of days, line by line",
    "voxtune_recipes/pretrain_untaught.py pretrain open": "the log of a training of days, line by line",
}
"""Of each: the file, the function, the name that is called, and why it is not the one writer."""


def writes(source: Path) -> list[str]:
    """Every call in a tree that writes a file other than through the one writer: file, function, name."""
    found = []
    for path in sorted(source.rglob("*.py")):
        local = path.relative_to(source).as_posix()
        if local == "voxtune/storage/write.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function, call, around in _calls(tree, "", ()):
            name = _name(call)
            if name is not None and _writes(call, name) and not _safe(call, around):
                found.append(f"{local} {function} {name}")
    return sorted(set(found))


Around = tuple[str, ...]
"""Names that a write may go to: the file of ``atomic_path``, and buffers in memory."""


def _calls(node: ast.AST, function: str, around: Around) -> Iterator[tuple[str, ast.Call, Around]]:
    for one in ast.iter_child_nodes(node):
        inside, known = function, around
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = one.name
            known = (*around, *_buffers(one))
        elif isinstance(one, ast.With):
            known = (*around, *_parts(one))
        if isinstance(one, ast.Call):
            yield inside, one, known
        yield from _calls(one, inside, known)


def _buffers(function: ast.AST) -> list[str]:
    """Names that are bound to a buffer in memory and to nothing else."""
    assigned: dict[str, set[bool]] = {}
    for one in ast.walk(function):
        if isinstance(one, ast.Assign):
            memory = isinstance(one.value, ast.Call) and _name(one.value) in {"BytesIO", "StringIO"}
            for target in one.targets:
                assigned.setdefault(ast.unparse(target), set()).add(memory)
    return [name for name, kinds in assigned.items() if kinds == {True}]


def _parts(block: ast.With) -> list[str]:
    names: list[str] = []
    for item in block.items:
        made = item.context_expr
        if not (isinstance(made, ast.Call) and isinstance(item.optional_vars, ast.Name)):
            continue
        of_part = isinstance(made.func, ast.Attribute) and ast.unparse(made.func.value) in names
        if _name(made) == "atomic_path" or (of_part and _name(made) == "open"):
            names.append(item.optional_vars.id)
    return names


def _name(call: ast.Call) -> str | None:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else None


def _writes(call: ast.Call, name: str) -> bool:
    of = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    if (of, name) in OF_MODULE:
        return name != "open" or "O_" in ast.unparse(call)
    if name == "open":
        return any(set(mode) & set("wax+") for mode in _modes(call))
    if name == "ZipFile":
        return any(set(mode) & set("wax") for mode in _modes(call))
    if name == "replace":  # of a path; of a text it has two arguments
        return bool(of) and len(call.args) == 1 and not call.keywords and of != "dataclasses"
    if name in {"write_text", "write_bytes"}:
        return bool(of)  # those of ``storage.write`` are called by their names
    if name in {"to_json", "to_csv"}:
        return bool(call.args)  # without a place they return text
    if name in {"save", "dump"}:
        return bool(of)  # by their bare names: bytes of safetensors, or a function that is looked at itself
    return name in METHODS


def _modes(call: ast.Call) -> list[str]:
    given = [*call.args, *(one.value for one in call.keywords if one.arg == "mode")]
    return [
        one.value
        for one in given
        if isinstance(one, ast.Constant)
        and isinstance(one.value, str)
        and 0 < len(one.value) <= 3
        and set(one.value) <= set("rwaxbt+")
    ]


def _safe(call: ast.Call, around: Around) -> bool:
    given = [*call.args, *(one.value for one in call.keywords)]
    if isinstance(call.func, ast.Attribute):
        given.append(call.func.value)
    return bool({ast.unparse(one) for one in given} & set(around))


def test_nothing_writes_beside_the_one_writer() -> None:
    assert writes(SOURCE) == sorted(ELSEWHERE)


@pytest.mark.parametrize(
    "line",
    [
        "path.write_text('x')",
        "path.open('w')",
        "open(path, mode='a')",
        "numpy.save(path, array)",
        "save_file(tensors, path)",
        "shutil.copy(a, b)",
        "image.save(path)",
        "table.to_csv(path)",
        "figure.savefig(path)",
        "a.replace(b)",
        "os.open(path, os.O_WRONLY)",
        "zipfile.ZipFile(path, 'w')",
        "json.dump(value, file)",
        "archive.extractall(folder)",
    ],
)
def test_a_second_writer_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "new.py").write_text(f"def made(path):\n    {line}\n")
    assert len(writes(tmp_path)) == 1


@pytest.mark.parametrize(
    "block",
    [
        "with atomic_path(path) as part:\n        save_file(tensors, part)",
        "with atomic_path(path) as part, part.open('wb') as file:\n        json.dump(value, file)",
        "buffer = io.BytesIO()\n    numpy.save(buffer, array)",
        "write_text(path, 'x')",
        "text = text.replace('a', 'b')",
        "path.open('rb')",
    ],
)
def test_the_one_writer_and_memory_are_not_found(tmp_path: Path, block: str) -> None:
    (tmp_path / "new.py").write_text(f"def made(path):\n    {block}\n")
    assert writes(tmp_path) == []
