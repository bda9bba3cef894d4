"""No second splitter: every module is read, and none but `measures/purge.py` cuts data in time.

What a module does with times and symbols is read from its syntax tree. Each rule is proven by
planting code that breaks it: the splitters that this package had before there was one wall.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WALL = ROOT / "vision_ai" / "measures" / "purge.py"

SPLITTING_LIBRARIES = re.compile(r"sklearn\.model_selection|purgedcv|timeseriescv|mlfinlab|skfolio")
SPAN_COLUMNS = re.compile(r"(first|known|complete)_ms")
CHART_TIMES = re.compile(r"(close|as_of)(_ms)?")
LENGTHS = re.compile(r"embargo|horizon|longest", re.IGNORECASE)
FOLD_NAMES = re.compile(
    r"(train|test|held_out|validation|calibrat\w+)_(rows|mask|until|from)(_ms)?"
)
SPLITTERS = re.compile(
    r"(^|_)(k?folds?|halves|hold_?out|train_test\w*|purge\w*|embargo\w*|walk_forward|cross_val\w*)$"
)
CHOOSING = {"flatnonzero", "nonzero", "where", "quantile", "permutation", "array_split", "isin"}
ORDERINGS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def second_splitters(source: str) -> list[str]:
    """What in a module's source does the wall's work, one line each; nothing if all is well."""
    tree = ast.parse(source)
    found = [*imports_of_splitters(tree), *comparisons_of_spans(tree), *own_embargoes(tree)]
    return [*found, *folds_by_hash(tree), *fold_columns(tree), *unwalled_splitters(tree)]


def names(node: ast.AST) -> set[str]:
    """Every name and attribute in an expression or function."""
    inside = list(ast.walk(node))
    return {n.id for n in inside if isinstance(n, ast.Name)} | {
        n.attr for n in inside if isinstance(n, ast.Attribute)
    }


def nodes(tree: ast.AST, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
    return (node for node in ast.walk(tree) if isinstance(node, kinds))


def compares_order(node: ast.AST) -> bool:
    return any(isinstance(op, ORDERINGS) for c in nodes(node, ast.Compare) for op in c.ops)


def told(node: ast.AST, why: str) -> str:
    return f"line {node.lineno}: {why}: {ast.unparse(node).splitlines()[0]}"


def imports_of_splitters(tree: ast.AST) -> Iterator[str]:
    for node in nodes(tree, ast.Import, ast.ImportFrom):
        modules = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            modules = [f"{node.module}.{name}" for name in modules]
        if any(SPLITTING_LIBRARIES.match(module) for module in modules):
            yield told(node, "imports a splitter")


def comparisons_of_spans(tree: ast.AST) -> Iterator[str]:
    """Which is earlier, of columns of spans or of a chart's time and a horizon or embargo."""
    for node in nodes(tree, ast.Compare):
        if not any(isinstance(op, ORDERINGS) for op in node.ops):
            continue
        for operand in (node.left, *node.comparators):
            attributes = {n.attr for n in nodes(operand, ast.Attribute)}
            sums = list(nodes(operand, ast.BinOp))
            if any(SPAN_COLUMNS.fullmatch(name) for name in attributes) or any(
                any(CHART_TIMES.fullmatch(name) for name in names(one))
                and any(LENGTHS.search(name) or name == "ms" for name in names(one))
                for one in sums
            ):
                yield told(node, "compares times of charts")
                break


def own_embargoes(tree: ast.AST) -> Iterator[str]:
    for node in nodes(tree, ast.BinOp, ast.Compare):
        if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Add | ast.Sub):
            continue  # a change of unit
        if any("embargo" in name.lower() for name in names(node)):
            yield told(node, "applies an embargo")


def folds_by_hash(tree: ast.AST) -> Iterator[str]:
    hashing = {f.name for f in nodes(tree, ast.FunctionDef) if "hashlib" in names(f)}
    for node in nodes(tree, ast.Call):
        keys = [k.value for k in node.keywords if k.arg == "key"]
        if any(names(key) & (hashing | {"hashlib"}) for key in keys):
            yield told(node, "orders by a hash")
    for function in nodes(tree, ast.FunctionDef):
        if "hashlib" in names(function) and "symbol" in ast.unparse(function):
            modulo = any(isinstance(n.op, ast.Mod) for n in nodes(function, ast.BinOp))
            if modulo or "searchsorted" in names(function):
                yield told(function, "sorts into folds by a hash")


def fold_columns(tree: ast.AST) -> Iterator[str]:
    for node in nodes(tree, ast.Assign):
        targets = {name for target in node.targets for name in names(target)}
        if any(FOLD_NAMES.fullmatch(name) for name in targets) and (
            compares_order(node.value) or names(node.value) & CHOOSING
        ):
            yield told(node, "computes a fold")


