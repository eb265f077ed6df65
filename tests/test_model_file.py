"""A model's file is loaded whole and sound, or refused in one sentence that names it."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from sections import model_settings
from training_runs import RUN

from gud.config.sections.bases import basis_of
from gud.errors import InputError
from gud.model import Model, load
from gud.planning.costs import stand_in_statistics

SETTINGS = RUN["model"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    torch.manual_seed(0)
    Model(model_settings(SETTINGS), stand_in_statistics(basis_of("fourier"), 8)).save(path)
    return path


def parts(path):
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def test_a_saved_model_is_loaded_to_the_last_bit(path, tmp_path):
    load(path).save(tmp_path / "again.safetensors")
    first, second = parts(path), parts(tmp_path / "again.safetensors")
    assert first[1] == second[1]
    assert all(torch.equal(first[0][name], second[0][name]) for name in first[0] | second[0])


WEIGHT = "network.body.stem.weight"
SPOILT_TENSORS = {
    "missing weight": (lambda t: t.pop(WEIGHT), "1 lacking"),
    "another weight": (lambda t: t.update({"network.more": torch.zeros(2)}), "'more'"),
    "another group": (lambda t: t.update({"more.weight": torch.zeros(2)}), "more.weight"),
    "no group": (lambda t: t.update({"weight": torch.zeros(2)}), "holds weight"),
    "reshaped weight": (lambda t: t.update({WEIGHT: t[WEIGHT].flatten()}), "of shape"),
    "transposed": (lambda t: t.update({WEIGHT: t[WEIGHT].mT[:, :, :2].contiguous()}), "of shape"),
    "double weight": (lambda t: t.update({WEIGHT: t[WEIGHT].double()}), "float64"),
    "NaN weight": (lambda t: t[WEIGHT].view(-1)[3:4].fill_(torch.nan), "not finite"),
    "infinite weight": (lambda t: t[WEIGHT].view(-1)[3:4].fill_(torch.inf), "not finite"),
    "no weights": (lambda t: [t.pop(name) for name in list(t) if name[0] == "n"], "lacking"),
    "no mean": (lambda t: t.pop("statistics.mean"), "mean and variance"),
    "no variance": (lambda t: t.pop("statistics.variance"), "mean and variance"),
    "more statistics": (lambda t: t.update({"statistics.more": torch.zeros(2)}), "more"),
    "flat mean": (lambda t: t.update({"statistics.mean": torch.zeros(9).double()}), "mean has"),
    "oblong mean": (lambda t: t.update({"statistics.mean": torch.zeros(3, 8, 4).double()}), "mean"),
    "empty mean": (lambda t: t.update({"statistics.mean": torch.zeros(3, 0, 0).double()}), "mean"),
    "other size": (lambda t: t.update({"statistics.mean": torch.zeros(3, 4, 4).double()}), "varia"),
    "single mean": (lambda t: t.update({"statistics.mean": torch.zeros(3, 8, 8)}), "float32"),
    "integer mean": (lambda t: t.update({"statistics.mean": torch.zeros(3, 8, 8).int()}), "int32"),
    "no spread": (lambda t: t["statistics.variance"][5:6].zero_(), "not positive"),
    "negative variance": (lambda t: t["statistics.variance"][5:6].neg_(), "not positive"),
    "NaN variance": (lambda t: t["statistics.variance"][5:6].fill_(torch.nan), "not finite"),
    "NaN mean": (lambda t: t["statistics.mean"][0, 0].fill_(torch.nan), "not finite"),
    "stretched": (lambda t: t.update({"statistics.rotation": 2 * torch.eye(64).double()}), "orth"),
    "small rotation": (lambda t: t.update({"statistics.rotation": torch.eye(4).double()}), "shape"),
}


@pytest.mark.parametrize("how", SPOILT_TENSORS)
def test_spoilt_tensors_are_refused(path, tmp_path, how):
    spoil, message = SPOILT_TENSORS[how]
    tensors, metadata = parts(path)
    spoil(tensors)
    save_file(tensors, tmp_path / "spoilt.safetensors", metadata)
    with pytest.raises(InputError, match="model .*spoilt.safetensors.*" + message):
        load(tmp_path / "spoilt.safetensors")


NETWORK = SETTINGS["network"]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{",
        "[]",
        "3",
        "null",
        "NaN",
        "[" * 100_000,
        json.dumps({}),
        *(json.dumps({key: SETTINGS[key] for key in SETTINGS if key != gone}) for gone in SETTINGS),
        json.dumps(SETTINGS | {"more": 1}),
        json.dumps(SETTINGS | {"basis": {"name": "pca"}}),
        json.dumps(SETTINGS | {"basis": {"name": "haar", "levels": 9}}),
        json.dumps(SETTINGS | {"prior": "none"}),
        json.dumps(SETTINGS | {"network": NETWORK | {"width": 16}}),
        json.dumps(SETTINGS | {"network": NETWORK | {"width": 18}}),
        json.dumps(SETTINGS | {"network": NETWORK | {"width": "8"}}),
        json.dumps(SETTINGS | {"network": NETWORK | {"multipliers": []}}),
        json.dumps(SETTINGS | {"network": NETWORK | {"multipliers": [1, 1, 1, 1, 1]}}),
        json.dumps(SETTINGS | {"network": NETWORK | {"attention": [7]}}),
    ],
)
def test_spoilt_settings_are_refused(path, tmp_path, text):
    tensors, _ = parts(path)
    save_file(
        tensors, tmp_path / "spoilt.safetensors", None if text is None else {"settings": text}
    )
    with pytest.raises(InputError, match=r"model .*spoilt.safetensors"):
        load(tmp_path / "spoilt.safetensors")


@pytest.mark.parametrize("how", ["missing", "folder", "empty", "text", "cut", "header", "zeros"])
def test_what_is_no_safetensors_file_is_refused(path, tmp_path, how):
    spoilt, content = tmp_path / "spoilt.safetensors", path.read_bytes()
    match how:
        case "folder":
            spoilt.mkdir()
        case "empty":
            spoilt.write_bytes(b"")
        case "text":
            spoilt.write_text("<html>404</html>")
        case "cut":
            spoilt.write_bytes(content[: len(content) // 2])
        case "header":
            spoilt.write_bytes(b"\xff" * 8 + content[8:])
        case "zeros":
            spoilt.write_bytes(bytes(len(content)))
    with pytest.raises(InputError, match=r"model .*spoilt.safetensors"):
        load(spoilt)
