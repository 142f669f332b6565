"""Writes rerankers.json: scores of some lists by a PyTorch reference of each reranker's paper on the weights of weights.py.

    pip install torch==2.13.0 numpy
    python test/golden/rerankers.py > test/golden/rerankers.json
"""

import itertools
import json
import math

import torch
import torch.nn.functional as F
from weights import attention, dense, gru, lstm, norm, rounded, weight

BATCH, LIST, WIDTH, LENGTH, HISTORY_WIDTH = 3, 4, 5, 3, 4
FEATURES = 3 * weight("features", BATCH, LIST, WIDTH)
HISTORY = 3 * weight("history", BATCH, LENGTH, HISTORY_WIDTH)
BEFORE = [3, 2, 1]  # interactions before each list; the others are padding, on the left


def mlp(name: str, x: torch.Tensor, widths: list[int]) -> torch.Tensor:
    for i, outputs in enumerate(widths):
        x = dense(f"{name}/layer{i}", x.shape[-1], outputs)(x)
        if i < len(widths) - 1:
            x = F.relu(x)
    return x


def pointwise(mlp_widths: list[int]) -> torch.Tensor:
    return mlp("output", FEATURES, [*mlp_widths, 1])[..., 0]


def dlcm(abstraction: int, hidden: int, channels: int) -> torch.Tensor:
    """Eqs. 3-7: the list read from its end, score = V (o tanh(W s + b))."""
    z = F.elu(dense("abstraction0", WIDTH, abstraction)(FEATURES))
    z = F.elu(dense("abstraction1", abstraction, abstraction)(z))
    o, s = gru("gru", WIDTH + abstraction, hidden)(torch.cat([FEATURES, z], -1).flip(1))
    o, s = o.flip(1), s[0]
    w = weight("context/weights", hidden, channels * hidden).view(hidden, channels, hidden)
    b = weight("context/biases", channels * hidden).view(channels, hidden)
    views = torch.tanh(torch.einsum("bh,hkg->bkg", s, w) + b)
    return torch.einsum("blg,bkg,k->bl", o, views, weight("weigh/weights", channels, 1)[:, 0])


def mab(name: str, x: torch.Tensor, y: torch.Tensor, hidden: int, heads: int, inner: int) -> torch.Tensor:
    z = norm(f"{name}/attentionNorm", hidden)(x + attention(f"{name}/attention", hidden, heads)(x, y, y)[0])
    return norm(f"{name}/feedForwardNorm", hidden)(z + mlp(f"{name}/feedForward", z, [inner, hidden]))


def prm(hidden: int, layers: int, heads: int, inner: int, mlp_widths: list[int], positions: bool) -> torch.Tensor:
    x = dense("input", WIDTH, hidden)(FEATURES)
    if positions:
        x = x + weight("positions", LIST, hidden)
    for i in range(layers):
        x = mab(f"block{i}", x, x, hidden, heads, inner)
    return mlp("output", x, [*mlp_widths, 1])[..., 0]


def setrank(hidden: int, layers: int, heads: int, inner: int, induced: int, mlp_widths: list[int]) -> torch.Tensor:
    """IMSAB(X) = MAB(X, MAB(I, X)); without inducing vectors MAB(X, X)."""
    x = dense("input", WIDTH, hidden)(FEATURES)
    for i in range(layers):
        y = x
        if induced > 0:
            inducing = weight(f"block{i}/inducing", induced, hidden).expand(BATCH, -1, -1)
            y = mab(f"block{i}/inner", inducing, x, hidden, heads, inner)
        x = mab(f"block{i}/outer", x, y, hidden, heads, inner)
    return mlp("output", x, [*mlp_widths, 1])[..., 0]


