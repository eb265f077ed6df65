"""Small print of figures, whose formulas are TeX, as plain text."""

from __future__ import annotations

import re

GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"),
    *("lambda", "mu", "nu", "xi", "omicron", "pi", "rho", "varsigma", "sigma", "tau", "upsilon"),
    *("phi", "chi", "psi"),
)
SIGNS = {rf"\{name}": chr(code) for name, code in zip(GREEK, range(0x3B1, 0x3C9), strict=True)}
"""Signs by their names in TeX."""


def without_tex(text: str) -> str:
    """Small print without the marks of its formulas."""
    for name, sign in SIGNS.items():
        text = text.replace(name, sign)
    return re.sub(r"\\(mathrm|tilde)|[\\${}]", "", text)
