"""Meta-Pi: a gate that blends experts trained on one speaker, or kind of speakers, each.

    python docs/reproductions/meta_pi.py --seeds 10 --path pb52.csv    # the measurements
    python docs/reproductions/meta_pi.py --seeds 10                    # simulated speakers

Hampshire, J. B. & Waibel, A. H. (1992). The Meta-Pi network: building distributed knowledge
representations for robust multisource pattern recognition. IEEE Transactions on Pattern Analysis
and Machine Intelligence 14, 751-769.

The paper recognises /b/, /d/ and /g/ of six speakers: one network for all 95.9 %, Meta-Pi 98.4 %,
as a network for each speaker would, and one man 99.8 % by the experts of other men alone. Its
recordings are not public. Here are two problems of the same form:

(a) ten vowels of men, women and children. Experts see F1 and F2 and learn from one kind of speakers
each; the gate sees all four features, and is not told who is who. A third of the speakers of each
kind is held out.

(b) six simulated speakers, five experts; the fourth man speaks as the mean of the other three and
has no expert.
"""

from __future__ import annotations

import numpy as np
from _report import command, spread, table
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from classic_moe import MetaPiClassifier
from classic_moe.datasets import load_peterson_barney, make_six_speakers, make_vowels

KINDS = ("m", "w", "c")
TEN = ("i", "I", "E", "{", "A", "O", "U", "u", "V", "3'")


def linear():
    return make_pipeline(StandardScaler(), LogisticRegression(C=10, max_iter=1000))


def own_rows(member, names):
    """The number of the expert that each row trains; -1 for none."""
    return np.array([names.index(name) if name in names else -1 for name in member])


# --- (a) men, women and children


def three_kinds(path, seeds):
    results = {}
    for seed in range(seeds):
        if path is None:
            X, y, speaker = make_vowels(vowels=TEN, random_state=seed)
        else:
            measured = load_peterson_barney(path)
            X, y, speaker = measured.data, measured.target, measured.speaker
        X, kind = np.log(X), speaker.astype("U1")
        test = held_out(speaker, seed)
        train = ~test
        group = own_rows(kind, KINDS)
        model = MetaPiClassifier(
            [linear() for _ in KINDS], expert_features=[1, 2], random_state=seed
        ).fit(X[train], y[train], expert_groups=group[train])
        labels = model.predict_experts(X[test]).argmax(axis=2)
        oracle = model.classes_[labels[np.arange(len(labels)), group[test]]]
        formants = linear().fit(X[train][:, 1:3], y[train])
        everything = linear().fit(X[train], y[train])
        one = {
            "one model, F1 and F2": formants.score(X[test][:, 1:3], y[test]),
            "the expert of the speaker's kind": np.mean(oracle == y[test]),
            "Meta-Pi": model.score(X[test], y[test]),
            "one model, all four features": everything.score(X[test], y[test]),
            "the gate names the kind": np.mean(model.assign(X[test]) == group[test]),
        }
        for name, value in one.items():
            results.setdefault(name, []).append(value)
    known = {
        "one model, F1 and F2": "95.9, one network",
        "the expert of the speaker's kind": "98.4, a network a speaker",
        "Meta-Pi": "98.4",
    }
    table(
        f"(a) Ten vowels, three kinds of speakers, {seeds} splits; accuracy in %",
        ["", "the paper's consonants", "ours: mean", "median and range"],
        [
            [name, known.get(name, ""), f"{100 * np.mean(v):.1f}", spread(100 * np.array(v), 1)]
            for name, v in results.items()
        ],
    )
    return results


def held_out(speaker, seed):
    """Rows of a third of the speakers of each kind."""
    rng = np.random.default_rng(seed)
    names = np.unique(speaker)
    chosen = []
    for kind in KINDS:
        own = names[np.char.startswith(names, kind)]
        chosen += list(rng.choice(own, len(own) // 3, replace=False))
    return np.isin(speaker, chosen)


# --- (b) six speakers, five experts


def six_speakers(seeds, rows):
    results = {}
    names = ("f1", "f2", "m1", "m2", "m3")
    for seed in range(seeds):
        X, y, speaker = make_six_speakers(rows, random_state=seed)
        X_test, y_test, speaker_test = make_six_speakers(rows, random_state=1000 + seed)
        model = MetaPiClassifier([linear() for _ in names], random_state=seed).fit(
            X, y, expert_groups=own_rows(speaker, names)
        )
        each = [linear().fit(X[speaker == n], y[speaker == n]) for n in (*names, "m4")]
        dependent = [
            expert.score(X_test[speaker_test == n], y_test[speaker_test == n])
            for expert, n in zip(each, (*names, "m4"), strict=True)
        ]
        network = make_pipeline(
            StandardScaler(),
            MLPClassifier(hidden_layer_sizes=(12,), max_iter=1500, random_state=seed),
        )
        sixth = speaker_test == "m4"
        experts = model.predict_experts(X_test)
        one = {
            "one linear model": linear().fit(X, y).score(X_test, y_test),
            "mean of the experts": np.mean(experts.mean(axis=1).argmax(axis=1) == y_test),
            "one network, 12 hidden": network.fit(X, y).score(X_test, y_test),
            "Meta-Pi": model.score(X_test, y_test),
            "a model for each speaker": np.mean(dependent),
            "sixth speaker: best single expert": max(
                expert.score(X_test[sixth], y_test[sixth]) for expert in each[:5]
            ),
            "sixth speaker: Meta-Pi": model.score(X_test[sixth], y_test[sixth]),
            "sixth speaker: a model of his own": dependent[-1],
            "sixth speaker: weight of the men": model.gate_proba(X_test[sixth])[:, 2:]
            .sum(axis=1)
            .mean(),
        }
        for name, value in one.items():
            results.setdefault(name, []).append(value)
    known = {
        "one network, 12 hidden": "95.9",
        "Meta-Pi": "98.4",
        "a model for each speaker": "98.4",
        "sixth speaker: Meta-Pi": "99.8",
        "sixth speaker: weight of the men": "100",
    }
    table(
        f"(b) Six simulated speakers, five experts, {seeds} seeds; in %",
        ["", "the paper's consonants", "ours: median and range"],
        [[name, known.get(name, ""), spread(100 * np.array(v), 1)] for name, v in results.items()],
    )
    return results


def main(seeds=10, path=None, rows=200):
    print(f"(a) {'simulated speakers' if path is None else 'measurements'}")
    return three_kinds(path, seeds), six_speakers(seeds, rows)


if __name__ == "__main__":
    command(main)
