"""Writes losses.json: every preference loss in NumPy's float64, from the formulas alone, for test/plugins/losses/golden.test.ts.

    pip install numpy==2.4.6 && python test/golden/losses.py

u, v: log pi - log ref of the chosen and of the rejected texts; a: log pi / |y|. Where a loss stops a gradient, its constants are computed from
`frozen`, which is the batch itself for the values, and stays where it is while the log-probs are moved for the gradients (fourth-order differences).
"""

import json
from itertools import combinations
from pathlib import Path

import numpy as np

random = np.random.default_rng(20260511)
STRAIGHT = 30.0  # from here on exponentials go on along their tangent


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def sigmoid(x):
    return np.exp(-softplus(-x))


def log_sum_exp(x):
    top = x.max(axis=1, keepdims=True)
    return (top + np.log(np.exp(x - top).sum(axis=1, keepdims=True)))[:, 0]


def u(b):
    return (b["w"] - b["ref_w"])[:, None]


def v(b):
    return b["l"] - b["ref_l"]


def a(b, side):
    return b["w"][:, None] / b["len_w"][:, None] if side == "w" else b["l"] / b["len_l"]


def cdpo(x, e=0.0):
    return (1 - e) * softplus(-x) + e * softplus(x)


def exponential(x):
    return np.exp(np.minimum(x, STRAIGHT)) * (1 + np.maximum(x - STRAIGHT, 0))


def power(x, p):
    return x if p == 0 else np.where(p * x < 1, np.expm1(np.minimum(p * x, 1)), exponential(p * x) - 1) / p


def exo(b, o, frozen):
    q, r = sigmoid(o["beta"] * (u(b) - v(b))), sigmoid(o["beta"] * (v(b) - u(b)))
    x = o["beta"] * (u(b) - v(b))
    e = o["labelSmoothing"]
    return q * (-softplus(-x) - np.log(1 - e)) + r * (-softplus(x) - np.log(e))


def bco(b, o, frozen):
    d = o["beta"] * (u(frozen).mean() + v(frozen).mean()) / 2 if o.get("shift", True) else 0.0
    return softplus(-(o["beta"] * u(b) - d)) + softplus(o["beta"] * v(b) - d)


def aot(b, o, frozen):
    if o["unpaired"]:
        delta = np.sort(np.broadcast_to(u(b), v(b).shape), axis=0) - np.sort(v(b), axis=0)
    else:
        delta = np.sort(b["w"][:, None] - b["l"], axis=0) - np.sort(b["ref_w"][:, None] - b["ref_l"], axis=0)
    return cdpo(o["beta"] * delta, o["labelSmoothing"])


def discopop(b, o, frozen):
    z = o["beta"] * (u(b) - v(b))
    m = sigmoid(z / o["temperature"])
    exponential = np.exp(-softplus(-z / o["temperature"]) - z)  # m exp(-z)
    return (1 - m) * softplus(-z) + exponential


def f_dpo(b, o, frozen):
    f = {
        "forward-kl": lambda x: -exponential(-x),
        "js": lambda x: -softplus(-x),
        "alpha": lambda x: exponential((o["alpha"] - 1) * x) / (o["alpha"] - 1),
    }[o["divergence"]]
    return cdpo(o["beta"] * (f(u(b)) - f(v(b))))


def kto(b, o, frozen):
    kl = max(0.0, (frozen["m"] - frozen["ref_m"]).mean())
    gain = o["desirableWeight"] * (1 - sigmoid(o["beta"] * (u(b) - kl)))
    return gain + o["undesirableWeight"] * (1 - sigmoid(o["beta"] * (kl - v(b))))


def alphapo(b, o, frozen):
    reward = lambda x: power(x, -o["alpha"])  # (1 - exp(-alpha x)) / alpha
    return cdpo(o["beta"] * (reward(a(b, "w")) - reward(a(b, "l"))) - o["gamma"])


def orpo(b, o, frozen):
    log_odds = lambda x: x - np.log(-np.expm1(x))
    return -a(b, "w") + o["beta"] * softplus(-(log_odds(a(b, "w")) - log_odds(a(b, "l"))))


def pl_topk(b, o, frozen):
    s = o["beta"] * np.concatenate([u(b), v(b)], axis=1)
    return -sum(s[:, j] - log_sum_exp(s[:, j:]) for j in range(min(o["top"], s.shape[1])))


def rec_po(b, o, frozen):
    w, d = b["rew_w"][:, None], b["rew_l"]
    m = w / np.maximum(d, o["floor"]) if o["margin"] == "ratio" else np.log(np.maximum(1 + w - d, o["floor"]))
    return softplus(log_sum_exp(o["beta"] * (v(b) - u(b)) + o["lambda"] * m))