def mir(hidden: int, units: int, heads: int, mlp_widths: list[int], positions: bool) -> torch.Tensor:
    """Intra-set attention, intra-list LSTM, set-to-list attention with decay; list by list, without padding."""
    places = LIST if positions else 1
    reader = lstm(["list/forward", "list/backward"], hidden, units)
    attend = attention("set", hidden, heads)
    set_width, list_width = 2 * hidden, hidden + 2 * units
    w, u = dense("meet/set", set_width, places, False), dense("meet/list", list_width, places, False)
    scores = []
    for features, history, length in zip(FEATURES, HISTORY, BEFORE):
        x = dense("input", WIDTH, hidden)(features)
        v = torch.cat([x, attend(x[None], x[None], x[None])[0][0]], -1)  # [list, set_width]
        h = dense("list/input", HISTORY_WIDTH, hidden)(history[-length:])
        q = torch.cat([h, reader(h[None])[0][0]], -1)  # [length, list_width]
        theta = F.softplus(dense("meet/forget1", hidden, 1)(F.relu(dense("meet/forget0", hidden, hidden)(h.mean(0)))))
        ago = torch.log2(torch.arange(length, 0, -1, dtype=torch.float64))[:, None]
        a = dense("meet/affinity", list_width, set_width, False)(q) @ v.T
        c = torch.tanh(a + a * torch.exp(-theta * ago))  # [length, list]
        in_set, in_list = w(v).expand(LIST, LIST), u(q).expand(length, LIST)
        over_set = F.softmax(torch.tanh(in_set + in_list.T @ c), -1)
        over_list = F.softmax(torch.tanh(in_list.T + in_set @ c.T), -1)
        joined = torch.cat([x, over_set @ v, over_list @ q], -1)
        scores.append(mlp("output", norm("norm", joined.shape[-1])(joined), [*mlp_widths, 1])[..., 0])
    return torch.stack(scores)


def seq2slate(hidden: int, decoding: str) -> torch.Tensor:
    """Eqs. 1-5, decoded greedily: log-probabilities weighed by 1 / log2(j + 1), until each candidate's turn."""
    x = dense("input", WIDTH, hidden)(FEATURES)
    states, (h, c) = lstm(["encoder"], hidden, hidden)(x)
    decoder = lstm(["decoder"], hidden, hidden)
    keys = dense("candidate", hidden, hidden, False)(states)
    sums, left = torch.zeros(BATCH, LIST, dtype=torch.float64), torch.ones(BATCH, LIST, dtype=torch.bool)
    following = weight("start", 1, hidden).expand(BATCH, -1)
    for step in range(1 if decoding == "one-step" else LIST):
        _, (h, c) = decoder(following[:, None], (h, c))
        logits = torch.tanh(keys + dense("state", hidden, hidden, False)(h[0])[:, None]) @ weight("weigh", hidden)
        log_probs = F.log_softmax(logits.masked_fill(~left, -math.inf), -1)
        sums = sums + torch.where(left, log_probs, 0) / math.log2(step + 2)
        best = log_probs.argmax(-1)
        left[torch.arange(BATCH), best] = False
        following = x[torch.arange(BATCH), best]
    return sums


def gsf(group: int, mlp_widths: list[int]) -> torch.Tensor:
    """Eqs. 4-7: every ordered group, a candidate's entries averaged."""
    sums, counts = torch.zeros(BATCH, LIST, dtype=torch.float64), torch.zeros(LIST)
    for members in itertools.permutations(range(LIST), group):
        said = mlp("output", FEATURES[:, list(members)].flatten(1), [*mlp_widths, group])
        for place, member in enumerate(members):
            sums[:, member] += said[:, place]
            counts[member] += 1
    return sums / counts


BLOCK = {"hidden": 6, "layers": 2, "heads": 2, "inner": 5, "mlp": [4]}
CASES = [
    ("pointwise", pointwise, {"mlp": [6, 3]}),
    ("dlcm", dlcm, {"abstraction": 3, "hidden": 4, "channels": 2}),
    ("prm", prm, {**BLOCK, "positions": True}),
    ("setrank", setrank, {**BLOCK, "induced": 3}),
    ("setrank", setrank, {**BLOCK, "induced": 0}),
    ("mir", mir, {"hidden": 4, "units": 3, "heads": 2, "mlp": [5], "positions": False}),
    ("mir", mir, {"hidden": 4, "units": 3, "heads": 1, "mlp": [5], "positions": True}),
    ("seq2slate", seq2slate, {"hidden": 4, "decoding": "sequential"}),
    ("seq2slate", seq2slate, {"hidden": 4, "decoding": "one-step"}),
    ("gsf", gsf, {"group": 1, "mlp": [4]}),
    ("gsf", gsf, {"group": 2, "mlp": [6, 4]}),
    ("gsf", gsf, {"group": 3, "mlp": [4]}),
]

if __name__ == "__main__":
    cases = []
    for plugin, reference, options in CASES:
        arguments = {("mlp_widths" if name == "mlp" else name): value for name, value in options.items()}
        with torch.no_grad():
            cases.append({"plugin": plugin, "options": options, "scores": rounded(reference(**arguments))})
    shape = {"batch": BATCH, "list": LIST, "width": WIDTH, "length": LENGTH, "historyWidth": HISTORY_WIDTH, "before": BEFORE}
    print(json.dumps({**shape, "cases": cases}))
