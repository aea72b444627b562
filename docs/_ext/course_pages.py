"""The chapters of the course, as notebooks in docs/course: copied from the package when the build starts."""

from sphinx.application import Sphinx

from generated_pages import write_pages
from noisette.course import list_chapters

FORMAT = (
    "---\nfile_format: mystnb\nlanguage_info:\n  name: python\n  pygments_lexer: ipython3\n"  # what MyST-NB looks for
)


def copy_chapters(app: Sphinx) -> None:
    """Write each chapter with the header by which MyST-NB knows a notebook."""
    pages = {}
    for chapter in list_chapters():
        text = chapter.path.read_text(encoding="utf-8")
        pages[chapter.path.name] = text.replace("---\n", FORMAT, 1)
    write_pages(app, "course", pages)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", copy_chapters)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