def boundary(w, l, clusters):
    likelier = l >= w
    if likelier.any():
        return likelier
    order = np.argsort(-l)
    clusters = min(clusters, len(l))
    splits = [np.split(l[order], cut) for cut in combinations(range(1, len(l)), clusters - 1)]
    best = min(splits, key=lambda runs: sum(((run - run.mean()) ** 2).sum() for run in runs))
    return l >= best[0].min()


def dynamic_po(b, o, frozen):
    losses = []
    for i in range(len(b["w"])):
        w, l = frozen["w"][i], frozen["l"][i]
        near = boundary(w, l, o["clusters"])
        easy = (l[~near] if (~near).any() else l[near]).mean()
        m1, m2 = w - l[near], l[near] - easy
        beta = o["beta"] * (1 + 0.5 * np.tanh((m1 - m2 - o["margin"]) / (np.abs(m1) + np.abs(m2))))
        losses.append(cdpo((beta * (u(b)[i] - v(b)[i][near])).mean()))
    return np.array(losses)


def robust(b, o, frozen):
    x, e = o["beta"] * (u(b) - v(b)), o["labelSmoothing"]
    return ((1 - e) * softplus(-x) - e * softplus(x)) / (1 - 2 * e)


def ipo(b, o, frozen):
    over_w, over_l = (b["len_w"][:, None], b["len_l"]) if o["normalise"] else (1, 1)
    return (u(b) / over_w - v(b) / over_l - 1 / (2 * o["beta"])) ** 2


def cpo(b, o, frozen):
    nll = -b["w"][:, None] / (b["len_w"][:, None] if o["normalise"] else 1)
    return cdpo(o["beta"] * (b["w"][:, None] - b["l"]), o["labelSmoothing"]) + o["alpha"] * nll


LOSSES = {
    "dpo": lambda b, o, _: cdpo(o["beta"] * (u(b) - v(b)), o["labelSmoothing"]),
    "robust-dpo": robust,
    "hinge": lambda b, o, _: np.maximum(0, 1 - o["beta"] * (u(b) - v(b))),
    "ipo": ipo,
    "exo": exo,
    "nca": lambda b, o, _: softplus(-o["beta"] * u(b)) + 0.5 * softplus(o["beta"] * u(b)) + 0.5 * softplus(o["beta"] * v(b)),
    "bco": bco,
    "sppo": lambda b, o, _: (u(b) - 0.5 / o["beta"]) ** 2 + (v(b) + 0.5 / o["beta"]) ** 2,
    "aot": aot,
    "apo-zero": lambda b, o, _: 1 - sigmoid(o["beta"] * u(b)) + sigmoid(o["beta"] * v(b)),
    "apo-down": lambda b, o, _: sigmoid(o["beta"] * u(b)) + 1 - sigmoid(o["beta"] * (u(b) - v(b))),
    "discopop": discopop,
    "f-dpo": f_dpo,
    "kto": kto,
    "cpo": cpo,
    "simpo": lambda b, o, _: cdpo(o["beta"] * (a(b, "w") - a(b, "l")) - o["gamma"]),
    "alphapo": alphapo,
    "orpo": orpo,
    "dpo-norm": lambda b, o, _: cdpo(o["beta"] * (u(b) / b["len_w"][:, None] - v(b) / b["len_l"])),
    "sft": lambda b, o, _: -a(b, "w"),
    "s-dpo": lambda b, o, _: softplus(log_sum_exp(o["beta"] * (v(b) - u(b)))),
    "dmpo": lambda b, o, _: cdpo(o["beta"] * (u(b)[:, 0] - v(b).mean(axis=1))),
    "pl-topk": pl_topk,
    "rec-po": rec_po,
    "dynamic-po": dynamic_po,
}
VARIANTS = [
    ("dpo", {"beta": 0.1, "labelSmoothing": 0.0}),
    ("dpo", {"beta": 0.5, "labelSmoothing": 0.1}),
    ("robust-dpo", {"beta": 0.1, "labelSmoothing": 0.2}),
    ("hinge", {"beta": 0.1}),
    ("ipo", {"beta": 0.1, "normalise": True}),
    ("ipo", {"beta": 0.1, "normalise": False}),
    ("exo", {"beta": 0.1, "labelSmoothing": 1e-3}),
    ("nca", {"beta": 0.1}),
    ("bco", {"beta": 0.1, "shift": True}),
    ("bco", {"beta": 0.1, "shift": False}),
    ("sppo", {"beta": 0.001}),
    ("aot", {"beta": 0.1, "labelSmoothing": 0.1, "unpaired": False}),
    ("aot", {"beta": 0.1, "labelSmoothing": 0.0, "unpaired": True}),
    ("apo-zero", {"beta": 0.1}),
    ("apo-down", {"beta": 0.1}),
    ("discopop", {"beta": 0.05, "temperature": 0.05}),
    ("f-dpo", {"beta": 0.1, "divergence": "forward-kl", "alpha": 0.5}),
    ("f-dpo", {"beta": 0.1, "divergence": "js", "alpha": 0.5}),
    ("f-dpo", {"beta": 0.1, "divergence": "alpha", "alpha": 0.3}),
    ("kto", {"beta": 0.1, "desirableWeight": 1.0, "undesirableWeight": 1.5}),
    ("cpo", {"beta": 0.1, "labelSmoothing": 0.1, "alpha": 1.0, "normalise": True}),
    ("cpo", {"beta": 0.1, "labelSmoothing": 0.0, "alpha": 0.5, "normalise": False}),
    ("simpo", {"beta": 2.0, "gamma": 1.0}),
    ("alphapo", {"beta": 2.5, "gamma": 0.5, "alpha": 0.25}),
    ("alphapo", {"beta": 2.5, "gamma": 0.5, "alpha": -0.5}),
    ("alphapo", {"beta": 2.0, "gamma": 1.0, "alpha": 0.0}),
    ("orpo", {"beta": 0.1}),
    ("dpo-norm", {"beta": 5.0}),
    ("sft", {}),
    ("s-dpo", {"beta": 1.0}),
    ("dmpo", {"beta": 0.1}),
    ("pl-topk", {"beta": 1.0, "top": 1}),
    ("pl-topk", {"beta": 0.3, "top": 3}),
    ("pl-topk", {"beta": 0.3, "top": 20}),
    ("rec-po", {"beta": 1.0, "lambda": 2.0, "margin": "ratio", "floor": 0.01}),  # below every reward here: the paper's own ratio
    ("rec-po", {"beta": 1.0, "lambda": 2.0, "margin": "ratio", "floor": 0.2}),
    ("rec-po", {"beta": 1.0, "lambda": 2.0, "margin": "log", "floor": 0.1}),
    ("dynamic-po", {"beta": 0.1, "margin": 6.0, "clusters": 3}),
    ("dynamic-po", {"beta": 1.0, "margin": 0.0, "clusters": 2}),
]


