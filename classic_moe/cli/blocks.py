"""``--blocks``: a table that is read block by block, for every pass of a fit.

What the columns are is told by the first block, and by the later rows in which a text stands that
no row before had. Everything else, the fit and what it is worth, is of all rows.
"""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path

import numpy as np

from ..parts.names import printable
from .cells import distinct, fitting
from .choice import Measure
from .columns import target_of
from .fits import Fits
from .reading import COMPRESSED, PARQUET, TableFile, import_pandas, read_table

LARGE = 2**30
"""Bytes of a file for which blocks are worth a mention; in memory a table is larger still."""
MOST_NEW = 1000
"""Texts of a column that are told apart while the table is looked through."""
OF_NUMBERS = ("decimal", "thousands", "na_values")
"""Options of `pandas.read_csv` that do not matter where cells stay text."""


class BlockTable:
    """A CSV or Parquet file, some rows at a time.

    Parameters
    ----------
    path : path-like
    rows : int
        Of a block.
    **options : as of `read_table`

    Attributes
    ----------
    first : TableFile
        The first block, and how the others are read.
    file : TableFile
        Its rows, and those of later blocks in which a new text stands.
    n : int
        Rows of the file.
    """

    def __init__(self, path, rows, **options):
        import_pandas()
        self.path, self.rows = Path(path), rows
        self.first = self._first(options)
        self.n, self.file = 0, None
        self.file = self._looked_through()

    def frames(self):
        """Yield the blocks as tables, the cells of a CSV file as text."""
        names = list(self.first.frame.columns)
        for frame in self._parquet() if self._is_parquet else self._csv():
            if len(frame.columns) != len(names):
                raise ValueError(
                    f"{printable(str(self.path))}: a block has {len(frame.columns)} columns, and"
                    f" the first has {len(names)}; correct the file"
                )
            yield frame.set_axis(names, axis=1).reset_index(drop=True)

    @property
    def _is_parquet(self):
        return self.path.suffix.lower() in PARQUET

    def _first(self, options):
        """Return the first block, read as any table is, a `TableFile`."""
        if self._is_parquet:
            codes = [str(code).strip() for code in options["missing"]]
            return TableFile(next(self._parquet()), {"na_values": codes} if codes else {})
        opened = COMPRESSED.get(self.path.suffix.lower(), open)
        with opened(self.path, "rb") as file:
            text = b"".join(islice(file, self.rows + 1))
            while text.count(b'"') % 2 and (line := file.readline()):  # within a cell
                text += line
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / self.path.with_suffix("").with_suffix(".csv").name
            part.write_bytes(text)
            return read_table(part, **options)

    def _csv(self):
        pandas = import_pandas()
        how = {name: v for name, v in self.first.options.items() if name not in OF_NUMBERS}
        text = dict(dtype=str, keep_default_na=False, chunksize=self.rows)
        with pandas.read_csv(self.path, **how, **text) as blocks:
            yield from blocks

    def _parquet(self):
        try:
            from pyarrow.parquet import ParquetFile
        except ImportError:
            raise ValueError(
                f"{printable(str(self.path))}: reading Parquet needs pyarrow; install it with: pip"
                " install pyarrow"
            ) from None
        with ParquetFile(self.path) as file:
            for batch in file.iter_batches(batch_size=self.rows):
                frame = batch.to_pandas()
                yield frame.rename(columns=lambda name: str(name).strip())

    def _looked_through(self):
        """Return the rows that tell what the columns are, a `TableFile`, by one pass."""
        pandas, seen, found = import_pandas(), {}, []
        for number, frame in enumerate(self.frames()):
            self.n += len(frame)
            new = [row for name, cells in frame.items() for row in self._new(cells, seen, name)]
            new = sorted(set(new)) if number else []
            found.append(self.first.frame if number == 0 else frame.iloc[new])
        whole = pandas.concat(found, ignore_index=True)
        return TableFile(whole, self.first.options, self.first.notes)

    def _new(self, cells, seen, name):
        """Return the rows of a column with texts not seen before, and of its first missing cell."""
        known = seen.setdefault(name, set())
        if cells.dtype.kind in "biufcmM":  # numbers and dates of Parquet
            empty, rows = cells.isna().to_numpy(), []
        else:
            own = distinct(cells)
            decimal = self.first.options.get("decimal", ".")
            is_new = ~fitting(own, decimal) & ~np.isin(own.texts, list(known))
            empty, room = own.codes < 0, max(0, MOST_NEW - len(known))
            codes, first = np.unique(own.codes, return_index=True)
            firsts = zip(codes, first, strict=True)  # a missing cell has -1
            rows = [int(at) for code, at in firsts if code >= 0 and is_new[code]][:room]
            known.update(own.texts[is_new].tolist())
        if empty.any() and "" not in known:
            known.add("")
            rows.append(int(empty.argmax()))
        return rows


class BlockFits(Fits):
    """The fits of a table that is read block by block; parameters as of `Fits`.

    Parameters
    ----------
    table : BlockTable
    """

    def __init__(self, table, *parameters):
        super().__init__(*parameters)
        self.table = table

    def fit(self, K):
        """Return a model of K experts fitted to all rows."""
        return self._model(K).fit_blocks(self._blocks)

    def measures(self):
        """Return the measures that follow from the fit alone."""
        every = {
            "bic": Measure("BIC", lambda model: self._criterion(model, np.log(self._total()))),
            "aic": Measure("AIC", lambda model: self._criterion(model, 2.0)),
        }
        return [every[name] for name in dict.fromkeys([self.args.criterion, "bic"])]

    def _criterion(self, model, each):
        return -2 * model.log_likelihood_ + each * model.n_parameters_

    def _total(self):
        """Return Σ weight of the rows in use, by one more pass."""
        sums = (
            float(block[2].sum()) if len(block) > 2 else len(block[1]) for block in self._blocks()
        )
        return sum(sums)

    def _blocks(self):
        """Yield the rows in use, coded: X, y and, if there are any, weights."""
        for frame in self.table.frames():
            file = TableFile(frame, self.table.first.options)
            used, y, weights = target_of(file, self.plan, self.args.weights, self.args.offset)
            if not used.any():
                continue
            X = self.coding.transform(frame.loc[used, list(self.plan.frame)])
            yield (X, y) if weights is None else (X, y, weights)


def notes_of_size(path):
    """Return what is to be said of a file before it is read whole, a list of str."""
    size = Path(path).stat().st_size if Path(path).is_file() else 0
    if size < LARGE:
        return []
    return [
        f"{path} has {size / LARGE:.1f} GiB and is read whole; with --blocks 1000000 the fit reads"
        " it a million rows at a time, in little memory, for every pass"
    ]


def check_blocks(args):
    """ValueError for options that need all rows at once."""
    refused = {
        "--groups": args.groups is not None,
        "--missing drop": args.missing == "drop",
        "--report": args.report is not None,
        f"--criterion {args.criterion}": args.criterion in ("cv", "icl"),
    }
    wrong = [option for option, is_given in refused.items() if is_given]
    if wrong:
        raise ValueError(
            f"{wrong[0]} needs all rows at once, and --blocks never has them; leave one out"
        )
