"""A model's service in a Kubernetes cluster: the manifests, which `kubectl apply -k` takes. Pure.

The token is in a secret that they name and do not hold. Each version is an image of its own, so that the cluster's own `rollout undo` goes
back to the version before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from ...records import ModelVersion
from .docker import PLACE, PORT, TOKEN, USER, image_of, line

REPLICAS, MOST_REPLICAS = 2, 10
_MEBI = 2**20
_LEAST_MEMORY = 512
"""Mebibytes that the service has with a small model: Python and its libraries take half of them."""
FOLDER = "kubernetes"


def texts(version: ModelVersion) -> dict[str, str]:
    """The manifests, one object for each file, and what puts them together."""
    made = {
        "deployment": _deployment(version),
        "service": _service(version),
        "autoscaler": _autoscaler(version),
        "disruptions": _disruptions(version),
        "network": _network(version),
    }
    files = {f"{FOLDER}/{name}.yaml": _yaml(item) for name, item in made.items()}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"{name}.yaml" for name in made],
        # newName is where your cluster pulls it from.
        "images": [{"name": image_of(version).name, "newName": image_of(version).name, "newTag": image_of(version).tag}],
    }
    head = f"# {line(version.name)}, version {version.version}: kubectl apply -k {FOLDER}\n"
    return files | {f"{FOLDER}/kustomization.yaml": head + _yaml(kustomization)}


def start(version: ModelVersion) -> tuple[str, ...]:
    """The commands that put it into a cluster."""
    image = image_of(version)
    return (
        f"docker build -t {image} . && docker push {image}",
        f"kubectl create secret generic {image.name} --from-literal=token=...",
        f"kubectl apply -k {FOLDER}",
    )


def _deployment(version: ModelVersion) -> dict[str, Any]:
    image = image_of(version)
    memory = max(_LEAST_MEMORY, _LEAST_MEMORY // 2 + 4 * version.size // _MEBI)
    container = {
        "name": "service",
        "image": str(image),
        "ports": [{"name": "http", "containerPort": PORT}],
        "env": [{"name": TOKEN, "valueFrom": {"secretKeyRef": {"name": image.name, "key": "token"}}}],
        "resources": {"requests": {"cpu": "500m", "memory": f"{memory}Mi"}, "limits": {"memory": f"{2 * memory}Mi"}},
        # The model is loaded and warmed first; only then do requests come, and only then does a silent service count as dead.
        "startupProbe": {**_probe("/ready"), "periodSeconds": 2, "failureThreshold": 60},
        "readinessProbe": {**_probe("/ready"), "periodSeconds": 5},
        "livenessProbe": {**_probe("/health"), "periodSeconds": 10, "failureThreshold": 6},
        # Others learn first that this one ends; until then it answers.
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "predictions", "mountPath": f"{PLACE}/.mlops"}, {"name": "temporary", "mountPath": "/tmp"}],
    }
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 45,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER, "seccompProfile": {"type": "RuntimeDefault"}
        },
        "containers": [container],
        # Replace it by a volume of your own to keep the log of predictions.
        "volumes": [{"name": "predictions", "emptyDir": {}}, {"name": "temporary", "emptyDir": {}}],
    }  # fmt: skip
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": str(PORT), "prometheus.io/path": "/metrics"}
    spec = {
        "replicas": REPLICAS,
        "selector": {"matchLabels": _selector(image.name)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {"metadata": {"labels": _labels(version), "annotations": scraped}, "spec": pod},
    }
    annotations = {"mlops/model": f"{version.name}/{version.version}", "mlops/digest": version.digest, "mlops/run": version.run}
    return _object("apps/v1", "Deployment", version, spec, {name: text for name, text in annotations.items() if text})


def _service(version: ModelVersion) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return _object("v1", "Service", version, {"selector": _selector(image_of(version).name), "ports": ports})


def _autoscaler(version: ModelVersion) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": image_of(version).name}
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
    spec = {"scaleTargetRef": target, "minReplicas": REPLICAS, "maxReplicas": MOST_REPLICAS, "metrics": [metric]}
    return _object("autoscaling/v2", "HorizontalPodAutoscaler", version, spec)


def _disruptions(version: ModelVersion) -> dict[str, Any]:
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": _selector(image_of(version).name)}}
    return _object("policy/v1", "PodDisruptionBudget", version, spec)


def _network(version: ModelVersion) -> dict[str, Any]:
    """It is asked on its port, and asks nobody."""
    spec = {
        "podSelector": {"matchLabels": _selector(image_of(version).name)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [{"port": PORT, "protocol": "TCP"}]}],
        "egress": [],
    }
    return _object("networking.k8s.io/v1", "NetworkPolicy", version, spec)


def _object(
    api: str, kind: str, version: ModelVersion, spec: Mapping[str, Any], annotations: Mapping[str, str] | None = None
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": image_of(version).name, "labels": _labels(version)}
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": dict(spec)}


def _labels(version: ModelVersion) -> dict[str, str]:
    image = image_of(version)
    return {**_selector(image.name), "app.kubernetes.io/version": image.tag, "app.kubernetes.io/component": "model-service"}


def _selector(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": name}


def _probe(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": "http"}, "timeoutSeconds": 3}


class _Dumper(yaml.SafeDumper):
    """Writes equal parts twice: anchors are for machines."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(item: Mapping[str, Any]) -> str:
    return yaml.dump(dict(item), Dumper=_Dumper, sort_keys=False, width=120)
