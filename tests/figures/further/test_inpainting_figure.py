import numpy as np
import pytest
import yaml
from figure_tables import drawn, section, texts
from presets import ROOT

from gud.errors import InputError
from gud.figures.drawing.images import picture
from gud.figures.further.inpainting import HIDDEN, distances

SETTINGS = yaml.safe_load((ROOT / "config/demo_psld.yaml").read_text())["figures"]["inpainting"]
SIZE = 8


def arrays():
    """Two flat images of 10 and 50, completed by 13 and 7, and by 51 and 49."""
    known = np.ones((SIZE, SIZE), np.uint8)
    known[:, SIZE // 2 :] = 0
    original = np.stack([np.full((3, SIZE, SIZE), level, np.uint8) for level in (10, 50)])
    completions = np.stack([original, original], 1)
    for image, levels in enumerate(((13, 7), (51, 49))):
        for key, level in enumerate(levels):
            completions[image, key, :, :, SIZE // 2 :] = level
    index = np.array([5, 7])
    return {"original": original, "completions": completions, "known": known, "index": index}


def test_distances_are_those_of_what_was_completed_alone():
    np.testing.assert_allclose(distances(arrays()), [3, 1])
    np.testing.assert_allclose(distances(arrays(), 1), np.sqrt([(37**2 + 43**2) / 2, 40**2 + 1]))


def test_a_row_is_an_image_what_is_given_of_it_and_completions():
    source = arrays()
    figure = drawn("inpainting", source, **SETTINGS)
    axes = np.array(figure.axes).reshape(2, 4)
    for row, original, found in zip(axes, source["original"], source["completions"], strict=True):
        shown = [axis.images[0].get_array() for axis in row]
        np.testing.assert_array_equal(shown[0], picture(original))
        assert (shown[1][:, : SIZE // 2] == original[0, 0, 0] / 255).all()
        assert (shown[1][:, SIZE // 2 :] == HIDDEN / 255).all()
        np.testing.assert_array_equal(shown[2], picture(found[0]))
    assert "lies 2.0 grey levels" in texts(figure) and "2 test images" in texts(figure)


def test_another_file_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", **arrays() | {"known": np.ones((SIZE, 3), np.uint8)})
    with pytest.raises(InputError, match="known of .* shape"):
        section("inpainting", **SETTINGS).read([tmp_path / "a.npz"])
