"""The course "How a small model learns to draw": twelve chapters, their exercises, and what checks the answers.

    from noisette import course

    course.check("noise.half", 0.5)

The chapters are notebooks in text form (MyST Markdown, read by Jupytext and MyST-NB) in the folder `chapters`. Each
runs from top to bottom in less than three minutes on two cores, without a network. `noisette course` opens them.
"""

from .chapters import Chapter, list_chapters, scaled
from .exercises import Answer, check
from .notebooks import NotebookFolder, write_notebooks
from .pictures import load_sprites, show_rows

__all__ = [
    "Answer",
    "Chapter",
    "NotebookFolder",
    "check",
    "list_chapters",
    "load_sprites",
    "scaled",
    "show_rows",
    "write_notebooks",
]
