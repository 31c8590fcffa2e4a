"""A file as a table of cells: separators, decimal marks, encodings, names, and the index column."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import re
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..parts.names import printable
from .cells import Distinct, distinct, fitting, is_counter, looks_like_dates, numbers

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = (",", ";", "\t", "|", " ")
LOOKED_AT = 200
"""Records that tell the separator."""
TOLD_BY = 1000
"""Different cells of a column that tell the decimal mark."""
COMPRESSED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
PARQUET = (".parquet", ".pq")
ROW_NAME = "row name"
"""What the names of rows are called where the file does not say."""
INDEX_NAMES = ("", "Unnamed: 0", "rownames")
"""How pandas, R and collections of R's tables name the first column where it only counts rows."""
MARKS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
SHOWN = 3
"""Ragged lines, names or cells that a message shows."""


@dataclass(frozen=True)
class TableFile:
    """What was read: cells, how `pandas.read_csv` reads them likewise, and what was noticed.

    Parameters
    ----------
    frame : DataFrame of shape (n, p)
        Every cell as it stands in the file, a str; those of Parquet have their types.
    options : dict
        Keywords for `pandas.read_csv`; empty for a plain file.
    notes : list of str
        Sentences.
    """

    frame: pd.DataFrame
    options: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)


def import_pandas():
    """Return the module pandas; ValueError with the command that installs it where it is absent."""
    try:
        import pandas
    except ImportError:
        raise ValueError(
            "reading tables needs pandas; install it with: pip install 'classic-moe[cli]'"
        ) from None
    return pandas


def read_table(path, *, separator=None, decimal=None, encoding=None, missing=()):
    """Read a CSV or Parquet file with a header line.

    Parameters
    ----------
    path : path-like
        Compressed by gzip, bzip2 or xz if its name says so.
    separator : str, default=None
        Between the cells; None finds out: comma, semicolon, tab or "|".
    decimal : "." or ",", default=None
        None finds out.
    encoding : str, default=None
        None takes what a byte order mark says, else UTF-8, else Windows-1252.
    missing : sequence of str, default=()
        Cells that mean "missing" beside the usual ones, such as "-999". Where any are given, none
        are guessed.

    Returns
    -------
    TableFile

    Raises
    ------
    ValueError
        For an empty file, ragged lines, a quotation mark that is not closed, another encoding; in
        one line, with the number of the line. Where pandas is absent.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> from classic_moe.cli.reading import read_table
    >>> from classic_moe.datasets import load_motorcycle
    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "herbs.csv"
    >>> _ = path.write_text("height;leaf\\n1,5;round\\n2,25;long\\n")
    >>> file = read_table(path)
    >>> file.options
    {'sep': ';', 'decimal': ','}
    """
    import_pandas()
    path = Path(path)
    where = printable(str(path))
    missing = [str(code).strip() for code in missing]
    if path.suffix.lower() in PARQUET:
        return TableFile(_parquet(path, where), {"na_values": missing} if missing else {})
    options, notes = {}, []
    text, encoding = _text(path, where, encoding, notes)
    separator = separator or _separator(text)
    separator = {"tab": "\t", "\\t": "\t"}.get(separator, separator)
    lines, rows = _rows(text, separator, where)
    if separator != ",":
        options["sep"] = r"\s+" if separator == " " else separator
    if separator != " " and re.search(re.escape(separator) + ' +"', text):
        options["skipinitialspace"] = True
    names, columns = _columns(lines, rows, where, options, notes)
    frame = _frame(names, columns, options, notes)
    _set_decimal(frame, decimal, options, notes)
    if encoding != "utf-8":
        options["encoding"] = encoding
    if missing:
        options["na_values"] = missing
    return TableFile(frame, options, notes)


# -- from bytes to records -------------------------------------------------------------------------


def _parquet(path, where):
    """Return the table of a Parquet file, with types, a DataFrame."""
    pd = import_pandas()
    with open(path, "rb"):
        pass  # OSError with the name of the file, as for any other
    try:
        frame = pd.read_parquet(path)
    except ImportError:
        raise ValueError(
            f"{where}: reading Parquet needs pyarrow; install it with: pip install pyarrow"
        ) from None
    except Exception as error:  # pyarrow has errors of its own, which need it to be named
        raise ValueError(f"{where} is no Parquet file that can be read ({error})") from None
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index(names=frame.index.names if all(frame.index.names) else ROW_NAME)
    return frame.rename(columns=lambda name: str(name).strip())


