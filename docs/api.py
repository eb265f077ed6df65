"""Build the API reference from the docstrings: python docs/api.py FOLDER."""

import pkgutil
import sys
import warnings
from pathlib import Path

import pdoc

import gud


def modules() -> list[str]:
    """The package and its rooms, which pdoc walks through; `gud.__main__` would run the command."""
    rooms = [room.name for room in pkgutil.iter_modules(gud.__path__, "gud.")]
    return ["gud", *(name for name in rooms if name != "gud.__main__")]


if __name__ == "__main__":
    warnings.filterwarnings("error", module="pdoc")
    # pdoc sees what a module holds, not what it would import on first use.
    vars(gud).update({name: getattr(gud, name) for name in gud.__all__})
    pdoc.render.configure(docformat="google", footer_text="gud-replication")
    pdoc.pdoc(*modules(), output_directory=Path(sys.argv[1]))
