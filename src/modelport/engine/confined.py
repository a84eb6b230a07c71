"""The entry of a sandboxed worker: lock in first, import everything else afterwards.

Started as ``python -m modelport.engine.confined POLICY FD``; POLICY is ``sandbox.Policy`` as JSON.
"""

from __future__ import annotations

import sys

from modelport.engine.kernel import die_with_parent
from modelport.engine.sandbox import Policy, enter


def main() -> None:
    """Enter the sandbox and become a worker."""
    die_with_parent()  # first: the sandbox lets nobody undo it, and so nobody do it
    level = enter(Policy.from_json(sys.argv[1]))
    from modelport.engine import worker  # numpy's threads start with its import, and have to be inside

    worker.main(int(sys.argv[2]), level)


if __name__ == "__main__":
    main()
