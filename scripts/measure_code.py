"""Measures of the code itself: sizes of functions and files, complexity, types, docs, names.

    python scripts/measure_code.py            # this checkout
    python scripts/measure_code.py ../other   # another one

The last line of stdout is one JSON object.
"""

import argparse
import ast
import io
import json
import re
import statistics
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

BRANCHES = (
    ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.IfExp, ast.comprehension,
    ast.match_case,
)  # fmt: skip
"""Nodes that add one path each to McCabe's number."""

LISTED_WORDS = re.compile(
    r"\b(heed\w*|heard|unheard|owed|errands?|wagers?|witness(es)?|mend(s|ed)?|rungs?|stretch(es)?"
    r"|told|may speak|leaves with)\b",
    re.IGNORECASE,
)
"""Words that the project gave meanings of its own; docs/glossary.md holds those that remain."""


def main() -> None:
    """Measure a checkout and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).parents[1])
    measures = measure(parser.parse_args().root.resolve())
    for name, value in measures.items():
        print(f"{name:<42} {value}")
    print(json.dumps(measures))


def measure(root: Path) -> dict[str, float | int | str]:
    """All measures of the checkout at `root`."""
    files = sorted((root / "vision_ai").rglob("*.py"))
    texts = {path: path.read_text(encoding="utf-8") for path in files}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    functions = [node for tree in trees.values() for node in _functions(tree)]
    lengths = sorted(_length(node) for node in functions)
    complexity = [_complexity(node) for node in functions]
    public = [node for node in functions if not node.name.startswith("_")]
    classes = Counter(
        node.name
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    )
    code_lines = sum(len(text.splitlines()) for text in texts.values())
    test_lines = sum(
        len(path.read_text(encoding="utf-8").splitlines())
        for path in (root / "tests").rglob("*.py")
    )
    importers = _importers(root, trees)
    return {
        "files": len(files),
        "lines": code_lines,
        "lines, longest file": max(len(text.splitlines()) for text in texts.values()),
        "lines of a function, median": statistics.median(lengths),
        "lines of a function, 90th percentile": lengths[int(0.9 * len(lengths))],
        "functions over 50 lines, %": round(100 * _share(n > 50 for n in lengths), 2),
        "complexity, worst": max(complexity),
        "complexity over 10": sum(n > 10 for n in complexity),
        "functions with all types, %": round(100 * _share(_is_typed(n) for n in functions), 1),
        "public functions with docs, %": round(
            100 * _share(ast.get_docstring(n) is not None for n in public), 1
        ),
        "broad excepts": sum(_broad_excepts(tree) for tree in trees.values()),
        "modules with one importer": sum(n == 1 for n in importers.values()),
        "import cycles": _cycles(root, trees),
        "class names defined more than once": sum(n > 1 for n in classes.values()),
        "comments": sum(_comments(text) for text in texts.values()),
        "listed words, lines": sum(
            bool(LISTED_WORDS.search(line)) for text in texts.values() for line in text.splitlines()
        ),
        "tests : code": round(test_lines / code_lines, 2),
    }


def _functions(tree: ast.Module) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _length(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _complexity(node: Function) -> int:
    paths = 1
    for child in ast.walk(node):
        if isinstance(child, BRANCHES):
            paths += 1
        elif isinstance(child, ast.BoolOp):
            paths += len(child.values) - 1
    return paths


def _is_typed(node: Function) -> bool:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    own = [a for a in arguments if a.arg not in {"self", "cls"}]
    return node.returns is not None and all(a.annotation is not None for a in own)


def _broad_excepts(tree: ast.Module) -> int:
    return sum(
        isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
        for node in ast.walk(tree)
    )


def _comments(text: str) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return sum(token.type == tokenize.COMMENT for token in tokens)


def _imports(root: Path, path: Path, tree: ast.Module, modules: set[str]) -> set[str]:
    """Modules of the package that a file imports, at its top or within its functions.

    What stands under `if __name__ == "__main__"` is run by a person, never by an import.
    """
    named: set[str] = set()
    imported = [node for node in tree.body if not _is_main_block(node)]
    for node in (inner for outer in imported for inner in ast.walk(outer)):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                named.add(full if full in modules else node.module)
        elif isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
    return (named & modules) - {_module(root, path)}


def _is_main_block(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


def _module(root: Path, path: Path) -> str:
    dotted = path.relative_to(root).with_suffix("").as_posix().replace("/", ".")
    return dotted.removesuffix(".__init__")


def _graph(root: Path, trees: dict[Path, ast.Module]) -> dict[str, set[str]]:
    modules = {_module(root, path) for path in trees}
    return {
        _module(root, path): _imports(root, path, tree, modules) for path, tree in trees.items()
    }


def _importers(root: Path, trees: dict[Path, ast.Module]) -> Counter[str]:
    return Counter(target for targets in _graph(root, trees).values() for target in targets)


def _cycles(root: Path, trees: dict[Path, ast.Module]) -> int:
    """How many groups of files import each other (strongly connected, more than one file)."""
    graph = _graph(root, trees)
    reached: dict[str, set[str]] = defaultdict(set)
    for start in graph:
        stack = list(graph[start])
        while stack:
            module = stack.pop()
            if module not in reached[start]:
                reached[start].add(module)
                stack += graph.get(module, ())
    groups = {
        frozenset(other for other in reached[module] if module in reached[other]) | {module}
        for module in graph
        if module in reached[module]
    }
    return len(groups)


def _share(flags: Iterator[bool]) -> float:
    values = list(flags)
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
