"""Linear diffusion processes: the abstract `Process`, the recipe, then one file a variety."""

from gud.diffusion.processes.matrices import Draws as Draws
from gud.diffusion.processes.matrices import Matrix as Matrix
from gud.diffusion.processes.matrices import Reduced as Reduced
from gud.diffusion.processes.matrices import State as State
from gud.diffusion.processes.matrices import apply as apply
from gud.diffusion.processes.moments import moments as moments
from gud.diffusion.processes.ornstein_uhlenbeck import OrnsteinUhlenbeck as OrnsteinUhlenbeck
from gud.diffusion.processes.phase_space import CriticallyDampedLangevin as CriticallyDampedLangevin
from gud.diffusion.processes.phase_space import PhaseSpaceLangevin as PhaseSpaceLangevin
from gud.diffusion.processes.phase_space import ThirdOrderLangevin as ThirdOrderLangevin
from gud.diffusion.processes.process import Process as Process
from gud.diffusion.processes.process import per_component as per_component
from gud.diffusion.processes.process import per_variable as per_variable
from gud.diffusion.processes.recipe import Recipe as Recipe

PROCESSES: dict[str, type[Process]] = {
    "ou": OrnsteinUhlenbeck,
    "psld": PhaseSpaceLangevin,
    "cld": CriticallyDampedLangevin,
    "third_order": ThirdOrderLangevin,
    "recipe": Recipe,
}

PROJECTED: Process = OrnsteinUhlenbeck()
"""What `Process.project` leaves of every process."""
