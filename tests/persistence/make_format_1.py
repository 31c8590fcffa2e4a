"""Write the files of format 1 that later versions have to read, and the list of what they hold.

    PYTHONPATH=.:tests/helpers python tests/persistence/make_format_1.py         # the list alone
    PYTHONPATH=.:tests/helpers python tests/persistence/make_format_1.py files   # the files as well

The list, `format_1.json`, is written anew when a class, a field or a parameter was added: after
somebody has asked what a file means that lacks it. Its default has to mean what was before; if it
does not, the format gets a new number. The files, `stream.moe` and `labels.moe`, stay as they are:
they were made by classic_moe 0.1.0, and `expected.json` has what their models predicted then.
"""

import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
X = np.array([[0.0, 0.0], [1.0, -1.0], [-2.0, 0.5]])
"""The rows that are predicted."""


def listing():
    """What a file keeps of the objects of every class, names by the name of the class."""
    from classic_moe.persistence.table import ENTRIES, names_of

    found = {}
    for kind in ENTRIES:
        if hasattr(kind, "_get_param_names"):
            found[kind.__name__] = sorted(kind._get_param_names())
        elif hasattr(kind, "__dataclass_fields__") or hasattr(kind, "_fields"):
            found[kind.__name__] = names_of(kind)
        else:
            found[kind.__name__] = sorted(ENTRIES[kind].contents(kind()))
    return dict(sorted(found.items()))


def predicted(model):
    """What a model says of the rows."""
    if hasattr(model, "predict_proba"):
        return {"labels": model.predict(X).tolist(), "proba": model.predict_proba(X).tolist()}
    dist = model.predict_dist(X)
    return {"mean": dist.mean().tolist(), "std": dist.std().tolist()}


def main():
    """Write them."""
    (HERE / "format_1.json").write_text(json.dumps(listing(), indent=1) + "\n")
    if sys.argv[1:] != ["files"]:
        return
    from kept_models import KEPT

    from classic_moe import save

    expected = {}
    for name, kept in {"stream": "stream", "labels": "objects"}.items():
        model = KEPT[kept]()[0]
        save(model, HERE / f"{name}.moe")
        expected[name] = predicted(model)
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
