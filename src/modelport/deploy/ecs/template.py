"""The CloudFormation template, as data: which resources there are depends on the options, their values are parameters.

It needs nothing of modelport to live: whoever has template and parameters can create, change and delete the stack with AWS's own tools.
"""

from __future__ import annotations

from collections.abc import Mapping

from modelport.deploy.base import Service
from modelport.deploy.documents import Data
from modelport.deploy.ecs import balancer, parameters, roles, scaling, task
from modelport.deploy.ecs.options import Options
from modelport.deploy.ecs.pieces import Resource, att, ref, sub
from modelport.errors import UsageError

DESCRIPTION = "modelport ecs: one model behind an HTTP API, on Fargate behind a load balancer"
"""By its beginning a stack is known as one of ours."""
BODY_BYTES = 51_200
"""The longest template that CloudFormation takes with a call, not from a bucket (its quotas)."""


def template(service: Service, options: Options) -> dict[str, Data]:
    """Return the template. Raises: UsageError for what this target cannot do."""
    values = parameters.values(service, options)
    resources = {
        "LogGroup": _log_group(),
        **roles.resources(service, options),
        **balancer.resources(options),
        **task.resources(service, options),
        **scaling.resources(options),
    }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": DESCRIPTION,
        "Parameters": parameters.declared(values),
        "Resources": {name: _tagged(resource, options) for name, resource in resources.items()},
        "Outputs": _outputs(options),
    }


def check_size(body: str) -> None:
    """Raises: UsageError if a template is longer than AWS takes it."""
    if (size := len(body.encode())) > BODY_BYTES:
        raise UsageError(f"the template has {size} bytes, of which AWS takes {BODY_BYTES}; give fewer of --set and --tag")


def _log_group() -> Resource:
    """Lines outlive the service: when one fails to start and its stack is rolled back, they are the evidence. Retention bounds them."""
    return {
        "Type": "AWS::Logs::LogGroup",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {"RetentionInDays": ref("LogDays")},
    }


# What CloudFormation cannot tag.
_UNTAGGED = {"AWS::ApplicationAutoScaling::ScalableTarget", "AWS::ApplicationAutoScaling::ScalingPolicy"}


def _tagged(resource: Resource, options: Options) -> Data:
    if resource["Type"] in _UNTAGGED:
        return resource
    properties = resource["Properties"]
    assert isinstance(properties, Mapping)  # noqa: S101  # of our own making
    return {**resource, "Properties": {**properties, "Tags": _tags(options)}}


def _tags(options: Options) -> list[Data]:
    ours = {"modelport:service": "AWS::StackName", "modelport:model": "ModelName", "modelport:version": "ModelVersion"}
    found = ours | {"modelport:sha256": "ModelDigest"} | parameters.numbered("Tag", options.tags)
    return [{"Key": key, "Value": ref(parameter)} for key, parameter in found.items()]


def _outputs(options: Options) -> dict[str, Data]:
    scheme = "https" if options.certificate else "http"
    return {
        "Url": {"Description": "Where the service answers.", "Value": sub(f"{scheme}://${{Balancer.DNSName}}")},
        "Image": {"Description": "What runs.", "Value": ref("Image")},
        "ClusterName": {"Value": ref("Cluster")},
        "ServiceName": {"Value": att("Service", "Name")},
        "LogGroupName": {"Value": ref("LogGroup")},
    }
