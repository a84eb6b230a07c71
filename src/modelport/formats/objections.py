"""What stands against loading a scanned file, and what to do about it; the same for pickles and skops files."""

from __future__ import annotations

from collections.abc import Sequence

from modelport.formats import sources
from modelport.formats.scan import Scan
from modelport.formats.summary import attribute
from modelport.formats.symbols import Ref


def unknown(found: Scan) -> list[Ref]:
    """Return the names that are neither listed nor trusted."""
    return [ref for ref in found.refs if ref.kind == "unknown"]


def needs(missing: Sequence[Ref]) -> str:
    """Say which names a file needs."""
    names = ", ".join(ref.dotted for ref in missing[:10])
    more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
    return f"the file needs {names}{more}, which {'is' if len(missing) == 1 else 'are'} not on the list of names known to be safe"


def cures(missing: Sequence[Ref], *, has_stubs: bool = True) -> str:
    """Say how they can be had. ``has_stubs``: whether stubs can be written for a file of this kind."""
    own = [ref.dotted for ref in missing if not sources.is_installed(ref.module)]
    installed = [ref.dotted for ref in missing if sources.is_installed(ref.module)]
    found = []
    if own:
        stub = ", or write a stub to fill in with `modelport inspect FILE --stub DIR`" if has_stubs else ""
        found.append(f"give the file or folder whose source defines {', '.join(own[:5])} with --code PATH{stub}")
    if installed:
        found.append("if you trust where the file comes from, add " + " ".join(f"--trust {name}" for name in installed[:5]))
    return " and ".join(found)


def file_reader(found: Scan) -> str:
    """Say that a vectorizer takes file names instead of texts, "" if none does; served, it would open any file that a request names."""
    for node in found.nodes:
        taken = attribute(node, "input")
        if taken in ("filename", "file") and node.maker.module == "sklearn.feature_extraction.text":
            return f"its {node.maker.name} takes file names (input={taken!r}), which a server must not open; fit it on the texts themselves"
    return ""
