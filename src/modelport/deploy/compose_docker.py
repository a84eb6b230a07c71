"""``docker compose`` as a process: argument lists, the file on its standard input, its refusals in a sentence."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from modelport.errors import TargetRefused, UsageError

PROGRAM = ("docker", "compose")
_WORDS_CHARACTERS = 600


def up(text: str, *, is_waiting: bool, is_plan: bool = False, program: Sequence[str] = PROGRAM) -> None:
    """Start what a file says, or say what would be done. Raises: UsageError without docker, TargetRefused with its words."""
    flags = [*(["--dry-run"] if is_plan else []), "--file=-"]
    _run([*program, *flags, "up", "--detach", "--remove-orphans", *(["--wait"] if is_waiting else [])], text)


def status(name: str, *, is_json: bool, program: Sequence[str] = PROGRAM) -> None:
    """Print how the containers of a service are. Raises: UsageError, TargetRefused."""
    _run([*program, f"--project-name={name}", "ps", "--all", f"--format={'json' if is_json else 'table'}"])


def logs(name: str, *, count: int, is_following: bool, program: Sequence[str] = PROGRAM) -> None:
    """Print the model's last lines. Raises: UsageError, TargetRefused."""
    follow = ["--follow"] if is_following else []
    _run([*program, f"--project-name={name}", "logs", f"--tail={count}", *follow, "model"])


def down(name: str, *, with_data: bool, program: Sequence[str] = PROGRAM) -> None:
    """Take the containers away, and what Prometheus and Grafana kept if that is said. Raises: UsageError, TargetRefused."""
    _run([*program, f"--project-name={name}", "down", "--remove-orphans", *(["--volumes"] if with_data else [])])


def _run(line: Sequence[str], text: str | None = None) -> None:
    try:
        done = subprocess.run(line, input=text, stderr=subprocess.PIPE, encoding="utf-8", errors="replace", check=False)
    except FileNotFoundError:
        raise UsageError(
            f"{line[0]} is not installed here; install it with its Compose plug-in, or write the file with --emit DIR and use it elsewhere"
        ) from None
    except KeyboardInterrupt:  # the end of logs that are followed
        return
    if done.returncode:
        said = " ".join(done.stderr.split())[-_WORDS_CHARACTERS:]
        raise TargetRefused(f"docker compose: {said or 'it failed without a word'}; {_cure(said)}")


def _cure(said: str) -> str:
    if "GRAFANA_PASSWORD" in said:
        return "set that variable, or leave Prometheus and Grafana out with --no-monitoring"
    if "unknown command" in said or "unknown flag" in said or "is not a docker command" in said:
        return "install the Compose plug-in, 2.23.1 or newer"
    if "daemon" in said:
        return "start the Docker daemon, or name another with DOCKER_HOST"
    if "port is already allocated" in said or "address already in use" in said:
        return "choose other ports with --port, --prometheus-port and --grafana-port"
    return "see what it says, and the log: modelport logs compose NAME"
