"""The documentation site: Sphinx with MyST-NB and furo. `make docs` builds it into build/docs.

Three parts of it are written by the build and are not in git: docs/course (the chapters of noisette.course, as
notebooks), docs/reference/commands (every command, from the program) and the entries of docs/reference/python.md
(every public name, from its docstring). The site loads nothing from other hosts.
"""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))

from noisette.io.version import __version__

project = "Noisette"
author = "The Noisette authors"
copyright = "the Noisette authors; Apache-2.0"
release = __version__
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "sphinx_design",
    "mathml",  # these are in docs/_ext
    "repository_links",
    "course_pages",
    "command_pages",
    "public_names",
    "accessible",
]
exclude_patterns = ["_ext", "_build"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True
highlight_language = "none"  # an indented block is a command or its output
default_role = None
smartquotes = False  # "--out" keeps its two dashes

# the chapters: executed once, and again when their code changes; `-D nb_execution_mode=off` builds without
nb_execution_mode = "cache"
nb_execution_timeout = 900
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_cache_path = str(DOCS.parent / "build" / "docs-cache")
nb_merge_streams = True
nb_ipywidgets_js = {}  # no scripts from other hosts
nb_number_source_lines = False

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"Noisette {__version__}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_show_search_summary = False  # it is fetched, which browsers refuse for pages from disk
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#7a4a12", "color-brand-content": "#7a4a12"},
    "dark_css_variables": {"color-brand-primary": "#e0b27a", "color-brand-content": "#e0b27a"},
}
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
