"""The style of the house, kept by a test: imports, banned calls, sizes, drop reasons, leftovers."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from meshd.core.drops import DropReason
from meshd.link.sources import Report
from meshd.store.interface import StoreFault

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "meshd"
STORE_INTERFACE = PACKAGE / "store" / "interface.py"
MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
HELPERS = ("daemons", "devices", "radios", "speakers", "vectors", "worlds")

PURE = {"wire", "radio", "link", "neighbour", "routing", "forwarding", "session", "space", "sync"}
PURE |= {"messages"}
MAY_IMPORT = {
    "core": set(),
    "config": {"core", "radio"},
    "wire": {"core"},
    **{name: {"core", "wire"} for name in PURE - {"wire"}},
    "store": {"core", "wire"},
    "node": {"core", "wire", "store.interface"} | PURE,
    "status": {"core"},
    "web": {"core"},
    "recording": {"core", "node"},
    "runtime": {"core", "config", "wire", "store", "node", "recording", "status"} | PURE,
    "simulation": {"core", "config", "wire", "store", "node", "recording"} | PURE,
    "lab": {"core"},
}
MAY_IMPORT["routing"] |= {"neighbour"}
MAY_IMPORT["forwarding"] |= {"link", "routing"}
MAY_IMPORT["sync"] |= {"space", "session", "store.interface"}
MAY_IMPORT["messages"] |= {"space", "forwarding", "session.echo"}
BANNED = {
    *("asyncio", "socket", "serial", "threading", "time", "sqlite3", "subprocess", "select"),
    *("os", "pyroute2", "aiomqtt", "scapy"),
}
FILE_LINES_MAX = 500
TEST_LINES_MAX = 700
FUNCTION_LINES_MAX = 70
FOLDER_FILES_MAX = 35
ARGUMENTS_MAX = 7
POSITIONAL_MAX = 5
DECISION_WORDS_MAX = 670
PROSE_LINE_MAX = 140
"""Tables and code are read another way."""


@cache
def text(path: Path) -> str:
    """Return what stands in a file: each is read once."""
    return path.read_text()


@cache
def walked(path: Path) -> tuple[ast.AST, ...]:
    """Return a module and all that is in it, the module first: each is parsed once."""
    return tuple(ast.walk(ast.parse(text(path))))


def room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0].removesuffix(".py")


@cache
def imports(path: Path) -> list[tuple[str, int]]:
    found = []
    for node in walked(path):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, node.lineno))
    return found


def none(faults: Iterator[str]) -> None:
    """Fail with all faults at once, a line for each."""
    found = list(faults)
    assert not found, "\n" + "\n".join(found)


def test_imports_follow_the_packet():
    none(forbidden_imports())


def forbidden_imports() -> Iterator[str]:
    for path in MODULES:
        here = room(path)
        allowed = MAY_IMPORT.get(here)
        if allowed is None:
            continue
        for name, line in imports(path):
            target = name.removeprefix("meshd.")
            inside = target == name or target.split(".")[0] == here
            if not inside and not any(f"{target}.".startswith(f"{item}.") for item in allowed):
                yield f"{path}:{line}: {here} may not import {name}"


def test_engine_has_no_clock_no_io_no_global_randomness():
    none(impure())


def impure() -> Iterator[str]:
    for path in MODULES:
        if room(path) not in PURE | {"core", "node"} and path != STORE_INTERFACE:
            continue
        for name, line in imports(path):
            if name.split(".")[0] in BANNED:
                yield f"{path}:{line}: the engine may not import {name}"
            if name == "random":
                named = [
                    [alias.name for alias in node.names]
                    for node in walked(path)
                    if isinstance(node, ast.ImportFrom) and node.lineno == line
                ]
                if named != [["Random"]]:
                    yield f"{path}:{line}: take an rng as an argument (from random import Random)"


def test_broad_except_only_in_the_shell():
    none(broad_excepts())


def broad_excepts() -> Iterator[str]:
    for path in MODULES:
        if room(path) in {"runtime", "web"}:
            continue
        for node in walked(path):
            if isinstance(node, ast.ExceptHandler):
                named = ast.unparse(node.type) if node.type else "everything"
                if named in {"Exception", "BaseException", "everything"}:
                    yield f"{path}:{node.lineno}: catch what you expect"


def test_sizes():
    none(too_large())


def too_large() -> Iterator[str]:
    for path in MODULES:
        lines = text(path).count("\n")
        if lines > (400 if path.name == "node.py" else FILE_LINES_MAX):
            yield f"{path}: {lines} lines"
        for node in walked(path):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield f"{path}:{node.lineno}: {node.name}: {length} lines"
            named = [arg for arg in node.args.args if arg.arg not in {"self", "cls"}]
            every = len(named) + len(node.args.kwonlyargs)
            if len(named) > POSITIONAL_MAX or every > ARGUMENTS_MAX:
                yield f"{path}:{node.lineno}: {node.name}: arguments"


def test_no_folder_is_a_heap():
    for folder, count in Counter(path.parent for path in MODULES).items():
        assert count <= FOLDER_FILES_MAX, f"{folder}: {count} files, which subjects have they?"


def test_tests_are_not_endless():
    for path in TESTS:
        lines = text(path).count("\n")
        assert lines <= TEST_LINES_MAX, f"{path}: {lines} lines"


def test_no_leftovers():
    none(leftovers())


def leftovers() -> Iterator[str]:
    for path in MODULES:
        for number, line in enumerate(text(path).splitlines(), 1):
            if len(line) > 100:
                yield f"{path}:{number}: longer than 100"
            if re.search(r"\b(FIXME|TODO|XXX)\b", line):
                yield f"{path}:{number}: leftover"
        if path.relative_to(PACKAGE) == Path("cli/output.py"):  # the one way out, which escapes
            continue
        for node in walked(path):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if called and node.func.id == "print":
                yield f"{path}:{node.lineno}: print"


def starred(node: ast.AST) -> bool:
    return isinstance(node, ast.Starred) and isinstance(node.value, ast.Tuple | ast.List)


def test_arguments_stand_where_they_are_given():
    """No `call(*(a, b), c)`, which hides from readers and from mypy what is given as what."""
    suspects = [path for path in MODULES + TESTS if re.search(r"\*[(\[]", text(path))]
    for path in suspects:
        for node in walked(path):
            if isinstance(node, ast.Call):
                hidden = any(starred(arg) for arg in node.args)
            else:
                alone = isinstance(node, ast.Tuple | ast.List) and len(node.elts) == 1
                hidden = alone and starred(node.elts[0])
            assert not hidden, f"{path}:{node.lineno}: write what stands in *(…) itself"


def test_module_says_what_it_is():
    for path in MODULES:
        assert ast.get_docstring(walked(path)[0]), f"{path}: a module opens with a docstring"


def test_every_file_is_reached():
    everywhere = "\n".join(map(text, MODULES + TESTS))
    for path in MODULES:
        if path.name in {"__init__.py", "__main__.py"}:
            continue
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        short = name.rsplit(".", 1)
        reached = name in everywhere or re.search(
            rf"from {re.escape(short[0])} import [^\n]*\b{short[1]}\b", everywhere
        )
        assert reached, f"{path}: nobody imports it"


ENGINE = PURE | {"core", "node", "store"}
FOR_TESTS = {"parse_prefix", "neighbour_addresses", "rekey", "with_key", "routes_max"}
"""What the engine has for tests alone, or for what is not built yet. It may get shorter only."""


def test_engine_has_nothing_that_only_tests_ask_for():
    asked = Counter()
    benchmarks = [path for path in TESTS if "benchmarks" in path.parts]
    for path in (*MODULES, *benchmarks):
        asked.update(re.findall(r"\w+", text(path)))
    given = {node.arg for path in MODULES for node in walked(path) if type(node) is ast.keyword}
    for path in MODULES:
        if room(path) not in ENGINE:
            continue
        for node in walked(path):
            if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                continue
            named = node.name.startswith("_") or node.name in FOR_TESTS or asked[node.name] > 1
            assert named, f"{path}:{node.lineno}: {node.name}: nothing of meshd asks for it"
            if isinstance(node, ast.FunctionDef):
                options = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
                for option in (arg.arg for arg, default in options if default is not None):
                    used = option in given or option in FOR_TESTS
                    assert used, f"{path}:{node.lineno}: nobody sets {option}"


def test_drop_reasons_are_used_and_tested():
    word = re.compile(r"\bDropReason\.(\w+)")
    used = {name for path in MODULES for name in word.findall(text(path))}
    tested = {name for path in TESTS for name in word.findall(text(path))}
    quoted = {name for path in TESTS for name in re.findall(r'"([a-z0-9-]+)"', text(path))}
    for reason in DropReason:
        assert reason.name in used, f"{reason} is used nowhere"
        assert reason.name in tested or reason.value in quoted, f"{reason} is tested nowhere"


def test_every_problem_and_notice_is_explained_once():
    """Scripts read these words, so people must find them, and none that is told no more."""
    page = text(ROOT / "docs" / "problems.md")
    told = [
        re.findall(r"^\| `([a-z0-9-]+)`(?: !)? \| \S.* \| \S.* \|$", part, re.M)
        for part in page.split("## Notices")
    ]
    codes = words_given("Problem", "_warn") | {fault.value for fault in StoreFault}
    states = words_given("trouble") | words_of("_STATES", "NO_REGION", "state")
    codes |= {f"radio-{state.replace(' ', '-')}" for state in states}
    kinds = words_given("Notice") | {f"radio-{report.value}" for report in Report}
    assert [sorted(part) for part in told] == [sorted(codes), sorted(kinds)]


def words_given(*names: str) -> set[str]:
    """Return the words that calls of these names begin with."""
    calls = [
        node.args[0]
        for path in MODULES
        for node in walked(path)
        if isinstance(node, ast.Call) and node.args
        if ast.unparse(node.func).split(".")[-1] in names
    ]
    return {word for first in calls for word in plain_words(first)}


def words_of(*names: str) -> set[str]:
    """Return the words that the daemon's radios have under these names."""
    nodes = [
        node.value
        for node in walked(PACKAGE / "runtime" / "lora_radios.py")
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in names
    ]
    return {word for node in nodes for word in plain_words(node)}


