"""A small server that answers kubectl as a cluster's API server does, for the kinds and calls that a deployment needs.

The kubectl that talks to it is the real one; what is made here is the other side: discovery, server-side apply with dry runs, lists and
watches, patches, deletion, logs. Beside it stands what a cluster's controllers would do with a Deployment: a ReplicaSet for each template,
pods, and a status. How the pods of an image fare is said in ``fates``. It knows nothing of schemas, quotas, admission or merging by key.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

Object = dict[str, Any]

# group -> version -> plural -> (kind, short names)
KINDS: dict[str, tuple[str, dict[str, tuple[str, list[str]]]]] = {
    "": ("v1", {"services": ("Service", ["svc"]), "pods": ("Pod", ["po"]), "pods/log": ("Pod", [])}),
    "apps": ("v1", {"deployments": ("Deployment", ["deploy"]), "replicasets": ("ReplicaSet", ["rs"])}),
    "autoscaling": ("v2", {"horizontalpodautoscalers": ("HorizontalPodAutoscaler", ["hpa"])}),
    "policy": ("v1", {"poddisruptionbudgets": ("PodDisruptionBudget", ["pdb"])}),
    "networking.k8s.io": ("v1", {"ingresses": ("Ingress", ["ing"]), "networkpolicies": ("NetworkPolicy", ["netpol"])}),
}
OPERATOR = ("monitoring.coreos.com", ("v1", {"servicemonitors": ("ServiceMonitor", []), "prometheusrules": ("PrometheusRule", [])}))
REVISION = "deployment.kubernetes.io/revision"


_OUT_OF_TIME = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
_REFUSED = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}


@dataclass(frozen=True)
class Fate:
    """How pods of an image fare: "ready", or the reason that their container waits for; with what it said, and its log."""

    reason: str = "ready"
    message: str = ""
    code: int = 0
    log: str = ""


@dataclass
class Cluster:
    """What is in the cluster, by plural and name (one namespace), and what was asked of it."""

    version: str = "v1.31.2"
    kinds: dict[str, tuple[str, dict[str, tuple[str, list[str]]]]] = field(default_factory=lambda: dict(KINDS))
    fates: dict[str, Fate] = field(default_factory=dict)
    refusal: str = ""
    store: dict[tuple[str, str], Object] = field(default_factory=dict)
    writes: list[tuple[str, str]] = field(default_factory=list)
    patched: set[str] = field(default_factory=set)
    changed: threading.Condition = field(default_factory=threading.Condition)
    clock: int = 0
    is_over: bool = False

    def of(self, plural: str) -> dict[str, Object]:
        return {name: each for (kind, name), each in list(self.store.items()) if kind == plural}

    def put(self, plural: str, thing: Object) -> Object:
        self.clock += 1
        metadata = thing["metadata"]
        metadata.setdefault("namespace", "default")
        metadata.setdefault("uid", f"uid-{self.clock}")
        metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        metadata["resourceVersion"] = str(self.clock)
        self.store[plural, metadata["name"]] = thing
        return thing

    def reconcile(self, deployment: Object) -> None:
        """What the controllers of a cluster do when a Deployment changed."""
        name, spec = deployment["metadata"]["name"], deployment["spec"]
        scaler = self.store.get(("horizontalpodautoscalers", name))
        spec["replicas"] = max(spec.get("replicas", 1), scaler["spec"]["minReplicas"] if scaler else 1)
        sets = self.of("replicasets")
        known = [each for each in sets.values() if each["spec"]["template"]["spec"] == spec["template"]["spec"]]
        revision = str(
            max([int(each["metadata"]["annotations"][REVISION]) for each in sets.values()], default=0) + (not known or len(sets) > 1)
        )
        mark = known[0]["metadata"]["name"].rpartition("-")[2] if known else f"hash{len(sets) + 1}"
        template = json.loads(json.dumps(spec["template"]))
        template["metadata"]["labels"]["pod-template-hash"] = mark
        owner = [{"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": deployment["metadata"]["uid"], "controller": True}]
        named = {
            "name": f"{name}-{mark}",
            "labels": template["metadata"]["labels"],
            "annotations": {REVISION: revision},
            "ownerReferences": owner,
        }
        selector = {"matchLabels": spec["selector"]["matchLabels"] | {"pod-template-hash": mark}}
        new = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": named}
        self.put("replicasets", new | {"spec": {"replicas": spec["replicas"], "selector": selector, "template": template}, "status": {}})
        deployment["metadata"].setdefault("annotations", {})[REVISION] = revision
        fate = self.fates.get(template["spec"]["containers"][0]["image"], Fate())
        if fate.reason == "ready":
            for pod in self.of("pods").values():
                if pod["metadata"]["labels"].get("pod-template-hash") != mark:
                    del self.store["pods", pod["metadata"]["name"]]
        count = spec["replicas"] if fate.reason == "ready" else 1
        for number in range(count):
            self.put("pods", _pod(f"{name}-{mark}-{number}", template, fate))
        ready = spec["replicas"]  # the old ones serve on beside one that fails
        failed = {"unavailableReplicas": 1} if fate.reason != "ready" else {}
        deployment["status"] = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": ready + len(failed),
            "updatedReplicas": count,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "conditions": [],
            **({"conditions": _OUT_OF_TIME} if fate.reason == "slow" else {}),
            **({"conditions": [_REFUSED | {"message": fate.message}]} if fate.reason == "quota" else {}),
            **failed,
        }


def _pod(name: str, template: Object, fate: Fate) -> Object:
    is_ready = fate.reason == "ready"
    state: Object = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    conditions = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": str(is_ready)}]
    ended: Object = {}
    if fate.reason == "Unschedulable":
        return _with_status(name, template, [{"type": "PodScheduled", "status": "False", "message": fate.message}], [])
    if not is_ready and fate.reason not in ("slow", "quota", "ended"):
        state = {"waiting": {"reason": fate.reason, "message": fate.message}}
    if fate.code:
        ended = {"terminated": {"exitCode": fate.code, "reason": "OOMKilled" if fate.code == 137 else "Error"}}
    container = {"name": "modelport", "ready": is_ready, "state": state, "lastState": ended, "restartCount": 1, "image": "", "imageID": ""}
    return _with_status(name, template, conditions, [container])


def _with_status(name: str, template: Object, conditions: list[Object], containers: list[Object]) -> Object:
    metadata = {"name": name, "labels": template["metadata"]["labels"]}
    status = {"phase": "Running" if containers else "Pending", "conditions": conditions, "containerStatuses": containers}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"], "status": status}


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster: Cluster

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        path, asked = self._target()
        if path == ["version"]:
            major, minor = self.cluster.version.lstrip("v").split(".")[:2]
            return self._send({"major": major, "minor": minor, "gitVersion": self.cluster.version})
        if (found := self._discovery(path)) is not None:
            return self._send(found)
        if self.cluster.refusal:
            return self._fail(403, "Forbidden", self.cluster.refusal)
        plural, name, sub = self._resource(path)
        if plural is None:
            return self._fail(404, "NotFound", "the server could not find the requested resource")
        with self.cluster.changed:
            if name is None:
                return self._list(plural, asked)
            thing = self.cluster.store.get((plural, name))
            if thing is None:
                return self._fail(404, "NotFound", f'{plural} "{name}" not found')
            if sub == "log":
                fate = self.cluster.fates.get(thing["spec"]["containers"][0]["image"], Fate(log="served\n"))
                return self._send(fate.log.encode())
            return self._send(thing)

    def do_PATCH(self) -> None:
        path, asked = self._target()
        plural, name, _ = self._resource(path)
        body = yaml.safe_load(self._body())
        is_dry = "dryRun" in asked
        with self.cluster.changed:
            if self.cluster.refusal:
                return self._fail(403, "Forbidden", self.cluster.refusal)
            old = self.cluster.store.get((plural, name))
            if "apply" in (self.headers["Content-Type"] or ""):
                if name in self.cluster.patched and asked.get("force") != ["true"]:
                    return self._fail(409, "Conflict", 'Apply failed with 1 conflict: conflict with "kubectl-rollout": .spec.template')
                new = _applied(old, body)
            elif old is None:
                return self._fail(404, "NotFound", f'{plural} "{name}" not found')
            else:
                new = _patched(old, body)
                self.cluster.patched.add(name)  # whoever patched owns it now
            if is_dry:
                return self._send(new | {"metadata": {"namespace": "default"} | new["metadata"]})
            self.cluster.writes.append(("PATCH", f"{plural}/{name}"))
            self._store(plural, old, new)
            return self._send(new, 200 if old else 201)

    def do_DELETE(self) -> None:
        plural, name, _ = self._resource(self._target()[0])
        self._body()
        with self.cluster.changed:
            gone = self.cluster.store.pop((plural, name), None)
            if gone is None:
                return self._fail(404, "NotFound", f'{plural} "{name}" not found')
            self.cluster.writes.append(("DELETE", f"{plural}/{name}"))
            if plural == "deployments":
                for owned in ("replicasets", "pods"):
                    for each in self.cluster.of(owned):
                        del self.cluster.store[owned, each]
            self.cluster.changed.notify_all()
            return self._send({"kind": "Status", "apiVersion": "v1", "status": "Success", "details": {"uid": gone["metadata"]["uid"]}})

    def _store(self, plural: str, old: Object | None, new: Object) -> None:
        is_same = old is not None and old.get("spec") == new.get("spec")
        generation = old["metadata"].get("generation", 0) if old else 0
        new["metadata"]["generation"] = generation if is_same else generation + 1
        self.cluster.put(plural, new)
        deployments = self.cluster.of("deployments")
        if plural in ("deployments", "horizontalpodautoscalers") and new["metadata"]["name"] in deployments and not is_same:
            self.cluster.reconcile(deployments[new["metadata"]["name"]])
        self.cluster.changed.notify_all()

    def _list(self, plural: str, asked: dict[str, list[str]]) -> None:
        if "sendInitialEvents" in asked:
            return self._fail(422, "Invalid", "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
        if "watch" in asked:
            return self._watch(plural, asked)
        kind, group, version = self._kind(plural)
        found = [each for each in self.cluster.of(plural).values() if _is_wanted(each, asked)]
        named = {"kind": f"{kind}List", "apiVersion": f"{group}/{version}".lstrip("/")}
        return self._send(named | {"metadata": {"resourceVersion": str(self.cluster.clock)}, "items": found})

    def _watch(self, plural: str, asked: dict[str, list[str]]) -> None:
        """Send what changes, as long as somebody listens; the lock is held, and let go of while waiting."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        seen = int(asked.get("resourceVersion", ["0"])[0] or 0)
        while not self.cluster.is_over:
            for each in self.cluster.of(plural).values():
                if int(each["metadata"]["resourceVersion"]) > seen and _is_wanted(each, asked):
                    line = json.dumps({"type": "MODIFIED", "object": each}).encode() + b"\n"
                    try:
                        self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
                    except OSError:
                        return
            seen = self.cluster.clock
            self.cluster.changed.wait()
        self.close_connection = True

    def _discovery(self, path: list[str]) -> Object | None:
        kinds = self.cluster.kinds
        if path == ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == ["apis"]:
            return {
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": [_group(name, version) for name, (version, _) in kinds.items() if name],
            }
        if path[:2] == ["openapi", "v3"]:
            return _schemas(path[2:], kinds)
        if path == ["api", "v1"]:
            return _resources("", kinds[""])
        if path[:1] == ["apis"] and len(path) == 3 and path[1] in kinds:
            return _resources(path[1], kinds[path[1]])
        return None

    def _kind(self, plural: str) -> tuple[str, str, str]:
        return next((of[plural][0], group, version) for group, (version, of) in self.cluster.kinds.items() if plural in of)

    def _resource(self, path: list[str]) -> tuple[Any, Any, str]:
        """Take a path apart: plural, name, what of it."""
        path = path[2:] if path[:1] == ["api"] else path[3:]
        path = path[2:] if path[:1] == ["namespaces"] else path
        known = {plural for _, of in self.cluster.kinds.values() for plural in of}
        plural, name, sub = [*path, "", "", ""][:3]
        return (plural if plural in known else None), name or None, sub

    def _target(self) -> tuple[list[str], dict[str, list[str]]]:
        parts = urlsplit(self.path)
        return [part for part in parts.path.split("/") if part], parse_qs(parts.query)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, body: Object | bytes, status: int = 200) -> None:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(body, bytes) else "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def _fail(self, status: int, reason: str, message: str) -> None:
        self._send(
            {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": status}, status
        )


def _group(name: str, version: str) -> Object:
    served = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [served], "preferredVersion": served}