def unwalled_splitters(tree: ast.AST) -> Iterator[str]:
    """Functions that are named as splitters, choose rows, and never call the wall."""
    walled = {"purge"} | {
        alias.asname or alias.name
        for node in nodes(tree, ast.ImportFrom)
        if node.module == "vision_ai.measures.purge"
        for alias in node.names
    }
    splitters = [f for f in nodes(tree, ast.FunctionDef) if SPLITTERS.search(f.name)]
    walled |= {f.name for f in splitters if names(f) & walled}
    for function in splitters:
        chooses = compares_order(function) or names(function) & CHOOSING
        if chooses and not names(function) & walled:
            yield told(function, "splits without the wall")


def modules() -> list[Path]:
    folders = (ROOT / "vision_ai", ROOT / "benchmarks", ROOT / "scripts")
    return sorted(path for folder in folders for path in folder.rglob("*.py") if path != WALL)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_but_the_wall_splits(path):
    found = second_splitters(path.read_text(encoding="utf-8"))
    assert not found, f"{path} holds a second splitter, use measures/purge.py:\n" + "\n".join(found)


def test_the_rules_see_the_wall_itself():
    found = "\n".join(second_splitters(WALL.read_text(encoding="utf-8")))
    for why in ("applies an embargo", "orders by a hash"):
        assert why in found


PLANTED = {
    "the gate's former folds": """
        def later_fold(lines, learned_until_ms, embargo_ms):
            for line in lines:
                as_of_ms = parse_time(line.as_of)
                if as_of_ms + line.horizon.ms <= learned_until_ms:
                    learned.append(line)
                elif as_of_ms >= learned_until_ms + embargo_ms:
                    judging.append(line)
        """,
    "training's former walls": """
        def divide(tables, config):
            until = round((start + config.train_share * (end - start)) / DAY_MS) * DAY_MS
            train = every.take(~outside & (every.close_ms + Horizon.H6.ms <= until))
        """,
    "the side after a wall": "later = np.flatnonzero(windows.first_ms >= wall)",
    "training's former held-out symbols": """
        def away(symbols, share, seed):
            def rank(symbol):
                return hashlib.sha256(f"{seed}|{symbol}".encode()).digest()
            return set(sorted(set(symbols), key=rank)[: round(share * len(symbols))])
        """,
    "symbols sorted by a hash in a lambda": """
        chosen = sorted(symbols, key=lambda name: hashlib.sha256(name.encode()).digest())[:5]
        """,
    "folds of symbols by hash and edges": """
        def of_symbols(spans, shares):
            digests = [hashlib.sha256(name.encode()).digest() for name in spans.symbol]
            return np.searchsorted(edges, digests)
        """,
    "folds of symbols by a remainder": """
        def which(symbol):
            return int(hashlib.sha256(symbol.encode()).hexdigest(), 16) % 5
        """,
    "calibration's former halves": """
        def halves(charts):
            cut = np.quantile(charts.close_ms, FIT_SHARE)
            return np.flatnonzero(charts.close_ms <= cut), np.flatnonzero(charts.close_ms > cut)
        """,
    "the report card's former rule": "clean = spans.first_ms >= extent.known_ms",
    "an outcome that was known": "usable = outcomes.complete_ms[:, 1] <= now",
    "an own embargo": "start_ms = wall_ms + config.embargo_ms",
    "scikit-learn's splitter": "from sklearn.model_selection import TimeSeriesSplit",
    "scikit-learn's module": "import sklearn.model_selection",
    "a library of purged splits": "from purgedcv import PurgedKFold",
    "rows of a fold": "train_rows = np.flatnonzero(times < cut)",
    "the end of training": "train_until_ms = int(np.quantile(times, 0.7))",
}


@pytest.mark.parametrize("source", PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_splitter_is_found(source):
    indent = re.compile(r"^        ", re.MULTILINE)
    assert second_splitters(indent.sub("", source).strip())


INNOCENT = {
    "a call of the wall": "earlier, later = purge.split_at(spans, wall_ms, embargo_ms)",
    "a named call of the wall": """
from vision_ai.measures.purge import split_by_time

def halves(charts):
    earlier, later = split_by_time(Spans.of(charts), FIT_SHARE)
    if len(later) < 1:
        raise InputError("too short")
    return earlier, later
""",
    "a change of unit": "embargo_ms = round(settings.embargo_h * 3_600_000)",
    "a clock": "pending = now_ms < due.end_ms + config.give_up_h * HOUR_MS",
    "a digest": """
def fingerprint(rows):
    return hashlib.sha256("|".join(sorted(rows)).encode()).hexdigest()
""",
}


@pytest.mark.parametrize("source", INNOCENT.values(), ids=INNOCENT.keys())
def test_what_splits_nothing_is_let_pass(source):
    assert not second_splitters(source)


@pytest.mark.parametrize(
    "package", ["index.py", "retrieval", "evaluation", "feedback", "model/training", "pipeline"]
)
def test_every_package_that_divides_data_imports_the_wall(package):
    folder = ROOT / "vision_ai" / package
    sources = [folder] if folder.suffix else sorted(folder.rglob("*.py"))
    imported = re.compile(r"from vision_ai\.measures(\.purge import| import .*\bpurge\b)")
    assert any(imported.search(path.read_text(encoding="utf-8")) for path in sources)
