"""The entry of a sandboxed process that converts: lock in first, import everything else afterwards.

Started as ``python -P -m modelport.convert.confined POLICY FD``; POLICY is ``sandbox.Policy`` as JSON.
"""

from __future__ import annotations

import os
import sys

from modelport.engine.kernel import die_with_parent
from modelport.engine.sandbox import Policy, enter


def main() -> None:
    """Enter the sandbox and convert."""
    die_with_parent()  # first: the sandbox lets nobody undo it, and so nobody do it
    policy = Policy.from_json(sys.argv[1])
    level = enter(policy)
    if policy.folder:
        os.chdir(policy.folder)
    from modelport.convert import worker  # numpy's threads start with its import, and have to be inside

    worker.main(int(sys.argv[2]), level)


if __name__ == "__main__":
    main()
