"""How the site is made of the Markdown files, which can be read without it as well: `make docs`."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "perdure"
version = release = version_of("perdure")
extensions = ["myst_parser", "sphinx.ext.autodoc", "navigation", "public_names"]

# The repository is the source folder: a link from docs/ to a page at the top, or back, leads to the same place for all readers.
root_doc = "docs/index"  # its links are the navigation, too: extensions/navigation.py
include_patterns = ["docs/**.md", "*.md"]
exclude_patterns = [".*", "build", "dist", "src", "tests"]  # not walked through

myst_heading_anchors = 4

html_theme = "furo"  # fonts and scripts are its own: a page asks nobody else
html_title = "perdure"
html_extra_path = ["extra"]
html_copy_source = False

# `name` in a docstring is a link where there is something of that name, as in Markdown it is code where not.
default_role = "py:obj"

toc_object_entries_show_parents = "hide"
autodoc_default_options = {"members": True, "undoc-members": True, "member-order": "bysource"}
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
autodoc_type_aliases = {"Duration": "Duration", "Event": "Event"}  # not spelt out
python_maximum_signature_line_length = 100
