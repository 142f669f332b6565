"""Writes ranking.json: metrics of random lists by public implementations, for test/framework/metrics/oracle.test.ts.

    pip install scikit-learn==1.9.1 ranx==0.3.21 && python test/golden/ranking_oracle.py

- ndcg: scikit-learn's ndcg_score on the gains 2^label - 1. It averages over the orders of tied items, as the policy "expected" does.
- ndcgRanx, mapRanx: ranx's ndcg_burges and map, on lists without ties. ranx's map divides by all relevant items; both divisors agree where
  a list has at most k of them, and only those lists have a value here.
"""

import json
from pathlib import Path

import numpy as np
from ranx import Qrels, Run, evaluate
from sklearn.metrics import ndcg_score

random = np.random.default_rng(20241005)
length, cutoffs = 10, [1, 3, 5, 7, 10]


def by_ranx(metric: str, scores: np.ndarray, labels: np.ndarray) -> float:
    relevant = {f"d{i}": int(label) for i, label in enumerate(labels) if label > 0}
    run = {f"d{i}": float(score) for i, score in enumerate(scores)}
    return float(evaluate(Qrels({"q": relevant}), Run({"q": run}), metric))


cases = []
for number in range(60):
    graded, tied = number % 3 == 2, number % 2 == 1
    labels = random.integers(0, 4, length) if graded else (random.random(length) < 0.35).astype(int)
    scores = random.integers(0, 4, length).astype(float) if tied else random.permutation(length) + random.random()
    if labels.max() == 0:
        labels[int(random.integers(length))] = 1
    case = {"scores": scores.tolist(), "labels": labels.tolist(), "ties": tied, "at": {}}
    for k in cutoffs:
        values = {"ndcg": float(ndcg_score([2.0**labels - 1], [scores], k=k))}
        if not tied:
            values["ndcgRanx"] = by_ranx(f"ndcg_burges@{k}", scores, labels)
            if (labels > 0).sum() <= k:
                values["mapRanx"] = by_ranx(f"map@{k}", scores, labels)
        case["at"][k] = values
    cases.append(case)

lines = ",\n".join(json.dumps(case) for case in cases)
Path(__file__).with_name("ranking.json").write_text(f'{{"length": {length}, "cases": [\n{lines}\n]}}\n')
