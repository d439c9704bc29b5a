"""The region that a person names: its law, or what there is to choose from."""

from meshd.config.regions import law_of, places
from meshd.core.errors import Exit, RequestError, UsageError
from meshd.core.law import Law

_CHOOSE = "add --region NAME, of where it stands:"


def law_named(region: str) -> Law:
    """Return the law of a region. Raises: RequestError that lists the regions and countries."""
    try:
        return law_of(region)
    except UsageError as error:
        said, _, _ = str(error).partition(" (known: ")
        raise RequestError(said, code=Exit.USAGE, remedy=_CHOOSE + _list()) from error


def no_region(text: str, known: str = "") -> RequestError:
    """Return what to say when none is chosen; `known` is that of other radios of the node."""
    if known:
        remedy = f"the other radios of this node are in {known}: --region {known}"
    else:
        remedy = _CHOOSE + _list()
    return RequestError(text, code=Exit.USAGE, remedy=remedy)


def _list() -> str:
    """Return the regions there are, a line each."""
    return "".join(f"\n    {name:<8}{where}" for name, where in places().items())