def value(name, options, batch, frozen):
    losses = LOSSES[name](batch, options, frozen)
    return losses.mean(axis=1) if losses.ndim == 2 else losses  # of several rejected texts the mean


def gradient(name, options, batch, key, step=1e-3):
    """Of the mean loss."""
    result = np.zeros_like(batch[key])
    for index in np.ndindex(*result.shape):

        def at(by):
            moved = {**batch, key: batch[key].copy()}
            moved[key][index] += by
            return value(name, options, moved, batch).mean()

        result[index] = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step)
    return result


def batch_of(pairs, k, spread, extreme=False):
    def side(*shape):
        length = random.integers(3, 40, shape).astype(float)
        reference = np.round(-length * random.uniform(0.2, 2.5, shape), 3)
        policy = np.round(np.minimum(reference + spread * random.normal(size=shape), -0.05), 3)
        if extreme:
            far = random.choice([-1e4, -100.0, 0.0, 1e4], shape)
            policy, reference = np.where(far < 0, policy + far, policy), np.where(far > 0, reference - far, reference)
        return policy, reference, length

    b = {}
    b["w"], b["ref_w"], b["len_w"] = side(pairs)
    b["l"], b["ref_l"], b["len_l"] = side(pairs, k)
    b["m"], b["ref_m"], _ = side(pairs)
    b["rew_w"] = np.round(random.uniform(0.5, 1, pairs), 3)
    b["rew_l"] = np.round(-np.sort(-random.uniform(0.05, 0.5, (pairs, k)), axis=1), 3)
    return b


def rounded(values):
    return [rounded(row) for row in values] if np.ndim(values) > 1 else [float(f"{x:.12g}") for x in values]


cases = []
for pairs, k, spread, extreme in [(1, 1, 2, False), (3, 1, 3, False), (64, 1, 4, False), (4, 8, 4, False), (17, 3, 6, False), (12, 2, 5, True)]:
    b = batch_of(pairs, k, spread, extreme)
    side = lambda s: {"logProbs": b[s].tolist(), "reference": b[f"ref_{s}"].tolist(), "lengths": b[f"len_{s}"].tolist(), "rewards": b[f"rew_{s}"].tolist()}
    input = {"chosen": side("w"), "rejected": side("l"), "mismatched": {"logProbs": b["m"].tolist(), "reference": b["ref_m"].tolist()}}
    expected = []
    for name, options in VARIANTS:
        entry = {"loss": rounded(value(name, options, b, b))}
        if pairs <= 4:
            entry["gradient"] = {"chosen": rounded(gradient(name, options, b, "w")), "rejected": rounded(gradient(name, options, b, "l"))}
        expected.append(entry)
    cases.append({"input": input, "expected": expected})

variants = [{"name": name, "options": options} for name, options in VARIANTS]
lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
Path(__file__).with_name("losses.json").write_text(f'{{"variants": {json.dumps(variants)},\n"cases": [\n{lines}\n]}}\n')
