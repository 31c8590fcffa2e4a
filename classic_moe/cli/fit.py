"""``python -m classic_moe fit``: a mixture of experts for the user's own table."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..parts.registry import KINDS, find
from ..report.table import Table
from ..report.words import cautions, describe
from .blocks import BlockFits, BlockTable, check_blocks, notes_of_size
from .choice import choose
from .columns import plan_columns
from .files import replacing
from .fits import DEFAULT_EXPERTS, Fits
from .pipeline import coded_names
from .progress import Progress
from .reading import read_table
from .report import collected_warnings, print_line, print_notes, print_paragraph, print_table

SCORES = {"regression": "R²", "classification": "accuracy"}
OPTIONS = {
    "n_experts": "--n-experts",
    "gate_features": "--gate-features",
    "expert_features": "--expert-features",
    "offset_feature": "--offset",
    "sample_weight": "--weights",
    "groups": "--groups",
    "expert": "--expert",
    "gate": "--gate",
    "n_init": "--n-init",
}
"""What the command calls the parameters that the estimators' messages name."""


def run_fit(args):
    """Read, choose the number of experts, report, save, draw."""
    how = dict(separator=args.separator, decimal=args.decimal, encoding=args.encoding)
    how["missing"] = args.missing_code
    table = None
    if args.blocks is not None:
        check_blocks(args)
        table = BlockTable(args.data, args.blocks, **how)
    elif not args.quiet:
        print_notes(notes_of_size(args.data))
    file = read_table(args.data, **how) if table is None else table.file
    chosen = _Chosen.of(args, list(file.frame.columns))
    plan = plan_columns(
        file,
        target=chosen.target,
        task=args.task,
        drop=chosen.drop,
        keep=chosen.keep,
        missing=args.missing,
        offset=args.offset,
        weights=args.weights,
        groups=args.groups,
    )
    _check(args, plan)
    notes = [*file.notes, *plan.notes, *_perhaps_counts(args, plan)]
    gate_features, more = _gate_features(args, plan, chosen.gate)
    if table is not None:
        notes = [*notes, _first_rows(plan)]
    _introduce(args, plan, notes + more, len(plan.frame) if table is None else table.n)
    progress = Progress(quiet=args.quiet, verbose=args.verbose, keep_best=args.keep_best)
    expert_features = _coded(plan, chosen.expert, "--expert-features")
    options = args, plan, gate_features, expert_features, progress
    fits = Fits(*options) if table is None else BlockFits(table, *options)
    try:
        choice = choose(args.n_experts, fits.fit, fits.measures(), progress, full=args.verbose)
    except ValueError as error:
        raise ValueError(_in_terms_of_the_table(str(error), plan)) from error
    searched = () if progress.interrupted else args.n_experts
    told = _Told.of(choice.model, fits, full=args.full, searched=searched)
    _report(told)
    pipeline = fits.pipeline(choice.model)
    if args.out:
        _save(pipeline, file, args)
    if args.plot:
        _draw(pipeline, plan, args)
    if args.report:
        _write_page(choice, told, fits, pipeline, notes + more, args)


# -- what is to be done --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Chosen:
    """The columns that the options name, lists of str; None where all are meant."""

    target: list
    drop: list
    keep: list
    gate: list | None
    expert: list | None

    @classmethod
    def of(cls, args, columns):
        """Return what the options name among the columns of a table."""

        def named(texts):
            return [name for text in texts for name in _names(text, columns)]

        return cls(
            named(args.target),
            named(args.drop),
            named(args.keep),
            named(args.gate_features) or None,
            named(args.expert_features) or None,
        )


def _names(text, columns):
    """Return the columns that a text names: one, or several with commas between; list of str."""
    if text in columns or "," not in text:
        return [text]
    return [name.strip() for name in text.split(",") if name.strip()]


def _check(args, plan):
    """ValueError for a model that this table, or these options, cannot have."""
    if args.n_experts[-1] > len(plan.frame):
        raise ValueError(
            f"--n-experts {args.n_experts[-1]} needs as many rows; {args.data} has"
            f" {len(plan.frame)}"
        )
    if args.feature is not None and args.feature not in plan.columns:
        raise ValueError(
            f"--feature {args.feature!r} is not among the columns used; use one of"
            f" {', '.join(plan.columns)}"
        )
    alias = args.expert or DEFAULT_EXPERTS[plan.task]
    target = find("expert", alias, plan.task).target
    if target.task not in (plan.task, "both") and (
        target.task == "classification" or target.outputs == 1 or target.kind == "mass"
    ):
        raise ValueError(
            f"--expert {alias} is for {target.task}, and the target {' and '.join(_targets(plan))}"
            f" ({plan.reason}) asks for {plan.task}; leave --expert out, or give --task"
            f" {target.task}"
        )
    several = 1 if plan.y.ndim == 1 else plan.y.shape[1]
    if target.trials and several != 2:
        raise ValueError(
            f"--expert {alias} needs two columns, successes and failures: --target SUCCESSES"
            f" --target FAILURES; {'one is' if several == 1 else f'{several} are'} named"
        )
    if target.outputs == 1 and not target.trials and several > 1:
        raise ValueError(f"--expert {alias} predicts one column; {several} targets are named")
    if plan.offset is not None and not target.offset:
        able = [name for name in KINDS["expert"].aliases if find("expert", name).target.offset]
        raise ValueError(
            f"--offset {plan.offset!r} is added to the scale of a link, which --expert {alias} has"
            f" not; use --expert {', '.join(able[:-1])} or {able[-1]}"
        )


