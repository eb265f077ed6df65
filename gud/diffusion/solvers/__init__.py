"""Solvers of ordinary differential equations: Runge-Kutta, and Adams with a clock a component."""

from gud.diffusion.solvers.adams import adams as adams
from gud.diffusion.solvers.clocks import AngleClock as AngleClock
from gud.diffusion.solvers.runge_kutta import odeint as odeint
from gud.diffusion.solvers.runge_kutta import odeint_along as odeint_along
