"""What runs: cluster, task definition, service.

The service says no number of replicas: CloudFormation would set that number again with every change, whatever the load was. A new
service begins with one, and the scalable target brings it to the least.
"""

from __future__ import annotations

from modelport.deploy.base import PORT, USER, Service
from modelport.deploy.documents import Data
from modelport.deploy.ecs.options import BEYOND_DRAIN_S, Options
from modelport.deploy.ecs.parameters import numbered
from modelport.deploy.ecs.pieces import Resource, att, ref

CONTAINER = "modelport"
STREAM = "replica"
"""Log streams are named ``replica/modelport/<id of the task>``."""


def resources(service: Service, options: Options) -> dict[str, Resource]:
    """Return the cluster, the task definition and the service."""
    return {"Cluster": _cluster(options), "Task": _task(service, options), "Service": _service(options)}


def _cluster(options: Options) -> Resource:
    insights = "enabled" if options.is_watched else "disabled"
    providers: list[Data] = ["FARGATE", "FARGATE_SPOT"]
    return {
        "Type": "AWS::ECS::Cluster",
        "Properties": {"CapacityProviders": providers, "ClusterSettings": [{"Name": "containerInsights", "Value": insights}]},
    }


def _task(service: Service, options: Options) -> Resource:
    return {
        "Type": "AWS::ECS::TaskDefinition",
        "Properties": {
            "Family": ref("AWS::StackName"),
            "RequiresCompatibilities": ["FARGATE"],
            "NetworkMode": "awsvpc",
            "Cpu": ref("Cpu"),
            "Memory": ref("Memory"),
            "RuntimePlatform": {"CpuArchitecture": "ARM64" if options.is_arm else "X86_64", "OperatingSystemFamily": "LINUX"},
            "ExecutionRoleArn": att("ExecutionRole", "Arn"),
            "TaskRoleArn": att("TaskRole", "Arn"),
            "Volumes": [{"Name": "tmp"}],
            "ContainerDefinitions": [_container(service, options)],
        },
    }


def _container(service: Service, options: Options) -> Data:
    variables = numbered("Variable", service.environment)
    environment: list[Data] = [{"Name": name, "Value": ref(parameter)} for name, parameter in variables.items()]
    if "MODELPORT_DRAIN" not in service.environment:
        environment.append({"Name": "MODELPORT_DRAIN", "Value": str(service.drain_s)})
    container: dict[str, Data] = {
        "Name": CONTAINER,
        "Image": ref("Image"),
        "Essential": True,
        "User": f"{USER}:{USER}",
        "ReadonlyRootFilesystem": True,
        "MountPoints": [{"SourceVolume": "tmp", "ContainerPath": "/tmp"}],  # noqa: S108  # the container's
        "LinuxParameters": {"Capabilities": {"Drop": ["ALL"]}},
        "StopTimeout": service.drain_s + BEYOND_DRAIN_S,
        "PortMappings": [{"ContainerPort": PORT, "Protocol": "tcp"}],
        "Environment": environment,
        "LogConfiguration": {"LogDriver": "awslogs", "Options": _log_options()},
    }
    if options.secrets:
        secrets = numbered("Secret", options.secrets)
        container["Secrets"] = [{"Name": name, "ValueFrom": ref(parameter)} for name, parameter in secrets.items()]
    if options.pull_secret:
        container["RepositoryCredentials"] = {"CredentialsParameter": ref("PullSecretArn")}
    return container


def _log_options() -> Data:
    return {
        "awslogs-group": ref("LogGroup"),
        "awslogs-region": ref("AWS::Region"),
        "awslogs-stream-prefix": STREAM,
        # A log service that is slow or away must not stop predictions.
        "mode": "non-blocking",
        "max-buffer-size": "4m",
    }


def _service(options: Options) -> Resource:
    is_blue_green = options.strategy == "blue-green"
    # A target group takes replicas once it belongs to a load balancer; the rule of blue/green is named below.
    before: Resource = {} if is_blue_green else {"DependsOn": ["Listener"]}
    return {
        "Type": "AWS::ECS::Service",
        **before,
        "Properties": {
            "Cluster": ref("Cluster"),
            "TaskDefinition": ref("Task"),
            "PlatformVersion": "LATEST",
            "CapacityProviderStrategy": _providers(is_spot=options.is_spot),
            "HealthCheckGracePeriodSeconds": ref("GraceSeconds"),
            "DeploymentConfiguration": _deployment(options, is_blue_green=is_blue_green),
            "NetworkConfiguration": {
                "AwsvpcConfiguration": {
                    "AssignPublicIp": "ENABLED" if options.network.is_public else "DISABLED",
                    "Subnets": ref("TaskSubnets"),
                    "SecurityGroups": [att("ReplicaGroup", "GroupId")],
                }
            },
            "LoadBalancers": [_target(is_blue_green=is_blue_green)],
            "EnableECSManagedTags": True,
            "PropagateTags": "SERVICE",
        },
    }


def _providers(*, is_spot: bool) -> Data:
    """With spot capacity the first replica stays on ordinary capacity, so that the service is never without one."""
    if not is_spot:
        return [{"CapacityProvider": "FARGATE", "Weight": 1}]
    return [{"CapacityProvider": "FARGATE", "Base": 1, "Weight": 0}, {"CapacityProvider": "FARGATE_SPOT", "Weight": 1}]


def _deployment(options: Options, *, is_blue_green: bool) -> Data:
    breaker: Data = {"Enable": True, "Rollback": True}
    found: dict[str, Data] = {"MinimumHealthyPercent": 100, "MaximumPercent": 200, "DeploymentCircuitBreaker": breaker}
    if is_blue_green:
        return {**found, "Strategy": "BLUE_GREEN", "BakeTimeInMinutes": options.bake_minutes}
    return {**found, "Strategy": "ROLLING"}


def _target(*, is_blue_green: bool) -> Data:
    found: dict[str, Data] = {"ContainerName": CONTAINER, "ContainerPort": PORT, "TargetGroupArn": ref("TargetGroup")}
    if is_blue_green:
        found["AdvancedConfiguration"] = {
            "AlternateTargetGroupArn": ref("OtherTargetGroup"),
            "ProductionListenerRule": ref("TrafficRule"),
            "RoleArn": att("SwitchRole", "Arn"),
        }
    return found
