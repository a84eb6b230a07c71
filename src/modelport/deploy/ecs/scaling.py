"""How many replicas run: as many as CPU use and requests for each ask for, whichever asks for more."""

from __future__ import annotations

from modelport.deploy.documents import Data
from modelport.deploy.ecs.options import Options
from modelport.deploy.ecs.pieces import Resource, att, ref, sub

_OUT_S, _IN_S = 30, 300


def resources(options: Options) -> dict[str, Resource]:
    """Return the scalable target and its two policies."""
    return {
        "ScalableTarget": {
            "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
            "Properties": {
                "ServiceNamespace": "ecs",
                "ScalableDimension": "ecs:service:DesiredCount",
                "ResourceId": sub("service/${Cluster}/${Service.Name}"),
                "MinCapacity": ref("MinReplicas"),
                "MaxCapacity": ref("MaxReplicas"),
            },
        },
        "ScaleOnCpu": _policy(
            "cpu", ref("CpuPercent"), {"PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}}
        ),
        "ScaleOnRequests": _policy("requests", ref("RequestsPerReplica"), _requests(options)),
    }


def _policy(name: str, target: Data, metric: dict[str, Data]) -> Resource:
    return {
        "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
        "Properties": {
            "PolicyName": name,
            "PolicyType": "TargetTrackingScaling",
            "ScalingTargetId": ref("ScalableTarget"),
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": target,
                "ScaleOutCooldown": _OUT_S,
                "ScaleInCooldown": _IN_S,
                **metric,
            },
        },
    }


def _requests(options: Options) -> dict[str, Data]:
    """Requests for each replica in a minute. Blue/green moves the replicas between two target groups, so there both are added up."""
    if options.strategy == "rolling":
        label = sub("${Balancer.LoadBalancerFullName}/${TargetGroup.TargetGroupFullName}")
        return {"PredefinedMetricSpecification": {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label}}
    total: Data = {"Id": "requests", "Expression": "FILL(one, 0) + FILL(other, 0)", "ReturnData": True}
    return {"CustomizedMetricSpecification": {"Metrics": [_counted("one", "TargetGroup"), _counted("other", "OtherTargetGroup"), total]}}


def _counted(name: str, group: str) -> Data:
    dimension: Data = {"Name": "TargetGroup", "Value": att(group, "TargetGroupFullName")}
    metric: Data = {"Namespace": "AWS/ApplicationELB", "MetricName": "RequestCountPerTarget", "Dimensions": [dimension]}
    return {"Id": name, "MetricStat": {"Metric": metric, "Stat": "Sum"}, "ReturnData": False}
