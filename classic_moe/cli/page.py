"""The page that ``python -m classic_moe fit --report`` writes: one file, which loads nothing."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from .. import __version__
from ..inference import infer
from ..inference.diagnosis import diagnose
from ..inspection import (
    CalibrationDisplay,
    CoefficientDisplay,
    ConvergenceDisplay,
    ExpertUsageDisplay,
    ModelSelectionDisplay,
    ResponsibilityDisplay,
    StartsDisplay,
    TreeDisplay,
)
from ..inspection._dependence import sampled
from ..inspection._pictures import blank
from ..parts.checks import can
from ..report.card import card
from ..report.html import STYLE, details, scrolled, text
from ..report.table import Table, alike, short_name
from .picture import MOST_ROWS, figure_of
from .pipeline import coded_names
from .report import collected_warnings, parts_of

DPI = 110
WIDE = 112
"""Letters of a table that a page has room for."""
LONG = 30
"""Rows of a table that are shown at once; of more, the first few."""
FIRST = 12
MARKS = {2: "to be mended", 1: "to be looked at", 0: "in order"}
PAGE = """
body { margin: 2em auto; padding: 0 1em; max-width: 62em; color: #1a1a1a; background: white; }
.moe { max-width: none; font-size: 15px; }
.moe h1 { font-size: 1.7em; line-height: 1.2; margin: .2em 0; overflow-wrap: anywhere; }
.moe h2 { font-size: 1.25em; margin: 1.8em 0 .4em; border-bottom: 2px solid #0072B2; }
.moe h3 { font-size: 1.05em; margin: 1.2em 0 .3em; }
.moe p, .moe li { max-width: 48em; overflow-wrap: anywhere; }
.moe figure { margin: 1em 0; break-inside: avoid; }
.moe figure img { max-width: 100%; height: auto; }
.moe figcaption { max-width: 48em; color: #555; }
.moe nav a { margin-right: 1em; white-space: nowrap; color: #0060A0; }
.moe .mark { display: inline-block; min-width: 8.5em; font-weight: 600; }
.moe .mark2 { color: #A83200; } .moe .mark1 { color: #7A5200; } .moe .mark0 { color: #00684C; }
.moe ul { padding-left: 1.2em; } .moe ul.remarks { list-style: none; padding: 0; }
.moe ul.remarks li { margin: .3em 0; display: flex; flex-wrap: wrap; gap: 0 .8em; max-width: 56em; }
.moe ul.remarks li span + span { flex: 1 1 22em; }
@media screen and (max-width: 600px) {
  .moe figure { overflow-x: auto; } .moe figure img { max-width: none; width: 42em; }
}
@media print {
  body { margin: 0; max-width: none; } .moe { font-size: 11px; } .moe nav { display: none; }
  .moe h2, .moe h3 { break-after: avoid; } .moe tr { break-inside: avoid; }
  .moe .scroll { overflow: visible; } .moe summary { list-style: none; font-style: italic; }
  .moe details::details-content { content-visibility: visible; block-size: auto; }
}
@page { margin: 14mm; }
"""


def page(choice, told, fits, pipeline, notes, args):
    """Return all that is told of a fit as a page of HTML; str.

    Parameters
    ----------
    choice : Choice
    told : the model in words: `description`, `score` and `notes`
    fits : Fits
        Of all rows.
    pipeline : fitted Pipeline for the raw table
    notes : list of str
        What became of columns and rows.
    args : Namespace
        Of the command ``fit``.
    """
    about = _Page.of(choice, told, fits, pipeline, notes, args)
    sections = [
        ("data", "The data", _data(about)),
        ("choice", "How many experts", _numbers(about.choice)),
        ("experts", "What the experts do", _experts(about)),
        ("pictures", "In pictures", _pictures(about)),
        ("intervals", "How sure the numbers are", _intervals(about)),
        ("trust", "Is the fit to be believed?", _diagnosis(about)),
        ("words", "Words on this page", WORDS),
    ]
    title = f"{', '.join(about.targets)}: {about.what}"
    return _written(title, _summary(about), sections)


def demo_page(said, choice, experts, comparison, words, draw):
    """Return what the demo tells as a page of HTML; str.

    Parameters
    ----------
    said : str
        What the data are.
    choice : Choice
    experts, comparison : Table
    words : str
        About the comparison.
    draw : callable () -> Figure
    """
    caption = "Data, experts and the gate; the band holds 90 % of what is predicted."
    sections = [
        ("choice", "How many experts", _numbers(choice)),
        ("experts", "What the experts do", _shown(experts)),
        ("pictures", "In pictures", _picture("The fit", caption, draw)),
        ("comparison", "Against other models", _shown(comparison) + _paragraphs([words])),
        ("words", "Words on this page", WORDS),
    ]
    return _written("Motorcycle impact data", _paragraphs([said]), sections)


def _written(title, first, sections):
    """Return a page: its title, first lines, and sections, (name, title, HTML) each; str."""
    sections = [(name, title, inside) for name, title, inside in sections if inside]
    links = " ".join(f'<a href="#{name}">{title}</a>' for name, title, _ in sections)
    body = "".join(f'<h2 id="{name}">{title}</h2>{inside}' for name, title, inside in sections)
    title = text(title)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}{PAGE}</style></head>"
        f'<body><div class="moe"><h1>{title}</h1>{first}<nav>{links}</nav>{body}'
        f'<p class="quiet">Written by classic_moe {text(__version__)}.</p></div></body></html>\n'
    )


@dataclass(frozen=True)
class _Page:
    """What a page is about.

    Attributes
    ----------
    choice, told, fits, pipeline, notes, args : as of `page`
    X : DataFrame of shape (m, p)
        Coded rows, a sample where there are many; for pictures.
    y : Series of shape (m,), or DataFrame of shape (m, q)
    inference : Inference or None
    reason : str, why there is none
    """

    choice: object
    told: object
    fits: object
    pipeline: object
    notes: list
    args: object
    X: object
    y: object
    inference: object
    reason: str

    @classmethod
    def of(cls, choice, told, fits, pipeline, notes, args):
        """Return what is known of a fit; the intervals are worked out."""
        rows = np.sort(np.asarray(sampled(np.arange(len(fits.y)), MOST_ROWS, 0)))
        found, reason = None, ""
        try:
            with collected_warnings():  # they stand among the remarks
                found = infer(choice.model, fits.X, fits.y, **fits.facts())
        except ValueError as error:
            reason = str(error).removeprefix("infer: ").removesuffix(".")
        X, y = fits.X.iloc[rows], fits.y.iloc[rows]
        return cls(choice, told, fits, pipeline, notes, args, X, y, found, reason)

    @property
    def model(self):
        """The chosen fit."""
        return self.choice.model

    @property
    def targets(self):
        """The names of the targets, a list of str."""
        y = self.fits.plan.y
        return [y.name] if y.ndim == 1 else list(y.columns)

    @property
    def what(self):
        """What the model is, in a few words; str."""
        K = self.model.n_experts_
        return "one expert" if K == 1 else f"a mixture of {K} experts"

    @property
    def many(self):
        """Whether there are several experts."""
        return self.model.n_experts_ > 1

    @property
    def overview(self):
        """Whether the picture of the fit has shares and calibration in it, see `picture.draw`."""
        kinds = [column.kind for column in self.fits.plan.columns.values()]
        return self.args.feature is None and (len(kinds) > 1 or kinds == ["category"])

    @property
    def trials(self):
        """Whether the target counts successes and failures."""
        return self.args.expert == "binomial"

    @property
    def classification(self):
        """Whether classes are predicted."""
        return self.fits.plan.task == "classification"


# -- pieces ----------------------------------------------------------------------------------------


def _paragraphs(said):
    return "".join(f"<p>{text(sentence)}</p>" for sentence in said)


def _list(said):
    return f"<ul>{''.join(f'<li>{text(sentence)}</li>' for sentence in said)}</ul>" if said else ""


def _shown(table):
    """Return a `Table`, in parts if it is wide, its first rows alone if it is long; str."""
    if len(table.rows) > LONG:
        first = Table(table.title, table.head, table.rows[:FIRST])
        rest = Table("", table.head, table.rows[FIRST:])
        return _shown(first) + details(f"and {len(rest.rows)} more rows", _parts(rest))
    return _parts(table)


def _parts(table):
    return "".join(map(scrolled, parts_of(table, WIDE)))


def _picture(title, caption, draw):
    """Return a picture with its words; where it cannot be drawn, the reason; str.

    `draw` is called without arguments and returns a Figure.
    """
    head = f"<h3>{text(title)}</h3>"
    try:
        with collected_warnings() as warnings:
            figure, file = draw(), io.BytesIO()
            figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    except ValueError as error:
        return f'{head}<p class="quiet">{text(f"Not drawn: {error}")}</p>'
    width, height = figure.get_size_inches() * DPI
    data = base64.b64encode(file.getvalue()).decode("ascii")
    image = f'<img width="{width:.0f}" height="{height:.0f}" alt="{text(title)}" '
    image += f'src="data:image/png;base64,{data}">'
    caption = " ".join([caption, *warnings])
    return f"{head}<figure>{image}<figcaption>{text(caption)}</figcaption></figure>"


def _on_axes(draw, *arguments, size=(8, 4), **options):
    """Return a function that draws a display on axes of a figure of its own and returns that."""

    def drawn():
        figure = blank(*size)
        draw(*arguments, ax=figure.subplots(), **options)
        return figure

    return drawn


# -- sections --------------------------------------------------------------------------------------


def _summary(about):
    """Return the first lines of the page; str."""
    plan, model = about.fits.plan, about.model
    said = [
        f"{about.args.data}: {len(plan.frame)} rows in use,"
        f" {len(plan.columns)} column{'s' * (len(plan.columns) != 1)} to predict from. Target:"
        f" {', '.join(about.targets)} ({plan.reason}: {plan.task})."
    ]
    first = about.told.description[0]
    said += [first] if about.many else []
    values = about.choice.best.values
    facts = {"K": model.n_experts_, "log-likelihood": f"{model.log_likelihood_:.2f}"}
    facts |= {name: f"{value:.2f}" for name, value in values.items()}
    facts |= {"parameters": model.n_parameters_, "iterations": model.n_iter_}
    facts["converged"] = "yes" if model.converged_ else "no"
    shown = "".join(f"<span>{text(k)} <b>{text(v)}</b></span>" for k, v in facts.items())
    return f'{_paragraphs(said)}<div class="facts">{shown}</div><p>{text(about.told.score)}</p>'


def _data(about):
    """Return what became of columns and rows; str."""
    plan, rows = about.fits.plan, []
    for name, column in plan.columns.items():
        if column.kind == "offset":
            rows.append([name, "offset", "added to the experts' linear predictors"])
            continue
        names = coded_names(plan, [name])
        coded = ", ".join(map(short_name, names[:FIRST])) + ", …" * (len(names) > FIRST)
        rows.append([name, column.kind, coded])
    table = Table("Columns", ["column", "kind", "in the model as"], rows)
    table = scrolled(_cut(table))
    table = table if len(rows) <= LONG else details(f"{len(rows)} columns", table)
    return _list(about.notes) + table


def _cut(table):
    """Return a `Table` whose labels are no longer than a page has room for."""
    return Table(
        table.title, table.head, [[short_name(row[0], 60), *row[1:]] for row in table.rows]
    )


def _numbers(choice):
    """Return how the number of experts was chosen; str."""
    shown = _shown(choice.table) + _paragraphs(choice.said) + _list(choice.notes)
    first, values = choice.measures[0], {}
    names = {"BIC": "bic", "ICL": "icl", "AIC": "aic"}
    for measure in choice.measures:
        if measure.name in names:
            own = [candidate.values[measure.name] for candidate in choice.candidates]
            values[names[measure.name]] = np.array(own)
    if len(choice.candidates) < 2 or first.name not in names:
        return shown
    results = {"n_experts": np.array([one.K for one in choice.candidates])} | values
    display = ModelSelectionDisplay(
        results=results, criterion=names[first.name], best_n_experts=choice.best.K
    )
    caption = f"{first.name} decided; the ring marks its choice."
    picture = _on_axes(lambda ax: display.plot(ax=ax), size=(7, 3.6))
    return shown + _picture("Criterion and number of experts", caption, picture)


def _experts(about):
    """Return the model in words and numbers; str."""
    description = about.told.description[1 if about.many else 0 :]
    words = list(takewhile(lambda item: isinstance(item, str), description))
    others = [
        _shown(item) if isinstance(item, Table) else f"<p>{text(item)}</p>"
        for item in description[len(words) :]
    ]
    equations = f"<h3>Equations</h3>{card(about.model, heading=False)}"
    return "".join([_paragraphs(words), equations, *others, _list(about.told.notes)])


def _pictures(about):
    """Return the pictures of what the model says; str."""
    plan = about.fits.plan
    caption = "Experts have the same colours in all pictures and tables of this page."
    shown = [
        _picture(
            "The fit",
            caption if about.many else "What is predicted.",
            lambda: figure_of(about.pipeline, plan.frame, plan.y, feature=about.args.feature),
        )
    ]
    if about.model.gate_.kind == "tree":
        words = "A leaf is an expert; the thicker an edge, the more rows go along it."
        shown.append(_picture("The tree", words, lambda: _tree(about)))
    if about.many and not about.overview:
        size = (7, 0.8 + 0.3 * about.model.n_experts_)
        usage = _on_axes(
            ExpertUsageDisplay.from_estimator, about.model, about.X, about.y, size=size
        )
        words = (
            "Bars: by responsibility, once the target is known. Marks: by the gate, before it is."
        )
        shown.append(_picture("Shares of the experts", words, usage))
    shown.append(_coefficients(about))
    return "".join(shown)


def _tree(about):
    """Return the diagram of a tree, a Figure."""
    return _closed(TreeDisplay.from_estimator(about.model, about.X).figure_)


def _closed(figure):
    """Return a figure that pyplot has made and is to forget."""
    import matplotlib.pyplot as plt

    plt.close(figure)
    return figure


def _coefficients(about):
    """Return the picture of the experts' coefficients with their intervals; str."""
    found = about.inference
    if found is None or not any(name.startswith("expert ") for name in found.names):
        return ""

    def draw():
        return _closed(CoefficientDisplay.from_estimator(about.model, inference=found).figure_)

    words = "Dots with 95 % intervals, in the units of the table; each panel has its own scale."
    return _picture("Coefficients of the experts", words, draw)


def _intervals(about):
    """Return the table of the parameters; str."""
    if about.inference is None:
        return f"<p>{text(f'There are none: {about.reason}.')}</p>"
    return _shown(_parameters(about.inference)) + _paragraphs(about.inference.notes())


def _parameters(found):
    """Return the `Table` of an `Inference`, its numbers in as many digits as a page needs."""
    level = f"{100 * found.confidence:g} %"
    head = ["", "estimate", "standard error", f"lower {level}", f"upper {level}", "z", "p"]
    numbers = zip(found.estimates, found.standard_errors, found.lower, found.upper, strict=True)
    rows = []
    for name, each, z, p in zip(found.names, numbers, found.z, found.p_values, strict=True):
        shown = f"{p:.3f}" if not p < 0.0005 else "<0.001"
        rows.append([name, *alike(each), f"{z:.2f}", shown])
    return Table("Parameters", head, rows)


def _in_words_of_the_page(remark):
    """Return a remark with the option of the command, and the table of the page; str."""
    remark = remark.replace("n_init", "--n-init")
    return remark.replace("see `infer` for all of them", "the table above has all of them")


def _diagnosis(about):
    """Return what a careful reader asks of a fit; str."""
    fits = about.fits
    with collected_warnings():
        found = diagnose(about.model, fits.X, fits.y, **fits.facts())
    items = "".join(
        f'<li><span class="mark mark{one.severity}">{MARKS[one.severity]}</span>'
        f"<span>{text(_in_words_of_the_page(str(one)))}</span></li>"
        for one in found.remarks
    )
    tables = "".join(map(_shown, found.tables.values()))
    rows = "Rows are numbered from 0, those in use alone."
    shown = [f'<ul class="remarks">{items}</ul>', details(f"Tables. {rows}", tables)]
    model, X, y = about.model, about.X, about.y
    kind = "Reliability of the probabilities" if about.classification else "Calibration"
    words = (
        "On the diagonal probabilities are right."
        if about.classification
        else ("Level where the predicted distributions are right; a U where they are too narrow.")
    )
    known = about.classification or (can(model, "predict_dist") and not about.trials)
    if known and not about.overview:
        options = dict(target=0) if y.ndim > 1 else {}  # as in the picture of the fit
        calibration = _on_axes(CalibrationDisplay.from_estimator, model, X, y, **options)
        shown.append(_picture(kind, words, calibration))
    if about.many and can(model, "responsibilities") and fits.plan.groups is None:
        draw = _on_axes(ResponsibilityDisplay.from_estimator, model, X, y, size=(8, 4.5))
        words = "How surely each row belongs to an expert once its target is known."
        shown.append(_picture("Responsibilities", words, draw))
    return "".join([*shown, *(_search(model) if about.many else [])])


def _search(model):
    """Return the pictures of how the fit was found, a list of str."""
    draw = _on_axes(ConvergenceDisplay.from_estimator, model, size=(7, 3.4))
    words = "The objective, which the fit climbs, from the start that was kept."
    shown = [_picture("Convergence", words, draw)]
    if can(model, "starts_"):
        words = "Where every start of the search ended; several at the best value are a good sign."
        draw = _on_axes(StartsDisplay.from_estimator, model, size=(7, 3.6))
        shown.append(_picture("Starts", words, draw))
    return shown


WORDS = """
<dl>
<dt><b>expert</b></dt><dd>A simple model, good among some of the rows.</dd>
<dt><b>gate</b></dt><dd>What says, from the columns alone, how probable each expert is for a row.
Its numbers are log-odds against the last expert.</dd>
<dt><b>share, weight</b></dt><dd>The part of the rows that an expert has.</dd>
<dt><b>responsibility</b></dt><dd>How probable each expert is for a row once its target is
known.</dd>
<dt><b>BIC, ICL, AIC</b></dt><dd>The fit, with a price for every parameter; lower is better. ICL
also asks that experts are told apart.</dd>
<dt><b>standard error</b></dt><dd>How far a number may be off by chance, if the model is right.
Where it is NaN the reason stands below the table.</dd>
</dl>
"""
