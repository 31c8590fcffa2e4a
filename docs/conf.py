"""Sphinx configuration.

Building needs no network. Formulas are set by MathJax in the reader's browser, which loads it.
"""

from classic_moe import __version__

project = "classic_moe"
author = "the classic_moe developers"
copyright = f"{author}, BSD-3-Clause licence"
version = release = __version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]
default_role = "py:obj"
nitpicky = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 2

autodoc_default_options = {"member-order": "bysource"}
autodoc_typehints = "none"
numpydoc_show_class_members = False

html_theme = "furo"
html_title = f"classic_moe {version}"
html_show_sourcelink = False
