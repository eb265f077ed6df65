"""One self-contained page of a preset: its figures and tables, their origins, and all checks."""
