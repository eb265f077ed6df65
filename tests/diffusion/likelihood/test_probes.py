import pytest
import torch

from gud.diffusion.likelihood import basis_probes, orthogonal_probes

CHANNELS, COMPONENTS, SETS = 3, 8, 400


def traces(matrix, probes):
    return torch.einsum("pi,ij,pj->p", probes.flatten(1), matrix, probes.flatten(1))


@pytest.fixture
def signs():
    generator = torch.Generator().manual_seed(0)
    shape = (SETS, 1, 1, CHANNELS, COMPONENTS)
    return 2.0 * torch.randint(2, shape, generator=generator).double() - 1


def test_four_orthogonal_probes_are_exact_where_only_unlike_columns_couple(signs):
    channel, component = torch.arange(CHANNELS), torch.arange(COMPONENTS)
    column = ((channel[:, None] + component) % 4).flatten()
    matrix = torch.arange(24.0**2).view(24, 24).double()
    coupled = matrix * ((column[:, None] != column) | torch.eye(24, dtype=torch.bool))
    of_sets = traces(coupled, orthogonal_probes(signs)).unflatten(0, (-1, 4)).mean(1)
    torch.testing.assert_close(of_sets, coupled.trace().expand(SETS))
    assert traces(coupled, signs).std() > 1


def test_orthogonal_probes_are_signs_and_unbiased(signs):
    matrix = torch.randn(24, 24, generator=torch.Generator().manual_seed(1)).double()
    probes = orthogonal_probes(signs)
    assert torch.equal(probes.abs(), torch.ones_like(probes))
    assert torch.equal(probes[::4], signs)
    of_sets = traces(matrix, probes).unflatten(0, (-1, 4)).mean(1)
    exact = traces(matrix, basis_probes(signs[0])).mean()
    torch.testing.assert_close(exact, matrix.trace())
    assert abs(of_sets.mean() - exact) < 4 * of_sets.std() / SETS**0.5
    rows = probes.flatten(1).unflatten(0, (-1, 4))
    torch.testing.assert_close(rows @ rows.mT, 24 * torch.eye(4).double().expand(SETS, 4, 4))
