"""What every rival shares: the data that the driver wrote, and a loop that answers one JSON command a line on stdin."""

import json
import sys
import time

import numpy as np
import torch
from safetensors.numpy import load_file


def load(path: str) -> dict[str, np.ndarray]:
    return load_file(path)


def serve(commands: dict) -> None:
    """`{"do": "epoch", …}` calls commands["epoch"](…); the answer is what it returns, with the seconds it took."""
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        name = request.pop("do")
        begun, spent = time.perf_counter(), time.process_time()
        result = commands[name](**request)
        print(json.dumps({"seconds": time.perf_counter() - begun, "processor": time.process_time() - spent, **(result or {})}), flush=True)


def mean_ndcg(ranks: np.ndarray, k: int) -> float:
    """@param ranks from 0, of the one relevant item"""
    return float(np.where(ranks < k, 1 / np.log2(ranks + 2), 0).mean())
