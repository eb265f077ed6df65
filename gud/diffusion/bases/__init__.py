"""Orthogonal data representations U (section 4.1): `Basis`, then one file a variety."""

from gud.diffusion.bases.basis import Basis as Basis
from gud.diffusion.bases.fourier import Fourier as Fourier
from gud.diffusion.bases.pixel import Pixel as Pixel
from gud.diffusion.bases.principal_components import PCA as PCA
from gud.diffusion.bases.principal_components import ColourPCA as ColourPCA
from gud.diffusion.bases.wavelets import Wavelet as Wavelet