def _resources(group: str, known: tuple[str, dict[str, tuple[str, list[str]]]]) -> Object:
    version, kinds = known
    verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
    found = [
        {"name": plural, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": verbs, "shortNames": short}
        for plural, (kind, short) in kinds.items()
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version}".lstrip("/"), "resources": found}


def _schemas(path: list[str], kinds: dict[str, tuple[str, dict[str, tuple[str, list[str]]]]]) -> Object:
    """Say what kubectl looks for: that a patch may be a dry run, and that fields are checked by the server."""
    if not path:
        places = [f"apis/{group}/{version}" if group else f"api/{version}" for group, (version, _) in kinds.items()]
        return {"paths": {place: {"serverRelativeURL": f"/openapi/v3/{place}"} for place in places}}
    group = path[1] if path[0] == "apis" else ""
    version, of = kinds[group]
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "string"}} for name in ("dryRun", "fieldManager", "fieldValidation", "force")
    ]
    found = {}
    for plural, (kind, _) in of.items():
        facts = {
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
            "parameters": parameters,
            "responses": {},
        }
        found[f"/{'/'.join(path)}/namespaces/{{namespace}}/{plural}/{{name}}"] = {"patch": facts}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1"}, "paths": found}


def _applied(old: Object | None, body: Object) -> Object:
    """What is applied replaces what was; what only the cluster writes stays."""
    kept = {
        key: old["metadata"][key] for key in ("uid", "creationTimestamp", "generation", "resourceVersion") if old and key in old["metadata"]
    }
    new = json.loads(json.dumps(body))
    new["metadata"] |= kept
    if old and "status" in old:
        new["status"] = old["status"]
    if old and "replicas" in old.get("spec", {}) and "replicas" not in new["spec"]:
        new["spec"]["replicas"] = old["spec"]["replicas"]
    if old and REVISION in old["metadata"].get("annotations", {}):
        new["metadata"].setdefault("annotations", {})[REVISION] = old["metadata"]["annotations"][REVISION]
    return new


