"""The `noisette explain` report: how a model generates pictures, shown with its own pictures and numbers.

Each chapter module has plain functions that compute tensors from a `Subject`, and `render_chapter(subject)`, which
returns HTML. All numbers come from the library's own schedules, samplers and metrics.
"""

from .lessons import LESSONS, render_lesson_page, render_lessons_page
from .report import CHAPTERS, render_report
from .subject import Subject, load_subject

__all__ = [
    "CHAPTERS",
    "LESSONS",
    "Subject",
    "load_subject",
    "render_lesson_page",
    "render_lessons_page",
    "render_report",
]