def _text(path, where, encoding, notes):
    """Return the text of a file and the name of its encoding, two str."""
    opened = COMPRESSED.get(path.suffix.lower(), open)
    try:
        with opened(path, "rb") as file:
            data = file.read()
    except (gzip.BadGzipFile, lzma.LZMAError, EOFError) as error:
        raise ValueError(f"{where} cannot be decompressed: {error}") from None
    if data.startswith((b"PK\x03\x04", b"PAR1")):
        kind = "Parquet; let its name end in .parquet" if data[:4] == b"PAR1" else (
            "a workbook or a zip archive; save the table as CSV"
        )  # fmt: skip
        raise ValueError(f"{where} is {kind}")
    text, encoding = _decoded(data, where, encoding, notes)
    if "\0" in text:
        raise ValueError(
            f"{where} holds bytes that no text has; save the table as CSV in UTF-8, or say with"
            " --encoding what it is"
        )
    if "\n" not in text:
        text = text.replace("\r", "\n")
    return text, encoding


def _decoded(data, where, encoding, notes):
    """Return bytes as text, and the name of the encoding."""
    marked = next((name for mark, name in MARKS.items() if data.startswith(mark)), None)
    tried = [encoding] if encoding else [marked] if marked else ["utf-8", "cp1252", "latin-1"]
    for name in tried:
        try:
            text = data.decode(name)
        except LookupError:
            raise ValueError(f"--encoding {name!r} is no encoding that Python knows") from None
        except UnicodeError as error:
            wrong = error
        else:
            if name in tried[1:]:
                known = {"cp1252": "Windows-1252", "latin-1": "Latin-1"}[name]
                notes.append(
                    f"The file is not UTF-8; it was read as {known} (--encoding says otherwise)."
                )
            return text.removeprefix("\ufeff"), "utf-8" if name == "utf-8-sig" else name
    line = data[: wrong.start].count(b"\n") + 1
    raise ValueError(
        f"{where}, line {line}: not {tried[0]} text; name the encoding with --encoding, or save the"
        " table in UTF-8"
    )


def _reader(text, separator):
    """Return an iterator over the records of a text; blanks after a separator do not count."""
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)


def _separator(text):
    """Return the separator with which most of the first lines have as many cells as the header."""
    said = re.match(r"sep=(.)\r?\n", text)
    if said:
        return said[1]
    best, found = (0, 0), ","
    for separator in SEPARATORS:
        try:
            reader = _reader(text, separator)
            lengths = [len(row) for row in islice(filter(None, reader), LOOKED_AT)]
        except csv.Error:
            continue
        width = lengths[0] if lengths else 1
        # R leaves the name of the first column out, others end every line with a separator
        alike = sum(length in (width, width + 1) for length in lengths)
        if separator == " " and alike < len(lengths):
            continue  # words in a single column
        if width > 1 and (score := (alike / len(lengths), width)) > best:
            best, found = score, separator
    return found


def _rows(text, separator, where):
    """Return the first line of every record, a list of int, and the records, lists of str."""
    text = re.sub(r"\Asep=.\r?\n", "\n", text)
    try:
        reader = _reader(text, separator)
    except TypeError:
        raise ValueError(f"--separator {separator!r} is not a single character") from None
    lines, rows, start = [], [], 1
    try:
        for row in reader:
            if len(row) > 1 or (row and row[0].strip()):  # not a blank line
                lines.append(start)
                rows.append(row)
            start = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{where}, line {reader.line_num}: {error}") from None
    if not rows:
        raise ValueError(f"{where} is empty; it needs a header line with the names of the columns")
    if text.count('"') % 2 and start - lines[-1] > 1 and any("\n" in cell for cell in rows[-1]):
        raise ValueError(f"{where}, line {lines[-1]}: a quotation mark is opened and never closed")
    return lines, rows


def _columns(lines, rows, where, options, notes):
    """Return the names as they stand in the header, and the columns, tuples of str."""
    names = [name.strip() for name in rows[0]]
    full = [j for j in range(1, len(rows)) if any(cell.strip() for cell in rows[j])]
    if len(full) < len(rows) - 1:
        notes.append(f"{len(rows) - 1 - len(full)} lines without a cell were left out.")
    lines, rows = [lines[j] for j in full], [rows[j] for j in full]
    if not rows:
        raise ValueError(f"{where} has no rows under its header")
    longer = [row for row in rows if len(row) == len(names) + 1]
    if 2 * len(longer) > len(rows):
        if not any(row[-1].strip() for row in longer):
            options["index_col"] = False  # a separator at the end of every line
        elif len({row[0] for row in longer}) == len(longer):
            names = ["", *names]  # the names of the rows, as R writes them
    rows = [_trimmed(row, len(names)) for row in rows]
    ragged = [(line, len(row)) for line, row in zip(lines, rows, strict=True)
              if len(row) != len(names)]  # fmt: skip
    if ragged:
        line, length = ragged[0]
        more = f" ({len(ragged)} such lines)" if len(ragged) > 1 else ""
        raise ValueError(
            f"{where}, line {line}: {length} cell{'s' * (length > 1)}, but the header has"
            f" {len(names)}{more}; correct"
            " the file, put cells that contain the separator in quotes, or say with --separator"
            " what it is"
        )
    columns = list(zip(*rows, strict=True))
    while len(names) > 1 and not names[-1] and not any(cell.strip() for cell in columns[-1]):
        names.pop()
        columns.pop()
    return names, columns


