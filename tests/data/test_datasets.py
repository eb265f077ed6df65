import tracemalloc

import numpy as np
import pytest
from archive_site import png_files, write_parquet
from commands import data_section
from presets import ROOT

from gud.config.images import images_needed
from gud.config.preset import load_preset
from gud.data import datasets
from gud.errors import InputError


def test_loading_refuses_what_is_no_data_set(tmp_path):
    good = np.zeros((2, 3, 4, 4), np.uint8)
    cases = {
        "float.npz": {"train": good.astype(np.float32)},
        "flat.npz": {"train": good.reshape(2, -1)},
        "grey.npz": {"train": good[:, :1]},
        "empty.npz": {"train": good[:0]},
        "test_only.npz": {"test": good},
        "pickle.npz": {"train": np.array([{}], dtype=object)},
    }
    for name, arrays in cases.items():
        np.savez(tmp_path / name, **arrays)
    np.save(tmp_path / "single.npy", good)
    (tmp_path / "text.npz").write_text("not an array")
    (tmp_path / "zero.npz").write_bytes(b"")
    np.savez(tmp_path / "whole.npz", train=good)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:-30])
    for name in [*cases, "single.npy", "text.npz", "zero.npz", "cut.npz", "absent.npz"]:
        with pytest.raises(InputError, match=name):
            datasets.load(tmp_path / name, "train")


def test_images_are_mapped_from_their_file_and_checked_against_its_checksum(tmp_path):
    rng = np.random.default_rng(0)
    train, test = (rng.integers(0, 256, (n, 3, 4, 4), dtype=np.uint8) for n in (50, 20))
    path = tmp_path / "data.npz"
    np.savez(path, train=train, test=test)
    for split, images in (("train", train), ("test", test)):
        loaded = datasets.load(path, split)
        assert np.array_equal(loaded.numpy(), images)
        loaded[:] = 0
        assert np.array_equal(datasets.load(path, split).numpy(), images)
    tracemalloc.start()
    np.savez(path, train=np.zeros((1000, 3, 64, 64), np.uint8), test=test)
    tracemalloc.reset_peak()
    assert datasets.load(path, "train").sum() == 0
    assert tracemalloc.get_traced_memory()[1] < 4e6  # of 12e6 bytes
    tracemalloc.stop()
    content = path.read_bytes()
    path.write_bytes(content[:5000] + b"\1" + content[5001:])
    with pytest.raises(InputError, match="Bad CRC-32"):
        datasets.load(path, "train")


@pytest.mark.parametrize("save", [np.savez_compressed, np.savez])
def test_other_layouts_of_the_same_images_are_read_as_well(save, tmp_path):
    images = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)
    save(tmp_path / "data.npz", train=np.asfortranarray(images), test=images)
    for split in ("train", "test"):
        assert np.array_equal(datasets.load(tmp_path / "data.npz", split).numpy(), images)


@pytest.mark.slow
def test_making_a_data_set_of_large_images_takes_the_memory_of_a_few(tmp_path):
    count, size = 300, 256
    images = np.zeros((count, size, size, 3), np.uint8)
    images[..., 0] = np.arange(count)[:, None, None] % 256
    write_parquet(tmp_path / "faces.parquet", png_files(images))
    names = {"train": ["faces"], "test": ["more_faces"]}
    settings = {"source": "images", "size": size, "archives": names}
    tracemalloc.start()
    archives = [tmp_path / "faces.parquet"] * 2
    datasets.make(data_section(settings), archives, tmp_path / "faces.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6 < count * 3 * size**2
    train = datasets.load(tmp_path / "faces.npz", "train")
    assert train[:, 0].amin((1, 2)).tolist() == [number % 256 for number in range(count)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "faces.npz",
        "faces.npz.json",
        "faces.parquet",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"classes": None},
        {"test_label": None},
        {"classes": np.zeros(2)},
        {"test_label": np.array([0, 1, 2])},
        {"test_label": np.array([0, 1, -1])},
        {"test_label": np.array([0, 1])},
        {"test_label": np.array([0.0, 1.0, 0.0])},
    ],
)
def test_labels_that_name_no_class_of_each_image_are_refused(tmp_path, change):
    sound = {"test_label": np.array([0, 1, 1]), "classes": np.array(["a", "b"])}
    arrays = {key: value for key, value in (sound | change).items() if value is not None}
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(InputError, match=r"data.npz"):
        datasets.load_labels(tmp_path / "data.npz", "test", 3)


@pytest.mark.parametrize("name", ["demo", "demo_psld", "study", "study_again", "study32"])
def test_embedded_data_have_all_images_that_a_preset_asks_for(tmp_path, name):
    preset = load_preset(ROOT / f"config/{name}.yaml")
    for data, settings in preset.data.items():
        datasets.make(settings, (), tmp_path / f"{data}.npz", images_needed(preset, data))
