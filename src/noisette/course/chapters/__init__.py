"""The chapters' text, and their sizes.

chapters/NN-name.md is one chapter. `scaled` makes its work small where NOISETTE_COURSE_SIZE=small is set, as the tests
do.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Chapter:
    """One chapter: its number, its title, and the file of its text."""

    number: int
    title: str
    path: Path

    @property
    def code(self) -> list[str]:
        """The code cells, in order."""
        text = self.path.read_text(encoding="utf-8")
        return re.findall(r"^```\{code-cell\}[^\n]*\n(?:---\n.*?^---\n|(?::[^\n]*\n)*)(.*?)^```$", text, re.S | re.M)


def list_chapters() -> list[Chapter]:
    """All chapters, in order."""
    found = []
    for path in sorted(FOLDER.glob("[0-9][0-9]-*.md")):
        title = re.search(r"^# (.*)$", path.read_text(encoding="utf-8"), re.M)
        found.append(Chapter(int(path.name[:2]), title[1] if title else path.stem, path))
    return found


def scaled(full: int, small: int) -> int:
    """A count that makes a chapter's work long or short: `full`, or `small` where NOISETTE_COURSE_SIZE is "small"."""
    return small if os.environ.get("NOISETTE_COURSE_SIZE") == "small" else full
