"""Figure 1: both paths in the plane of two components, in the region of the family."""

import numpy as np
import pandas as pd
import pytest
import torch
from figure_tables import drawn, texts
from gaussian import image_covariance, representation, soft_conditioning
from matplotlib.path import Path

from gud.diffusion.schedules import region
from gud.errors import InputError
from gud.figures.paper.figure1 import Paths

SETTINGS = {"experiments": ["free", "scan"]}
COMPONENTS = representation("fourier", image_covariance(1, seed=0), whitened=False)
ORDER = COMPONENTS.log_data_variance.argsort(descending=True)[[0, -1]]
REGION = region(COMPONENTS, 3, (0.4, 1.6), -7.0, "auto")
SLOPES = torch.tensor([[1.0, 1.2, 0.8], [0.5, 0.9, 1.5], [1.6, 0.4, 1.0], [1.1, 1.1, 1.1]]).double()


def table(**changes):
    row = {"experiment": "free", "s": 1.0, "nll_bits_per_dim": 4.0, "images": 32}
    row |= {"nll_minus_standard": -0.0123, "nll_minus_standard_stderr": 0.0045}
    row |= {"bound_minus_reference": 0.0067, "bound_minus_reference_stderr": 0.0089}
    return pd.DataFrame([row | changes])


def figure(found=SLOPES, **changes):
    levels = REGION.levels(found)
    standard = REGION.standard(len(found))
    variances = COMPONENTS.log_variance[ORDER]
    return drawn(
        "figure1", Paths(variances, REGION, standard, levels, table(**changes)), **SETTINGS
    )


def test_standard_diffusion_is_the_diagonal_from_end_to_end():
    left, _ = figure().axes
    standard = next(line for line in left.lines if line.get_label() == "standard diffusion")
    x, y = standard.get_data()
    np.testing.assert_allclose(x, y, atol=1e-9)
    t = torch.tensor([0.0, 1.0], dtype=torch.float64)
    ends = soft_conditioning(COMPONENTS, 1.0).gamma(t)[:, ORDER[0]]
    np.testing.assert_allclose(np.array(x)[[0, -1]], ends)


def test_the_shaded_region_is_what_the_family_passes_through_and_holds_the_path():
    left, right = figure().axes
    (patch,) = left.patches
    outline = Path(patch.get_xy())
    t = torch.linspace(0, 1, 21, dtype=torch.float64)
    for a in (0.4, 0.7, 1.3, 1.6):
        family = soft_conditioning(COMPONENTS, a).gamma(t)[:, ORDER].numpy()
        assert (
            outline.contains_points(family, radius=1e-6).all()
            or outline.contains_points(family, radius=-1e-6).all()
        )
    found = np.transpose(left.lines[1].get_data())
    assert (
        outline.contains_points(found, radius=1e-6).all()
        or outline.contains_points(found, radius=-1e-6).all()
    )
    edges = {t for patch in right.patches for t in np.round(patch.get_bbox().extents[[1, 3]], 9)}
    assert edges == {0.4, 1.6}


def test_the_right_panel_has_the_slopes_of_each_group():
    slow = 1 + (SLOPES - 1) / 50
    _, right = figure(slow).axes
    groups = [line for line in right.lines if str(line.get_label()).startswith("group")]
    np.testing.assert_allclose([line.get_ydata() for line in groups], slow.T, atol=1e-9)


def test_the_small_print_tells_what_the_path_is_worth_on_unseen_images():
    said = texts(figure())
    assert "on 32 test images that the search never saw" in said
    assert "NLL, from standard diffusion -0.0123 ± 0.0045" in said
    assert "variational bound, likewise +0.0067 ± 0.0089" in said
    assert "best point of scan" not in said


@pytest.mark.parametrize("changes", [{"experiment": "other"}, {"s": 0.5}])
def test_a_table_without_the_path_is_refused(changes):
    with pytest.raises(InputError, match="holds no point s = 1 of free"):
        figure(**changes)
