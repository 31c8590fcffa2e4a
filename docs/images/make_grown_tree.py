"""Draws grown_tree.png for docs/choosing_k.md: python docs/images/make_grown_tree.py

The tree of gates that ExpertCountSearch grows on the motorcycle data, of one to five leaves.
"""

from pathlib import Path

from matplotlib.figure import Figure

from classic_moe import MixtureOfExpertsRegressor
from classic_moe.datasets import load_motorcycle
from classic_moe.gates import TreeGate
from classic_moe.inspection import TreeDisplay
from classic_moe.model_selection import ExpertCountSearch

if __name__ == "__main__":
    X, y = load_motorcycle(return_X_y=True, as_frame=True)
    tree = MixtureOfExpertsRegressor(gate=TreeGate(), random_state=0)
    tree.set_params(expert__alpha="weak", gate__gate__alpha="weak")
    search = ExpertCountSearch(tree, range(1, 6)).fit(X, y)
    figure = Figure(figsize=(7.6, 3.4), layout="constrained")
    TreeDisplay.from_estimator(search.best_estimator_, X, ax=figure.subplots())
    figure.savefig(Path(__file__).with_name("grown_tree.png"), dpi=150)
