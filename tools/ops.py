"""Writes ops/: the alert rules and the dashboard as files, for whoever has a Prometheus and a Grafana already.

`python tools/ops.py` writes them; with `--check` it writes nothing and ends with 1 when one is not current.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from modelport.deploy.documents import document
from modelport.deploy.monitoring.alerts import rules
from modelport.deploy.monitoring.dashboard import dashboard

FOLDER = Path(__file__).parent.parent / "ops"
FILES = {
    "alerts.yaml": lambda: "# Written by tools/ops.py from modelport.deploy.monitoring.alerts; change it there.\n" + document(rules()),
    "dashboard.json": lambda: json.dumps(dashboard(), indent=1) + "\n",
}


def main() -> int:
    """Write the files, or compare them with what is there."""
    only_check = "--check" in sys.argv[1:]
    FOLDER.mkdir(exist_ok=True)
    stale = [name for name, make in FILES.items() if not (FOLDER / name).is_file() or (FOLDER / name).read_text("utf-8") != make()]
    if only_check and stale:
        print(f"ops/ is not current: {', '.join(stale)}. Run python tools/ops.py and commit what it writes.", file=sys.stderr)
        return 1
    for name in stale:
        (FOLDER / name).write_text(FILES[name](), encoding="utf-8")
    print(f"ops: {len(FILES)} files, {'current' if not stale else 'written: ' + ', '.join(stale)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
