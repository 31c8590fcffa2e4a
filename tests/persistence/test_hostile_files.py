"""A file of a stranger is loaded, or refused in one sentence; it runs nothing and takes no room."""

import copy
import io
import json
import pickle
import re
import tracemalloc
import zipfile

import kept_models
import numpy as np
import pytest
from kept_models import KEPT

from classic_moe import load, save
from classic_moe.persistence.container import FORMAT

MODELS = ["hierarchical classes", "stream", "random numbers", "gate gaussian", "meta-pi", "table"]
MODELS += ["blend", "categories"]


def saved(name):
    model, X, y = KEPT[name]()
    file = io.BytesIO()
    save(model, file)
    return file.getvalue(), X, y


@pytest.fixture(scope="module")
def files():
    return {name: saved(name) for name in MODELS}


def members(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(contents, **options):
    """An archive of members, sound in itself."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return file.getvalue()


def attempt(data):
    """The model in a file; or the sentence that refuses it, a str."""
    try:
        return load(io.BytesIO(data))
    except ValueError as error:
        text = str(error)
        assert text.startswith("load: the file cannot be loaded: ") and text.endswith(".")
        assert "\n" not in text and len(text) < 600, text
        assert "object at 0x" not in text
        return text


# -- damage ----------------------------------------------------------------------------------------


def test_a_file_that_ends_early_is_refused(files):
    data = files["stream"][0]
    for end in np.linspace(0, len(data) - 1, 150).astype(int):
        assert isinstance(attempt(data[:end]), str)


def test_a_file_with_a_byte_that_changed_is_refused_or_the_same(files):
    data, rng = files["stream"][0], np.random.default_rng(0)
    head = np.arange(100)  # of the first members, and of the list of members at the end
    places = {*head, *(len(data) - 1 - head), *rng.integers(0, len(data), 150)}
    refused = 0
    for place in map(int, places):
        other = bytearray(data)
        other[place] ^= 1 << rng.integers(8)
        found = attempt(bytes(other))
        refused += isinstance(found, str)
        if not isinstance(found, str):  # a time, or a permission of a member
            again = io.BytesIO()
            save(found, again)
            assert again.getvalue() == data
    assert refused > 0.5 * len(places)


@pytest.mark.parametrize("data", [b"", b"PK", b"hello" * 99, pickle.dumps(1), b"\x93NUMPY\x01\x00"])
def test_other_files_are_refused(data):
    assert "it is no whole file of classic_moe.save" in attempt(data)


# -- what is said ----------------------------------------------------------------------------------

TRIES = 60
STRANGE = [None, True, -1, 0, 3, 10**30, 1.5, 1e300, "", "x", "../../x", [], [[]], {}]
STRANGE += [{"a": 1}, {"tuple": []}, {"tuple": [0, 1]}, {"float": "nan"}, {"array": {"values": 0}}]
STRANGE += [{"dict": []}, {"dict": [[1, 2], [1, 2]]}, {"dict": [[[], 2]]}, {"class": "OSError"}]
STRANGE += [
    {"slice": [1, 2, 3]},
    {"statistics": []},
    {"scalar": 0},
    {"TreeGate": {}},
    {"Fitted": {}},
]
STRANGE += [{"array": {"shape": [2**31 - 1, 0], "objects": []}}, {"RandomState": {}}]


def places(tree, path=()):
    """All paths into a JSON value."""
    yield path
    if isinstance(tree, (dict, list)):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for key, each in items:
            yield from places(each, (*path, key))


def changed(tree, path, rng):
    """The value with another thing at a place, or without it, or with one of its neighbours."""
    if not path:
        return STRANGE[rng.integers(len(STRANGE))]
    tree = copy.deepcopy(tree)
    at = tree
    for key in path[:-1]:
        at = at[key]
    how = rng.integers(4)
    if how == 0:
        del at[path[-1]]
    elif how == 1 and isinstance(at[path[-1]], int):
        at[path[-1]] += int(rng.integers(-2, 3))
    elif how == 2 and len(at) > 1:
        keys = list(at) if isinstance(at, dict) else range(len(at))
        at[path[-1]] = at[keys[rng.integers(len(keys))]]
    else:
        at[path[-1]] = copy.deepcopy(STRANGE[rng.integers(len(STRANGE))])
    return tree


@pytest.mark.parametrize("name", MODELS)
def test_a_text_that_was_changed_is_refused_or_makes_a_model(files, name):
    """Whatever is loaded may be used: Python may refuse, and nothing else happens."""
    data, X, y = files[name]
    contents, rng = members(data), np.random.default_rng(1)
    tree = json.loads(contents["model.json"])
    every = list(places(tree))
    refused = 0
    for number in rng.choice(len(every), TRIES):
        text = json.dumps(changed(tree, every[number], rng))
        found = attempt(packed(contents | {"model.json": text}))
        refused += isinstance(found, str)
        if not isinstance(found, str):
            use(found, X, y)
    assert refused > TRIES / 4


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_arrays_that_were_changed_are_refused_or_make_a_model(files, name):
    data, X, y = files[name]
    contents, rng = members(data), np.random.default_rng(2)
    arrays = [member for member in contents if member.endswith(".npy")]
    for member in arrays:
        array = np.load(io.BytesIO(contents[member]))
        for other in other_arrays(array, rng):
            file = io.BytesIO()
            np.save(file, other)
            found = attempt(packed(contents | {member: file.getvalue()}))
            if not isinstance(found, str):
                use(found, X, y)


def other_arrays(array, rng):
    """Arrays of other shapes, types and values."""
    yield array[..., None]
    yield array.reshape(-1)
    yield np.empty((0, *array.shape[1:]), array.dtype)
    if array.ndim:
        yield array[:1]
        yield np.concatenate([array, array])
    if array.dtype.kind in "if":
        yield array.astype(complex).real.astype(np.float32)
        yield np.full_like(array, 2**31 - 1)
        yield np.full_like(array, -3)
        yield array.astype(str)
    if array.dtype.kind == "f":
        yield np.full_like(array, np.nan)


def use(model, X, y):
    """Ask a model something; any error of Python is an answer."""
    with np.errstate(all="ignore"):
        for ask in (
            lambda: model.predict(X),
            lambda: kept_models.goes_on(model, X, y),
            lambda: model.log_prob(X, y),
            lambda: model.random_state.standard_normal(2000),
        ):
            try:
                ask()
            except Exception:
                continue


# -- attacks ---------------------------------------------------------------------------------------


def plain(tree, head=None, **arrays):
    """A file of a JSON value, or text, and arrays by number, as bytes."""
    head = {"format": 1, "classic_moe": "0.1.0"} if head is None else head
    tree = tree if isinstance(tree, (str, bytes)) else json.dumps(tree)
    head = head if isinstance(head, (str, bytes)) else json.dumps(head)
    named = {f"{name[1:]}.npy": data for name, data in arrays.items()}
    return packed({"format.json": head, "model.json": tree} | named)


def npy(descr="<f8", order="False", shape="(1,)", data=bytes(8)):
    header = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    header += b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def objects():
    file = io.BytesIO()
    np.save(file, np.array([print], dtype=object), allow_pickle=True)
    return file.getvalue()


ARRAY = {"array": {"values": 0}}
ATTACKS = {
    "a class by its name": (plain({"os.system": {"command": "x"}}), "holds a 'os.system', which"),
    "a class of ours that is not kept": (plain({"ArrayBatches": {}}), "holds a 'ArrayBatches'"),
    "a class that is none": (plain({"class": "SystemExit"}), "names a class 'SystemExit'"),
    "no estimator": (plain([]), "it holds no estimator, but a list"),
    "a part": (plain({"SoftmaxGate": {}}), "it holds no estimator, but a SoftmaxGate"),
    "unknown parameters": (plain({"SoftmaxGate": {"x": 1}}), "a SoftmaxGate in it is none: .*'x'"),
    "objects of pickle": (plain(ARRAY, _0=objects()), "an array in it has no header of numpy"),
    "an array larger than its bytes": (
        plain(ARRAY, _0=npy(shape="(1000000000000,)")),
        "shape '.1000000000000,.', larger than the file",
    ),
    "an array of many empty ones": (
        plain(ARRAY, _0=npy(shape="(0, 99999999999)", data=b"")),
        "larger than the file",
    ),
    "a shape that overflows": (
        plain(ARRAY, _0=npy(shape="(400, 400, 400, 400)")),
        "has not the bytes for its shape",
    ),
    "extended precision": (plain(ARRAY, _0=npy("<f16", data=bytes(16))), "is an array of .*float"),
    "complex numbers": (plain(ARRAY, _0=npy("<c8")), "is an array of complex64"),
    "objects by type": (plain(ARRAY, _0=npy("|O8")), "is an array of object"),
    "no type": (plain(ARRAY, _0=npy("<q9")), "cannot be loaded"),
    "a header with code": (
        plain(ARRAY, _0=npy(shape="(__import__('os').getpid(),)")),
        "an array in it has no header of numpy",
    ),
    "another format of numpy": (
        plain(ARRAY, _0=b"\x93NUMPY\x02\x00" + bytes(200)),
        "an array in it does not begin as one of numpy",
    ),
    "characters that are none": (
        plain(ARRAY, _0=npy("<U1", data=b"\xff" * 4)),
        "holds texts of characters that do not exist",
    ),
    "truth that is none": (plain(ARRAY, _0=npy("|b1", data=b"\x07")), "neither true nor false"),
    "an array that is not there": (plain(ARRAY), "refers to an array '0', which is not there"),
    "an array that nobody wants": (plain([], _0=npy()), "holds the array 0, which belongs to noth"),
    "axes that are none": (
        plain({"array": {"values": 0, "axes": [1]}}, _0=npy()),
        r"the axes of an array in it are '\[1\]'",
    ),
    "a scalar that is none": (plain({"scalar": 0}, _0=npy()), "where a single value is due"),
    "another member": (
        packed({"format.json": '{"format":1,"classic_moe":"0"}', "model.json": "[]", "x.py": ""}),
        "it has a member 'x.py', or one too few",
    ),
    "no model": (packed({"format.json": '{"format":1,"classic_moe":"0"}'}), "there is no model.j"),
    "another archive": (packed({"0.npy": npy()}), "there is no format.json in it"),
    "members that are packed": (
        packed(
            {"format.json": '{"format":1,"classic_moe":"0"}', "model.json": "[]" * 9},
            compression=zipfile.ZIP_DEFLATED,
        ),
        "is compressed, which save never does",
    ),
    "deep lists": (plain("[" * 10**5 + "]" * 10**5), "nested too deeply|is no JSON"),
    "rather deep lists": (plain("[" * 300 + "]" * 300), "nested more than 100 deep"),
    "deep tuples": (plain('{"tuple":[' * 300 + "]}" * 300), "nested more than 100 deep"),
    "a name twice": (plain('{"tuple": [], "tuple": []}'), "its model.json has a name twice"),
    "a key twice": (plain({"dict": [["a", 1], ["a", 2]]}), "a dict in it has a key twice"),
    "a key that is none": (plain({"dict": [[[], 1]]}), "a dict in it has a key that is none"),
    "NaN": (plain("[NaN]"), "its model.json has NaN for a number"),
    "an infinite number": (plain("[1e999]"), "its model.json has '1e999' for a number"),
    "a long number": (plain("[" + "9" * 5000 + "]"), "its model.json is no JSON"),
    "no JSON": (plain("{"), "its model.json is no JSON"),
    "no text": (plain(b"\xff\xfe[]"), "its model.json is no JSON"),
    "two kinds": (plain({"tuple": [], "dict": []}), "it has 2 names where the one of a kind is"),
    "objects of no shape": (
        plain({"array": {"shape": [10**9, 10**9], "objects": []}}),
        "an array of objects in it has not the shape",
    ),
    "a newer format": (
        plain([], {"format": FORMAT + 1, "classic_moe": "9.0"}),
        f"its format is {FORMAT + 1}, and classic_moe .* reads formats up to {FORMAT}; use the"
        " version that wrote it, '9.0', or a later one",
    ),
    "no format": (plain([], {"format": "1", "classic_moe": "0"}), "names no format and version"),
    "format 0": (plain([], {"format": 0, "classic_moe": "0"}), "names no format and version"),
    "no head": (plain([], []), "its format.json names no format and version"),
    "a long head": (plain([], " " * 2000 + "[]"), "its format.json has more than 1024 bytes"),
    "another version": (
        plain({"NewExpert": {}}, {"format": 1, "classic_moe": "0.2.0"}),
        "holds a 'NewExpert', which this version does not know .it was written by classic_moe"
        " '0.2.0', this is",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_for_what_it_is(name):
    data, sentence = ATTACKS[name]
    tracemalloc.start()
    found = attempt(data)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(found, str), found
    assert re.search(sentence, found), found
    assert most < 2**20 + 100 * len(data)


def test_members_that_claim_the_same_bytes_are_refused():
    """As in archives that unpack to more than they are: here one that is found many times."""
    data = bytearray(plain(ARRAY, _0=npy(shape="(400,)", data=bytes(3200))))
    one = data[data.index(b"PK\x01\x02") :]
    end = one.index(b"PK\x05\x06")
    entries, tail = bytes(one[:end]), bytearray(one[end:])
    last = entries[entries.rindex(b"PK\x01\x02") :]
    more = b"".join(last.replace(b"0.npy", b"%d.npy" % k) for k in range(1, 9))
    tail[8:10] = tail[10:12] = (3 + 8).to_bytes(2, "little")
    tail[12:16] = (len(entries) + len(more)).to_bytes(4, "little")
    head = bytes(data[: data.index(b"PK\x01\x02")])
    assert "its members claim" in attempt(head + entries + more + bytes(tail))


def test_states_of_random_numbers_lie_within_their_array(files):
    """numpy does not look, and would read beyond it."""
    contents = members(files["random numbers"][0])
    text = contents["model.json"].decode()
    tree = json.loads(text)
    state = next(
        at
        for path in places(tree)
        if path and path[-1] == "RandomState"
        for at in [walk(tree, path)]
    )
    state["pos"] = 10**6
    found = attempt(packed(contents | {"model.json": json.dumps(tree)}))
    assert "a RandomState in it is none: no state of random numbers" in found


@pytest.mark.parametrize("depth", [3, 30, 10**9])
def test_a_tree_of_more_leaves_than_experts_is_not_made(files, depth):
    contents = members(files["hierarchical classes"][0])
    text = contents["model.json"].decode()
    other = text.replace('"depth":2,"gate"', f'"depth":{depth},"gate"')
    assert other != text
    found = attempt(packed(contents | {"model.json": other}))
    assert "is none: its tree" in found and "is not of 4 experts" in found


def walk(tree, path):
    for key in path:
        tree = tree[key]
    return tree


@pytest.mark.parametrize("objective", [None, 1.5, "likelihood", {"tuple": []}])
def test_a_fit_of_another_objective_than_ours_is_refused(files, objective):
    """Such as a damaged text, of which predictions would know no more."""
    contents = members(files["table"][0])
    tree = json.loads(contents["model.json"])
    places_of = [path for path in places(tree) if path and path[-1] == "objective"]
    (place,) = [path for path in places_of if "MixtureModel" in path]
    at = tree
    for name in place[:-1]:
        at = at[name]
    at[place[-1]] = objective
    found = attempt(packed(contents | {"model.json": json.dumps(tree)}))
    assert isinstance(found, str) and "its objective is none" in found
