"""The pages of docs/ that people wrote for the site: short, complete, and true of the program."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from docutils import nodes
from sphinx.errors import SphinxError

from noisette.course import list_chapters

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
HOWTO = sorted(page for page in (DOCS / "howto").glob("*.md") if page.stem != "index")
FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<![\\$\w])\$(?=\S)([^$\n]+?)(?<=\S)\$(?!\d)", re.DOTALL)


@pytest.mark.parametrize("page", HOWTO, ids=lambda page: page.stem)
def test_a_howto_page_is_short_and_ends_in_something_to_see(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 60
    assert re.search(r"^\*\*(You see|You have)\*\*", text, re.M)
    assert re.search(r"\]\(\.\./[\w/-]+\.md", text), "no link into the long pages"
    assert f"({page.name})" in (DOCS / "howto/index.md").read_text(encoding="utf-8")


def message_templates() -> Iterator[str]:
    """Every string of the source, with … for what is filled in."""
    for path in (ROOT / "src/noisette").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def normalize(message: str) -> list[str]:
    """The fixed parts of a message, in order."""
    return [" ".join(part.split()) for part in re.split("…+", message.replace("`", "…")) if part.strip()]


def quoted_messages() -> list[str]:
    text = (DOCS / "reference/errors.md").read_text(encoding="utf-8")
    return re.findall(r"^- `([^`]+)`\\$", text, re.M)


def test_every_quoted_error_message_is_in_the_source() -> None:
    templates = {tuple(normalize(template)) for template in message_templates() if len(template) < 1000}
    messages = quoted_messages()
    assert len(messages) == 30
    missing = [message for message in messages if tuple(normalize(message)) not in templates]
    assert not missing


def test_every_quoted_error_message_says_what_to_do() -> None:
    text = (DOCS / "reference/errors.md").read_text(encoding="utf-8")
    for entry in re.findall(r"^- `[^`]+`\\\n((?:  .*\n)+)", text, re.M):
        assert "*Do*:" in entry


def test_the_reference_names_the_files_and_keys_that_are_written(tmp_path: Path) -> None:
    """The tables of files.md, against a run, a model and a record."""
    from commands import run
    from noisette.data.png import read_metadata
    from tiny_models import tiny

    text = (DOCS / "reference/files.md").read_text(encoding="utf-8")
    tiny().save_pretrained(tmp_path / "model")
    done = run("sample", tmp_path / "model", "--out", tmp_path / "new", "-n", 1, "--steps", 2)
    assert done.returncode == 0, done.stderr
    (picture,) = (path for path in (tmp_path / "new").iterdir() if path.name != "grid.png")
    record = re.search(r"## The record in a PNG\n(.*?)\n## ", text, re.S)
    assert record is not None
    assert set(read_metadata(picture)) <= set(re.findall(r"`(\w+)`", record[1]))
    folder = re.search(r"## The model folder\n(.*?)\n## ", text, re.S)
    assert folder is not None
    for path in (tmp_path / "model").iterdir():
        assert f"`{path.name}`" in folder[1]
    import json

    for key in json.loads((tmp_path / "model" / "config.json").read_text())["model"]:
        assert f"`{key}`" in folder[1], key


@pytest.fixture
def to_mathml(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(DOCS / "_ext")
    monkeypatch.delitem(sys.modules, "mathml", raising=False)
    import mathml

    return mathml.to_mathml


def test_every_formula_of_the_course_becomes_mathml(to_mathml) -> None:
    for chapter in list_chapters():
        prose = re.sub(r"^```.*?^```$|`[^`\n]*`", "", chapter.path.read_text(encoding="utf-8"), flags=re.S | re.M)
        for match in FORMULA.finditer(prose):
            formula = match[1] or match[2]
            markup = to_mathml(nodes.math("", formula), as_block=match[1] is not None)
            assert markup.startswith("<math") and "</math>" in markup, formula


def test_formulas_become_mathml_and_unknown_ones_are_refused(to_mathml) -> None:
    markup = to_mathml(
        nodes.math("", r"q(x_t \mid x_0) = \mathcal{N}(\sqrt{\bar\alpha_t}\,x_0, (1-\bar\alpha_t) I)"), False
    )
    assert "<msqrt>" in markup and "<msub>" in markup and "α" in markup
    hat = to_mathml(nodes.math("", r"\hat x_0 + \hat{x}_0 + \bar\alpha_t + \big(x\big)"), False)
    assert "<munder>" not in hat and hat.count("<msub>") == 3
    with pytest.raises(SphinxError, match="nosuchcommand"):
        to_mathml(nodes.math("", r"\nosuchcommand{x}"), False)
