"""What cards in notebooks and pages are written with: one style, bars, text that is escaped."""

from __future__ import annotations

from html import escape

from ..parts.names import printable

GREY = "rgba(128, 128, 128, .25)"
STYLE = f"""
.moe {{ font-family: system-ui, sans-serif; font-size: 14px; line-height: 1.45; max-width: 60em; }}
.moe p {{ margin: .4em 0; }}
.moe .facts {{ display: flex; flex-wrap: wrap; gap: .2em 1.4em; margin: .5em 0; }}
.moe .facts b {{ font-variant-numeric: tabular-nums; }}
.moe .quiet {{ opacity: .75; }}
.moe .scroll {{ overflow-x: auto; }}
.moe table {{ border-collapse: collapse; margin: .4em 0; color: inherit; font-size: 1em; }}
.moe caption {{ text-align: left; font-weight: 600; padding: .3em 0; color: inherit; }}
.moe th, .moe td {{ padding: .2em .9em .2em 0; vertical-align: top; border: 0;
  border-bottom: 1px solid {GREY}; }}
.moe th {{ font-weight: 600; }}
.moe tbody tr, .moe thead tr {{ background: transparent; }}
.moe .line {{ display: block; overflow-wrap: anywhere; padding-left: 1.5em; text-indent: -1.5em; }}
.moe .bar {{ display: inline-block; width: 6em; height: .75em; background: {GREY};
  border-radius: 2px; margin-right: .5em; }}
.moe .bar span {{ display: block; height: 100%; border-radius: 2px; min-width: 1px; }}
.moe .name {{ white-space: nowrap; }}
.moe summary {{ cursor: pointer; padding: .2em 0; }}
.moe summary::marker {{ color: #888; }}
@media (max-width: 600px) {{
  .moe table.experts, .moe table.experts tbody, .moe table.experts tr {{ display: block; }}
  .moe table.experts thead {{ display: none; }}
  .moe table.experts td {{ display: inline-block; border: 0; padding: .1em .6em .1em 0; }}
  .moe table.experts td.says {{ display: block; }}
  .moe table.experts tr {{ border-bottom: 1px solid {GREY}; padding: .2em 0; }}
}}
"""
"""Of everything of class "moe"; colours that are readable on white and on black."""


def text(words):
    """Return words, whatever they are, as they may stand in a page; str."""
    return escape(printable(str(words)))


def bar(share, color):
    """Return a share between 0 and 1 as a bar and a number; str."""
    width = f"width: {100 * min(max(share, 0.0), 1.0):.1f}%"
    return f'<span class="bar"><span style="{width}; background: {color}"></span></span>{share:.2f}'


def details(summary, inside, is_open=False):
    """Return what is hidden behind a line until it is clicked on; str."""
    opened = " open" * is_open
    return f"<details{opened}><summary>{text(summary)}</summary>{inside}</details>"


def scrolled(table):
    """Return a `Table` that can be wider than the page; str."""
    return f'<div class="scroll">{table._repr_html_()}</div>'
