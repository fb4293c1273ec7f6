"""Sphinx builds the site from Markdown; the pages of conditions and signals are made from the code as it stands."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import generated_pages

project = "sgdoctor"
version = release = installed("sgdoctor")
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
highlight_language = "none"  # indented code of a condition's page need not be Python
html_theme = "alabaster"  # part of Sphinx: nothing is fetched from anywhere
html_theme_options = {
    "description": "Why a PyTorch training run does not learn",
    "fixed_sidebar": True,
    "page_width": "70rem",
    "sidebar_width": "15rem",
    "show_powered_by": False,
}
html_sidebars = {"**": ["about.html", "navigation.html", "searchbox.html"]}
html_show_sourcelink = html_show_copyright = html_show_sphinx = False


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", lambda app: generated_pages.write(Path(app.srcdir)))
