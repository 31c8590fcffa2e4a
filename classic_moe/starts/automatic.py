"""Penalties that a fit finds by itself: climbs at numbers, and MacKay's updates between them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from ..data.batches import whole
from ..model.evidence import determined_means, evidence
from ..model.information import NoInformation, layout_of
from ..model.objectives import MixtureLikelihood
from ..parts.penalties import AUTO, PseudoRows
from ..solvers import Result
from ..solvers.loop import evaluate
from .race import LEAST_ROWS, ROWS_A_NUMBER, SHORT_ROWS, climb, race
from .search import SAME

FIRST = {"gate": 0.1, "expert": 1.0}
"""The alphas under which the search for the best maximum takes place."""
PARAMETERS = {"gate": ("gate", "router"), "expert": ("expert",)}
"""The parameters of estimators that hold a part, or what it is made from."""
LEAST, MOST = {"gate": 1e-3, "expert": 1e-6}, 1e6
"""Bounds of an alpha; the least are those that keep a fit finite."""
WEAK_START = 1e-3
"""Where the second climb through alphas begins."""
ROUNDS, SETTLED, SETTLED_OF_ONE = 60, 1e-2, 1e-3
"""Updates at most; and the change of a logarithm below which a number has settled, of several
experts and of one."""
LARGEST_RATIO, LONGEST = 0.95, 2.0
"""Of the steps of a path that is extrapolated; and the change of a logarithm at most."""
MOST_COEFFICIENTS, MOST_DIFFERENCES = 1_000, 100
"""Coefficients of a model whose penalties are found: some .3 s a look at their curvature, and as
much where the curvature of a prior is told by differences in each."""
LEAST_SHARE = 0.25
"""Of an update that would lower the evidence, the share that is tried at least."""
LITTLE, CLOSE, NEAR = 1e-3, 0.1, 1.0
"""The gain in evidence below which updates of several experts end; the difference in evidence, and
of logarithms, up to which two fits are one; and that of logarithms from which updates lead there,
where the evidence is lower: fixed points are orders of magnitude apart."""
LEAST_LEFT, FEW_OF_SHARE, NOTHING = 1.0, 1 / 3, 1e-6
"""Rows of an expert that is as good as empty; the share of the mean below which an expert has few;
and the responsibility that is none."""
FIRST_ROWS, SECOND_ROWS = PseudoRows(1.0), PseudoRows(0.01)
"""The priors of the variances in two searches, where variances or slopes are to be found. With the
first alone the motorcycle data lose 20 nats of evidence; under the second, the weak prior, searches
find experts of a few rows as well, which lose by their evidence."""
MUCH = 2.0
"""How much larger than what a pseudo-row adds to it a variance is where that hides nothing."""
ALIKE = 1e-2
"""The difference of the experts' shares of the rows up to which two searches have met."""


