"""AWS's refusals and failures as AWS words them, given by botocore's own Stubber: one sentence each, with what to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.exceptions as failures
import pytest
from botocore.stub import Stubber

from modelport.deploy.ecs import apply, destroy, images, network, refusals, replicas, stack, watch
from modelport.deploy.ecs.account import Account
from modelport.deploy.ecs.options import Network
from modelport.deploy.ecs.replicas import Named, Task
from modelport.deploy.ecs.rollback import with_variables
from modelport.deploy.ecs.template import DESCRIPTION, template
from modelport.errors import TargetRefused, UsageError

from .conftest import NETWORK, REGION, Heard, options, service

Answers = dict[str, Sequence[tuple[str, dict[str, object]]]]
STACK = f"arn:aws:cloudformation:{REGION}:123456789012:stack/sentiment/1"
SERVICE = f"arn:aws:ecs:{REGION}:123456789012:service/cluster/name"


@contextmanager
def answering(answers: Answers) -> Iterator[Account]:
    """An account whose services give these answers in this order, and are asked nothing else. An answer with "Error" is a refusal."""
    account = Account()
    with ExitStack() as open_stubs:
        stubs = []
        for name, given in answers.items():
            stub = Stubber(account.client(name))
            for operation, answer in given:
                if "Error" in answer:
                    stub.add_client_error(operation, **answer["Error"])
                else:
                    stub.add_response(operation, answer)
            stubs.append(open_stubs.enter_context(stub))
        yield account
        for stub in stubs:
            stub.assert_no_pending_responses()


def error(code: str, message: str) -> dict[str, object]:
    return {"Error": {"service_error_code": code, "service_message": message}}


def described(state: str, description: str = DESCRIPTION) -> dict[str, object]:
    found = {
        "StackId": STACK,
        "StackName": "sentiment",
        "CreationTime": datetime.now(UTC),
        "StackStatus": state,
        "Description": description,
    }
    return {"Stacks": [found]}


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        ("ExpiredToken", "The security token included in the request is expired", "aws sso login"),
        ("ExpiredTokenException", "expired", "aws sso login"),
        ("InvalidClientTokenId", "The security token included in the request is invalid.", "AWS_PROFILE"),
        ("UnrecognizedClientException", "invalid", "AWS_PROFILE"),
        ("AccessDenied", "User: arn:x is not authorized to perform: ecs:CreateCluster on resource: *", "have ecs:CreateCluster allowed"),
        ("AccessDeniedException", "denied without a name", "have the action allowed"),
        ("UnauthorizedOperation", "You are not authorized to perform this operation.", "allowed"),
        ("LimitExceededException", "The limit for load balancers has been reached", "Service Quotas"),
        ("ServiceQuotaExceededException", "quota", "Service Quotas"),
        ("TooManyLoadBalancers", "many", "Service Quotas"),
        ("Throttling", "Rate exceeded", "wait a minute"),
        ("RequestLimitExceeded", "Request limit exceeded.", "wait a minute"),
        ("AlreadyExistsException", "Stack [x] already exists", "--name"),
        ("CertificateNotFound", "Certificate 'arn' not found", "--certificate"),
        ("ValidationError", "The certificate arn:x is not valid", "--certificate"),
        ("ValidationError", "Maximum number of parameters", "Service Quotas"),
        ("RepositoryNotFoundException", "The repository does not exist", "correct --image"),
        ("OptInRequired", "not subscribed", "--region"),
        ("NeverHeardOf", "Something\n new\x1b[31m", "correct what AWS names"),
    ],
)
def test_a_refusal_is_one_sentence_with_awss_words_and_what_to_do(code: str, words: str, said: str) -> None:
    found = refusals.of_service({"Error": {"Code": code, "Message": words}}, "ecs create_cluster")
    assert said in found.message
    assert code in found.message
    assert "\n" not in found.message
    assert "\x1b" not in found.message
    assert found.exit_code == 4


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (failures.NoCredentialsError(), "aws configure"),
        (failures.PartialCredentialsError(provider="env", cred_var="x"), "AWS_PROFILE"),
        (failures.NoRegionError(), "--region"),
        (failures.UnauthorizedSSOTokenError(), "aws sso login"),
        (failures.EndpointConnectionError(endpoint_url="https://x"), "network"),
        (failures.ReadTimeoutError(endpoint_url="https://x"), "goes on in AWS"),
        (failures.ParamValidationError(report="x"), "AWS configuration"),
    ],
)
def test_what_fails_on_this_side_says_what_to_do(failure: Exception, said: str) -> None:
    assert said in refusals.of_client(failure, "sts get_caller_identity").message


def test_no_region_no_profile_no_credentials(offline: None, monkeypatch: pytest.MonkeyPatch) -> None:
    del offline
    with pytest.raises(TargetRefused, match="--profile"):
        Account(profile="nobody")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(TargetRefused, match="--region"):
        Account()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(TargetRefused, match="aws configure"):
        Account(REGION).identity()


def test_an_answer_of_another_shape_is_said(offline: None) -> None:
    del offline
    with answering({"sts": [("get_caller_identity", {})]}) as account, pytest.raises(TargetRefused, match="newer modelport"):
        account.identity()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("ROLLBACK_COMPLETE", "modelport destroy ecs sentiment"),
        ("DELETE_FAILED", "modelport destroy ecs sentiment"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("UPDATE_IN_PROGRESS", "modelport status ecs sentiment"),
    ],
)
def test_a_stack_that_is_in_the_way(offline: None, heard: Heard, state: str, said: str) -> None:
    del offline
    with answering({"cloudformation": [("describe_stacks", described(state))]}) as account, pytest.raises(TargetRefused, match=said):
        stack.propose(account, "sentiment", "{}", {}, heard.pause)


def test_a_name_that_somebody_else_has(offline: None) -> None:
    del offline
    answer = described("CREATE_COMPLETE", "a database")
    with answering({"cloudformation": [("describe_stacks", answer)]}) as account, pytest.raises(TargetRefused, match="taken"):
        stack.ours(account, "sentiment")


def change_set(status: str, reason: str = "") -> tuple[str, dict[str, object]]:
    return ("describe_change_set", {"Status": status, "StatusReason": reason})


MADE = ("create_change_set", {"Id": f"arn:aws:cloudformation:{REGION}:123456789012:changeSet/a/1", "StackId": STACK})


@pytest.mark.parametrize(
    "reason",
    [
        "No updates are to be performed.",
        "The submitted information didn't contain changes. Submit different information to create a change set.",
    ],
)
def test_nothing_to_change_is_success(offline: None, heard: Heard, reason: str) -> None:
    del offline
    answers = [("describe_stacks", described("CREATE_COMPLETE")), MADE, change_set("CREATE_IN_PROGRESS"), change_set("FAILED", reason)]
    with answering({"cloudformation": answers}) as account:
        assert stack.propose(account, "sentiment", "{}", {}, heard.pause).is_empty
    assert heard.pauses == 1


def test_a_change_that_aws_refuses_is_taken_back(offline: None, heard: Heard) -> None:
    del offline
    gone = error("ValidationError", "Stack with id sentiment does not exist")
    answers = [("describe_stacks", gone), MADE, change_set("FAILED", "Parameter VpcId: vpc-1 does not exist")]
    answers += [("delete_change_set", {}), ("delete_stack", {})]
    with answering({"cloudformation": answers}) as account, pytest.raises(TargetRefused, match="vpc-1 does not exist"):
        stack.propose(account, "sentiment", "{}", {}, heard.pause)


def test_a_template_that_is_too_large(offline: None) -> None:
    del offline
    with pytest.raises(UsageError, match="51200"):
        stack.propose(Account(), "sentiment", "x" * 51_201, {})


def event(number: int, name: str, state: str, reason: str = "") -> dict[str, object]:
    facts = {"StackId": STACK, "EventId": str(number), "StackName": "sentiment", "Timestamp": datetime.now(UTC)}
    return {**facts, "LogicalResourceId": name, "ResourceStatus": state, "ResourceStatusReason": reason}


BREAKER = "Resource handler returned message: \"Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'.\""
TASK = f"arn:aws:ecs:{REGION}:123456789012:task/cluster/t1"


def test_a_failed_start_says_why_while_it_can_be_seen(offline: None, heard: Heard) -> None:
    """The circuit breaker's own words say nothing: the reason is the stopped replica's, and its last lines are shown."""
    del offline
    parts = [
        {"LogicalResourceId": name, "PhysicalResourceId": value, "ResourceType": "x", "Timestamp": datetime.now(UTC), "ResourceStatus": "x"}
        for name, value in (("Service", SERVICE), ("LogGroup", "group"))
    ]
    seen = {"events": [{"id": "e1", "message": "(service name) was unable to place a task."}], "serviceArn": SERVICE}
    stopped = {
        "taskArn": TASK,
        "stopCode": "EssentialContainerExited",
        "stoppedReason": "OutOfMemoryError: Container killed due to memory usage",
        "containers": [{"name": "modelport", "exitCode": 137}],
    }
    rolled = event(1, "Service", "CREATE_FAILED", BREAKER)
    answers: Answers = {
        "cloudformation": [
            ("describe_stacks", described("CREATE_IN_PROGRESS")),
            ("describe_stack_events", {"StackEvents": [event(0, "Cluster", "CREATE_COMPLETE")]}),
            ("describe_stack_resources", {"StackResources": parts}),
            ("describe_stacks", described("ROLLBACK_COMPLETE")),
            ("describe_stack_events", {"StackEvents": [rolled, event(0, "Cluster", "CREATE_COMPLETE")]}),
            ("describe_stack_resources", {"StackResources": []}),
        ],
        "ecs": [
            ("describe_services", {"services": [seen]}),
            ("list_tasks", {"taskArns": [TASK]}),
            ("describe_tasks", {"tasks": [stopped]}),
        ],
        "logs": [("get_log_events", {"events": [{"timestamp": 1, "message": "loading the model", "ingestionTime": 1}]})],
    }
    with answering(answers) as account:
        found = watch.Watch(account, STACK, heard.said.append)
        state = watch.until_done(found, heard.pause)
        assert state == "ROLLBACK_COMPLETE"
        with pytest.raises(TargetRefused) as refused:
            watch.check_success(found, "sentiment", state)
    assert "| loading the model" in heard.text
    assert "unable to place" in heard.text
    assert heard.text.count("Cluster") == 1
    assert "more with --memory" in refused.value.message
    assert "modelport destroy ecs sentiment" in refused.value.message
    assert "\n" not in refused.value.message


def test_without_a_stopped_replica_the_first_failure_is_the_reason(offline: None) -> None:
    del offline
    found = watch.Watch(Account(), STACK, print, failures=['Balancer: "limit"'])
    with pytest.raises(TargetRefused, match="what ran before runs on: Balancer"):
        watch.check_success(found, "sentiment", "UPDATE_ROLLBACK_COMPLETE")
    assert watch.check_success(found, "sentiment", "UPDATE_COMPLETE") is None


def test_what_may_not_be_looked_at_stops_nothing(offline: None, heard: Heard) -> None:
    del offline
    denied = error("AccessDenied", "not authorized to perform: cloudformation:DescribeStackResources")
    answers = [("describe_stack_events", {"StackEvents": []}), ("describe_stack_resources", denied)] * 2
    with answering({"cloudformation": answers}) as account:
        found = watch.Watch(account, STACK, heard.said.append)
        watch.look(found)
        watch.look(found)
    assert heard.text.count("cannot be looked at") == 1


@pytest.mark.parametrize(
    ("reason", "code", "said"),
    [
        ("CannotPullContainerError: pull image manifest has been retried 1 time(s): not found", None, "see that it exists"),
        ("CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/amd64'", None, "--platform"),
        ("exec /opt/modelport/bin/modelport: exec format error", 1, "--platform"),
        ("ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secret from asm", None, "secret"),
        ("ResourceInitializationError: failed to validate logger args", None, "way out"),
        ("OutOfMemoryError: Container killed due to memory usage", 137, "--memory"),
        ("Essential container in task exited", 137, "--memory"),
        ("Task failed ELB health checks in (target-group arn:x)", None, "--grace"),
        ("Essential container in task exited", 3, "needs trust"),
        ("Essential container in task exited", 2, "could not read"),
        ("Your Spot Task was interrupted.", None, "another is started"),
        ("Capacity is unavailable at this time.", None, "no capacity"),
    ],
)
def test_why_a_replica_stopped(reason: str, code: int | None, said: str) -> None:
    task = Task(TASK, stopped_reason=reason, containers=[Named("modelport", code)])
    assert said in replicas.why(task).sentence


def test_a_replica_that_scaling_stopped_is_no_failure() -> None:
    scaled = Task(TASK, stop_code="ServiceSchedulerInitiated", stopped_reason="Scaling activity initiated by deployment")
    sick = Task(TASK, stop_code="ServiceSchedulerInitiated", stopped_reason="Task failed ELB health checks")
    assert [one.task for one in replicas.failed([scaled, sick])] == [sick]


def subnet(name: str, zone: str) -> dict[str, object]:
    return {"SubnetId": name, "VpcId": NETWORK.vpc, "AvailabilityZone": zone}


ROUTED = {"RouteTables": [{"Associations": [{"Main": True}], "Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1"}]}]}
DARK = {"RouteTables": [{"Associations": [{"Main": True}], "Routes": []}]}
TWO = ("describe_subnets", {"Subnets": [subnet(NETWORK.balancer[0], "a"), subnet(NETWORK.balancer[1], "b")]})
DEFAULT = ("describe_vpcs", {"Vpcs": [{"VpcId": NETWORK.vpc}]})


def test_the_default_vpc_with_a_subnet_in_each_zone(offline: None) -> None:
    del offline
    three = [subnet("subnet-31234567", "a"), *TWO[1]["Subnets"]]
    with answering({"ec2": [DEFAULT, ("describe_subnets", {"Subnets": three}), ("describe_route_tables", ROUTED)]}) as account:
        found = network.find(account, Network())
    assert found.network == Network(NETWORK.vpc, NETWORK.balancer, NETWORK.balancer)
    assert found.notes == ()


@pytest.mark.parametrize(
    ("answers", "asked", "said"),
    [
        ([("describe_vpcs", {"Vpcs": []})], Network(), "no default VPC"),
        (
            [DEFAULT, ("describe_subnets", {"Subnets": [subnet("subnet-1", "a")]}), ("describe_route_tables", ROUTED)],
            Network(),
            "two zones",
        ),
        ([TWO, ("describe_route_tables", DARK)], Network(NETWORK.vpc), "two zones"),
        ([TWO, ("describe_route_tables", ROUTED)], Network(NETWORK.vpc, is_public=False), "no private subnet"),
        (
            [TWO, ("describe_route_tables", DARK), ("describe_vpc_endpoints", {"VpcEndpoints": []})],
            Network(NETWORK.vpc, NETWORK.balancer, is_public=False, is_internal=True),
            "NAT gateway",
        ),
    ],
)
def test_a_network_that_cannot_carry_a_service(
    offline: None, answers: list[tuple[str, dict[str, object]]], asked: Network, said: str
) -> None:
    del offline
    with answering({"ec2": answers}) as account, pytest.raises(TargetRefused, match=said):
        network.find(account, asked)


def test_a_subnet_of_another_vpc(offline: None) -> None:
    del offline
    asked = Network("", ("subnet-99999999",))
    with answering({"ec2": [TWO, TWO, ("describe_route_tables", ROUTED)]}) as account, pytest.raises(UsageError, match="not in the VPC"):
        network.find(account, asked)


def test_private_replicas_go_through_nat(offline: None) -> None:
    del offline
    nat = {"Associations": [{"SubnetId": "subnet-31234567"}], "Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1"}]}
    subnets = ("describe_subnets", {"Subnets": [*TWO[1]["Subnets"], subnet("subnet-31234567", "a")]})
    tables = ("describe_route_tables", {"RouteTables": [*ROUTED["RouteTables"], nat]})
    with answering({"ec2": [subnets, tables]}) as account:
        found = network.find(account, Network(NETWORK.vpc, is_public=False)).network
    assert (found.balancer, found.tasks) == (NETWORK.balancer, ("subnet-31234567",))


def test_a_rollback_carries_the_variables_of_its_revision() -> None:
    made = json.loads(json.dumps(template(service(environment={"A": "1"}), options())))
    changed, values = with_variables(made, {"B": "2", "MODELPORT_DRAIN": "30"})
    (container,) = changed["Resources"]["Task"]["Properties"]["ContainerDefinitions"]
    assert [one["Name"] for one in container["Environment"]] == ["B", "MODELPORT_DRAIN"]
    assert values == {"Variable1": "2", "Variable2": "30"}
    assert {"Variable1", "Variable2"} <= set(changed["Parameters"])
    assert "Variable2" not in made["Parameters"], "the given template is left as it was"
    with pytest.raises(TargetRefused, match="edited beyond"):
        with_variables({"Resources": {}}, {})


CERTIFICATE = f"arn:aws:acm:{REGION}:123456789012:certificate/0a1b"
WHO = ("get_caller_identity", {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/a"})


def certificate(state: str) -> tuple[str, dict[str, object]]:
    return ("describe_certificate", {"Certificate": {"DomainName": "api.example.test", "Status": state}})


def drawn(account: Account, arn: str) -> apply.Draft:
    return apply.draw(account, service(), options(certificate=arn))


def test_a_certificate_must_be_issued_and_in_the_region(offline: None) -> None:
    del offline
    ec2 = [TWO, ("describe_route_tables", ROUTED)]
    with answering({"sts": [WHO], "ec2": ec2, "acm": [certificate("ISSUED")]}) as account:
        assert any("api.example.test" in note for note in drawn(account, CERTIFICATE).notes)
    pending = answering({"sts": [WHO], "ec2": ec2, "acm": [certificate("PENDING_VALIDATION")]})
    with pending as account, pytest.raises(TargetRefused, match="finish its validation"):
        drawn(account, CERTIFICATE)
    away = CERTIFICATE.replace(REGION, "us-east-1")
    with answering({"sts": [WHO], "ec2": ec2}) as account, pytest.raises(TargetRefused, match="another region"):
        drawn(account, away)


def test_an_image_that_is_not_in_its_repository(offline: None) -> None:
    del offline
    tagged = f"123456789012.dkr.ecr.{REGION}.amazonaws.com/team/model:1"
    with answering({"ecr": [("describe_images", {"imageDetails": []})]}) as account, pytest.raises(TargetRefused, match="--push"):
        images.by_digest(account, tagged)
    found = {"imageDetails": [{"imageDigest": "sha256:" + "d" * 64}]}
    with answering({"ecr": [("describe_images", found)]}) as account:
        assert images.by_digest(account, tagged).endswith("team/model@sha256:" + "d" * 64)


def test_an_image_of_another_registry_is_asked_for_there(
    offline: None, registry: Any, push_index: Callable[..., str], tmp_path: Path
) -> None:
    del offline
    pushed = push_index(registry.host, tmp_path, "elsewhere")
    with answering({}) as account:
        assert images.by_digest(account, f"{registry.host}/team/model:elsewhere") == pushed
    assert images.asker(None)(f"{registry.host}/team/model:elsewhere") == pushed


def test_a_stack_that_cannot_be_deleted_says_what_holds_it(offline: None, heard: Heard) -> None:
    del offline
    held = [event(2, "ReplicaGroup", "DELETE_FAILED", "has a dependent object")]
    answers: Answers = {
        "cloudformation": [
            ("describe_stacks", described("CREATE_COMPLETE")),
            ("describe_stack_resources", {"StackResources": []}),
            ("describe_stack_events", {"StackEvents": []}),
            ("describe_stack_resources", {"StackResources": []}),
            ("delete_stack", {}),
            ("describe_stacks", described("DELETE_FAILED")),
            ("describe_stack_events", {"StackEvents": held}),
            ("describe_stack_resources", {"StackResources": []}),
        ],
        "ecr": [("describe_repositories", error("RepositoryNotFoundException", "none"))],
    }
    with answering(answers) as account, pytest.raises(TargetRefused, match="dependent object"):
        destroy.destroy(account, "sentiment", destroy.Extent(), heard.talk)
    assert heard.asked


def test_a_no_deletes_nothing(offline: None, heard: Heard) -> None:
    del offline
    heard.answer = False
    answers: Answers = {
        "cloudformation": [("describe_stacks", described("CREATE_COMPLETE")), ("describe_stack_resources", {"StackResources": []})]
    }
    with answering(answers) as account:
        assert destroy.destroy(account, "sentiment", destroy.Extent(are_images_kept=True), heard.talk) == "declined"
