"""``docker compose`` as a process: argument lists, the file on its standard input, each step as it is done, refusals in a sentence."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias, cast

from modelport.errors import TargetRefused, UsageError

PROGRAM = ("docker", "compose")
Say: TypeAlias = Callable[[str], None]

_WORDS_CHARACTERS = 600
_LAST_LINES = "10"
_KILLED = 137
_ENDED = re.compile(r"[A-Za-z]+ \((\d+)\)")
# What Compose and Docker are known to say, and what to do then. The first that fits counts.
_CURES = (
    ("GRAFANA_PASSWORD", "set that variable, or leave Prometheus and Grafana out with --no-monitoring"),
    ("unknown command|unknown flag|is not a docker command", "install the Compose plug-in, 2.23.1 or newer"),
    ("port is already allocated|address already in use", "choose other ports with --port, --prometheus-port and --grafana-port"),
    ("failed to connect to the docker API|connect to the Docker daemon", "start the Docker daemon, or name another with DOCKER_HOST"),
    ("/v2/|manifest unknown|pull access denied|not found: manifest",
     "see that the image is there, that its registry is reached from here, and that docker login was done"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a service. ``state``: in Docker's words; ``health``: "" where it is not looked after; ``ports``: published ones."""

    service: str
    state: str
    health: str
    exit_code: int
    image: str
    ports: tuple[str, ...]

    @property
    def is_well(self) -> bool:
        """Whether it runs, and answers where that is looked after."""
        return self.state == "running" and self.health in ("", "healthy")

    @property
    def said(self) -> str:
        """How it is, in words."""
        if self.state == "running":
            return self.health or self.state
        if self.state == "created":
            return "not started"
        cause = "killed, most likely for want of memory: give it more with --memory" if self.exit_code == _KILLED else ""
        return f"{self.state}, exit code {self.exit_code}" + (f" ({cause})" if cause else "")


@dataclass(frozen=True, slots=True)
class State:
    """A service on this machine."""

    name: str
    containers: tuple[Container, ...]

    @property
    def is_well(self) -> bool:
        """Whether everything of it runs, the model above all."""
        return any(each.service == "model" for each in self.containers) and all(each.is_well for each in self.containers)

    def as_data(self) -> dict[str, object]:
        """Return it for ``--json``."""
        return asdict(self) | {"is_well": self.is_well}


def up(text: str, name: str, say: Say, *, is_waiting: bool, program: Sequence[str] = PROGRAM) -> None:
    """Start what a file says; ``say`` is told of each step. Raises: UsageError without docker, TargetRefused with its words and the log."""
    waiting = ["--wait"] if is_waiting else []
    code, words = _followed([*program, "--file=-", "up", "--detach", "--remove-orphans", *waiting], say, text)
    if code:
        raise _refused(words, f"modelport logs compose {name}", _ends(name, program))


def plan(text: str, name: str, say: Say, *, program: Sequence[str] = PROGRAM) -> None:
    """Say what starting a file would do. Raises: UsageError, TargetRefused."""
    code, words = _followed([*program, "--dry-run", "--file=-", "up", "--detach", "--remove-orphans"], say, text)
    if code:
        raise _refused(words, f"modelport status compose {name}")


def state(name: str, *, program: Sequence[str] = PROGRAM) -> State:
    """Return how a service is. Raises: UsageError; TargetRefused if there is none of that name."""
    found = _containers(name, program)
    if not found:
        raise _absent(name)
    return State(name, found)


def lines(found: State) -> list[str]:
    """Return a state as lines for people."""
    well = sum(each.is_well for each in found.containers)
    rows = [
        f"  {each.service:<10}  {each.said}  {each.image}" + (f"  {', '.join(each.ports)}" if each.ports else "")
        for each in found.containers
    ]
    return [f"{found.name}: {well} of {len(found.containers)} containers are well", *rows]


def logs(name: str, *, count: int, is_following: bool, program: Sequence[str] = PROGRAM) -> None:
    """Print the model's last lines. Raises: UsageError, TargetRefused."""
    if not _containers(name, program):
        raise _absent(name)
    follow = ["--follow"] if is_following else []
    line = [*program, f"--project-name={name}", "logs", f"--tail={count}", *follow, "model"]
    try:
        done = subprocess.run(line, stderr=subprocess.PIPE, encoding="utf-8", errors="replace", check=False)
    except KeyboardInterrupt:  # the end of logs that are followed
        return
    if done.returncode:
        raise _refused(done.stderr.splitlines(), f"modelport status compose {name}")