@dataclass(frozen=True)
class Automatic:
    """Which penalties of a model are to be found, and the parts with words in place of numbers.

    Attributes
    ----------
    gate, expert : the parts as the caller gave them
    alphas : tuple of str, the parts whose alpha is to be found
    variance : bool, whether the pseudo-rows of the experts' variances are
    corrects : bool, whether variances divide by the rows without those that the slopes take
    names : dict of tuple, by part, what the estimator calls the alphas
    known : Numbers, those of a fit to go on from; None where there is none
    """

    gate: object
    expert: object
    alphas: tuple
    variance: bool
    corrects: bool
    names: dict = field(default_factory=dict)
    known: Numbers | None = None

    @classmethod
    def of(cls, gate, expert):
        """Return what is to be found of two parts; None where nothing is."""
        words = {"gate": gate.words(), "expert": expert.words()}
        alphas = tuple(part for part, own in words.items() if own.get("alpha") == AUTO)
        variance = words["expert"].get("variance_prior") == AUTO
        if not (alphas or variance):
            return None
        corrects = "expert" in alphas and "variance_prior" in expert.automatic
        return cls(gate, expert, alphas, variance, corrects)

    def named(self, parameters) -> Automatic:
        """Return it with the names of its alphas among an estimator's parameters, as `get_params`.

        The gate of a tree is a parameter of the tree: "gate__gate__alpha".
        """
        words = [
            name
            for name, value in parameters.items()
            if name.endswith("__alpha") and isinstance(value, str) and value == AUTO
        ]
        names = {
            part: tuple(name for name in words if name.partition("__")[0] in PARAMETERS[part])
            for part in self.alphas
        }
        # the members of a plain list have no names of their own, and aliases are not objects yet
        usual = {p: next((own for own in PARAMETERS[p] if own in parameters), p) for p in names}
        return replace(self, names={p: own or (f"{usual[p]}__alpha",) for p, own in names.items()})

    def going_on(self, fitted) -> Automatic:
        """Return it with the numbers that a fit has found, to begin with; without, itself."""
        each = {
            part: [fitted.penalties.get(name) for name in self.names[part]] for part in self.alphas
        }
        variance = fitted.penalties.get("expert__variance_prior", FIRST_ROWS)
        if any(number is None for numbers in each.values() for number in numbers):
            return self
        alphas = FIRST | {part: numbers[0] for part, numbers in each.items()}
        return replace(self, known=Numbers(alphas, variance))

    def of_columns(self, model, batches) -> Automatic | None:
        """Return what is to be found of the parts that see columns of X; None where nothing is."""
        X, *_ = batches.first()
        seen = {"gate": model.gate_input(X), "expert": model.expert_input(X)}
        alphas = tuple(part for part in self.alphas if seen[part].shape[1])
        if not (alphas or self.variance):
            return None
        return replace(self, alphas=alphas, corrects=self.corrects and "expert" in alphas)

    def obstacle(self, model, solver, facts, streams=False) -> str:
        """Return why no evidence tells the penalties of a model, a str; "" where one does.

        `facts` are the names of what is known of its rows; `streams` that more of them will come.
        """
        lacking = model.lacks("rows") + model.lacks("second derivatives")
        if streams:
            return "the first rows of a stream are not all"
        if type(model.objective) is not MixtureLikelihood:
            return f"{type(model.objective).__name__} is no likelihood of the mixture"
        if not solver.climbs_likelihood:
            return f"{type(solver).__name__} does not climb the likelihood"
        if not solver.ends_at_maxima:
            return f"{type(solver).__name__} need not end at a maximum"
        if lacking:
            return f"{lacking[0]} has no second derivatives"
        return "that of rows in groups is not worked out" if "groups" in facts else ""

    def first(self) -> dict:
        """Return gate and experts with the numbers under which the search takes place."""
        if self.known is not None:
            return self.parts(self.known)
        parts = self.parts(Numbers())
        if self.variance or self.corrects:
            parts["expert"] = clone(parts["expert"]).set_params(variance_prior=FIRST_ROWS)
        return parts

    def parts(self, numbers) -> dict:
        """Return gate and experts with these `Numbers` for words."""
        variance = numbers.variance
        own = {part: {"alpha": numbers.alphas[part]} for part in self.alphas}
        gate = self.gate.with_numbers(own.get("gate", {}))
        expert = self.expert.with_numbers(own.get("expert", {}) | {"variance_prior": variance})
        if self.corrects and not self.variance:
            prior = replace(PseudoRows.of(expert.variance_prior), spread=variance.spread)
            expert = expert.set_params(variance_prior=prior)
        return {"gate": gate, "expert": expert}


@dataclass(frozen=True)
class Numbers:
    """The numbers of the penalties that are found.

    Attributes
    ----------
    alphas : dict of str to float, by part
    variance : PseudoRows, of the experts' variances
    """

    alphas: dict = field(default_factory=lambda: dict(FIRST))
    variance: PseudoRows = FIRST_ROWS

    def change(self, other, automatic) -> float:
        """Return the largest change of a logarithm from these numbers to others."""
        pairs = [(self.alphas[part], other.alphas[part]) for part in automatic.alphas]
        if automatic.variance:
            pairs.append((1 + self.variance.rows, 1 + other.variance.rows))
            pairs.append((self.variance.variance, other.variance.variance))
        if automatic.corrects and self.variance.spread is not None:
            spreads = self.variance.spread, other.variance.spread
            pairs += zip(*(np.trace(s, axis1=1, axis2=2) for s in spreads), strict=True)
        elif automatic.corrects:
            return np.inf
        pairs = np.array(pairs) + 1e-300
        return float(np.abs(np.log(pairs[:, 0] / pairs[:, 1])).max(initial=0.0))

    def towards(self, other, share) -> Numbers:
        """Return the numbers at a share of the way to others, in their logarithms."""

        def between(one, two):
            return float(one ** (1 - share) * two**share)

        own, its = self.variance, other.variance
        spread = its.spread
        if spread is not None:
            spread = share * spread + (0 if own.spread is None else (1 - share) * own.spread)
        rows, variance = between(own.rows, its.rows), between(own.variance, its.variance)
        return Numbers(
            {part: between(self.alphas[part], end) for part, end in other.alphas.items()},
            PseudoRows(rows, variance, spread),
        )