def _trimmed(row, width):
    """Return a record without empty cells beyond the header's, a list of str."""
    if len(row) > width and not any(cell.strip() for cell in row[width:]):
        return row[:width]
    return row


# -- names, the index, the decimal mark ------------------------------------------------------------


def unique_names(names):
    """Return names without blanks, none empty, none twice.

    Parameters
    ----------
    names : sequence of str

    Returns
    -------
    list of str

    Examples
    --------
    >>> from classic_moe.cli.reading import unique_names
    >>> unique_names(["x", " x", "", "y"])
    ['x', 'x (2)', 'column 3', 'y']
    """
    found = []
    taken = {name.strip() for name in names}
    for j, name in enumerate(names):
        name = wanted = name.strip() or f"column {j + 1}"
        count = 1
        while name in found or (count > 1 and name in taken):
            count += 1
            name = f"{wanted} ({count})"
        found.append(name)
    return found


def _frame(names, columns, options, notes):
    """Return the DataFrame of the columns, without one that only counts the rows."""
    pd = import_pandas()
    values = [np.array(column, dtype=object) for column in columns]
    if len(names) > 1 and names[0] in INDEX_NAMES:
        found = distinct(values[0])
        texts = found.texts
        if is_counter(found.each(numbers(texts))):
            notes.append("The first column only counts the rows; it was left out.")
            options["index_col"] = 0
            names, values = names[1:], values[1:]
        elif len(texts) == len(values[0]):
            called = "date" if looks_like_dates(texts) and "date" not in names else ROW_NAME
            notes.append(f"The first column names the rows; it is called {called!r} here.")
            names = [called, *names[1:]]
            if called == "date":
                options |= {"header": 0, "names": unique_names(names)}
    if all(fitting(distinct(names))) and len(names) > 1:
        notes.append(
            f"The first line was taken as names of columns ({', '.join(names[:SHOWN])} …); if it is"
            " a row already, put a line of names above it."
        )
    unique = unique_names(names)
    for old, new in zip(names, unique, strict=True):
        if not old:
            notes.append(f"A column without a name is called {new!r}.")
        elif old != new:
            notes.append(f"The name {old!r} is there twice; the later column is called {new!r}.")
    table = {
        name: pd.Series(cells, dtype=object) for name, cells in zip(unique, values, strict=True)
    }
    return pd.DataFrame(table)


def _set_decimal(frame, decimal, options, notes):
    """Find out whether numbers are written with a decimal comma, over all columns.

    A number such as "1,234" is either; those that are not decide for all. Where none does, the
    comma separates thousands, which is said.
    """
    if decimal not in (None, ".", ","):
        raise ValueError(f"--decimal {decimal!r} is neither . nor ,")
    votes, either = {".": 0, ",": 0}, None
    commas = [name for name in frame if any("," in cell for cell in frame[name])]
    for name in frame if commas else ():
        found = _first(frame[name])
        point, comma = fitting(found, "."), fitting(found, ",")
        if not len(found.texts) or max(point.mean(), comma.mean()) < 0.5:
            continue
        if point.sum() != comma.sum():
            votes["." if point.sum() > comma.sum() else ","] += 1
        elif either is None:
            shown = [text for text in found.texts[point & comma] if "," in text]
            either = (name, shown[0]) if shown else None
    mark = decimal or ("," if votes[","] > votes["."] else ".")
    if mark == ",":
        options["decimal"] = ","
    _set_thousands(frame, commas, mark, options)
    if decimal is None and either and not any(votes.values()):
        name, cell = either
        notes.append(
            f"{cell!r} in column {name!r} was read as {cell.replace(',', '')} (--decimal , reads"
            f" it as {cell.replace(',', '.')})."
        )
    if decimal is None and all(votes.values()):
        notes.append(
            "Some columns have decimal commas, others decimal points; each was read as it is."
        )


def _first(cells):
    """Return some distinct texts of a column, enough to tell how numbers are written."""
    texts = distinct(cells).texts[:TOLD_BY]
    return Distinct(texts, np.arange(len(texts)))


def _set_thousands(frame, commas, mark, options):
    """Say how thousands are separated, if they are, in the options of `pandas.read_csv`."""
    other = "." if mark == "," else ","
    for name in frame if mark == "," else commas:
        found = _first(frame[name])
        fits = fitting(found, mark)
        if fits.any() and fits.mean() > 0.5 and any(other in text for text in found.texts[fits]):
            options["thousands"] = other
            return
