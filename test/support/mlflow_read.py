"""For each line of its input, the name of an experiment, prints a line of JSON: all that MLflow's own client sees of it. Argument: tracking URI."""

import hashlib
import json
import sys
import tempfile

from mlflow import MlflowClient

client = MlflowClient(tracking_uri=sys.argv[1])


def files(run_id, path=None):
    for entry in client.list_artifacts(run_id, path):
        if entry.is_dir:
            yield from files(run_id, entry.path)
        else:
            yield entry.path


def read(run):
    run_id = run.info.run_id
    with tempfile.TemporaryDirectory() as folder:
        artifacts = {}
        for path in files(run_id):
            with open(client.download_artifacts(run_id, path, folder), "rb") as file:
                artifacts[path] = hashlib.sha256(file.read()).hexdigest()
    return {
        "id": run_id,
        "name": run.info.run_name,
        "status": run.info.status,
        "start": run.info.start_time,
        "end": run.info.end_time,
        "tags": run.data.tags,
        "params": run.data.params,
        "metrics": {
            key: [[metric.step, metric.timestamp, repr(metric.value)] for metric in client.get_metric_history(run_id, key)]
            for key in run.data.metrics
        },
        "artifacts": artifacts,
    }


for line in sys.stdin:
    experiment = client.get_experiment_by_name(json.loads(line))
    runs = [] if experiment is None else client.search_runs([experiment.experiment_id], max_results=1000)
    print(json.dumps(sorted(map(read, runs), key=lambda run: run["tags"].get("rlrf.key", ""))), flush=True)