class Settled(NamedTuple):
    """Where a climb at some penalties has led, and what the evidence says of it.

    Attributes
    ----------
    numbers : Numbers
        The penalties.
    result : Result
    value : float
        The log evidence.
    following : Numbers
        The penalties that the evidence asks for.
    path : tuple of float
        The log evidence after every update that has led here, which never falls; `value` is last.
    """

    numbers: Numbers
    result: Result
    value: float
    following: Numbers
    path: tuple = ()


@dataclass(frozen=True)
class Ground:
    """The rows on which penalties are found, and how climbs on them are made.

    Attributes
    ----------
    problem : Problem
    layout : Layout, of the model's information
    options : dict, of climbs
    """

    problem: object
    layout: object
    options: dict

    @classmethod
    def of(cls, problem, params, options):
        """Return the ground of a problem; `NoInformation` where there is no evidence."""
        layout = layout_of(problem.model, params, problem.batches)
        m = len(layout.positions)
        if m > MOST_COEFFICIENTS:
            raise NoInformation(
                f"{m} coefficients are more than {MOST_COEFFICIENTS}, whose"
                " curvature is worked out again and again"
            )
        return cls(problem, layout, options)

    def model(self, numbers):
        """Return the model at some penalties."""
        return replace(self.problem.model, **self.problem.automatic.parts(numbers))

    def first(self, result) -> Numbers:
        """Return the alphas of a search, and the prior of the variances that its result asks for.

        One expert's variance, which has nothing in common with any other, asks for the weak prior.
        """
        if self.problem.automatic.known is not None:
            return self.problem.automatic.known
        if not self.problem.automatic.variance:
            return Numbers()
        expert, rows = self.problem.model.expert, result.stats["resp"]
        none = np.zeros(len(rows))
        return Numbers(variance=expert.pseudo_rows(result.params["expert"], rows, none, True))

    def begin(self, result):
        """Return the numbers to which updates lead, where a climb begins, and the evidence so far.

        Of many rows a sample tells the numbers, whose evidence is not that of all.
        """
        batches, params, first = self.problem.batches, result.params, self.first(result)
        few = int(np.clip(ROWS_A_NUMBER * len(self.layout.positions), LEAST_ROWS, SHORT_ROWS))
        if self.problem.automatic.known is not None and batches.n > 2 * few:
            return first, params, ()
        if batches.n <= 2 * few:
            best = _better_path(self, first, params)
            return best.numbers, best.result.params, best.path
        with batches.sample(few, self.problem.rng) as sample:
            on_few = replace(self, problem=replace(self.problem, batches=sample))
            best = _better_path(on_few, first, params)
        model = self.model(best.numbers)
        ends = [evaluate(model, batches, end) for end in (params, best.result.params)]
        return best.numbers, max(ends, key=lambda end: end.value).params, ()

    def without(self, k, params):
        """Return starting values with the rows of expert k given to the others."""
        problem = self.problem
        block = whole(problem.batches.sample(SHORT_ROWS, problem.rng))
        resp = problem.model.responsibilities(params, block.X, block.y)
        resp = np.maximum(resp, NOTHING)
        resp[:, k] = NOTHING
        resp *= (block.weight / resp.sum(axis=1))[:, None]
        return problem.model.init(block.X, block.y, resp, problem.rng, problem.labels)

    def fit(self, numbers, params) -> Settled:
        """Return where a climb of a plain solver at some penalties leads from params."""
        model = self.model(numbers)
        return self._judged(numbers, model, self._climb(model, params, self.problem.solver.scout()))

    def last(self, numbers, params, start) -> Settled:
        """Return where the climb of a fit leads, from the params of a start if there is one.

        Where that leads to another maximum than the one near `params`, or to none as the one from
        there does not, it is the climb from `params`.
        """
        model, solver, batches = self.model(numbers), self.problem.solver, self.problem.batches
        if start is not None:
            result = self._climb(model, start, solver)
            here = evaluate(model, batches, params)
            if abs(result.objective - here.value) <= SAME * batches.total_weight:
                return self._judged(numbers, model, result)
        end = self._climb(model, params, solver)
        if start is not None and not (end.converged or result.converged):
            end = result  # neither is a maximum
        return self._judged(numbers, model, end)

    def _climb(self, model, params, solver):
        """Return the `Result` of a climb, with where it began."""
        told = dict(solver=solver, reported=self.problem.units.objective)
        result = climb(model, params, self.problem.batches, **self.options, **told)
        return replace(result, start=params)

    def _judged(self, numbers, model, result) -> Settled:
        """Return what the evidence says of a climb at some penalties."""
        batches, params, stats = self.problem.batches, result.params, result.stats
        layout = self.layout.with_penalties_of(model, params)
        found = evidence(model, params, batches, stats, layout, MOST_DIFFERENCES)
        following = updated(self.problem.automatic, model, numbers, result, found)
        return Settled(numbers, result, found.value, following, (found.value,))


