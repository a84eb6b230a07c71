"""The template: valid by cfn-lint over the options, least privilege by our own reading, and no value of a user's in it."""

from __future__ import annotations

import itertools
import json
import os
import random
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from modelport.deploy.base import Scale, Service, Size
from modelport.deploy.ecs import parameters
from modelport.deploy.ecs.files import MISSING, render, unfilled
from modelport.deploy.ecs.options import Network
from modelport.deploy.ecs.roles import ANYWHERE
from modelport.deploy.ecs.template import BODY_BYTES, template
from modelport.errors import UsageError

from .conftest import NETWORK, options, service

CERTIFICATE = "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b-2c"
SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:keys-AbCdEf"
STORED = "arn:aws:ssm:eu-central-1:123456789012:parameter/team/token"
ELSEWHERE = "ghcr.io/team/model@sha256:" + "c" * 64

CHOICES = {
    "strategy": ("rolling", "blue-green"),
    "certificate": ("", CERTIFICATE),
    "network": (NETWORK, Network(NETWORK.vpc, NETWORK.balancer, ("subnet-21234567",), is_public=False, is_internal=True)),
    "is_elsewhere": (False, True),
}


def matrix() -> Iterator[tuple[str, dict[str, object]]]:
    for number, chosen in enumerate(itertools.product(*CHOICES.values())):
        yield f"{number:02}", dict(zip(CHOICES, chosen, strict=True))


def rendered(chosen: dict[str, object]) -> dict[str, object]:
    facts = dict(chosen)
    is_elsewhere = facts.pop("is_elsewhere")
    asked = options(
        **facts, tags={"team": "a b"} if is_elsewhere else {}, pull_secret=SECRET if is_elsewhere else "", is_arm=bool(is_elsewhere)
    )
    made = service(image=ELSEWHERE, environment={"A": "b"}) if is_elsewhere else service()
    return {"template": template(made, asked), "files": render(made, asked, "eu-central-1")}


@pytest.mark.slow
def test_cfn_lint_finds_nothing_in_any_combination(aws_python: str, tmp_path: Path) -> None:
    for name, chosen in matrix():
        (tmp_path / f"{name}.yaml").write_text(rendered(chosen)["files"]["template.yaml"], "utf-8")
    broken = rendered(next(matrix())[1])["files"]["template.yaml"].replace("RetentionInDays", "RetentionDays")
    (tmp_path / "broken.yaml").write_text(broken, "utf-8")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTHON"))}
    script = Path(__file__).with_name("lint.py")
    done = subprocess.run([aws_python, "-I", script, tmp_path], capture_output=True, text=True, check=True, env=clean)
    found = done.stdout.splitlines()
    assert [line for line in found[:-1] if not line.startswith("broken.yaml")] == []
    assert any("RetentionDays" in line for line in found), "the rules are at work"
    assert len(list(tmp_path.iterdir())) == 17


EXACT = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "secretsmanager:GetSecretValue",
    "ssm:GetParameters",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeRules",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetHealth",
    "elasticloadbalancing:RegisterTargets",
    "elasticloadbalancing:DeregisterTargets",
    "elasticloadbalancing:ModifyRule",
    "elasticloadbalancing:ModifyListener",
}


@pytest.mark.parametrize("chosen", [chosen for _, chosen in matrix()], ids=[name for name, _ in matrix()])
def test_roles_may_do_exactly_what_they_need(chosen: dict[str, object]) -> None:
    resources = rendered(chosen)["template"]["Resources"]
    roles = {name: one["Properties"] for name, one in resources.items() if one["Type"] == "AWS::IAM::Role"}
    assert set(roles) == {"TaskRole", "ExecutionRole", *(["SwitchRole"] if chosen["strategy"] == "blue-green" else [])}
    assert "Policies" not in roles["TaskRole"], "the replicas may do nothing"
    for properties in roles.values():
        assert set(properties) <= {"AssumeRolePolicyDocument", "Policies", "Tags"}, "no managed policies"
        for policy in properties.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                assert set(statement) == {"Effect", "Action", "Resource"}, "no NotAction, no NotResource"
                assert set(statement["Action"]) <= EXACT
                if "*" in statement["Resource"]:
                    assert statement["Resource"] == ["*"]
                    assert set(statement["Action"]) <= set(ANYWHERE)
                else:
                    assert all(isinstance(one, dict) for one in statement["Resource"]), "a resource of the stack, or a parameter"