def down(name: str, say: Say, *, with_data: bool, program: Sequence[str] = PROGRAM) -> None:
    """Take the containers away, and what Prometheus and Grafana kept if that is said. Raises: UsageError; TargetRefused."""
    volumes = ["--volumes"] if with_data else []
    code, words = _followed([*program, f"--project-name={name}", "down", "--remove-orphans", *volumes], say)
    if code:
        raise _refused(words, f"modelport status compose {name}")
    if any("No resource found" in each for each in words):
        raise _absent(name)


def _containers(name: str, program: Sequence[str]) -> tuple[Container, ...]:
    line = [*program, f"--project-name={name}", "ps", "--all", "--format=json"]
    try:
        done = subprocess.run(line, capture_output=True, encoding="utf-8", errors="replace", check=False)
    except FileNotFoundError:
        raise _missing(line[0]) from None
    if done.returncode:
        raise _refused(done.stderr.splitlines(), "whether Docker runs: docker info")
    # A document a line; before Compose 2.21, all of them as one list.
    documents = [json.loads(each) for each in done.stdout.splitlines() if each.strip()]
    found = [one for each in documents for one in (each if isinstance(each, list) else [each])]
    return tuple(sorted((_container(each) for each in found), key=lambda each: each.service))


def _container(facts: dict[str, object]) -> Container:
    published = cast("list[dict[str, object]]", facts.get("Publishers") or [])
    ports = tuple(f"{each.get('URL')}:{each.get('PublishedPort')}" for each in published if each.get("PublishedPort"))
    service, state, health, image, status = (str(facts.get(key) or "") for key in ("Service", "State", "Health", "Image", "Status"))
    ended = _ENDED.match(status)  # such as Restarting (137) 2 seconds ago; ExitCode is 0 while it is being started again
    code = ended[1] if ended else facts.get("ExitCode")
    return Container(service, state, health, int(code) if isinstance(code, int | str) else 0, image, ports)


def _ends(name: str, program: Sequence[str]) -> str:
    """Return what is wrong after a start that failed, with the model's last words; "" where nothing was started."""
    bad = [each for each in _containers(name, program) if not each.is_well]
    said = [f"{each.service}: {each.said}" for each in bad]
    if any(each.service == "model" for each in bad):
        line = [*program, f"--project-name={name}", "logs", "--no-log-prefix", f"--tail={_LAST_LINES}", "model"]
        done = subprocess.run(line, capture_output=True, encoding="utf-8", errors="replace", check=False)
        said += [f"    {each}" for each in done.stdout.splitlines()]
    return "\n".join(said)


def _followed(line: Sequence[str], say: Say, text: str = "") -> tuple[int, list[str]]:
    """Run it and tell each of its steps; return how it ended, and what it said beside them. Steps begin with a space."""
    words: list[str] = []
    told = ""
    try:
        process = subprocess.Popen(line, stdin=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise _missing(line[0]) from None
    with process:
        assert process.stdin is not None  # noqa: S101  # for the type checker
        assert process.stderr is not None  # noqa: S101  # likewise
        try:
            process.stdin.write(text)
            process.stdin.close()
        except BrokenPipeError:  # it ends before it has read all; it says why
            pass
        for said in process.stderr:
            is_step = said.startswith(" ")
            if is_step and said != told:  # without a terminal, Compose says some twice
                say(said.strip())
            elif not is_step:
                words.append(said.strip())
            told = said
    return process.returncode, words


def _refused(words: Sequence[str], otherwise: str, more: str = "") -> TargetRefused:
    said = " ".join(" ".join(words).split())[-_WORDS_CHARACTERS:]
    return TargetRefused(f"docker compose: {said or 'it failed without a word'}; {_cure(said, otherwise)}" + (f"\n{more}" if more else ""))


def _missing(program: str) -> UsageError:
    return UsageError(
        f"{program} is not installed here; install it with its Compose plug-in, or write the file with --emit DIR and use it elsewhere"
    )


def _absent(name: str) -> TargetRefused:
    return TargetRefused(f"there is no service {name} on this machine; deploy it: modelport deploy compose FILE")


def _cure(said: str, otherwise: str) -> str:
    for pattern, cure in _CURES:
        if re.search(pattern, said):
            return cure
    return f"see {otherwise}"