def weakened(problem, obstacle):
    """Return a problem with weak penalties in place of those to be found, and why, a `Problem`."""
    given = {"gate": problem.automatic.gate, "expert": problem.automatic.expert}
    weak = {name: part.with_numbers({}) for name, part in given.items()}
    model = replace(problem.model, **weak)
    return replace(problem, model=model, automatic=None, obstacle=obstacle)


def race_and_settle(problem, starts, **options):
    """Return the problem at the penalties that its rows ask for, its result, and `Settled`.

    Options as of `race`. Where there turns out to be no evidence, penalties are weak, the climb
    goes on with these from the end of the search, and None is returned for `Settled`.

    The fit is a climb at the penalties found, from where the best climb of the search began: so its
    history is that of a fit with these numbers. Where that leads to another maximum than the one
    the penalties were found at, it is a climb from there, and so it is of more rows than the search
    looks at.
    """
    told = options["callback"] is not None or options["verbose"]
    quiet = options | dict(callback=None, verbose=max(options["verbose"] - 1, 0))
    searches = _searches(problem, starts, **options | dict(callback=None))
    try:
        each = [(one, *settle(problem, one, **quiet)) for one in searches]
        searched, problem, result, settled = max(each, key=lambda one: one[-1].value)
        if told:  # the same climb again
            result = replace(_climb(problem, result.start, options), start=result.start)
    except NoInformation as error:
        searched, problem, settled = searches[0], weakened(problem, str(error)), None
        result = _climb(problem, searched.params, options)
    return problem, replace(result, endings=searched.endings), settled


def _searches(problem, starts, **options):
    """Return the results of the searches for the best maximum, which lead to different ones.

    Where experts have variances and rows are few, a second search has a weaker prior of these: one
    pseudo-row hides an expert of little noise, whose rows others explain, more or less. It tries
    the starts alone, but where an expert has been found whose variance is much of its making.
    """
    problem = replace(problem, solver=problem.solver.contender())  # the end is no end
    found = [race(problem, starts, **options)]
    several = problem.n_experts > 1 and not isinstance(starts, dict) and found[0].start is not None
    if problem.automatic.corrects and several:
        starts = starts if _hides(problem, found[0]) else starts._replace(hop=None)
        expert = clone(problem.model.expert).set_params(variance_prior=SECOND_ROWS)
        problem = replace(problem, model=replace(problem.model, expert=expert))
        found.append(race(problem, starts, **options))
        shares = [np.sort(one.stats["resp"]) / one.stats["resp"].sum() for one in found]
        if np.abs(shares[0] - shares[1]).max() < ALIKE:
            found.pop()
    return found


def _hides(problem, result):
    """Return whether pseudo-rows are much of the variance of an expert with half the mean rows."""
    mean = problem.batches.total_weight / problem.n_experts
    added = FIRST_ROWS.rows * FIRST_ROWS.variance / (mean / 2)
    return MUCH * added > problem.model.expert.least_variance(result.params["expert"])


def _climb(problem, params, options):
    """Return where a climb leads at the penalties of the problem."""
    own = dict(solver=problem.solver, reported=problem.units.objective)
    return climb(problem.model, params, problem.batches, **own, **options)


def settle(problem, searched, **options):
    """Return the problem at the penalties that the evidence asks for, its result, and `Settled`.

    Two climbs through the penalties, one from where the search took place and one from weak ones,
    since there may be several fixed points; the one with more evidence goes on to convergence.

    Parameters
    ----------
    problem : Problem
        At the penalties of the search.
    searched : Result
        Of the search.
    options : max_iter, tol, callback and verbose, as of `race`
    """
    ground = Ground.of(problem, searched.params, options)
    numbers, params, path = ground.begin(searched)
    for last in (False, True):
        end = ground.last(numbers, params, searched.start)
        if path and end.value < path[-1] - CLOSE and not end.result.stopped:
            end = ground.fit(numbers, params)  # from a saddle the way up may be worse
        end = end._replace(path=(*(value for value in path if value < end.value), end.value))
        if last or end.result.stopped or _stays(ground.problem, end, path):
            break
        best = _settled(ground, end)
        numbers, params, path = best.numbers, best.result.params, best.path
    return replace(problem, model=ground.model(end.numbers)), end.result, end


