"""The parameters of the stack: everything that differs between two services, so that no value of a user's is part of the template."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from modelport.deploy.base import Service
from modelport.deploy.ecs.fargate import fit
from modelport.deploy.ecs.options import Options, check_service, secret_arn

# As ECR names a repository's host: account, region, and the suffix of the partition.
_ECR = re.compile(
    r"(\d{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.(?:on\.aws|amazonaws\.com(?:\.cn)?)/([a-z0-9][a-z0-9._/-]*?)(?::[A-Za-z0-9_][A-Za-z0-9._-]*)?(?:@sha256:[0-9a-f]{64})?"
)
_NOT_IN_TAG = re.compile(r"[^A-Za-z0-9 _.:/=+@-]")
_GRACE_S, _GRACE_EACH_GIB_S, _GRACE_MOST_S = 60, 30, 3600

_KINDS = {
    "VpcId": "AWS::EC2::VPC::Id",
    "BalancerSubnets": "List<AWS::EC2::Subnet::Id>",
    "TaskSubnets": "List<AWS::EC2::Subnet::Id>",
    **dict.fromkeys(("MinReplicas", "MaxReplicas", "CpuPercent", "RequestsPerReplica", "LogDays", "GraceSeconds"), "Number"),
}
_MEANS = {
    "Image": "What runs, by digest.",
    "VpcId": "The network that the service stands in.",
    "BalancerSubnets": "Subnets of the load balancer, in two zones at least.",
    "TaskSubnets": "Subnets of the replicas.",
    "AllowedFrom": "Addresses that may reach the load balancer.",
    "Cpu": "CPU units of a replica; 1024 are a core.",
    "Memory": "Memory of a replica in MiB; Fargate takes certain pairs of both only.",
    "MinReplicas": "Fewest replicas.",
    "MaxReplicas": "Most replicas.",
    "CpuPercent": "CPU use that more replicas are started above.",
    "RequestsPerReplica": "Requests of a replica in a minute that more are started above.",
    "LogDays": "How long log lines are kept.",
    "GraceSeconds": "How long a replica may fail its first health checks.",
    "ModelName": "Name of the model, for tags.",
    "ModelVersion": "Version of the model, for tags.",
    "ModelDigest": "SHA-256 of the model's file, for tags.",
    "CertificateArn": "Certificate of HTTPS.",
    "PullSecretArn": "Login of the image's registry.",
}


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of ECR."""

    account: str
    region: str
    name: str
    partition: str = "aws"

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"arn:{self.partition}:ecr:{self.region}:{self.account}:repository/{self.name}"


def repository(image: str) -> Repository | None:
    """Return the ECR repository of an image; None if it comes from elsewhere."""
    found = _ECR.fullmatch(image)
    if found is None:
        return None
    region = found.group(2)
    partition = "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
    return Repository(found.group(1), region, found.group(3), partition)


def values(service: Service, options: Options) -> dict[str, str]:
    """Return the parameters' values. Raises: UsageError for what this target cannot do."""
    check_service(service, options)
    pair = fit(service.size)
    found = {
        "Image": service.image,
        "VpcId": options.network.vpc,
        "BalancerSubnets": ",".join(options.network.balancer),
        "TaskSubnets": ",".join(options.network.tasks or options.network.balancer),
        "AllowedFrom": options.allowed_from,
        "Cpu": str(pair.cpu_units),
        "Memory": str(pair.memory_mib),
        "MinReplicas": str(service.scale.minimum),
        "MaxReplicas": str(service.scale.maximum),
        "CpuPercent": str(service.scale.cpu_percent),
        "RequestsPerReplica": str(options.requests_per_replica),
        "LogDays": str(options.log_days),
        "GraceSeconds": str(grace_s(pair.memory_mib) if options.grace_s is None else options.grace_s),
        "ModelName": tag_value(service.model),
        "ModelVersion": tag_value(service.version),
        "ModelDigest": service.digest or "none",
    }
    if options.certificate:
        found["CertificateArn"] = options.certificate
    if (ours := repository(service.image)) is not None:
        found["RepositoryArn"] = ours.arn
    if options.pull_secret:
        found["PullSecretArn"] = options.pull_secret
    return found | _variables(service) | _secrets(options) | _tags(options)


def declared(found: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the template's section of parameters for the values."""
    return {name: {"Type": _KINDS.get(name, "String"), **({"Description": _MEANS[name]} if name in _MEANS else {})} for name in found}


def numbered(prefix: str, names: Mapping[str, str]) -> dict[str, str]:
    """Return each name with its parameter: the user's names are no part of the parameters' names."""
    return {name: f"{prefix}{number}" for number, name in enumerate(names, start=1)}


def grace_s(memory_mib: int) -> int:
    """Return how long a replica may take to load: models that need more memory take longer."""
    return min(_GRACE_MOST_S, _GRACE_S + _GRACE_EACH_GIB_S * -(-memory_mib // 1024))


def tag_value(text: str) -> str:
    """Return a text as AWS takes it in a tag: other characters become a dot."""
    return _NOT_IN_TAG.sub(".", text)[:256] or "none"


def _variables(service: Service) -> dict[str, str]:
    return {parameter: service.environment[name] for name, parameter in numbered("Variable", service.environment).items()}


def _secrets(options: Options) -> dict[str, str]:
    found = {}
    for name, parameter in numbered("Secret", options.secrets).items():
        found[parameter] = options.secrets[name]
        found[f"{parameter}Arn"] = secret_arn(options.secrets[name])
    return found


def _tags(options: Options) -> dict[str, str]:
    return {parameter: options.tags[key] for key, parameter in numbered("Tag", options.tags).items()}
