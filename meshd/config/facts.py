"""Find the files of `hardware/` that code reads, wherever meshd runs from.

Enters: a path below `hardware/`. Leaves: its text, and its name for messages. In a wheel the folder
lies inside the package, in a checkout or an editable install beside it.
"""

from importlib import resources
from pathlib import Path

from meshd.core.errors import ConfigError

_REMEDY = "install meshd again; this file comes with it"


def read_fact(name: str) -> tuple[str, str]:
    """Return the text of `hardware/NAME` and what messages call it.

    Raises: ConfigError when this meshd came without it.
    """
    package = resources.files("meshd")
    for folder in (package / "hardware", Path(str(package)).parent / "hardware"):
        file = folder.joinpath(*name.split("/"))
        if file.is_file():
            return file.read_text("utf-8"), f"hardware/{name}"
    raise ConfigError(f"hardware/{name}: not found beside meshd or inside it", remedy=_REMEDY)
