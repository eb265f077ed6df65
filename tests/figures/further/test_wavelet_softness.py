"""The map of the wavelet scan."""

import io

import numpy as np
import pandas as pd
from figure_tables import drawn, texts
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle


def frames(panel):
    patches = [patch for patch in panel.patches if isinstance(patch, Rectangle)]
    return {to_hex(patch.get_edgecolor()): patch.get_xy() for patch in patches}


def test_wavelet_map_colours_and_names_every_point_over_a_and_b(softness):
    panel, _ = drawn("wavelets", softness).axes
    assert "$a$" in panel.get_xlabel() and "$b$" in panel.get_ylabel()
    (mesh,) = panel.collections
    grid = softness.pivot(index="b", columns="a", values="nll_bits_per_dim")
    np.testing.assert_array_equal(np.ravel(mesh.get_array()), grid.to_numpy().ravel())
    assert [text.get_text() for text in panel.texts] == [f"{nll:.3f}" for nll in np.ravel(grid)]
    assert panel.get_ylim() == (0, 5)


def test_wavelet_map_frames_the_lowest_nll_and_no_standard_diffusion_outside_the_scan(softness):
    figure = drawn("wavelets", softness)
    assert frames(figure.axes[0]) == {"#ffffff": (1, 0)}
    print_ = texts(figure)
    assert "$a = 0.5$, $b = 0.3$" in print_ and "standard diffusion" not in print_
    assert "0.0800 ± 0.0123 above it on the same images" in print_


def test_wavelet_map_fills_its_page(softness):
    figure = drawn("wavelets", softness)
    figure.savefig(io.BytesIO())
    assert figure.axes[0].get_position().height > 0.6


def test_wavelet_map_frames_standard_diffusion_inside_the_scan(softness):
    shifted = softness.assign(a=softness.a - 0.3, b=softness.b - 0.3)
    figure = drawn("wavelets", shifted.round(6))
    assert frames(figure.axes[0])["#000000"] == (0, 0)
    assert "Black frame: standard diffusion" in texts(figure)


def test_wavelet_map_of_several_seeds_names_the_mean_and_frames_the_lowest_of_each(softness):
    other = softness.assign(experiment="haar_seed1", seed=1)
    other["nll_bits_per_dim"] = other.nll_bits_per_dim + 0.5 * (other.a - 0.3)
    names = ["haar", "haar_seed1"]
    panel, _ = drawn("wavelets", pd.concat([softness, other]), experiments=names).axes
    (mesh,) = panel.collections
    mean = softness.nll_bits_per_dim + 0.25 * (softness.a - 0.3)
    grid = softness.assign(mean=mean).pivot(index="b", columns="a", values="mean")
    np.testing.assert_allclose(np.ravel(mesh.get_array()), grid.to_numpy().ravel())
    dotted = [patch.get_xy() for patch in panel.patches if patch.get_linestyle() == ":"]
    assert dotted == [(1, 0), (0, 0)]
