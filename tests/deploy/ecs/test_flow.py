"""The whole way against an imitation of AWS over HTTP, by the command as it is typed; boto3 is the real one.

The imitation does what it is told and refuses nothing, so what AWS refuses is in test_refusals.py.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from modelport.deploy.base import Size

from .conftest import ACCOUNT, REGION, Heard, service

pytestmark = pytest.mark.slow

HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"


def pushed(tag: str) -> None:
    """An image in ECR, of which nothing but its manifest is there."""
    ecr = boto3.client("ecr")
    layer = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": len(tag), "digest": f"sha256:{len(tag):064x}"}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": layer, "layers": []}
    ecr.create_repository(repositoryName="team/model")
    ecr.put_image(repositoryName="team/model", imageManifest=json.dumps(manifest), imageTag=tag)


def test_from_a_file_to_a_service_and_back(aws: str, modelport: Callable[..., object], toy: Path) -> None:
    del aws
    pushed("1")
    second = f"sha256:{'b' * 64}"
    common = ("--name", "sentiment", "--yes", "--json", "--set", "A=${AWS::AccountId} !Ref x")

    planned = modelport("deploy", "ecs", toy, "--image", f"{HOST}/team/model:1", "--name", "sentiment", "--plan", "--json")
    assert (planned.code, json.loads(planned.out)["state"]) == (0, "planned")
    assert "AWS::ECS::Service" in planned.err
    assert "estimate:" in planned.err
    assert boto3.client("cloudformation").describe_stacks()["Stacks"] == [], "a plan makes nothing"

    made = modelport("deploy", "ecs", toy, "--image", f"{HOST}/team/model:1", *common)
    assert made.code == 0, made.err
    facts = json.loads(made.out)
    assert facts["state"] == "done"
    address, _, first = facts["image"].partition("@")
    assert (address, first[:7]) == (f"{HOST}/team/model", "sha256:")
    assert first != second
    assert facts["url"].startswith("http://")

    changed = modelport("deploy", "ecs", toy, "--image", f"{HOST}/team/model@{second}", *common, "--memory", "4096", "--set", "B=2")
    assert changed.code == 0, changed.err
    assert first in changed.err, "the plan shows what was there before"
    assert second in changed.err

    state = modelport("status", "ecs", "sentiment", "--json")
    assert state.code == 1, "the imitation starts no replicas"
    assert json.loads(state.out)["image"].endswith(second)
    assert "sentiment" in modelport("status", "ecs", "sentiment").out

    back = modelport("rollback", "ecs", "sentiment", "--yes")
    assert back.code == 0, back.err
    assert json.loads(modelport("status", "ecs", "sentiment", "--json").out)["image"].endswith(first)

    written(modelport, "sentiment")
    gone = modelport("destroy", "ecs", "sentiment", "--yes", "--logs")
    assert gone.code == 0, gone.err
    assert "is gone" in gone.out
    assert boto3.client("logs").describe_log_groups()["logGroups"] == []
    missing = modelport("status", "ecs", "sentiment")
    assert (missing.code, missing.err.count("\n")) == (4, 1)


def written(modelport: Callable[..., object], name: str) -> None:
    """Log lines come out by time, whatever replica they are of."""
    logs = boto3.client("logs")
    (group,) = logs.describe_log_groups()["logGroups"]
    now = int(time.time() * 1000) - 1000
    for replica, offsets in (("a", (0, 2)), ("b", (1,))):
        stream = f"replica/modelport/{replica}"
        logs.create_log_stream(logGroupName=group["logGroupName"], logStreamName=stream)
        lines = [{"timestamp": now + offset, "message": f"line {offset}\x1b[31m"} for offset in offsets]
        logs.put_log_events(logGroupName=group["logGroupName"], logStreamName=stream, logEvents=lines)
    shown = modelport("logs", "ecs", name, "--tail", "2").out.splitlines()
    assert [line.split("\\")[0] for line in shown] == ["line 1", "line 2"]
    assert "\x1b" not in "".join(shown)
    followed(name, group["logGroupName"])


def followed(name: str, group: str) -> None:
    """New lines come out once, also one that arrives after a later one of another replica."""
    from modelport.deploy.ecs.account import Account
    from modelport.deploy.ecs.look import logs

    now = int(time.time() * 1000)
    more = [("a", now, "later"), ("b", now - 500, "late")]

    def pause(seconds: float) -> None:
        del seconds
        if not more:
            raise KeyboardInterrupt
        replica, when, text = more.pop(0)
        line = {"timestamp": when, "message": text}
        boto3.client("logs").put_log_events(logGroupName=group, logStreamName=f"replica/modelport/{replica}", logEvents=[line])

    shown: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        shown.extend(logs(Account(), name, 3600, 2, pause))  # a list keeps what it took before the end
    assert [line.split("\\")[0] for line in shown] == ["line 1", "line 2", "later", "late"]
    command = [Path(sys.executable).with_name("modelport"), "logs", "ecs", name, "--follow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline().split("\\")[0].strip() for _ in range(5)]
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
    assert told[:3] == ["line 0", "line 1", "line 2"]
    assert (process.returncode, complaint) == (0, ""), "Ctrl-C is how it ends"


def test_a_repository_is_made_once_and_taken_away_with_the_service(aws: str, heard: Heard) -> None:
    del aws
    from modelport.deploy.ecs import images
    from modelport.deploy.ecs.account import Account
    from modelport.deploy.ecs.destroy import Extent, destroy

    account = Account()
    address = images.prepare(account, "sentiment")
    assert address == f"{HOST}/modelport/sentiment"
    assert images.prepare(account, "sentiment") == address
    (made,) = boto3.client("ecr").describe_repositories()["repositories"]
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    assert json.loads(boto3.client("ecr").get_lifecycle_policy(repositoryName="modelport/sentiment")["lifecyclePolicyText"])["rules"]
    assert destroy(account, "sentiment", Extent(is_agreed=True), heard.talk) == "done"
    assert boto3.client("ecr").describe_repositories()["repositories"] == []


def test_somebody_elses_repository_is_left_alone(aws: str) -> None:
    del aws
    from modelport.deploy.ecs import images
    from modelport.deploy.ecs.account import Account
    from modelport.errors import TargetRefused

    boto3.client("ecr").create_repository(repositoryName="modelport/sentiment")
    with pytest.raises(TargetRefused, match="was not made for this service"):
        images.prepare(Account(), "sentiment")
    assert images.remove(Account(), "sentiment") is False


def test_without_a_yes_nothing_is_changed(aws: str, modelport: Callable[..., object], toy: Path) -> None:
    del aws
    done = modelport("deploy", "ecs", toy, "--image", f"{HOST}/team/model@sha256:{'a' * 64}", "--name", "sentiment")
    assert done.code == 2
    assert "say --yes" in done.err.splitlines()[-1]
    assert boto3.client("cloudformation").describe_stacks()["Stacks"] == []


def test_files_are_written_without_asking_aws(offline: None, modelport: Callable[..., object], toy: Path, tmp_path: Path) -> None:
    del offline
    image = f"{HOST}/team/model@sha256:{'a' * 64}"
    done = modelport(
        "deploy", "ecs", toy, "--image", image, "--emit", tmp_path / "out", "--api-keys", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/k"
    )
    assert done.code == 0, done.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"template.yaml", "parameters.json", "commands.txt"}
    assert "MODELPORT_API_KEYS" in (tmp_path / "out" / "template.yaml").read_text("utf-8")
    assert modelport("deploy", "ecs", toy, "--emit", tmp_path / "out").code == 2


def test_the_files_hold_the_digest_of_a_tag(aws: str, modelport: Callable[..., object], toy: Path, tmp_path: Path) -> None:
    del aws
    pushed("1")
    tag = f"{HOST}/team/model:1"
    done = modelport("deploy", "ecs", toy, "--image", tag, "--emit", tmp_path / "out")
    assert done.code == 0, done.err
    (image,) = boto3.client("ecr").describe_images(repositoryName="team/model")["imageDetails"]
    assert f"{tag} is {image['imageDigest']} now" in done.err
    assert f'"{HOST}/team/model@{image["imageDigest"]}"' in (tmp_path / "out" / "parameters.json").read_text("utf-8")
    assert f"# The image is what {tag} was" in (tmp_path / "out" / "commands.txt").read_text("utf-8")


def test_a_tag_is_taken_as_it_is_if_that_is_said(aws: str, modelport: Callable[..., object], toy: Path) -> None:
    """Where AWS cannot be asked for its digest: it is not in the repository."""
    del aws
    common = ("deploy", "ecs", toy, "--image", f"{HOST}/team/absent:1", "--name", "sentiment", "--plan")
    asked = modelport(*common)
    assert asked.code == 4
    assert f"the digest of {HOST}/team/absent:1 is not known" in asked.err
    taken = modelport(*common, "--no-resolve")
    assert taken.code == 0, taken.err
    assert "may become another image later" in taken.err


def test_a_tag_that_aws_cannot_be_asked_for_stays_in_the_files(
    offline: None, modelport: Callable[..., object], toy: Path, tmp_path: Path
) -> None:
    del offline
    done = modelport("deploy", "ecs", toy, "--image", f"{HOST}/team/model:1", "--emit", tmp_path / "out")
    assert done.code == 0, done.err
    assert f"the digest of {HOST}/team/model:1 is not known" in done.err
    assert f'"{HOST}/team/model:1"' in (tmp_path / "out" / "parameters.json").read_text("utf-8")


def test_a_no_takes_back_what_was_prepared(aws: str, heard: Heard) -> None:
    """Against a stack that is there: a plan, a no and a change that is only begun."""
    del aws
    from modelport.deploy.ecs.account import Account
    from modelport.deploy.ecs.apply import Wish, deploy
    from modelport.deploy.ecs.look import status, told
    from modelport.deploy.ecs.options import Network, Options
    from modelport.deploy.ecs.rollback import rollback

    account, own = Account(), Options(Network(is_internal=True))
    assert deploy(account, service(), own, Wish(None, is_waiting=False), heard.talk).state == "begun"
    heard.answer = False
    other = service(environment={"A": "1"}, size=Size(1, 4096))
    assert deploy(account, other, own, Wish(None), heard.talk).state == "declined"
    assert deploy(account, other, own, Wish(None, is_plan=True), heard.talk).state == "planned"
    assert len(heard.asked) == 2
    assert "internal" in heard.text
    heard.answer = True
    assert deploy(account, other, own, Wish(None), heard.talk).url.startswith("http://")
    assert rollback(account, "sentiment", None, Wish(None, is_plan=True), heard.talk).state == "planned"
    assert rollback(account, "sentiment", 1, Wish(None), heard.talk).state == "done"
    found = status(account, "sentiment")
    assert not found.is_well
    assert told(found)[0].startswith("sentiment  UPDATE_COMPLETE")