def _patched(old: Object, operations: list[Object]) -> Object:
    """Perform the replacements of a JSON patch."""
    new = json.loads(json.dumps(old))
    for each in operations:
        *path, last = each["path"].strip("/").split("/")
        place = new
        for key in path:
            place = place[key]
        place[last] = each["value"]
    return new


def _is_wanted(thing: Object, asked: dict[str, list[str]]) -> bool:
    labels = thing["metadata"].get("labels", {})
    wanted = [each.split("=") for each in asked.get("labelSelector", [""])[0].split(",") if each]
    fields = [each.split("=") for each in asked.get("fieldSelector", [""])[0].split(",") if each]
    return all(labels.get(key) == value for key, value in wanted) and all(thing["metadata"]["name"] == name for _, name in fields)


def running(folder: Path) -> Iterator[Cluster]:
    """Serve a cluster, its kubeconfig in the folder, until the caller goes on."""
    cluster = Cluster()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("ThisApi", (Api,), {"cluster": cluster}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    where = {"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [where],
        "contexts": [{"name": "here", "context": {"cluster": "here", "namespace": "default"}}],
        "current-context": "here",
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    try:
        yield cluster
    finally:
        with cluster.changed:
            cluster.is_over = True
            cluster.changed.notify_all()
        server.shutdown()
        server.server_close()
        thread.join()
