"""`Table`: a small table of numbers, as text, HTML, LaTeX, DataFrame; how numbers are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

import numpy as np

from ..parts.names import printable

PLAIN = 1e10
"""Numbers below this are written without an exponent, unless they are below 1e-4."""
NUMBER = re.compile(r"[-+]?(\d+)(\.\d*)?(e[-+]\d+)?( %)?")
"""What a cell holds that is aligned with the numbers above and below it."""
RIGHT = ' style="text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap"'
LEFT = ' style="text-align:left"'
LATEX = {c: rf"\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "²": r"\textsuperscript{2}",
    "…": r"\ldots{}",
}
"""What LaTeX would take for something else than the letter."""


@dataclass(frozen=True)
class Table:
    """A small table: a title, column heads, and rows that start with their label.

    As text, numbers stand with their decimal points below each other, and words start so.
    """

    title: str
    head: list[str]
    rows: list[list]

    def _cells(self):
        return [[cell_text(cell) for cell in row] for row in (self.head, *self.rows)]

    def __str__(self):
        columns = [_aligned(column) for column in zip(*self._cells(), strict=True)]
        lines = ["  ".join(cells).rstrip() for cells in zip(*columns, strict=True)]
        return "\n".join([printable(self.title), *lines])

    def _repr_html_(self):
        head, *body = self._cells()
        columns = list(zip(*body, strict=True)) or [()] * len(head)
        styles = [RIGHT if _numeric(column) else LEFT for column in columns]
        shown = [
            [escape(cell) + blanks for cell, blanks in zip(column, _blanks(column), strict=True)]
            for column in columns
        ]
        each = zip(head, styles, strict=True)
        top = "".join(f"<th{style}>{escape(cell)}</th>" for cell, style in each)
        rows = "".join(
            f"<tr><th{LEFT}>{escape(label)}</th>"
            + "".join(
                f"<td{style}>{cell}</td>" for cell, style in zip(cells, styles[1:], strict=True)
            )
            + "</tr>"
            for label, *cells in zip([row[0] for row in body], *shown[1:], strict=True)
        )
        return (
            f"<table><caption>{escape(printable(self.title))}</caption><thead><tr>{top}</tr></thead>"
            f"<tbody>{rows}</tbody></table>"
        )

    def to_frame(self):
        """Return the table as a pandas DataFrame, whose index are the labels of the rows.

        Returns
        -------
        pandas.DataFrame
            With the numbers as they are, not rounded; columns that hold words too are of objects.

        Raises
        ------
        ImportError
            Without pandas.

        Examples
        --------
        >>> from classic_moe.report.table import Table
        >>> Table("Fit", ["", "value"], [["a", 1.5], ["b", 2.0]]).to_frame()["value"].sum()
        np.float64(3.5)
        """
        pandas = import_pandas("Table.to_frame")
        index = pandas.Index([row[0] for row in self.rows], name=self.head[0] or None)
        cells = [row[1:] for row in self.rows]
        frame = pandas.DataFrame(cells, index=index, columns=self.head[1:], dtype=object)
        return frame.infer_objects()

    def to_latex(self, *, caption=False, label=None):
        """Return the table in LaTeX, with the rules of the package booktabs.

        Parameters
        ----------
        caption : bool or str, default=False
            True takes the title. With a caption or a label the tabular stands in a table
            environment, which LaTeX places.
        label : str, default=None
            For references, such as "tab:experts".

        Returns
        -------
        str
            Needs ``\\usepackage{booktabs}``. Numbers have the digits of the printed table, stand
            right-aligned and in formulas, so that a minus sign is one; names are escaped.

        Examples
        --------
        >>> from classic_moe.report.table import Table
        >>> print(Table("Fit", ["", "value"], [["AIC_c", -1.5], ["p", 2e-05]]).to_latex())
        \\begin{tabular}{lr}
        \\toprule
         & value \\\\
        \\midrule
        AIC\\_c & $-1.5$ \\\\
        p & $2 \\times 10^{-5}$ \\\\
        \\bottomrule
        \\end{tabular}
        """
        head, *body = self._cells()
        columns = list(zip(*body, strict=True)) or [()] * len(head)
        letters = "".join("r" if _numeric(column) else "l" for column in columns[1:])
        lines = [rf"\begin{{tabular}}{{l{letters}}}", r"\toprule", _latex_row(head), r"\midrule"]
        lines += [*map(_latex_row, body), r"\bottomrule", r"\end{tabular}"]
        if not (caption or label):
            return "\n".join(lines)
        text = self.title if caption is True else caption
        above = [r"\begin{table}", r"\centering"]
        above += [rf"\caption{{{latex_text(text)}}}"] if text else []
        above += [rf"\label{{{label}}}"] if label else []
        return "\n".join([*above, *lines, r"\end{table}"])


def import_pandas(what):
    """Return pandas; ImportError that says what needs it, and how to come by it."""
    try:
        import pandas
    except ImportError:
        raise ImportError(f"{what} needs pandas; install it with: pip install pandas") from None
    return pandas


def latex_text(text):
    """Return a text so that LaTeX sets it as it is; str."""
    return "".join(LATEX.get(c, c) for c in printable(str(text)))


def _latex_row(cells):
    """Return a row of a table in LaTeX, numbers as formulas; str."""
    return " & ".join(_latex_cell(cell) for cell in cells) + r" \\"


def _latex_cell(cell):
    """Return a cell in LaTeX; str."""
    match = NUMBER.fullmatch(cell)
    if match is None or match[4]:
        return latex_text(cell)
    size, _, exponent = cell.partition("e")
    return f"${size}$" if not exponent else rf"${size} \times 10^{{{int(exponent)}}}$"


def _numeric(column):
    """Return whether there are numbers in the cells of a column, its head not among them."""
    return any(NUMBER.fullmatch(cell) for cell in column) or {*column} == {"nan"}


def _blanks(column):
    """Return what puts the decimal points of numbers set to the right below each other.

    A list of entities to follow the cells: blanks as wide as figures, the first as a point.
    """
    numeric = [NUMBER.fullmatch(cell) is not None for cell in column]
    after = [
        _after_point(cell) if is_number else 0
        for cell, is_number in zip(column, numeric, strict=True)
    ]
    found = []
    for cell, is_number, own in zip(column, numeric, after, strict=True):
        missing = (max(after) - own) * is_number
        point = "." not in cell and missing > 0
        found.append("&#8200;" * point + "&#8199;" * (missing - point))
    return found


def _aligned(column):
    """Return the cells of a column, its head first, in one width; a list of str."""
    head, *body = column
    numbers = [match for cell in body if (match := NUMBER.fullmatch(cell))]
    if not numbers:
        width = max(map(len, column))
        return [cell.ljust(width) for cell in column]
    after = max(_after_point(match[0]) for match in numbers)
    body = [
        cell + " " * (after - _after_point(cell)) if NUMBER.fullmatch(cell) else cell
        for cell in body
    ]
    width = max(map(len, (head, *body)))
    return [cell.rjust(width) for cell in (head, *body)]


def _after_point(text):
    """Return the number of letters of a number from its decimal point on, an int."""
    return len(text) - len(re.match(r"[-+]?\d+", text)[0])


def short_name(name, longest=40):
    """Return a name for a terminal, cut to so many letters: an ellipsis stands for its middle."""
    name = printable(str(name))
    if len(name) <= longest:
        return name
    end = longest // 3  # names that begin alike often differ at their end
    return f"{name[: longest - 1 - end]}…{name[-end:]}"


def cell_text(cell, digits=4):
    """Return a cell as text, a number with so many significant digits or more; str."""
    if not isinstance(cell, (float, np.floating)):
        return printable(str(cell))
    if 1e4 <= abs(cell) < PLAIN:
        before_point = len(f"{abs(cell):.0f}")
        return f"{cell:.{max(2, digits - before_point)}f}"
    return f"{cell:.{digits}g}"  # with an exponent where it is very large or very small


def number_text(value, digits=4):
    """Return a number as it stands in a sentence: rounded, no zeros at its end; str."""
    text, e, exponent = alike([value], digits)[0].partition("e")
    return (text.rstrip("0").rstrip(".") if "." in text else text) + e + exponent


def alike(values, digits=4):
    """Return numbers of one unit as text, with so many decimals each that they can be compared.

    The largest has `digits` significant digits, or all those before its decimal point, and the
    smallest two where that takes no more than two further decimals; a list of str.
    """
    sizes = [_size(value) for value in values if 1e-4 <= abs(value) < PLAIN]
    decimals = 0
    if sizes:
        decimals = digits - 1 - max(sizes)
        decimals = max(0, decimals, min(1 - min(sizes), decimals + 2))
    return [_fixed(float(value), decimals, digits) for value in values]


def _size(value):
    """Return the exponent of a number other than 0, an int."""
    return int(np.floor(np.log10(abs(value))))


def _fixed(value, decimals, digits):
    """Return a number with so many decimals, or with an exponent where these do not show it."""
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < PLAIN:
        text = f"{value:.{decimals}f}"
        if float(text) != 0:
            return text
    return f"{value:.{digits - 2}e}"
