"""What the AWS target can be told besides what every target is told, checked before anything of AWS is asked.

What is checked against a grammar here can stand in a template; everything else goes into the stack as the value of a parameter.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from modelport.deploy.base import PORT, Service
from modelport.errors import UsageError

Strategy: TypeAlias = Literal["rolling", "blue-green"]

STOP_LIMIT_S = 120
"""The longest that Fargate waits between SIGTERM and SIGKILL."""
BEYOND_DRAIN_S = 10
IDLE_S = 60
"""When the load balancer closes an idle connection. The server keeps one for 75 s: were it shorter, requests would meet a closed one."""

# Days that CloudWatch Logs can keep lines (its API reference, PutRetentionPolicy).
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)

_PARTITION = r"aws(?:-[a-z]+)*"
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d{1,2}")
_VPC = re.compile(r"vpc-[0-9a-f]{8,17}")
_SUBNET = re.compile(r"subnet-[0-9a-f]{8,17}")
_CERTIFICATE = re.compile(
    rf"arn:{_PARTITION}:(?:acm:[a-z0-9-]+:\d{{12}}:certificate/[A-Za-z0-9-]+|iam::\d{{12}}:server-certificate/[A-Za-z0-9/+=,.@_-]+)"
)
_SECRETS_MANAGER = re.compile(
    rf"(arn:{_PARTITION}:secretsmanager:[a-z0-9-]+:\d{{12}}:secret:[A-Za-z0-9/_+=.@-]+)((?::[A-Za-z0-9/_+=.@-]*){{0,3}})"
)
_PARAMETER_STORE = re.compile(rf"arn:{_PARTITION}:ssm:[a-z0-9-]+:\d{{12}}:parameter/[A-Za-z0-9/_.-]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What AWS lets a tag hold, without letters beyond ASCII, which not all of its services take.
_TAG = re.compile(r"[A-Za-z0-9 _.:/=+@-]+")
# XML 1.0 has no such characters, and CloudFormation answers in XML.
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_MOST_VARIABLES, _VALUE_BYTES, _MOST_TAGS = 100, 4096, 40
_OURS = {"MODELPORT_PORT": str(PORT), "MODELPORT_HOST": "0.0.0.0"}  # noqa: S104  # in a container


@dataclass(frozen=True, slots=True)
class Network:
    """Where the service stands. ``tasks``: subnets of the replicas; ``is_public``: they get a public address to fetch the image with."""

    vpc: str = ""
    balancer: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    is_public: bool = True
    is_internal: bool = False


@dataclass(frozen=True, slots=True)
class Options:
    """What AWS is asked for.

    ``certificate``: ARN; "" for plain HTTP. ``secrets``: variable to the ARN of its value. ``pull_secret``: ARN of a registry's login.
    ``grace_s``: how long a replica may fail its first health checks; None: by its size. ``bake_minutes``: how long blue/green keeps
    the old replicas after the switch.
    """

    network: Network = Network()
    allowed_from: str = "0.0.0.0/0"
    certificate: str = ""
    strategy: Strategy = "rolling"
    bake_minutes: int = 5
    is_spot: bool = False
    is_arm: bool = False
    is_watched: bool = False
    secrets: Mapping[str, str] = field(default_factory=dict)
    pull_secret: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    requests_per_replica: int = 1000
    log_days: int = 30
    grace_s: int | None = None

    def __post_init__(self) -> None:
        _check_network(self.network)
        _check_range("--requests-per-replica", self.requests_per_replica, 1, 10_000_000)
        _check_range("--bake", self.bake_minutes, 0, 1440)
        _check_range("--grace", self.grace_s or 0, 0, 3600)
        if self.log_days not in LOG_DAYS:
            raise UsageError(f"--log-days must be one of {', '.join(map(str, LOG_DAYS))}, found {self.log_days}")
        if self.certificate and not _CERTIFICATE.fullmatch(self.certificate):
            raise UsageError(
                "--certificate must be the ARN of a certificate, such as arn:aws:acm:REGION:ACCOUNT:certificate/ID, "
                f'found "{self.certificate[:80]}"'
            )
        _check_source(self.allowed_from)
        for name, arn in self.secrets.items():
            _check_secret(name, arn)
        if self.pull_secret and not _SECRETS_MANAGER.fullmatch(self.pull_secret):
            raise UsageError(f'--pull-secret must be the ARN of a secret in Secrets Manager, found "{self.pull_secret[:80]}"')
        _check_tags(self.tags)


def secret_arn(source: str) -> str:
    """Return the ARN that a role has to be let at: a secret's without the key and version that may follow it."""
    found = _SECRETS_MANAGER.fullmatch(source)
    return found.group(1) if found else source


