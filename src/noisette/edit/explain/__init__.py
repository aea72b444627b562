"""How a model draws, told from its own pictures: a page of chapters, each a function from a `Subject` to HTML.

A chapter computes first (plain functions that return tensors) and then draws what it found; numbers are those of the
library's own schedules, samplers and metrics.
"""

from .lessons import LESSONS, lesson_page, lessons_page
from .report import CHAPTERS, report
from .subject import Subject, subject

__all__ = ["CHAPTERS", "LESSONS", "Subject", "lesson_page", "lessons_page", "report", "subject"]