def test_what_is_not_needed_is_not_allowed() -> None:
    text = json.dumps(template(service(image=ELSEWHERE), options()))
    assert "ecr:" not in text
    assert "secretsmanager:" not in text
    assert "ssm:" not in text


@pytest.mark.parametrize("chosen", [chosen for _, chosen in matrix()], ids=[name for name, _ in matrix()])
def test_what_every_service_must_have(chosen: dict[str, object]) -> None:
    made = rendered(chosen)["template"]
    resources = {name: one["Properties"] for name, one in made["Resources"].items()}
    task, running = resources["Task"], resources["Service"]
    (container,) = task["ContainerDefinitions"]
    assert container["ReadonlyRootFilesystem"] is True
    assert container["MountPoints"] == [{"SourceVolume": "tmp", "ContainerPath": "/tmp"}]
    assert container["StopTimeout"] > int(next(one["Value"] for one in container["Environment"] if one["Name"] == "MODELPORT_DRAIN"))
    assert running["DeploymentConfiguration"]["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    assert "DesiredCount" not in running, "an update would undo what scaling did"
    assert resources["TargetGroup"]["HealthCheckPath"] == "/readyz"
    assert {"Key": "deregistration_delay.timeout_seconds", "Value": "30"} in resources["TargetGroup"]["TargetGroupAttributes"]
    idle = next(one["Value"] for one in resources["Balancer"]["LoadBalancerAttributes"] if one["Key"].startswith("idle"))
    assert int(idle) < 75, "the server keeps an idle connection for 75 s"
    assert made["Resources"]["LogGroup"]["DeletionPolicy"] == "Retain"
    untagged = {name for name, one in resources.items() if "Tags" not in one}
    assert untagged == {"ScalableTarget", "ScaleOnCpu", "ScaleOnRequests"}
    ports = [one["FromPort"] for one in resources["BalancerGroup"]["SecurityGroupIngress"]]
    assert ports == ([80, 443] if chosen["certificate"] else [80])
    (inside,) = resources["ReplicaGroup"]["SecurityGroupIngress"]
    assert inside["SourceSecurityGroupId"] == {"Fn::GetAtt": ["BalancerGroup", "GroupId"]}
    if chosen["certificate"]:
        assert resources["PlainListener"]["DefaultActions"][0]["RedirectConfig"]["Protocol"] == "HTTPS"


PIECES = [
    *(
        "${AWS::AccountId}",
        "!Ref Image",
        "Fn::Sub",
        '{"Ref": "AWS::StackName"}',
        "{{",
        "}}",
        "$(id)",
        "`id`",
        "# x",
        ": ",
        "- ",
        "&a",
        "*a",
    ),
    *("'", '"', "\\", "\n", "\r\n", "\t", "|", ">", "%", "@", "no", "yes", "~", "null", "1e3", "0x1", "1:30", "<<", " "),
    *("\u2028", "\x85", "\ufeff", "é", "😀", "\x7f"),
]


def nasty(random_: random.Random) -> str:
    return "".join(random_.choice(PIECES) for _ in range(random_.randint(0, 6)))


def test_ten_thousand_nasty_values_stay_values() -> None:
    """Ten at a time: parsed back they are equal, and the template knows only numbers of them."""
    random_ = random.Random(20261128)
    reference = template(service(environment={f"V{n}": "" for n in range(10)}), options())
    for number in range(1000):
        environment = {f"V{n}": nasty(random_) for n in range(10)}
        made = service(environment=environment, model=nasty(random_), version=nasty(random_))
        assert template(made, options()) == reference, "a value reached the template"
        given = parameters.values(made, options()) if number % 100 else list_of(made)
        assert [given[f"Variable{n}"] for n in range(1, 11)] == list(environment.values())
        assert not set(given["ModelName"] + given["ModelVersion"]) & set("{}$!\"'\\\n<>#&*`")


def list_of(made: Service) -> dict[str, str]:
    """The values as they stand in the file for AWS's own tools."""
    given = json.loads(render(made, options(), "eu-central-1")["parameters.json"])
    return {one["ParameterKey"]: one["ParameterValue"] for one in given}


def test_files_parse_back_to_what_was_rendered() -> None:
    chosen = {name: values[-1] for name, values in CHOICES.items()}
    made = rendered(chosen)
    assert yaml.safe_load(made["files"]["template.yaml"]) == json.loads(json.dumps(made["template"]))
    for line in made["files"]["commands.txt"].splitlines():
        if line.startswith("aws "):
            words = shlex.split(line)
            assert words[words.index("--stack-name") + 1] == "sentiment"
            assert words[words.index("--region") + 1] == "eu-central-1"
    assert sum(line.startswith("aws ") for line in made["files"]["commands.txt"].splitlines()) == 6


def test_a_template_that_aws_would_not_take_is_not_written() -> None:
    """40 tags stand at every resource; as JSON, 40 variables still have room beside them."""
    own = options(tags={f"k{number}": "v" for number in range(40)}, strategy="blue-green")
    text = render(service(environment={f"V{number}": "" for number in range(40)}), own)["template.yaml"]
    assert len(text.encode()) <= BODY_BYTES
    assert yaml.safe_load(text)["Resources"]
    many = service(environment={f"VARIABLE_WITH_A_LONG_NAME_{'X' * 100}_{number}": "" for number in range(100)})
    with pytest.raises(UsageError, match="of which AWS takes 51200; give fewer of --set and --tag"):
        render(many, own)


def test_what_nobody_named_is_left_to_fill_in() -> None:
    made = service(image="registry.test/a:1")
    files = render(made, options(network=Network()))
    given = {one["ParameterKey"]: one["ParameterValue"] for one in json.loads(files["parameters.json"])}
    assert [given[name] for name in ("VpcId", "BalancerSubnets", "TaskSubnets")] == [MISSING] * 3
    assert "describe-vpcs" in files["commands.txt"]
    assert len(unfilled(options(network=Network()))) == 1
    assert unfilled(options()) == []


def test_sizes_scale_and_grace_are_parameters() -> None:
    found = parameters.values(service(size=Size(0.3, 600), scale=Scale(2, 9, 70)), options(requests_per_replica=50))
    assert [found[name] for name in ("Cpu", "Memory", "MinReplicas", "MaxReplicas", "CpuPercent")] == ["512", "1024", "2", "9", "70"]
    assert found["RequestsPerReplica"] == "50"
    assert found["GraceSeconds"] == "90"
    assert parameters.values(service(), options(grace_s=7))["GraceSeconds"] == "7"


@pytest.mark.parametrize(
    ("image", "arn"),
    [
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/b:1", "arn:aws:ecr:eu-west-1:123456789012:repository/a/b"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/a", "arn:aws-cn:ecr:cn-north-1:123456789012:repository/a"),
        ("123456789012.dkr.ecr.us-gov-west-1.amazonaws.com/a", "arn:aws-us-gov:ecr:us-gov-west-1:123456789012:repository/a"),
        ("public.ecr.aws/a/b:1", None),
        ("registry.test/123456789012.dkr.ecr.eu-west-1.amazonaws.com/a", None),
    ],
)
def test_repositories_of_ecr_are_known(image: str, arn: str | None) -> None:
    found = parameters.repository(image)
    assert (found.arn if found else None) == arn


def test_no_replica_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="--min 0"):
        template(service(scale=Scale(0, 1)), options())
