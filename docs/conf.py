"""Sphinx configuration.

Building needs no network, and neither does reading: the theme, its fonts and MathJax are copied
into the site. With CLASSIC_MOE_INTERSPHINX=1 names of Python, numpy, scipy, scikit-learn and
matplotlib become links, for which their inventories are fetched.
"""

import functools
import inspect
import os
import re

from docutils import nodes
from sphinx.ext.autosummary import autosummary_table

from classic_moe import __version__

project = "classic_moe"
author = "the classic_moe developers"
copyright = f"{author}, BSD-3-Clause licence"
version = release = __version__

extensions = [
    "myst_nb",  # pages in Markdown, and notebooks
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]

# the pages of the guide that a page of the API sends its reader to: by name, else by module
GUIDES = {
    "classic_moe": ["quickstart", "reading_the_output", "families"],
    "classic_moe.AdaptiveLocalExpertsClassifier": ["adaptive", "gradient_training"],
    "classic_moe.AdaptiveLocalExpertsRegressor": ["adaptive", "gradient_training"],
    "classic_moe.DeepMixtureOfExpertsClassifier": ["deep"],
    "classic_moe.DeepMixtureOfExpertsRegressor": ["deep"],
    "classic_moe.ExpertCollapseWarning": ["warnings", "troubleshooting"],
    "classic_moe.ExpertCountWarning": ["warnings", "choosing_k"],
    "classic_moe.HierarchicalMixtureOfExpertsClassifier": ["hierarchical"],
    "classic_moe.HierarchicalMixtureOfExpertsRegressor": ["hierarchical"],
    "classic_moe.MetaPiClassifier": ["meta_pi"],
    "classic_moe.MetaPiRegressor": ["meta_pi"],
    "classic_moe.MixtureOfSoftmaxesClassifier": ["deep"],
    "classic_moe.SeparationWarning": ["warnings", "troubleshooting"],
    "classic_moe.SparseMixtureOfExpertsClassifier": ["sparse", "routing"],
    "classic_moe.SparseMixtureOfExpertsRegressor": ["sparse", "routing"],
    "classic_moe.diagnose": ["effects", "troubleshooting"],
    "classic_moe.load": ["saving"],
    "classic_moe.save": ["saving"],
    "classic_moe.datasets": ["examples/index", "reproductions/index"],
    "classic_moe.distribution": ["predictive"],
    "classic_moe.exceptions": ["warnings", "troubleshooting"],
    "classic_moe.exceptions.UnseenCategoryWarning": ["categories"],
    "classic_moe.experts": ["families", "mathematics"],
    "classic_moe.experts.BaseExpert": ["adding_a_family"],
    "classic_moe.experts.BinomialExpert": ["families", "counts"],
    "classic_moe.experts.GeneralizedLinearExpert": ["adding_a_family"],
    "classic_moe.experts.LaplaceExpert": ["families", "robust"],
    "classic_moe.experts.NegativeBinomialExpert": ["families", "counts"],
    "classic_moe.experts.NoiseExpert": ["families", "robust"],
    "classic_moe.experts.PoissonExpert": ["families", "counts"],
    "classic_moe.experts.ReducedRankSoftmaxExpert": ["families", "deep"],
    "classic_moe.experts.RowwiseExpert": ["adding_a_family"],
    "classic_moe.experts.StudentTExpert": ["families", "robust"],
    "classic_moe.export": ["export"],
    "classic_moe.gates": ["families", "mathematics"],
    "classic_moe.gates.BaseGate": ["adding_a_family"],
    "classic_moe.gates.TopKGate": ["sparse"],
    "classic_moe.gates.TreeGate": ["hierarchical"],
    "classic_moe.inference": ["inference"],
    "classic_moe.inference.BootstrapInference": ["bootstrap"],
    "classic_moe.inference.BootstrapTestResult": ["bootstrap"],
    "classic_moe.inference.Diagnosis": ["effects"],
    "classic_moe.inference.bootstrap": ["bootstrap", "inference"],
    "classic_moe.inference.bootstrap_likelihood_ratio_test": ["bootstrap", "choosing_k"],
    "classic_moe.inference.marginal_effects": ["effects"],
    "classic_moe.inference.odds_ratios": ["effects"],
    "classic_moe.inspection": ["displays"],
    "classic_moe.metrics": ["predictive"],
    "classic_moe.model_selection": ["choosing_k"],
    "classic_moe.parts.coordinates": ["gradient_training", "adding_a_family"],
    "classic_moe.report.summary": ["reading_the_output", "reporting"],
    "classic_moe.routing": ["routing", "sparse"],
    "classic_moe.solvers": ["mathematics", "performance"],
    "classic_moe.solvers.Adam": ["gradient_training"],
    "classic_moe.solvers.GradientAscent": ["gradient_training"],
    "classic_moe.solvers.LBFGS": ["gradient_training"],
    "classic_moe.solvers.OnlineEM": ["large_data", "hierarchical"],
    "classic_moe.solvers.SGD": ["gradient_training"],
    "classic_moe.testing": ["adding_a_family"],
}

