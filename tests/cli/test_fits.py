"""What the options say reaches the model, and what chooses among the numbers of experts."""

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold, KFold

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.cli import main

FIT = ("fit", "data.csv", "--n-init", "2", "--out", "m.joblib", "--force")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(0)
    n = 90
    age = rng.uniform(20, 70, n).round(1)
    sex = np.repeat(rng.choice(["f", "m"], n // 3), 3)
    table = pd.DataFrame(
        {
            "who": np.repeat([f"p{i}" for i in range(n // 3)], 3),
            "age": age,
            "sex": sex,
            "y": (abs(age - 45) + 3 * (sex == "m") + rng.normal(size=n)).round(2),
            "count": rng.poisson(np.exp(1 + (age > 45))),
            "w": rng.integers(1, 4, n),
            "exposure": rng.uniform(-0.5, 0.5, n).round(3),
        }
    )
    path = tmp_path_factory.mktemp("fits") / "data.csv"
    table.to_csv(path, index=False)
    return path, table


@pytest.fixture(autouse=True)
def there(table, monkeypatch):
    monkeypatch.chdir(table[0].parent)
    monkeypatch.setattr("classic_moe.cli.progress.PATIENCE", np.inf)


def fitted(capsys, *argv):
    """The model that a command saves, and what it prints."""
    assert main([*FIT, *argv]) == 0, capsys.readouterr().err
    return joblib.load("m.joblib")[-1], capsys.readouterr().out


def coded(table):
    """The features of the model, by hand."""
    return pd.DataFrame({"age": table["age"], "sex = m": (table["sex"] == "m") * 1.0})


def by_hand(table, K, target="y", rows=slice(None), gate_features=None, **facts):
    X, y = coded(table)[rows], table[target][rows]
    model = MixtureOfExpertsRegressor(K, n_init=2, random_state=0, gate_features=gate_features)
    return model.fit(X, y, **facts)


def assert_same(model, other):
    np.testing.assert_array_equal(model.lower_bounds_, other.lower_bounds_)
    assert model.log_likelihood_ == other.log_likelihood_


def column(out, name):
    """A column of the table of numbers of experts, {K: number}."""
    lines = out.split("Numbers of experts\n")[1].split("\n")
    j = lines[0].split("  ")
    j = [part.strip() for part in j if part.strip()].index(name)
    rows = [line.split() for line in lines[1:] if line[:1].isdigit()]
    return {int(row[0]): float(row[j]) for row in rows}


def test_weights_reach_the_fit_and_the_criteria(table, capsys):
    argv = ("--target", "y", "--drop", "who,count,exposure", "--weights", "w", "--n-experts", "2")
    model, out = fitted(capsys, *argv)
    frame = table[1]
    other = by_hand(frame, 2, sample_weight=frame["w"])
    assert_same(model, other)
    for name, of in [("BIC", other.bic), ("ICL", other.icl)]:
        value = of(coded(frame), frame["y"], sample_weight=frame["w"])
        assert column(out, name)[2] == pytest.approx(value, abs=0.005)  # two digits are printed


def test_groups_reach_the_fit_and_the_gate_sees_what_they_share(table, capsys):
    argv = ("--target", "y", "--drop", "w,count,exposure", "--groups", "who", "--n-experts", "2")
    model, out = fitted(capsys, *argv)
    frame = table[1]
    other = by_hand(frame, 2, gate_features=["sex = m"], groups=frame["who"])
    assert_same(model, other)
    assert "note: the gate sees sex: all else varies within who" in " ".join(out.split())
    value = other.bic(coded(frame), frame["y"], groups=frame["who"])
    assert column(out, "BIC")[2] == pytest.approx(value, abs=0.005)


def test_the_offset_is_no_feature(table, capsys):
    argv = ("--target", "count", "--drop", "who,w,y", "--offset", "exposure", "--n-experts", "1")
    model, _ = fitted(capsys, *argv, "--expert", "poisson")
    assert model.offset_feature == "exposure"
    assert "sex = m + exposure" in model.equations()
    frame = table[1]
    X = coded(frame).assign(exposure=frame["exposure"])
    other = MixtureOfExpertsRegressor(
        1, expert="poisson", offset_feature="exposure", n_init=2, random_state=0
    ).fit(X, frame["count"])
    assert_same(model, other)


def test_gate_and_experts_see_the_columns_that_are_named(table, capsys):
    argv = ("--target", "y", "--drop", "who,w,count,exposure", "--n-experts", "2")
    model, _ = fitted(capsys, *argv, "--gate-features", "age", "--expert-features", "sex,age")
    assert model.gate_.feature_names_in_.tolist() == ["age"]
    assert model.experts_[0].feature_names_in_.tolist() == ["sex = m", "age"]
    model, _ = fitted(capsys, *argv, "--expert-features", "sex")
    assert model.experts_[0].feature_names_in_.tolist() == ["sex = m"]
    assert model.n_init == 2


@pytest.mark.parametrize("criterion", ["bic", "icl", "aic"])
def test_the_criterion_chooses(table, capsys, criterion):
    argv = ("--target", "y", "--drop", "who,w,count,exposure", "--n-experts", "1-3")
    model, out = fitted(capsys, *argv, "--criterion", criterion)
    values = column(out, criterion.upper())
    frame = table[1]
    own = {"bic": model.bic, "icl": model.icl, "aic": model.aic}[criterion]
    assert values[model.n_experts_] == min(values.values())
    assert values[model.n_experts_] == pytest.approx(own(coded(frame), frame["y"]), abs=0.005)
    assert f"{criterion.upper()} is lowest for K = {model.n_experts_}." in out


@pytest.mark.parametrize("given", [None, "who", "w"])
def test_held_out_rows_choose_and_groups_are_held_out_together(table, capsys, given):
    frame, facts, splits = table[1], {}, KFold(3, shuffle=True, random_state=5)
    option, drop, features = (), "who,w,count,exposure", None
    if given == "who":
        option, drop, features = ("--groups", "who"), "w,count,exposure", ["sex = m"]
        splits, facts = GroupKFold(3, shuffle=True, random_state=5), {"groups": frame["who"]}
    elif given == "w":
        option, drop, facts = (
            ("--weights", "w"),
            "who,count,exposure",
            {"sample_weight": frame["w"]},
        )
    argv = ("--target", "y", "--drop", drop, "--n-experts", "1-2", "--cv", "3", "--seed", "5")
    model, out = fitted(capsys, *argv, *option)
    total = weight = 0.0
    for train, test in splits.split(frame, groups=facts.get("groups")):
        fold = MixtureOfExpertsRegressor(2, n_init=2, random_state=5, gate_features=features)
        X = coded(frame)
        fold.fit(X.iloc[train], frame["y"][train], **{k: v[train] for k, v in facts.items()})
        groups = facts["groups"][test] if given == "who" else None
        value = fold.log_prob(X.iloc[test], frame["y"][test], groups)
        heads = frame["w"][test] if given == "w" else np.ones(len(test))
        total += value.sum() if given == "who" else (heads * value).sum()
        weight += heads.sum()
    values = column(out, "held-out log-likelihood")
    assert values[2] == pytest.approx(total / weight, abs=5e-5)  # four digits are printed
    best = max(values, key=values.get)
    assert model.n_experts_ == best
    assert f"held-out log-likelihood is highest for K = {best}." in out
    assert best == (1 if given == "who" else 2)  # a gate that does not see age is of little use


@pytest.mark.parametrize(("K", "structure"), [(2, (0, 1)), (3, ((0, 1), 2)), (1, None)])
def test_a_tree_has_as_many_leaves_as_there_are_experts(capsys, K, structure):
    argv = ("--target", "y", "--drop", "who,w,count,exposure", "--gate", "tree")
    model, _ = fitted(capsys, *argv, "--n-experts", str(K))
    assert model.gate == "softmax" if K == 1 else model.gate.structure == structure


def test_a_number_of_experts_that_cannot_be_fitted_is_told(capsys, monkeypatch):
    fit = MixtureOfExpertsRegressor.fit

    def failing(self, *args, **kwargs):
        if self.n_experts == 2:
            raise ValueError("None of 2 starts has a finite objective; n_experts=2 at y[3].")
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(MixtureOfExpertsRegressor, "fit", failing)
    argv = ("--target", "y", "--drop", "who,w,count,exposure", "--n-experts")
    model, out = fitted(capsys, *argv, "1-3")
    assert model.n_experts_ in (1, 3) and "K = 2 could not be fitted: None of 2 starts" in out
    assert main([*FIT, *argv, "2"]) == 2
    assert "--n-experts 2 at y in row 4." in capsys.readouterr().err


def test_names_may_hold_commas(tmp_path, capsys):
    frame = pd.DataFrame({"a,b": np.arange(30.0) ** 1.5, "c": np.arange(30) % 7, "d": 1.0})
    frame["y"] = frame["a,b"] + np.sin(np.arange(30))
    frame.to_csv(tmp_path / "commas.csv", index=False)
    argv = ["fit", str(tmp_path / "commas.csv"), "--target", "y", "--n-experts", "1"]
    argv += ["--out", "m.joblib", "--force", "--gate-features", "a,b", "--drop", "c,d"]
    assert main(argv) == 0
    assert joblib.load("m.joblib")[-1].feature_names_in_.tolist() == ["a,b"]
    capsys.readouterr()
