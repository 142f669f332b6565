"""Writes ranking-many.json: NDCG and MAP of 10,000 random lists with ties by public implementations, for test/framework/metrics/oracle.test.ts.

    pip install scikit-learn==1.9.1 ir-measures==0.4.3 && python test/golden/ranking_many.py

The lists are drawn by a generator that both sides have (`Draw` here and in the test), so that the file holds the values alone.

- ndcg: scikit-learn's ndcg_score on the gains 2^label - 1, which averages over the orders of tied items.
- map: the mean of ir-measures' AP@k (trec_eval's map_cut) over every order of the tied items that differs in its labels. trec_eval divides by
  all relevant items of the list, where ours divides by min(k, relevant): the value is multiplied by relevant / min(k, relevant).
- Under the policies "optimistic" and "pessimistic" tied items are put in the best, or the worst, order before the libraries see them.
"""

import base64
import itertools
import json
from pathlib import Path

import ir_measures
import numpy as np
from ir_measures import AP
from sklearn.metrics import ndcg_score

count = 10_000
policies = ["expected", "expected", "optimistic", "pessimistic"]
cutoffs = [1, 3, 5, 7, 10, 20]
# Score levels, and how long a list of so many may be: every order of its ties is tried.
forms = [(1, 8), (2, 10), (4, 12), (1000, 20)]


class Draw:
    """Numerical Recipes' linear congruential generator, its upper half."""

    def __init__(self) -> None:
        self.state = 20241005

    def below(self, bound: int) -> int:
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return (self.state >> 16) % bound


def ordered(scores: list[int], labels: list[int], best_first: bool) -> list[int]:
    """Labels by descending score, ties by label."""
    return [label for _, label in sorted(zip(scores, labels), key=lambda pair: (-pair[0], -pair[1] if best_first else pair[1]))]


def orders(scores: list[int], labels: list[int], policy: str) -> list[list[int]]:
    """The orders of the labels that the policy means."""
    if policy != "expected":
        return [ordered(scores, labels, policy == "optimistic")]
    groups = []
    for score in sorted(set(scores), reverse=True):
        relevant = [int(label > 0) for s, label in zip(scores, labels) if s == score]
        places = itertools.combinations(range(len(relevant)), sum(relevant))
        groups.append([[int(i in chosen) for i in range(len(relevant))] for chosen in places])
    return [list(itertools.chain(*choice)) for choice in itertools.product(*groups)]


draw = Draw()
lists = []
for number in range(count):
    levels, longest = forms[draw.below(len(forms))]
    length = 2 + draw.below(longest - 1)
    k = cutoffs[draw.below(len(cutoffs))]
    graded = draw.below(3) == 0
    labels = [(1 + draw.below(3) if graded else 1) if draw.below(100) < 35 else 0 for _ in range(length)]
    scores = [draw.below(levels) for _ in range(length)]
    lists.append((scores, labels, k, policies[number % len(policies)]))


def ndcg(scores: list[int], labels: list[int], k: int, policy: str) -> float:
    if max(labels) == 0:
        return float("nan")
    if policy == "expected":
        return float(ndcg_score([2.0 ** np.array(labels) - 1], [np.array(scores, dtype=float)], k=k))
    best = ordered(scores, labels, policy == "optimistic")
    return float(ndcg_score([2.0 ** np.array(best) - 1], [np.arange(len(best), 0, -1.0)], k=k))


def average_precisions(some: list[tuple]) -> list[float]:
    qrels, run, of = {}, {}, {}
    for number, (scores, labels, k, policy) in enumerate(some):
        if max(labels) == 0:
            continue
        for i, order in enumerate(orders(scores, labels, policy)):
            query = f"{number}-{i}"
            qrels[query] = {f"d{j}": int(label > 0) for j, label in enumerate(order)}
            run[query] = {f"d{j}": float(len(order) - j) for j in range(len(order))}
            of[query] = number
    values = [[] for _ in some]
    for k in cutoffs:
        wanted = {query for query, number in of.items() if some[number][2] == k}
        part = {query: run[query] for query in wanted}
        for metric in ir_measures.iter_calc([AP @ k], {query: qrels[query] for query in wanted}, part):
            values[of[metric.query_id]].append(metric.value)
    scale = lambda labels, k: sum(label > 0 for label in labels) / min(k, sum(label > 0 for label in labels))
    return [float(np.mean(own)) * scale(labels, k) if own else float("nan") for own, (_, labels, k, _) in zip(values, some)]


ndcgs = [ndcg(*one) for one in lists]
maps = [value for begin in range(0, count, 500) for value in average_precisions(lists[begin : begin + 500])]
tied = sum(len(set(scores)) < len(scores) for scores, *_ in lists)
encode = lambda values: base64.b64encode(np.array(values, dtype="<f8").tobytes()).decode()
content = {"count": count, "tied": tied, "ndcg": encode(ndcgs), "map": encode(maps)}
Path(__file__).with_name("ranking-many.json").write_text(json.dumps(content, indent=1) + "\n")