# objects that are called as functions: what they return, and the class that they are of
SCORERS = {
    "coverage_scorer": (
        "(estimator, X, y, sample_weight=None)",
        "Return the share of rows inside their central 90 % intervals, a float; it should be 0.9.",
        "classic_moe.metrics.DistributionScorer",
    ),
    "crps_scorer": (
        "(estimator, X, y, sample_weight=None)",
        "Return minus the mean CRPS, a float: higher is better.",
        "classic_moe.metrics.DistributionScorer",
    ),
    "log_likelihood_scorer": (
        "(estimator, X, y, sample_weight=None, groups=None)",
        "Return the mean of log p(y given x) per unit of weight, a float: higher is better.",
        "classic_moe.model_selection.LogLikelihoodScorer",
    ),
}

templates_path = ["_templates"]
exclude_patterns = [
    "_build",
    "_templates",
    "gallery",
    "paper",
    "jupyter_execute",
    "auto_gallery/**.ipynb",
]
default_role = "py:obj"
nitpicky = False

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # notebooks are stored with what they have shown
nb_render_markdown_format = "myst"  # tables among what they have shown
nb_ipywidgets_js = {}  # sliders live in a running notebook, and their script on other sites

# the order of the sections; others follow
SECTIONS = "basics experts gates choosing uncertainty hierarchies routing streams".split()
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "subsection_order": [*(f"gallery/{section}" for section in SECTIONS), "*"],
    "within_subsection_order": "ExampleTitleSortKey",
    "backreferences_dir": "auto_gallery/backreferences",
    "doc_module": ("classic_moe",),
    "reference_url": {"classic_moe": None},
    "matplotlib_animations": True,
    "thumbnail_size": (320, 224),
    "write_computation_times": False,
    "show_signature": False,
    "remove_config_comments": True,
}

autosummary_generate = True
autosummary_context = {"guides": GUIDES, "scorers": SCORERS}
autodoc_default_options = {"member-order": "bysource"}
autodoc_typehints = "none"
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"

copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

if os.environ.get("CLASSIC_MOE_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_timeout = 10
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "matplotlib": ("https://matplotlib.org/stable", None),
    }

html_theme = "pydata_sphinx_theme"
html_title = f"classic_moe {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "classic_moe"},
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "navigation_with_keys": False,
    "show_nav_level": 1,
    "show_toc_level": 2,
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "search": [], "genindex": []}


def skip_what_says_nothing(app, what, name, obj, skip, options):
    """Leave attributes, undocumented members and requests for metadata off a class's page."""
    says = inspect.isroutine(obj) or isinstance(obj, property | functools.cached_property)
    routing = re.fullmatch(r"set_\w+_request|get_metadata_routing", name.rsplit(".")[-1])
    written = obj.__module__.startswith("classic_moe") if routing else True
    return None if says and obj.__doc__ and written else True


def without_references_to_scikit_learn(app, what, name, obj, options, lines):
    """Leave the text of references that only scikit-learn's own documentation can follow."""
    labels = r":ref:`([^<`]+) <(?:metadata_routing|accuracy_score|r2_score)>`"
    lines[:] = [re.sub(labels, r"\1", line) for line in lines]


def without_citations(app, doctree):
    """Leave the citations of docstrings' first lines out of tables, where nothing follows them."""
    for table in doctree.findall(autosummary_table):
        for text in list(table.findall(nodes.Text)):
            if re.fullmatch(r"\[?R[0-9a-f]{12}-\d+\]?", text.strip()):
                text.parent.remove(text)
            elif text.endswith(" ") and text.strip():
                text.parent.replace(text, nodes.Text(text.rstrip()))


def links_from_sources(app, pagename, templatename, context, doctree):
    """Let the links from a source lead to the names of the API's pages.

    viewcode takes all names of a file for those of one module, and is wrong where two are public.
    """
    if pagename.startswith("_modules/"):
        link = r'([\w.]+\.)(\w+)\.html#[\w.]+?\.\2(?=[".])'
        context["body"] = re.sub(link, r"\1\2.html#\1\2", context.get("body", ""))


def setup(app):
    app.connect("doctree-read", without_citations)
    app.connect("html-page-context", links_from_sources)
    app.connect("autodoc-skip-member", skip_what_says_nothing)
    app.connect("autodoc-process-docstring", without_references_to_scikit_learn, priority=400)
