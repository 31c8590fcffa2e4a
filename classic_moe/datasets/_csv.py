"""Reading the tables that are shipped with the package."""

from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

_FOLDER = Path(__file__).parent / "data"


def load_csv(name, return_X_y, as_frame):
    """The table `name`.csv, its last column the target, described in `name`.md."""
    path = _FOLDER / f"{name}.csv"
    with path.open(encoding="utf-8") as file:
        *features, target = file.readline().strip().split(",")
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    data, y, frame = table[:, :-1], table[:, -1], None
    if as_frame:
        import pandas as pd

        frame = pd.DataFrame(table, columns=[*features, target])
        data, y = frame[features], frame[target]
    if return_X_y:
        return data, y
    return Bunch(
        data=data,
        target=y,
        frame=frame,
        feature_names=features,
        target_names=[target],
        DESCR=path.with_suffix(".md").read_text(encoding="utf-8"),
        filename=str(path),
    )
