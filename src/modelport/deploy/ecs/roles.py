"""Who may do what: the replicas nothing, what starts them only what starting takes, what switches blue/green only that."""

from __future__ import annotations

from modelport.deploy.base import Service
from modelport.deploy.documents import Data
from modelport.deploy.ecs.options import Options, is_in_secrets_manager
from modelport.deploy.ecs.parameters import numbered, repository
from modelport.deploy.ecs.pieces import Resource, allow, att, policy, ref, role

ANYWHERE = {
    "ecr:GetAuthorizationToken": "it is of the account, no resource's",
    "elasticloadbalancing:DescribeListeners": "AWS defines no resource for it",
    "elasticloadbalancing:DescribeRules": "AWS defines no resource for it",
    "elasticloadbalancing:DescribeTargetGroups": "AWS defines no resource for it",
    "elasticloadbalancing:DescribeTargetHealth": "AWS defines no resource for it",
}
"""The actions that can only be allowed on everything, with the reason (Service Authorization Reference)."""


def resources(service: Service, options: Options) -> dict[str, Resource]:
    """Return the roles: of the replicas, of what starts them, and for blue/green of what moves the traffic."""
    tasks = "ecs-tasks.amazonaws.com"
    found = {"TaskRole": role(tasks), "ExecutionRole": role(tasks, policy("start-replicas", _starting(service, options)))}
    if options.strategy == "blue-green":
        found["SwitchRole"] = role("ecs.amazonaws.com", policy("switch-traffic", _switching()))
    return found


def _starting(service: Service, options: Options) -> list[Data]:
    """Pull from that repository, write to that log group, read those secrets."""
    statements = [allow(["logs:CreateLogStream", "logs:PutLogEvents"], [att("LogGroup", "Arn")])]
    if repository(service.image) is not None:
        pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        statements += [allow(["ecr:GetAuthorizationToken"], ["*"]), allow(pull, [ref("RepositoryArn")])]
    named = numbered("Secret", options.secrets)
    manager = [ref(f"{parameter}Arn") for name, parameter in named.items() if is_in_secrets_manager(options.secrets[name])]
    store = [ref(f"{parameter}Arn") for name, parameter in named.items() if not is_in_secrets_manager(options.secrets[name])]
    if options.pull_secret:
        manager.append(ref("PullSecretArn"))
    if manager:
        statements.append(allow(["secretsmanager:GetSecretValue"], manager))
    if store:
        statements.append(allow(["ssm:GetParameters"], store))
    return statements


def _switching() -> list[Data]:
    """Of AmazonECSInfrastructureRolePolicyForLoadBalancers what this service needs, on its own resources."""
    look = [action for action in ANYWHERE if action.startswith("elasticloadbalancing:")]
    register = ["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"]
    return [
        allow(look, ["*"]),
        allow(register, [ref("TargetGroup"), ref("OtherTargetGroup")]),
        allow(["elasticloadbalancing:ModifyRule"], [ref("TrafficRule")]),
        allow(["elasticloadbalancing:ModifyListener"], [ref("Listener")]),
    ]
