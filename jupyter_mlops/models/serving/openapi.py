"""What a service offers, as an OpenAPI document made from the model's own signature, and the same as a page for people.

The page needs nothing from elsewhere, so that it is there without a way to the internet.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import Any

from .options import Options
from .predicting import Predictor, alike
from .schema import Column, Columns

_JSON: Mapping[str, Mapping[str, Any]] = {
    "boolean": {"type": "boolean"}, "integer": {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1},
    "long": {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1},
    "float": {"type": ["number", "null"]}, "double": {"type": ["number", "null"]}, "string": {"type": ["string", "null"]},
    "binary": {"type": "string", "contentEncoding": "base64"}, "datetime": {"type": ["string", "null"], "format": "date-time"},
}  # fmt: skip
_ERRORS = {
    "400": "The request does not fit the model; the message names the column.", "408": "The body did not arrive in time.",
    "413": "The request is too large.", "415": "The content type is not one that is read here.",
    "503": "As many requests are under way as can be answered in time.", "504": "The model did not answer in time.",
}  # fmt: skip
_HEADERS = {
    "mlops-prediction-id": {"schema": {"type": "string"}, "description": "The id of the first row's prediction."},
    "mlops-model-version": {"schema": {"type": "string"}, "description": "The version that answered."},
    "mlops-model-role": {"schema": {"type": "string"}, "description": "champion, or challenger for a canary."},
}


def document(predictor: Predictor, options: Options) -> dict[str, Any]:
    """The OpenAPI document of a service whose present version is `predictor`."""
    loaded = predictor.loaded
    guarded = options.token is not None
    paths = {
        "/invocations": {"post": _invocations(predictor, options)},
        f"/v2/models/{loaded.name}/infer": {"post": _infer(options)},
        f"/v2/models/{loaded.name}": {"get": _got("The model's inputs and outputs, in the Open Inference Protocol.", guarded)},
        f"/v2/models/{loaded.name}/ready": {"get": _got("Whether the model answers.", guarded, also="503")},
        "/v2": {"get": _got("The server.", guarded)},
        "/v2/health/live": {"get": _got("Whether the process lives.", False)},
        "/v2/health/ready": {"get": _got("Whether requests are answered.", False, also="503")},
        "/health": {"get": _got("Whether the process lives.", False)},
        "/ping": {"get": _got("The same, as MLflow's clients ask for it.", False)},
        "/ready": {"get": _got("Whether requests are answered, which versions answer them, and what is wrong.", False, also="503")},
        "/version": {"get": _got("The version of MLflow whose requests are understood.", False)},
        "/metrics": {"get": _got("Rate, latency, errors and versions, for Prometheus.", guarded, kind="text/plain")},
        "/openapi.json": {"get": _got("This document.", guarded)},
        "/docs": {"get": _got("This document, as a page.", guarded, kind="text/html")},
    }
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": loaded.name,
            "version": str(loaded.version),
            "description": f"Predictions of the registered model {loaded.name}. It understands what MLflow's model server does, and the "
            "Open Inference Protocol, version 2.",
        },
        "paths": paths,
        "components": {"schemas": {"Error": _object({"error_code": {"type": "string"}, "message": {"type": "string"}}, ["message"])}},
    }
    if guarded:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return found


def page(told: Mapping[str, Any]) -> str:
    """The document as a page of HTML."""
    parts = []
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            example = html.escape(json.dumps(body["example"], indent=1)) if "example" in body else ""
            answers = "".join(
                f"<tr><td>{html.escape(status)}</td><td>{html.escape(answer['description'])}</td></tr>"
                for status, answer in operation["responses"].items()
            )
            call = f"<p>For example:</p><pre>curl -H 'Content-Type: application/json' --data @request.json URL{html.escape(path)}</pre>"
            shown = f"{call}<pre>{example}</pre>" if example else ""
            title = f"<code>{method.upper()} {html.escape(path)}</code> {html.escape(operation['summary'])}"
            parts.append(f"<details><summary>{title}</summary>{shown}<table>{answers}</table></details>")
    info = told["info"]
    name, version = html.escape(info["title"]), html.escape(info["version"])
    head = f"<h1>{name}, version {version}</h1><p>{html.escape(info['description'])} <a href='openapi.json'>OpenAPI</a></p>"
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{name}</title><style>{_STYLE}</style></head>"
        f"<body>{head}{''.join(parts)}</body></html>"
    )


_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "pre{overflow:auto;padding:.6rem;border:1px solid #8884}"
    "summary{cursor:pointer;padding:.3rem 0}td{padding:0 .8rem .2rem 0;vertical-align:top}"
)


def _invocations(predictor: Predictor, options: Options) -> dict[str, Any]:
    columns = predictor.schema.columns
    content = {"application/json": {"schema": _formats(columns), "example": _example(predictor)}}
    csv: dict[str, Any] = {"text/csv": {"schema": {"type": "string"}}} if columns is not None else {}
    answered = _object(
        {"predictions": {}, "prediction_ids": {"type": "array", "items": {"type": "string"}}, "model_version": {"type": "string"}},
        ["predictions", "prediction_ids", "model_version"],
    )
    summary = "Predictions, in the formats of MLflow's model server."
    return _operation(summary, {"required": True, "content": content | csv}, answered, options)


def _infer(options: Options) -> dict[str, Any]:
    tensor = _object(
        {
            "name": {"type": "string"}, "shape": {"type": "array", "items": {"type": "integer"}}, "datatype": {"type": "string"},
            "data": {"type": "array"},
        },
        ["name", "shape", "datatype", "data"],
    )  # fmt: skip
    tensors = {"type": "array", "items": tensor, "minItems": 1}
    asked = _object({"id": {"type": "string"}, "inputs": tensors, "outputs": {"type": "array"}}, ["inputs"])
    text = {"type": "string"}
    answered = _object({"model_name": text, "model_version": text, "outputs": tensors}, ["model_name", "outputs"])
    body = {"required": True, "content": {"application/json": {"schema": asked}}}
    return _operation("Predictions, in the Open Inference Protocol.", body, answered, options)


def _operation(summary: str, body: Mapping[str, Any], answered: Mapping[str, Any], options: Options) -> dict[str, Any]:
    good = {"description": "The predictions.", "headers": _HEADERS, "content": {"application/json": {"schema": answered}}}
    found: dict[str, Any] = {"summary": summary, "requestBody": body, "responses": {"200": good} | _failures(_ERRORS, options)}
    if options.token is not None:
        found["security"] = [{"token": []}]
    return found


def _failures(told: Mapping[str, str], options: Options) -> dict[str, Any]:
    refused = {"401": "The token is missing or wrong."} if options.token is not None else {"403": "The request is for another host."}
    return {
        status: {"description": what, "content": {"application/json": {"schema": {"type": "object"}}}}
        for status, what in sorted({**refused, **told}.items())
    }


def _got(summary: str, guarded: bool, *, kind: str = "application/json", also: str = "") -> dict[str, Any]:
    answers: dict[str, Any] = {"200": {"description": summary, "content": {kind: {}}}}
    if also:
        answers[also] = {"description": "Not now."}
    found: dict[str, Any] = {"summary": summary, "responses": answers}
    if guarded:
        answers["401"] = {"description": "The token is missing or wrong."}
        found["security"] = [{"token": []}]
    return found


def _formats(columns: Columns | None) -> dict[str, Any]:
    """The schema of a body: exactly one of MLflow's formats."""
    if columns is None:
        return {"anyOf": [_object({name: {}}, [name]) for name in ("dataframe_split", "dataframe_records", "instances", "inputs")]}
    values = {column.name: _typed(column) for column in columns.columns}
    records = {"type": "array", "items": _object(values, [c.name for c in columns.columns if c.required]), "minItems": 1}
    rows = {"type": "array", "minItems": 1, "items": {"type": "array", "minItems": len(values), "maxItems": len(values)}}
    names = {"type": "array", "items": {"enum": list(values)}, "minItems": len(values), "maxItems": len(values)}
    split = _object({"columns": names, "data": rows}, ["columns", "data"])
    arrays = _object({name: {"type": "array", "items": kind, "minItems": 1} for name, kind in values.items()}, list(values))
    formats = {"dataframe_split": split, "dataframe_records": records, "instances": records, "inputs": arrays}
    return {"anyOf": [{**_object({name: schema, "params": {"type": "object"}}, [name]), "additionalProperties": False}
                      for name, schema in formats.items()]}  # fmt: skip


def _example(predictor: Predictor) -> Any:
    columns = predictor.schema.columns
    if predictor.loaded.example is not None or columns is None:
        return predictor.loaded.example or {"inputs": []}
    rows = [[value if isinstance(value, (bool, int, float, str)) else str(value) for value in row] for row in alike(columns, (), 1)]
    return {"dataframe_split": {"columns": list(columns.names), "data": rows}}


def _typed(column: Column) -> dict[str, Any]:
    return dict(_JSON.get(column.type, {}))


def _object(properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": required}