def _perhaps_counts(args, plan):
    """Return a note where the target may be counts and nobody has said what it is, a list."""
    if args.expert is not None or plan.task != "regression" or plan.y.ndim > 1:
        return []
    y = plan.y.to_numpy(dtype=float)
    if y.min() != 0 or (y != y.round()).any():
        return []
    return [
        f"{plan.y.name} holds whole numbers from 0 on: if they are counts, --expert poisson or"
        " negative_binomial models them as such"
    ]


def _coded(plan, names, option):
    """Return the model's columns that come of columns of the table, a list of str, or None."""
    if names is None:
        return None
    unknown = [name for name in names if name not in plan.columns]
    if unknown:
        raise ValueError(
            f"{option} {unknown[0]!r} is not among the columns used; use some of"
            f" {', '.join(plan.columns)}"
        )
    return coded_names(plan, names)


def _gate_features(args, plan, names):
    """Return the columns of the model that the gate sees, a list or None, and notes.

    Rows of a group share one expert, so the gate sees what is the same for all of them.
    """
    coded = _coded(plan, names, "--gate-features")
    if plan.groups is None or args.gate == "constant":
        return coded, []
    seen = [name for name in plan.columns if name != plan.offset] if names is None else names
    varying = [name for name in seen if _varies(plan.frame[name], plan.groups)]
    if names is not None and varying:
        raise ValueError(
            f"--gate-features {varying[0]!r} varies within {args.groups!r}, whose rows share one"
            " expert; name columns that do not, or give --gate constant"
        )
    left = [name for name in seen if name not in varying]
    if not varying:
        return coded, []
    what = ", ".join(left) or "no column"
    note = f"the gate sees {what}: all else varies within {args.groups}"
    return coded_names(plan, left) if left else [], [note]


def _varies(column, groups):
    """Tell whether a column has several values within a group."""
    return bool((column.groupby(groups.to_numpy()).nunique(dropna=False) > 1).any())


def _in_terms_of_the_table(message, plan):
    """Return an estimator's message with the options of the command and the rows of the table."""

    def option(match):
        return f"{OPTIONS[match[1]]} " if match[1] in OPTIONS else match[0]

    def row(match):
        number = int(plan.y.index[int(match[1])]) + 1
        return f"{' and '.join(_targets(plan))} in row {number}"

    message = re.sub(r"\b([a-z_]+)=", option, message)
    return re.sub(r"\by\[(\d+)(?:, \d+)?\]", row, message)


# -- the answer ----------------------------------------------------------------------------------


def _first_rows(plan):
    """Return what the rows that were looked at are for, a sentence."""
    return (
        f"The fit is of all rows; what columns are, what fills missing cells, and the description"
        f" below, are of {len(plan.frame)} of them, the first ones and those with new texts."
    )


def _introduce(args, plan, notes, n):
    """Print what is fitted to what."""
    columns = "1 column" if len(plan.columns) == 1 else f"{len(plan.columns)} columns"
    print_paragraph(f"{args.data}: {n} rows, {columns} to predict from.")
    print_paragraph(f"Target: {', '.join(_targets(plan))} ({plan.reason}: {plan.task}).")
    if not args.quiet:
        print_notes(notes)
    print()


def _targets(plan):
    """Return the names of the targets, a list of str."""
    return [plan.y.name] if plan.y.ndim == 1 else list(plan.y.columns)


@dataclass(frozen=True)
class _Told:
    """The model in words and numbers.

    Attributes
    ----------
    description : list of str or Table
    score : str, a sentence
    notes : list of str, what to beware of
    """

    description: list
    score: str
    notes: list

    @classmethod
    def of(cls, model, fits, *, full, searched):
        """Return what is told of a model."""
        description = describe(model, fits.X, fits.y, full=full)
        score = model.score(fits.X, fits.y, sample_weight=fits.plan.weights)
        with collected_warnings() as warnings:
            said = cautions(model, fits.X, fits.y, searched=searched)
        score = f"{SCORES[fits.plan.task]} on these rows: {score:.3f}"
        return cls(description, score, [*said, *warnings])


def _report(told):
    """Print the model in words and numbers, and what to beware of."""
    for item in told.description:
        print()
        if isinstance(item, Table):
            print_table(item)
        else:
            print_paragraph(item)
    print()
    print_paragraph(told.score)
    print_notes(told.notes)


def _save(pipeline, file, args):
    """Write the Pipeline to a file, and print how to read it."""
    import joblib

    with replacing(args.out, force=args.force) as path:
        joblib.dump(pipeline, path)
    options = "".join(f", {name}={value!r}" for name, value in file.options.items())
    print()
    print_line(f"Pipeline saved to {args.out}; it takes the raw table:")
    print_line("    import joblib, pandas as pd")
    print_line(f"    table = pd.read_csv({str(args.data)!r}{options})")
    print_line(f"    joblib.load({str(args.out)!r}).predict(table)")


def _draw(pipeline, plan, args):
    """Draw the fit into a file."""
    from .picture import draw

    with replacing(args.plot, force=args.force) as path, collected_warnings() as warnings:
        draw(path, pipeline, plan.frame, plan.y, feature=args.feature)
    print()
    print_notes(warnings)
    print_line(f"Picture written to {args.plot}")


def _write_page(choice, told, fits, pipeline, notes, args):
    """Write all that is told, with pictures, into a page."""
    from .page import page

    text = page(choice, told, fits, pipeline, notes, args)
    with replacing(args.report, force=args.force) as path:
        path.write_text(text, encoding="utf-8")
    print()
    print_line(f"Page written to {args.report}")
