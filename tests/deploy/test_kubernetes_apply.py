"""The verbs of Kubernetes with the real kubectl, against a server that answers as a cluster does (api_server.py says what it is not)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelport.deploy.kubernetes_kubectl import Cluster, check_version, refused
from modelport.deploy.kubernetes_rollout import follow
from modelport.errors import TargetRefused, UsageError

KUBECTL = str(Path(sys.executable).with_name("kubectl"))
FIRST, SECOND = (f"registry.test/toy@sha256:{letter * 64}" for letter in "ab")


@pytest.fixture
def deploy(modelport: Callable[..., Any], toy: Path) -> Callable[..., Any]:
    """Run `modelport deploy k8s toy …`."""

    def run(*arguments: str) -> Any:
        return modelport("deploy", "k8s", toy, "--min", "2", *arguments)

    return run


def kinds(cluster: Any) -> set[str]:
    return {plural for plural, _ in cluster.store}


@pytest.mark.slow
def test_a_service_is_planned_made_changed_brought_back_and_taken_away(
    cluster: Any, deploy: Callable[..., Any], modelport: Callable[..., Any]
) -> None:
    planned = deploy("--image", FIRST, "--plan")
    assert (planned.code, cluster.writes) == (0, [])
    assert "+++ apps.v1.Deployment.default.toy" in planned.out
    assert deploy("--image", FIRST).code == 2  # nobody to ask
    assert cluster.writes == []

    made = deploy("--image", FIRST, "--yes", "--ingress-host", "toy.test")
    assert made.code == 0, made.err
    assert "https://toy.test/" in made.out
    assert {"deployments", "services", "horizontalpodautoscalers", "poddisruptionbudgets", "ingresses"} <= kinds(cluster)
    assert deploy("--image", FIRST, "--plan", "--ingress-host", "toy.test").out == "nothing would change\n"
    cluster.writes.clear()
    again = deploy("--image", FIRST, "--yes", "--ingress-host", "toy.test")
    assert (again.code, cluster.writes) == (0, [])

    alone = modelport("rollback", "k8s", "toy", "--yes")
    assert alone.code == 4
    assert "toy has no revision before 1; deploy the version that you want" in alone.err

    changed = deploy("--image", SECOND, "--yes")
    assert changed.code == 0, changed.err
    assert "- ingress/toy is no longer asked for" in changed.out
    assert "ingresses" not in kinds(cluster)
    told = modelport("status", "k8s", "toy")
    assert told.code == 0, told.err
    assert "2 of 2 replicas answer" in told.out
    assert SECOND in told.out
    assert "served" in modelport("logs", "k8s", "toy").out

    assert "toy has no revision 7, only 1, 2; name one of these" in modelport("rollback", "k8s", "toy", "--revision", "7", "--yes").err
    back = modelport("rollback", "k8s", "toy", "--yes")
    assert back.code == 0, back.err
    assert json.loads(modelport("status", "k8s", "toy", "--json").out)["image"] == FIRST
    forward = deploy("--image", SECOND, "--yes")  # although kubectl owns the template since
    assert forward.code == 0, forward.err

    gone = modelport("destroy", "k8s", "toy", "--yes")
    assert gone.code == 0, gone.err
    assert cluster.store == {}
    missing = modelport("status", "k8s", "toy")
    assert missing.code == 4
    assert "there is no service toy" in missing.err
    assert modelport("destroy", "k8s", "toy", "--yes").code == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fate", "said"),
    [
        (("ImagePullBackOff", "manifest unknown"), ("manifest unknown", "see that it was pushed")),
        (("CrashLoopBackOff", "back-off", 3, "needs trust: evil.name\n"), ("exit code 3", "    needs trust: evil.name")),
        (("CrashLoopBackOff", "back-off", 137), ("out of memory; give it more with --memory",)),
        (("CreateContainerConfigError", 'secret "keys" not found'), ('secret "keys" not found', "--api-key-secret")),
    ],
    ids=["no image", "ends", "memory", "no secret"],
)
def test_a_rollout_that_cannot_end_is_given_up_with_the_reason(
    cluster: Any, api_server: Any, deploy: Callable[..., Any], modelport: Callable[..., Any], fate: tuple[Any, ...], said: tuple[str, ...]
) -> None:
    assert deploy("--image", FIRST, "--yes").code == 0
    cluster.fates[SECOND] = api_server.Fate(*fate)
    done = deploy("--image", SECOND, "--yes")
    assert done.code == 4
    assert all(text in done.err for text in said), done.err
    assert "modelport rollback k8s toy" in done.err
    told = modelport("status", "k8s", "toy")
    assert told.code == 1
    assert all(text.strip() in told.out for text in said)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fate", "said"),
    [
        (("slow",), r"toy-hash2-0: it runs, and /readyz says no"),
        (("quota", 'pods "x" is forbidden: exceeded quota'), "no replica can be made: .*exceeded quota"),
        (("ErrImagePull", "i/o timeout"), r"(?s)toy-hash2-0: ErrImagePull: i/o timeout"),
        (("ended", "", 1, "the model's last words\n"), r"(?s)it ended: exit code 1 .*the model's last words"),
        (("ended", "", 143, ""), "it ended: exit code 143, told to end"),
    ],
    ids=["slow", "quota", "pulling", "ended", "told"],
)
def test_a_rollout_that_took_too_long_says_what_it_waited_for(
    cluster: Any, api_server: Any, deploy: Callable[..., Any], fate: tuple[Any, ...], said: str
) -> None:
    assert deploy("--image", FIRST, "--yes", "--no-wait").code == 0
    cluster.fates[SECOND] = api_server.Fate(*fate)
    assert deploy("--image", SECOND, "--yes", "--no-wait").code == 0
    with cluster.changed:
        found = cluster.store["deployments", "toy"]
        found["status"]["conditions"] += [each for each in api_server._OUT_OF_TIME if each not in found["status"]["conditions"]]
        cluster.put("deployments", found)
        cluster.changed.notify_all()
    with pytest.raises(TargetRefused, match=said) as caught:
        follow(Cluster(program=KUBECTL), "toy", print, look_s=60)
    assert "modelport rollback k8s toy" in caught.value.message


def test_to_follow_what_is_not_there_is_refused(cluster: Any) -> None:
    with pytest.raises(TargetRefused, match="not found"):
        follow(Cluster(program=KUBECTL), "toy", print)


def test_to_follow_without_kubectl_is_refused() -> None:
    with pytest.raises(UsageError, match="is not installed here"):
        follow(Cluster(program="/nowhere/kubectl"), "toy", print)


@pytest.mark.slow
def test_the_files_are_written_with_what_they_need(modelport: Callable[..., Any], toy: Path, tmp_path: Path) -> None:
    secrets = ("--pull-secret", "login", "--api-key-secret", "keys", "--with", "service-monitor", "--namespace", "ml")
    done = modelport("deploy", "k8s", toy, "--image", "127.0.0.1:1/a/b:1", "--emit", "out", "--ingress-host", "a.test", *secrets)
    assert done.code == 0, done.err
    assert "kubectl apply --server-side -k out" in done.out
    assert (tmp_path / "out" / "overlays" / "ingress" / "kustomization.yaml").is_file()
    for said in ("docker-registry login --namespace ml", "--from-file=keys=FILE --from-file=metrics=FILE", "create secret tls toy-tls"):
        assert said in done.out
    assert "127.0.0.1:1/a/b:1 may become another image later" in done.out
    assert "with one replica" in done.out


@pytest.mark.slow
def test_what_may_get_better_is_told_and_waited_for(cluster: Any, api_server: Any, deploy: Callable[..., Any]) -> None:
    assert deploy("--image", FIRST, "--yes").code == 0
    cluster.fates[SECOND] = api_server.Fate("Unschedulable", "0/3 nodes are available: 3 Insufficient memory")
    assert deploy("--image", SECOND, "--yes", "--no-wait").code == 0
    told: list[str] = []

    def say(text: str) -> None:
        """Somebody adds a node as soon as it is told."""
        told.append(text)
        with cluster.changed:
            cluster.fates.clear()
            deployment = cluster.store["deployments", "toy"]
            cluster.reconcile(deployment)
            cluster.put("deployments", deployment)
            cluster.changed.notify_all()

    follow(Cluster(program=KUBECTL), "toy", say, look_s=0.05)
    assert len(told) == 1
    assert "Insufficient memory; ask for less with --cpu and --memory" in told[0]


@pytest.mark.slow
def test_a_tag_is_deployed_by_its_digest_and_noted(
    cluster: Any, registry: Any, push_index: Callable[..., str], deploy: Callable[..., Any], modelport: Callable[..., Any], tmp_path: Path
) -> None:
    pushed, tag = push_index(registry.host, tmp_path, "noted"), f"{registry.host}/team/model:noted"
    made = deploy("--image", tag, "--yes")
    assert made.code == 0, made.err
    assert f"{tag} is {pushed.partition('@')[2]} now" in made.err
    assert cluster.store["deployments", "toy"]["spec"]["template"]["spec"]["containers"][0]["image"] == pushed
    assert f"{pushed} ({tag})" in modelport("status", "k8s", "toy").out
    assert deploy("--image", tag, "--plan").out == "nothing would change\n"


@pytest.mark.slow
def test_what_was_not_made_here_is_left_alone(cluster: Any, deploy: Callable[..., Any], modelport: Callable[..., Any]) -> None:
    cluster.put("services", {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "toy", "labels": {}}, "spec": {}})
    done = deploy("--image", FIRST, "--yes")
    assert done.code == 4
    assert "the service toy was not made by modelport" in done.err
    assert modelport("destroy", "k8s", "toy", "--yes").code == 4
    assert cluster.writes == []


@pytest.mark.slow
def test_what_the_operator_reads_goes_where_it_is_installed(
    cluster: Any, api_server: Any, deploy: Callable[..., Any], modelport: Callable[..., Any]
) -> None:
    without = deploy("--image", FIRST, "--yes", "--with", "service-monitor")
    assert without.code == 4
    assert "leave the extra out" in without.err
    cluster.kinds[api_server.OPERATOR[0]] = api_server.OPERATOR[1]
    assert deploy("--image", FIRST, "--yes", "--with", "service-monitor").code == 0
    assert {"servicemonitors", "prometheusrules"} <= kinds(cluster)
    assert modelport("destroy", "k8s", "toy", "--yes").code == 0
    assert cluster.store == {}


@pytest.mark.slow
def test_a_cluster_that_refuses_is_quoted(cluster: Any, deploy: Callable[..., Any]) -> None:
    cluster.refusal = 'deployments.apps "toy" is forbidden: User "me" cannot get resource "deployments"'
    done = deploy("--image", FIRST, "--yes")
    assert done.code == 4
    assert 'User "me" cannot get resource' in done.err
    assert "ask for that right" in done.err


def test_a_cluster_that_is_too_old_is_refused(cluster: Any) -> None:
    cluster.version = "v1.29.9"
    with pytest.raises(TargetRefused, match=r"Kubernetes 1\.29, and the manifests need 1\.30 or newer"):
        check_version(Cluster(program=KUBECTL))


def test_a_cluster_that_is_not_there_is_one_sentence(
    modelport: Callable[..., Any], require_tool: Callable[[str], str], tmp_path: Path
) -> None:
    require_tool("kubectl")
    config = {"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}]}
    config |= {"contexts": [{"name": "c", "context": {"cluster": "c"}}], "current-context": "c"}
    (tmp_path / "config").write_text(json.dumps(config))
    done = modelport("status", "k8s", "toy", env={"KUBECONFIG": str(tmp_path / "config")})
    assert done.code == 4
    assert "kubectl cluster-info" in done.err
    assert done.err.count("\n") == 1


def test_without_kubectl_it_is_said_in_a_sentence(modelport: Callable[..., Any], tmp_path: Path) -> None:
    for verb in (["status"], ["logs"], ["destroy", "--yes"]):
        done = modelport(verb[0], "k8s", "toy", *verb[1:], env={"PATH": str(tmp_path)})
        assert done.code == 2
        assert "kubectl, the program that speaks to clusters, is not installed here" in done.err


@pytest.mark.parametrize(
    ("words", "shown", "cure"),
    [
        ("E1128 01:35:49.4 1 memcache.go:265] x\nThe connection to the server a was refused\n", "The connection to", "cluster-info"),
        ("error: context was not found for specified context: x", "context was not found", "--context"),
        ('Error from server (NotFound): namespaces "x" not found', '(NotFound): namespaces "x" not found', "create namespace"),
        ("error: You must be logged in to the server (Unauthorized)", "You must be logged in", "log in"),
        ("Warning: a\nexceeded quota: b", "exceeded quota", "larger quota"),
        ("", "failed without a word", "-v=6"),
    ],
)
def test_what_kubectl_says_is_told_once_with_what_to_do(words: str, shown: str, cure: str) -> None:
    error = refused(("apply",), words)
    assert error.message.startswith("kubectl apply: ")
    assert shown in error.message
    assert cure in error.message
    assert "memcache" not in error.message
    assert "Warning" not in error.message


@pytest.mark.parametrize("value", ["--help", "-x", "a b", "$(id)", ""])
def test_no_context_is_ever_taken_for_a_flag(value: str) -> None:
    assert Cluster(context=value).line("get")[1] == f"--context={value}"


@pytest.mark.parametrize(("verb", "name"), [("status", "--all"), ("logs", "a,b"), ("rollback", "a/b"), ("destroy", "A")])
def test_names_are_checked_before_kubectl_sees_them(modelport: Callable[..., Any], verb: str, name: str) -> None:
    done = modelport(verb, "k8s", "--", name)
    assert done.code == 2
    assert "a service is named by" in done.err
