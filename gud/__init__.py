"""GUD: Generation with Unified Diffusion (arXiv 2410.02667)."""
