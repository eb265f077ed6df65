"""A process of each kind, and one of the second paper as a preset writes it."""

from gud.diffusion.processes import (
    CriticallyDampedLangevin,
    OrnsteinUhlenbeck,
    PhaseSpaceLangevin,
    ThirdOrderLangevin,
)

PSLD = PhaseSpaceLangevin(0.25, 4.25, 0.04, clock="snr")
PROCESSES = {
    "ou": OrnsteinUhlenbeck(),
    "psld": PSLD,
    "cld": CriticallyDampedLangevin(4.0, 0.04, clock="snr"),
    "third order": ThirdOrderLangevin(0.04, clock="snr"),
}
PSLD_SECTION = {
    "name": "psld",
    "Gamma": 0.25,
    "nu": 4.25,
    "kappa": 0.04,
    "clock": "snr",
    "matching": "hybrid",
}
