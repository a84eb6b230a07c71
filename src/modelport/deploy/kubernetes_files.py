"""A Service as the files that ``kubectl apply -k`` takes, and as the objects that they come to.

``base/`` has the kinds that every cluster knows: Deployment, Service, HorizontalPodAutoscaler, PodDisruptionBudget. What depends on the
cluster is beside it, a component each: ``components/ingress`` and the like, with an overlay that shows base and component together.
The top ``kustomization.yaml`` is the base with the extras that were asked for, which is what ``modelport deploy k8s`` applies.
"""

from __future__ import annotations

from modelport.deploy.base import Service
from modelport.deploy.documents import Data, document
from modelport.deploy.kubernetes import EXTRAS, Options, check, is_scaled
from modelport.deploy.kubernetes_core import core
from modelport.deploy.kubernetes_extras import component, extra_objects, with_queue_metric

_KUSTOMIZATION: dict[str, Data] = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}


def objects(service: Service, options: Options) -> list[Data]:
    """Return what is applied: the base, and the extras that were asked for. Raises: UsageError for what a cluster does not do."""
    check(service, options)
    found: list[Data] = []
    for kind, each in core(service, options).items():
        is_asked = kind == "horizontalpodautoscaler" and "queue-scaling" in options.extras
        found.append(with_queue_metric(each, options) if is_asked else each)
    return [*found, *(each for extra in sorted(options.extras) for each in extra_objects(extra, service, options).values())]


def render(service: Service, options: Options) -> dict[str, str]:
    """Return the files. Raises: UsageError for what a cluster does not do."""
    check(service, options)
    base = {f"{kind}.yaml": document(each) for kind, each in core(service, options).items()}
    files = {"kustomization.yaml": _kustomization(["base"], sorted(options.extras))}
    files |= {f"base/{name}": text for name, text in base.items()}
    files["base/kustomization.yaml"] = document({**_KUSTOMIZATION, "resources": list(base)})
    for extra in possible(service, options):
        files |= {f"components/{extra}/{name}": text for name, text in component(extra, service, options).items()}
        files[f"overlays/{extra}/kustomization.yaml"] = _kustomization(["../../base"], [extra], "../../")
    return files


def possible(service: Service, options: Options) -> list[str]:
    """Return the extras that are written out: those that what is known suffices for."""
    lacking = {"ingress": options.ingress_host is None, "queue-scaling": not is_scaled(service)}
    return [extra for extra in EXTRAS if not lacking.get(extra, False)]


def _kustomization(resources: list[str], extras: list[str], up: str = "") -> str:
    parts: dict[str, Data] = {"components": [f"{up}components/{extra}" for extra in extras]} if extras else {}
    return document({**_KUSTOMIZATION, "resources": list(resources), **parts})
