"""Which sources matter to an artefact."""

import pytest

from gud.audit.staleness import matters


@pytest.mark.parametrize(
    ("source", "artefact", "expected"),
    [
        ("figures/paper/figure3.py", "figure3.pdf", True),
        ("figures/paper/figure3.py", "figure5.pdf", False),
        ("figures/paper/figure3.py", "a=1.5_r=0.npz", False),
        ("figures/paper/figure3.py", "figure3.csv", False),
        ("figures/further/sde_and_ode.py", "samplers.png", True),
        ("figures/further/sde_and_ode.py", "processes.png", False),
        ("figures/drawing/style.py", "figure3.png", True),
        ("figures/drawing/sections.py", "model.safetensors", False),
        ("figures/pictures/spectrum.py", "natural16.pca-mirrored.csv", True),
        ("networks/ncsnpp.py", "a=1.5_r=0.npz", True),
        ("config/preset.py", "a=1.5_r=0.npz", False),
        ("cli.py", "figure3.pdf", False),
    ],
)
def test_a_source_matters_to_what_it_computes_or_draws_alone(source, artefact, expected):
    assert matters(source, artefact) == expected
