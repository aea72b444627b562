"""The repository's own files agree with each other and with the package."""

import ast
import re
import tomllib
from pathlib import Path

import yaml

from noisette import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def read_yaml(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def make_recipe(target: str) -> list[str]:
    """The commands of one target of the Makefile."""
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert recipe is not None
    return [line.strip() for line in recipe[1].splitlines()]


def test_uv_and_pip_install_the_same_versions() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert pinned == PROJECT["tool"]["uv"]["constraint-dependencies"]
    assert any(line.startswith("torch==") for line in pinned)


def locked_versions(name: str) -> dict[str, str]:
    """The packages of requirements/NAME.txt and their versions; several of one package are for several Pythons."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    entries = re.findall(
        r"^([a-z0-9-]+)==([^\s;]+)[^\\]*\\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE
    )
    assert len(entries) == len(re.findall(r"^\S", text, re.MULTILINE)), f"{name}: an entry without hashes"
    return {package: version for package, version, _ in entries}


def test_make_installs_from_lock_files_that_agree_with_the_constraints() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    demo, test, peers = (locked_versions(name) for name in ("demo", "test", "peers"))
    for locked in (demo, test, peers):
        assert {p: v for p, v in locked.items() if p in pinned and pinned[p] != v} == {}
    assert demo.items() <= test.items() and "torch" not in test
    assert (ROOT / "requirements/peers.in").read_text(encoding="utf-8").split() == sorted(peers, key=list(pinned).index)
    extras = PROJECT["project"]["optional-dependencies"]
    required = [*PROJECT["project"]["dependencies"], *extras["test"], *PROJECT["build-system"]["requires"]]
    for extra in re.findall(r"[a-z0-9]+", extras["all"][0] + extras["test"][0]):
        required += extras.get(extra, []) if extra not in ("all", "test") else []
    names = {re.split(r"[\[<>=~ ]", requirement)[0].lower() for requirement in required} - {"noisette", "torch"}
    assert names - test.keys() == set(), "make lock writes requirements/*.txt anew"
    assert make_recipe(r"\$\(VENV\)/\.test")[0] == "$(call install,test)"
    assert "--no-deps --require-hashes" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_citation_is_of_this_version() -> None:
    citation = read_yaml("CITATION.cff")
    assert citation["version"] == __version__ and citation["license"] == PROJECT["project"]["license"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


def test_pre_commit_runs_the_tools_of_make_check() -> None:
    (repo,) = read_yaml(".pre-commit-config.yaml")["repos"]
    assert repo["repo"] == "local"  # the versions of .venv, not others
    commands = [hook["entry"].replace(" --force-exclude", "") for hook in repo["hooks"]]
    check = [re.sub(r"^\$\(BIN\)", ".venv/bin", line) for line in make_recipe("check") if "pytest" not in line]
    assert commands == [line.replace(" --check", "").removesuffix(" .") for line in check]


def test_ci_runs_every_supported_python_with_and_without_a_compiler() -> None:
    job = read_yaml(".github/workflows/ci.yml")["jobs"]["checks"]
    assert job["strategy"]["matrix"] == {"python": ["3.11", "3.12", "3.13"], "compiler": [True, False]}
    assert f">={job['strategy']['matrix']['python'][0]}" == PROJECT["project"]["requires-python"]
    assert {"run": ".ci/run"} in job["steps"] and (ROOT / ".ci/run").stat().st_mode & 0o100
    assert "make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_a_bug_report_asks_for_the_doctor() -> None:
    form = read_yaml(".github/ISSUE_TEMPLATE/bug.yml")
    doctor = next(part for part in form["body"] if part.get("id") == "doctor")
    assert "noisette doctor --json" in doctor["attributes"]["label"] and doctor["validations"]["required"]


def test_the_packages_that_contributing_lists_exist() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = {
        name for row in re.findall(r"^\| (`[a-z_`, ]+`) \|", page, re.MULTILINE) for name in re.findall(r"\w+", row)
    }
    packages = {path.parent.name for path in (ROOT / "src/noisette").glob("*/__init__.py")}
    assert named == packages
    for path in re.findall(r"`((?:models|data|io)/\w+\.py)`", page):
        assert (ROOT / "src/noisette" / path).is_file(), path
    for table in re.findall(r"`([A-Z_]{4,})` of", page):
        assert f"{table}:" in (ROOT / "src/noisette/models/registry.py").read_text(encoding="utf-8"), table


def test_every_promise_of_the_security_page_names_tests_that_exist() -> None:
    """In the last column of a row: files or folders of tests/, or one test as FILE::TEST."""
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    tables = re.findall(r"^\| promise \| tests \|\n\|[-|]+\|\n((?:\|.*\n)+)", page, re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()]
    assert len(tables) == 2 and len(rows) >= 17
    for row in rows:
        promise, named = row.strip("| ").rsplit(" | ", 1)
        tests = re.findall(r"`([^`]+)`", named)
        assert tests and re.sub(r"`[^`]+`", "", named).strip(", ") == "", promise
        for test in tests:
            place, _, function = test.partition("::")
            path = ROOT / "tests" / place
            files = sorted(path.rglob("test_*.py")) if path.is_dir() else [path]
            assert files and all(file.is_file() for file in files), f"{promise}: there is no tests/{place}"
            found = [name for file in files for name in re.findall(r"^def (test_\w+)\(", file.read_text("utf-8"), re.M)]
            assert function in found if function else found, f"{promise}: tests/{place} has no {function or 'test'}"


def test_no_module_reads_files_in_a_way_that_runs_code() -> None:
    """SECURITY.md promises it: no pickle, no eval, and the safe mode of loaders that have one."""
    refused = ("eval", "exec", "pickle.load", "pickle.loads", "pickle.Unpickler")
    safe_mode = {"np.load": "allow_pickle=False", "torch.load": "weights_only=True"}
    calls = [
        (f"{path.name}:{node.lineno}: {ast.unparse(node.func)}", ast.unparse(node.func), node.keywords)
        for path in (ROOT / "src/noisette").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    assert not [place for place, function, _ in calls if function in refused]
    loads = [(p, safe_mode[f], [ast.unparse(k) for k in keywords]) for p, f, keywords in calls if f in safe_mode]
    assert len(loads) > 5 and not [place for place, safe, keywords in loads if safe not in keywords]
