"""Component-wise noising schedules: the abstract `Schedule`, then one file a variety."""

from collections.abc import Callable

from gud.diffusion.schedules.constant_rate import ConstantRate as ConstantRate
from gud.diffusion.schedules.constant_rate import constant_rate as constant_rate
from gud.diffusion.schedules.ends import SIGMA_MIN as SIGMA_MIN
from gud.diffusion.schedules.ends import gamma_noise_default as gamma_noise_default
from gud.diffusion.schedules.free import Free as Free
from gud.diffusion.schedules.free import Region as Region
from gud.diffusion.schedules.free import free as free
from gud.diffusion.schedules.free import region as region
from gud.diffusion.schedules.schedule import Line as Line
from gud.diffusion.schedules.schedule import PiecewiseLinear as PiecewiseLinear
from gud.diffusion.schedules.schedule import Reparametrised as Reparametrised
from gud.diffusion.schedules.schedule import Schedule as Schedule
from gud.diffusion.schedules.sequential import Sequential as Sequential
from gud.diffusion.schedules.sequential import column_schedule as column_schedule
from gud.diffusion.schedules.sequential import columns as columns
from gud.diffusion.schedules.sequential import wavelet_columns as wavelet_columns
from gud.diffusion.schedules.sequential import wavelet_schedule as wavelet_schedule
from gud.diffusion.schedules.soft_conditioning import SoftConditioning as SoftConditioning
from gud.diffusion.schedules.soft_conditioning import ordering_by_frequency as ordering_by_frequency
from gud.diffusion.schedules.soft_conditioning import soft_conditioning as soft_conditioning

FAMILIES: dict[str, Callable[..., Schedule]] = {
    "soft_conditioning": soft_conditioning,
    "columns": columns,
    "wavelet_columns": wavelet_columns,
    "constant_rate": constant_rate,
    "free": free,
}
"""The schedule of a representation at the parameters of a family, by the name in presets."""
