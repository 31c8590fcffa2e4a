"""What is saved and loaded again is the same to the last bit."""

import copy
import io

import kept_models
import numpy as np
import pytest
from kept_models import KEPT, answers, attributes, goes_on, same

from classic_moe import MixtureOfExpertsRegressor, load, save
from classic_moe.model import fused_pass


@pytest.fixture(autouse=True)
def no_change_of_kernels(monkeypatch):
    """Passes over few rows are all numpy's, or all compiled: their last digits are not the same."""
    monkeypatch.setattr(fused_pass, "FEW", 10**9)


def saved(model):
    file = io.BytesIO()
    save(model, file)
    return file.getvalue()


def loaded(data):
    return load(io.BytesIO(data))


@pytest.mark.parametrize("name", KEPT)
def test_a_loaded_model_is_the_same_to_the_last_bit(name):
    model, X, y = KEPT[name]()
    data = saved(model)
    again = loaded(data)
    assert same(attributes(model), attributes(again))
    assert saved(again) == data  # all that is kept, to the last bit and type
    ours, theirs = answers(model, X, y), answers(again, X, y)
    different = [name for name in ours if not same(ours[name], theirs[name])]
    assert not different
    assert goes_on(model, X, y) is None or same(attributes(model), attributes(goes_on(again, X, y)))


@pytest.mark.parametrize("number", range(5))
def test_estimators_that_were_not_fitted_keep_their_parameters(number):
    model = kept_models.unfitted()[number]
    again = loaded(saved(model))
    assert type(again) is type(model) and repr(again) == repr(model)
    assert same(again.get_params(), model.get_params())
    assert not again.__sklearn_is_fitted__()


def test_random_numbers_go_on_where_they_were():
    rng = np.random.RandomState(3)
    rng.standard_normal()  # half of a pair: the other is kept too
    model = MixtureOfExpertsRegressor(random_state=rng)
    again = loaded(saved(model)).random_state
    assert again is not rng and (again.standard_normal(700) == rng.standard_normal(700)).all()


def test_a_loaded_model_is_refitted_like_the_other():
    model, X, y = kept_models._regressor(warm_start=True, random_state=np.random.RandomState(1))
    again = loaded(saved(model))
    kept_models.fit(model, X, y), kept_models.fit(again, X, y)
    assert same(attributes(model), attributes(again))


def test_arrays_keep_their_order_in_memory():
    """On which the last bits of sums over them depend."""
    start = np.ones((4, 3, 2)).transpose(2, 0, 1)
    again = loaded(saved(MixtureOfExpertsRegressor(init_params=start))).init_params
    assert again.strides == start.strides and again.flags.writeable


def test_a_model_of_a_file_shares_nothing_with_the_one_that_was_saved():
    model, _, _ = KEPT["one expert"]()
    again, third = loaded(saved(model)), copy.deepcopy(model)
    again.params_["expert"]["coef"][:] = 0
    assert same(attributes(model), attributes(third))


# -- paths -----------------------------------------------------------------------------------------


def test_the_path_is_taken_as_it_is(tmp_path):
    model, X, _ = KEPT["one expert"]()
    for path in (tmp_path / "a", str(tmp_path / "a.moe"), str(tmp_path / "a.npz")):
        assert save(model, path) is None
        assert same(load(path).predict(X), model.predict(X))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "a.moe", "a.npz"]


def test_equal_models_are_equal_files(tmp_path):
    model, _, _ = KEPT["one expert"]()
    save(model, tmp_path / "a.moe")
    save(copy.deepcopy(model), tmp_path / "b.moe")
    assert (tmp_path / "a.moe").read_bytes() == (tmp_path / "b.moe").read_bytes() == saved(model)


def test_numpy_reads_the_arrays_by_itself(tmp_path):
    model, _, _ = KEPT["one expert"]()
    save(model, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        arrays = [file[name] for name in file.files if not name.endswith(".json")]
    assert any(same(a, model.params_["expert"]["coef"]) for a in arrays)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.moe"
    path.write_text("old")
    path.chmod(0o640)
    model, _, _ = KEPT["one expert"]()

    def fail(*args, **kwargs):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(np.lib.format, "write_array", fail)
        with pytest.raises(OSError, match="disk full"):
            save(model, path)
    with pytest.raises(TypeError):
        save(MixtureOfExpertsRegressor(gate_features=len), path)
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.moe"]
    (tmp_path / "link").symlink_to(path)
    save(model, tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and path.read_bytes() == saved(model)
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_cannot_be_opened_is_an_oserror(tmp_path):
    model, _, _ = KEPT["one expert"]()
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.moe")
    with pytest.raises(FileNotFoundError):
        save(model, tmp_path / "none" / "a.moe")
    with pytest.raises(IsADirectoryError):
        load(tmp_path)
    with pytest.raises(OSError):
        save(model, tmp_path)


def test_file_objects_are_written_to_where_they_stand_and_stay_open(tmp_path):
    model, _, _ = KEPT["one expert"]()
    with open(tmp_path / "two", "w+b") as file:
        file.write(b"before")
        save(model, file)
        file.seek(6)
        assert same(attributes(load(file)), attributes(model))
    with open(tmp_path / "two", encoding="latin-1") as file:
        with pytest.raises(TypeError, match="open for text; open it in mode 'rb'"):
            load(file)


@pytest.mark.parametrize("path", [3, None, b"a.moe"])
def test_what_is_neither_path_nor_file_is_said_in_one_sentence(path):
    model, _, _ = KEPT["one expert"]()
    with pytest.raises(TypeError, match=r"save: path is of type .*; give a str, a PathLike or"):
        save(model, path)
    with pytest.raises(TypeError, match=r"load: path is of type .*; give a str, a PathLike or"):
        load(path)


def test_a_callers_errstate_and_warnings_do_not_matter(tmp_path):
    model, _, _ = KEPT["gate gaussian"]()
    with np.errstate(all="raise"):
        assert same(attributes(loaded(saved(model))), attributes(model))
