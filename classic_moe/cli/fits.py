"""The fits of one table: a model for every number of experts, and what each is worth."""

from __future__ import annotations

import math

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from ..estimators.classification import MixtureOfExpertsClassifier
from ..estimators.regression import MixtureOfExpertsRegressor
from ..gates import TreeGate
from .choice import Measure
from .pipeline import table_pipeline
from .report import collected_warnings

ESTIMATORS = {
    "regression": MixtureOfExpertsRegressor,
    "classification": MixtureOfExpertsClassifier,
}
DEFAULT_EXPERTS = {"regression": "linear", "classification": "softmax"}


class Fits:
    """The fits of one table. Its columns are coded once, and once for every fold.

    Parameters
    ----------
    args : Namespace
        Of the command ``fit``.
    plan : Plan
    gate_features, expert_features : list of str or None
        Columns of the model.
    progress : Progress
        Told which fold is fitted.
    """

    def __init__(self, args, plan, gate_features, expert_features, progress):
        self.args, self.plan, self.progress = args, plan, progress
        self.options = dict(
            expert=args.expert or DEFAULT_EXPERTS[plan.task],
            gate=args.gate,
            gate_features=gate_features,
            expert_features=expert_features,
            offset_feature=plan.offset,
            n_init=args.n_init,
            random_state=args.seed,
        )
        self.folds = _folds(args, plan) if args.criterion == "cv" else []
        self.coding = table_pipeline(plan, "passthrough")[:-1]
        self.X, self.y = self.coding.fit_transform(plan.frame, plan.y), plan.y

    def fit(self, K):
        """Return a model of K experts fitted to all rows.

        Parameters
        ----------
        K : int

        Returns
        -------
        estimator
        """
        return self._model(K).fit(self.X, self.y, **self.facts())

    def measures(self):
        """Return the measures of a fit, that by which to choose first.

        Returns
        -------
        list of Measure
        """
        every = {
            "bic": Measure("BIC", lambda model: model.bic(self.X, self.y, **self.facts())),
            "icl": Measure("ICL", lambda model: model.icl(self.X, self.y, **self.facts())),
            "aic": Measure("AIC", lambda model: model.aic(self.X, self.y, **self.facts())),
            "cv": Measure("held-out log-likelihood", self._held_out, lowest=False),
        }
        return [every[name] for name in dict.fromkeys([self.args.criterion, "bic", "icl"])]

    def pipeline(self, model):
        """Return the fitted Pipeline that takes the raw table.

        Parameters
        ----------
        model : fitted estimator

        Returns
        -------
        Pipeline
        """
        whole = table_pipeline(self.plan, model)
        whole.steps = [*self.coding.steps, whole.steps[-1]]
        return whole

    def _model(self, K):
        """Return an unfitted model of K experts; a tree is as balanced as K allows."""
        options = self.options
        if self.args.gate == "tree":
            gate = TreeGate(structure=_halves(range(K))) if K > 1 else "softmax"
            options = options | {"gate": gate}
        return ESTIMATORS[self.plan.task](K, **options)

    def facts(self, rows=slice(None)):
        """Return what is known of rows beside X and y, keywords of `fit`.

        Parameters
        ----------
        rows : index, default=slice(None)

        Returns
        -------
        dict
        """
        weights, groups = self.plan.weights, self.plan.groups
        return dict(
            sample_weight=None if weights is None else weights.to_numpy()[rows],
            groups=None if groups is None else groups.to_numpy()[rows],
        )

    def _held_out(self, model):
        """Return the mean log-likelihood of rows by models that were fitted without them."""
        stage, K = self.progress.stage, model.n_experts_
        total = heads = 0.0
        for number, (train, test) in enumerate(self.folds):
            self.progress.begin(f"{stage}, fold {number + 1} of {len(self.folds)}")
            coding = table_pipeline(self.plan, "passthrough")[:-1]
            with collected_warnings():  # those of all rows are shown
                X = coding.fit_transform(self.plan.frame.iloc[train], self.y.iloc[train])
                fold = self._model(K).fit(X, self.y.iloc[train], **self.facts(train))
                X = coding.transform(self.plan.frame.iloc[test])
            if self.progress.interrupted:
                return math.nan
            facts = self.facts(test)
            log_prob = fold.log_prob(X, self.y.iloc[test], facts["groups"])
            weights = facts["sample_weight"]
            total += log_prob.sum() if weights is None else weights @ log_prob
            heads += len(test) if weights is None else weights.sum()
        return total / heads


def _halves(leaves):
    """Return a balanced binary tree of leaves, nested tuples."""
    if len(leaves) == 1:
        return leaves[0]
    half = (len(leaves) + 1) // 2
    return _halves(leaves[:half]), _halves(leaves[half:])


def _folds(args, plan):
    """Return the rows to fit and those to hold out, a list of pairs of int arrays."""
    grouped, classes = plan.groups is not None, plan.task == "classification"
    _check_folds(args, plan)
    kind = {
        (False, False): KFold,
        (False, True): StratifiedKFold,
        (True, False): GroupKFold,
        (True, True): StratifiedGroupKFold,
    }[grouped, classes]
    splits = kind(args.cv, shuffle=True, random_state=args.seed)
    with collected_warnings():
        folds = list(splits.split(plan.frame, plan.y if classes else None, plan.groups))
    if classes and any(plan.y.iloc[train].nunique() < plan.y.nunique() for train, _ in folds):
        raise ValueError(
            f"--cv {args.cv} leaves a fold without a class, for whole {args.groups!r} are held out;"
            " use --criterion bic"
        )
    return folds


def _check_folds(args, plan):
    """ValueError where there is too little to hold out as many folds as are asked for."""
    units, what = len(plan.frame), "rows"
    if plan.groups is not None:
        units, what = plan.groups.nunique(), f"different values of --groups {args.groups!r}"
    elif plan.task == "classification":
        counts = plan.y.value_counts()
        units, what = counts.min(), f"rows of every class; {counts.idxmin()!r} has {counts.min()}"
    if units < args.cv:
        raise ValueError(f"--cv {args.cv} needs at least {args.cv} {what}; use fewer folds")
    least = len(plan.frame) - int(np.ceil(len(plan.frame) / args.cv))
    if args.n_experts[-1] > least:
        raise ValueError(
            f"--n-experts {args.n_experts[-1]} needs as many rows in every fold of --cv {args.cv};"
            f" there are {least}"
        )
