"""Prints as JSON what MLflow's own client sees of a version of a model. Arguments: tracking URI, name, version or alias."""

import hashlib
import json
import os
import sys
import tempfile

import mlflow
from mlflow import MlflowClient

uri, name, wanted = sys.argv[1:]
mlflow.set_tracking_uri(uri)
client = MlflowClient(tracking_uri=uri)
version = client.get_model_version(name, wanted) if wanted.isdigit() else client.get_model_version_by_alias(name, wanted)
info = mlflow.models.get_model_info(f"models:/{name}/{version.version}")
files = {}
with tempfile.TemporaryDirectory() as folder:
    top = mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{name}/{version.version}", dst_path=folder)
    for inner, _, names in os.walk(top):
        for file in names:
            path = os.path.join(inner, file)
            with open(path, "rb") as content:
                files[os.path.relpath(path, top)] = hashlib.sha256(content.read()).hexdigest()
print(
    json.dumps(
        {
            "version": version.version,
            "run": version.run_id,
            "status": version.status,
            "aliases": list(version.aliases),
            "tags": version.tags,
            "flavors": list(info.flavors),
            "files": files,
        }
    )
)