def plain_words(node: ast.expr) -> list[str]:
    """Return the words that an expression may be: itself, one of two, or one of a table."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        return plain_words(node.body) + plain_words(node.orelse)
    if isinstance(node, ast.Dict):
        return [word for value in node.values for word in plain_words(value)]
    return []


def test_one_process_holds_many_nodes():
    """No module keeps state: what could differ between two nodes is never global."""
    for path in MODULES:
        if room(path) not in PURE | {"core", "node"}:
            continue
        for node in walked(path):
            assert not isinstance(node, ast.Global), f"{path}:{node.lineno}: global"


def test_every_reference_into_the_docs_leads_somewhere():
    decisions = [path.stem for path in (ROOT / "docs" / "decisions").glob("*.md")]
    for path in MODULES + TESTS:
        for named in re.findall(r"\bdecisions?[/ ](\d{4}[\w-]*)", text(path)):
            found = any(name.startswith(named) for name in decisions)
            assert found, f"{path}: there is no decision {named}"
        for name, anchor in re.findall(r"\b(docs/[\w./-]+\.md)(?:#([\w-]+))?", text(path)):
            found = re.findall(r"^#+ (.+)$", text(ROOT / name), re.M)
            heads = {head.lower().replace(" ", "-") for head in found}
            assert not anchor or anchor in heads, f"{path}: {name} has no section {anchor}"


def test_every_threat_names_a_test_that_exists():
    page = text(ROOT / "docs" / "threats.md")
    named = re.findall(r"`(tests/\S+\.py)?::(\w+)`", page)
    assert len(named) > 30
    path = ""
    for other, test in named:
        path = other or path  # what names no file is in that of the one before
        assert f"def {test}(" in text(ROOT / path), f"{path}::{test}"
    for line in page.splitlines():
        if line.startswith("| ") and "|---" not in line and not line.endswith("| test |"):
            assert "::test_" in line, f"a threat without a test: {line}"


def test_decisions_can_be_read():
    for path in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        prose = [line for line in text(path).splitlines() if not line.startswith("|")]
        words = sum(len(line.split()) for line in prose)
        assert words <= DECISION_WORDS_MAX, f"{path}: {words} words, what can a reader miss?"


def test_prose_of_pages_is_wrapped():
    for path in (*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))):
        code = False
        for number, line in enumerate(text(path).splitlines(), 1):
            code ^= line.startswith("```")
            prose = not code and not line.startswith("|")
            assert not prose or len(line) <= PROSE_LINE_MAX, f"{path}:{number}: {len(line)} letters"


def test_every_page_is_linked():
    """A page that neither the README nor the architecture names is one that nobody finds."""
    pages = ROOT / "README.md", ROOT / "docs" / "ARCHITECTURE.md"
    named = "\n".join(text(path) for path in pages)
    for path in sorted((ROOT / "docs").rglob("*.md")):
        assert re.search(rf"[/(`]{re.escape(path.name)}", named), f"{path}: nobody finds it"


def test_architecture_names_every_room_with_its_weight_and_what_it_uses():
    page = text(ROOT / "docs" / "ARCHITECTURE.md")
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+)k \| .+ \| ([\w, ]*)\|$", page, re.M)
    told = {name: (float(size), set(uses.split(", ")) - {""}) for name, size, uses in rows}
    lines, used = Counter(), {}
    for path in MODULES:
        here = room(path)
        lines[here] += text(path).count("\n")
        found = [name.split(".") for name, _ in imports(path)]
        rooms = {parts[1] for parts in found if parts[0] == "meshd" and len(parts) > 1}
        used[here] = used.get(here, set()) | rooms - {here, "core", "wire"}
    assert told.keys() == lines.keys() - {"__init__", "__main__"}
    for name, (size, uses) in told.items():
        assert {word.strip() for word in uses} == used[name], f"{name} uses {used[name]}"
        assert 0.6 < lines[name] / (1000 * size) < 1.6, f"{name}: {lines[name]} lines"


def test_architecture_leads_to_files_that_are_there():
    for line in text(ROOT / "docs" / "ARCHITECTURE.md").splitlines():
        folder = PACKAGE
        for name in re.findall(r"`([\w/.-]+\.py)`", line):
            places = [start / name for start in (ROOT, PACKAGE, folder)]
            found = next((path for path in places if path.exists()), None)
            assert found is not None, f"ARCHITECTURE.md: {name} is not there"
            folder = found.parent if "/" in name else folder


def arrows(path: Path) -> list[tuple[str, bool]]:
    """Return the modules that a module imports, each with whether it is for types only."""
    guards = [
        node
        for node in walked(path)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    for_types = {id(inner) for guard in guards for inner in ast.walk(guard)}
    found = []
    for node in walked(path):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            found += [(name, id(node) in for_types) for name in names]
    return found


def test_no_files_import_each_other_in_a_circle():
    """In the engine not even for types: who wants a part of the whole says it in a Protocol."""
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in MODULES}
    graph = {
        name: {
            target
            for target, for_types in arrows(path)
            if target in names and target != name
            if not for_types or room(path) in PURE | {"core", "node"}
        }
        for name, path in names.items()
    }
    while leaves := {name for name, targets in graph.items() if not targets}:
        graph = {name: targets - leaves for name, targets in graph.items() if name not in leaves}
    assert not graph, f"a circle: {sorted(graph)}"


def test_red_runs_can_be_played_again():
    """Tests without a daemon of their own draw no bytes that nobody can draw again."""
    for folder in ("unit", "simulation", "devices", "radios", "worlds"):
        for path in sorted((ROOT / "tests" / folder).rglob("*.py")):
            word = re.search(r"\b(urandom|token_bytes)\(", text(path))
            assert not word, f"{path}: take bytes_of(size, seed) of devices/seeded_bytes.py"


def test_every_helper_of_tests_helps():
    everywhere = "\n".join(map(text, TESTS))
    for room in HELPERS:
        for path in sorted((ROOT / "tests" / room).glob("*.py")):
            used = rf"^\s*from {room}(\.{path.stem} import| import .*\b{path.stem}\b)"
            assert re.search(used, everywhere, re.M), f"{path}: nobody imports it"
    here = {path.name for path in (ROOT / "tests").glob("*.py")}
    assert here == {"conftest.py", "test_tidy.py"}, "helpers of tests have rooms: HELPERS"