def is_in_secrets_manager(source: str) -> bool:
    """Whether an ARN is of Secrets Manager; else it is of Parameter Store."""
    return _SECRETS_MANAGER.fullmatch(source) is not None


def check_region(region: str) -> str:
    """Return the region. Raises: UsageError if it is no region's name."""
    if not _REGION.fullmatch(region):
        raise UsageError(f'--region must be the name of a region such as eu-central-1, found "{region[:60]}"')
    return region


def check_service(service: Service, options: Options) -> None:
    """Check what only this target cannot do. Raises: UsageError."""
    if service.scale.minimum < 1:
        raise UsageError("nothing on ECS starts a service again that has no replica, found --min 0; give --min 1 or more")
    _check_range("--drain", service.drain_s, 0, STOP_LIMIT_S - BEYOND_DRAIN_S)
    if len(service.environment) + len(options.secrets) > _MOST_VARIABLES:
        raise UsageError(f"a service takes at most {_MOST_VARIABLES} variables here, found {len(service.environment)} of --set; give fewer")
    for name, value in service.environment.items():
        _check_variable(name, value)
        if name in options.secrets:
            raise UsageError(f"{name} is given by --set and as a secret; give it once")


def _check_variable(name: str, value: str) -> None:
    if name in _OURS and value != _OURS[name]:
        raise UsageError(f"{name} is {_OURS[name]} in a container, which the load balancer relies on; leave it out of --set")
    if "{{resolve:" in value.lower():
        raise UsageError(
            f'the value of {name} holds "{{{{resolve:", which CloudFormation would replace by a secret; '
            f"give the ARN with --secret {name}=ARN instead"
        )
    if _NO_XML.search(value):
        raise UsageError(f"the value of {name} holds a character that CloudFormation takes in no text; correct --set")
    if len(value.encode()) > _VALUE_BYTES:
        raise UsageError(
            f"the value of {name} has {len(value.encode())} bytes, of which CloudFormation takes {_VALUE_BYTES}; shorten --set"
        )


def _check_network(network: Network) -> None:
    if network.vpc and not _VPC.fullmatch(network.vpc):
        raise UsageError(f'--vpc must be the id of a VPC such as vpc-0123456789abcdef0, found "{network.vpc[:60]}"')
    for flag, subnets in (("--subnet", network.balancer), ("--task-subnet", network.tasks)):
        for subnet in subnets:
            if not _SUBNET.fullmatch(subnet):
                raise UsageError(f'{flag} must be the id of a subnet such as subnet-0123456789abcdef0, found "{subnet[:60]}"')


def _check_source(source: str) -> None:
    try:
        ipaddress.IPv4Network(source)
    except ValueError as error:
        raise UsageError(f'--from must be a range of IPv4 addresses such as 203.0.113.0/24, found "{source[:60]}" ({error})') from None


def _check_secret(name: str, arn: str) -> None:
    if not _VARIABLE.fullmatch(name) or name in _OURS:
        raise UsageError(f'a secret becomes a variable named by letters, digits and _, found "{name[:60]}"; correct --secret NAME=ARN')
    if not is_in_secrets_manager(arn) and not _PARAMETER_STORE.fullmatch(arn):
        raise UsageError(f'a secret is given by its ARN in Secrets Manager or Parameter Store, found "{arn[:80]}" for {name}')


def _check_tags(tags: Mapping[str, str]) -> None:
    if len(tags) > _MOST_TAGS:
        raise UsageError(f"AWS takes at most {_MOST_TAGS} tags of yours, found {len(tags)}; give fewer of --tag")
    for key, value in tags.items():
        is_fit = _TAG.fullmatch(key) and len(key) <= 128 and (not value or _TAG.fullmatch(value)) and len(value) <= 256
        if not is_fit or key.lower().startswith(("aws:", "modelport:")):
            raise UsageError(
                f"--tag {key[:40]}={value[:40]} is none that AWS takes: letters, digits, spaces and _.:/=+-@, "
                'not beginning with "aws:" or "modelport:"'
            )


def _check_range(flag: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise UsageError(f"{flag} must be from {least} to {most}, found {value}")