def _stays(problem, end, path):
    """Return whether a climb to convergence has led nowhere else, nor all rows after a sample."""
    if path:
        return abs(end.value - path[-1]) < CLOSE
    close = CLOSE if problem.n_experts > 1 else SETTLED_OF_ONE
    return end.numbers.change(end.following, problem.automatic) < close


def _better_path(ground, first, params) -> Settled:
    """Return the end of two paths of more evidence, from moderate penalties and from weak ones."""
    automatic = ground.problem.automatic
    best = _settled(ground, ground.fit(first, params))
    going_on = automatic.known is not None
    if going_on or not automatic.alphas or ground.problem.n_experts == 1:
        return _without_remnants(ground, best)
    weak = replace(first, alphas=dict.fromkeys(FIRST, WEAK_START))
    other = _settled(ground, ground.fit(weak, params), best)
    return _without_remnants(ground, max(best, other, key=lambda one: one.value))


def _without_remnants(ground, fit) -> Settled:
    """Return the fit without its experts of few rows, as long as that has more evidence.

    An expert that has come to explain a few rows by chance stays at its maximum, whatever the
    penalties. The rows are given to the others, and if they do better so, the expert is empty.
    """
    if ground.problem.knows_labels:
        return fit
    rows = fit.result.stats["resp"]
    few = np.flatnonzero((rows > LEAST_LEFT) & (rows < FEW_OF_SHARE * rows.mean()))
    for k in few[np.argsort(rows[few], kind="stable")]:
        new = ground.fit(fit.numbers, ground.without(k, fit.result.params))
        if new.value > fit.value:
            new = new._replace(path=(*fit.path, new.value))
            return _without_remnants(ground, _settled(ground, new))
    return fit


def _settled(ground, fit, known=None) -> Settled:
    """Return where updates of the penalties lead from a fit, none of which lowers its evidence.

    They end where the evidence changes no more, or where they meet a fit that is `known`.
    """
    automatic = ground.problem.automatic
    steps, share = [], 1.0
    several = ground.problem.n_experts > 1
    settled, little, close = (SETTLED, LITTLE, CLOSE) if several else (SETTLED_OF_ONE, 0.0, 0.0)
    for _ in range(ROUNDS):
        change = fit.numbers.change(fit.following, automatic)
        if change < settled or (known is not None and _meets(fit, known, automatic)):
            break
        steps.append(fit.numbers)
        jumps = len(steps) == 3 and share == 1
        target = _ahead(steps, fit.following) if jumps else fit.following
        steps = [] if jumps else steps
        new = ground.fit(fit.numbers.towards(target, share), fit.result.params)
        gain = new.value - fit.value
        if gain >= 0:
            fit = new._replace(path=(*fit.path, new.value))
            if gain < little:
                break
        elif -gain < close:
            break
        elif not jumps:
            share, steps = share / 2, []
            if share < LEAST_SHARE:
                break
    return fit


def _meets(fit, known, automatic):
    """Return whether updates have come to penalties that are known, and to no better evidence."""
    near = CLOSE if fit.value > known.value else NEAR
    return fit.value < known.value + CLOSE and known.numbers.change(fit.following, automatic) < near


def _ahead(path, last) -> Numbers:
    """Return where the alphas of a path of updates lead, by Aitken's rule, from the last ones on.

    Their logarithms approach the fixed point by a constant share a step.
    """
    alphas = dict(last.alphas)
    for part, end in last.alphas.items():
        logs = np.log([*(numbers.alphas[part] for numbers in path[1:]), end])
        first, second = np.diff(logs)
        ratio = second / first if first else 0.0
        if ratio > 0:
            left = second * ratio / (1 - min(ratio, LARGEST_RATIO))
            ahead = np.exp(np.clip(left, -LONGEST, LONGEST))
            alphas[part] = float(np.clip(end * ahead, LEAST[part], MOST))
    return replace(last, alphas=alphas)


def updated(automatic, model, numbers, result, found) -> Numbers:
    """Return the numbers that the evidence of a fit asks for."""
    alphas = dict(numbers.alphas)
    for part in automatic.alphas:
        determined, squares = found.slopes[part]
        factor = determined / max(squares, 1e-300)
        alphas[part] = float(np.clip(alphas[part] * factor, LEAST[part], MOST))
    if not (automatic.variance or automatic.corrects):
        return Numbers(alphas)
    own, rows = result.params["expert"], result.stats["resp"]
    taken = np.zeros(len(rows))
    if automatic.corrects:
        taken = determined_means(found, own["coef"].shape[1])
    variance = model.expert.pseudo_rows(own, rows, taken, automatic.variance)
    return Numbers(alphas, variance)
