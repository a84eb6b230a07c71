"""The way in: load balancer, listeners, target groups, and the security groups that let nothing else through."""

from __future__ import annotations

from modelport.deploy.base import PORT, READY
from modelport.deploy.documents import Data
from modelport.deploy.ecs.options import IDLE_S, Options
from modelport.deploy.ecs.pieces import Resource, att, ref

# TLS 1.2 and 1.3 with forward secrecy.
_TLS = "ELBSecurityPolicy-TLS13-1-2-2021-06"
# A replica that stops is asked nothing new, and has this long for what it has before it is told to end.
_DEREGISTER_S = 30


def resources(options: Options) -> dict[str, Resource]:
    """Return everything between the client and the replicas."""
    ports = [80, 443] if options.certificate else [80]
    is_blue_green = options.strategy == "blue-green"
    found = {
        "BalancerGroup": _balancer_group(ports),
        "ReplicaGroup": _replica_group(),
        "Balancer": _balancer(options),
        "TargetGroup": _target_group(),
    }
    if is_blue_green:
        found["OtherTargetGroup"] = _target_group()
    return found | _listeners(options, is_blue_green=is_blue_green)


def _balancer_group(ports: list[int]) -> Resource:
    ingress: list[Data] = [
        {
            "IpProtocol": "tcp",
            "FromPort": port,
            "ToPort": port,
            "CidrIp": ref("AllowedFrom"),
            "Description": "clients",
        }
        for port in ports
    ]
    return {
        "Type": "AWS::EC2::SecurityGroup",
        "Properties": {"GroupDescription": "Clients to the load balancer", "VpcId": ref("VpcId"), "SecurityGroupIngress": ingress},
    }


def _replica_group() -> Resource:
    ingress: Data = {
        "IpProtocol": "tcp",
        "FromPort": PORT,
        "ToPort": PORT,
        "SourceSecurityGroupId": att("BalancerGroup", "GroupId"),
        "Description": "the load balancer alone",
    }
    return {
        "Type": "AWS::EC2::SecurityGroup",
        "Properties": {"GroupDescription": "Load balancer to the replicas", "VpcId": ref("VpcId"), "SecurityGroupIngress": [ingress]},
    }


def _balancer(options: Options) -> Resource:
    attributes = {"idle_timeout.timeout_seconds": str(IDLE_S), "routing.http.drop_invalid_header_fields.enabled": "true"}
    return {
        "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "Properties": {
            "Type": "application",
            "Scheme": "internal" if options.network.is_internal else "internet-facing",
            "Subnets": ref("BalancerSubnets"),
            "SecurityGroups": [att("BalancerGroup", "GroupId")],
            "LoadBalancerAttributes": [{"Key": key, "Value": value} for key, value in attributes.items()],
        },
    }


def _target_group() -> Resource:
    attributes = {
        "deregistration_delay.timeout_seconds": str(_DEREGISTER_S),
        # A prediction's time varies with its rows: the replica with the least to do takes the next one.
        "load_balancing.algorithm.type": "least_outstanding_requests",
    }
    return {
        "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
        "Properties": {
            "TargetType": "ip",
            "Protocol": "HTTP",
            "Port": PORT,
            "VpcId": ref("VpcId"),
            "HealthCheckPath": READY,
            "HealthCheckIntervalSeconds": 10,
            "HealthCheckTimeoutSeconds": 5,
            "HealthyThresholdCount": 2,
            "UnhealthyThresholdCount": 3,
            "Matcher": {"HttpCode": "200"},
            "TargetGroupAttributes": [{"Key": key, "Value": value} for key, value in attributes.items()],
        },
    }


def _listeners(options: Options, *, is_blue_green: bool) -> dict[str, Resource]:
    """``Listener`` is the one that serves; with a certificate another sends plain HTTP there."""
    # Blue/green moves the weights of a rule; what no rule takes there is nothing.
    nothing: Data = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503", "ContentType": "text/plain"}}
    action: Data = nothing if is_blue_green else {"Type": "forward", "TargetGroupArn": ref("TargetGroup")}
    found: dict[str, Resource] = {}
    if options.certificate:
        certificate: Data = {"CertificateArn": ref("CertificateArn")}
        found["Listener"] = _listener(443, "HTTPS", action, {"SslPolicy": _TLS, "Certificates": [certificate]})
        redirect: Data = {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}
        found["PlainListener"] = _listener(80, "HTTP", redirect, {})
    else:
        found["Listener"] = _listener(80, "HTTP", action, {})
    if is_blue_green:
        found["TrafficRule"] = _traffic_rule()
    return found


def _listener(port: int, protocol: str, action: Data, more: dict[str, Data]) -> Resource:
    properties: dict[str, Data] = {"LoadBalancerArn": ref("Balancer"), "Port": port, "Protocol": protocol, "DefaultActions": [action]}
    return {"Type": "AWS::ElasticLoadBalancingV2::Listener", "Properties": properties | more}


def _traffic_rule() -> Resource:
    groups: list[Data] = [
        {"TargetGroupArn": ref("TargetGroup"), "Weight": 100},
        {"TargetGroupArn": ref("OtherTargetGroup"), "Weight": 0},
    ]
    return {
        "Type": "AWS::ElasticLoadBalancingV2::ListenerRule",
        "Properties": {
            "ListenerArn": ref("Listener"),
            "Priority": 1,
            "Conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}],
            "Actions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}],
        },
    }
