"""Writes encoders.json: scores of every item after some histories, by a PyTorch reference of each encoder's paper on the weights of weights.py.

    pip install torch==2.13.0 numpy
    python test/golden/encoders.py > test/golden/encoders.json
"""

import json
import math

import torch
import torch.nn.functional as F
from weights import attention, dense, gru, norm, rounded, weight

ITEMS, HISTORY = 7, 6
HISTORIES = [[0, 0, 0, 3, 1, 6], [2, 5, 7, 4, 1, 3], [0, 0, 0, 0, 0, 4]]


def unpadded(history: list[int]) -> torch.Tensor:
    return torch.tensor([item for item in history if item != 0])


def each(state) -> torch.Tensor:
    """A row of scores for each history, its padding taken away."""
    return torch.stack([state(unpadded(history)) for history in HISTORIES])


def biased(state: torch.Tensor, width: int) -> torch.Tensor:
    table = weight("outputs/table", ITEMS + 1, width + 1)
    return table[:, :width] @ state + table[:, width]


def mean(hidden: int, agreement: float) -> torch.Tensor:
    """FISM, eq. 3."""
    items = weight("items/table", ITEMS + 1, hidden)
    return each(lambda ids: biased(items[ids].sum(0) / len(ids) ** agreement, hidden))


def gru4rec(embedding: int, hidden: int, layers: int, tied: bool) -> torch.Tensor:
    items = weight("items/table", ITEMS + 1, embedding)
    stack = [gru(f"layer{i}", embedding if i == 0 else hidden, hidden) for i in range(layers)]

    def scores(ids: torch.Tensor) -> torch.Tensor:
        x = items[ids][None]
        for layer in stack:
            x, _ = layer(x)
        return items @ dense("output", hidden, embedding)(x[0, -1]) if tied else biased(x[0, -1], hidden)

    return each(scores)


def narm(embedding: int, hidden: int) -> torch.Tensor:
    """Eqs. 5-12: alpha = v sigmoid(A1 h_t + A2 h_j), c = [h_t; sum alpha h_j], score = emb B c."""
    items = weight("items/table", ITEMS + 1, embedding)
    layer = gru("gru", embedding, hidden)
    a1, a2, b = dense("end", hidden, hidden, False), dense("each", hidden, hidden, False), dense("decoder", 2 * hidden, embedding, False)
    v = weight("weigh", hidden)

    def scores(ids: torch.Tensor) -> torch.Tensor:
        h = layer(items[ids][None])[0][0]
        alpha = torch.sigmoid(a1(h[-1]) + a2(h)) @ v
        return items @ b(torch.cat([h[-1], alpha @ h]))

    return each(scores)


def block(name: str, x: torch.Tensor, hidden: int, heads: int, inner: int, causal: bool, pre: bool, activation, projected=True):
    attend = attention(f"{name}/attention", hidden, heads, projected)
    first, second = norm(f"{name}/attentionNorm", hidden), norm(f"{name}/feedForwardNorm", hidden)
    feed = [dense(f"{name}/feedForward/layer0", hidden, inner), dense(f"{name}/feedForward/layer1", inner, hidden)]
    mask = torch.ones(len(x), len(x), dtype=torch.bool).triu(1) if causal else None

    def attended(y: torch.Tensor) -> torch.Tensor:
        return attend(y[None], y[None], y[None], attn_mask=mask)[0][0]

    def fed(y: torch.Tensor) -> torch.Tensor:
        return feed[1](activation(feed[0](y)))

    if pre:
        x = x + attended(first(x))
        return x + fed(second(x))
    x = first(x + attended(x))
    return second(x + fed(x))


def sasrec(hidden: int, layers: int, heads: int, scaled: bool, projected: bool, normalised: bool) -> torch.Tensor:
    """The paper's with none of the three."""
    items, positions = weight("items/table", ITEMS + 1, hidden), weight("positions", HISTORY, hidden)

    def scores(ids: torch.Tensor) -> torch.Tensor:
        x = items[ids] * (math.sqrt(hidden) if scaled else 1) + positions[-len(ids) :]
        for i in range(layers):
            x = block(f"block{i}", x, hidden, heads, hidden, causal=True, pre=True, activation=F.relu, projected=projected)
        return items @ (norm("norm", hidden)(x) if normalised else x)[-1]

    return each(scores)


def bert4rec(hidden: int, layers: int, heads: int) -> torch.Tensor:
    """Eqs. 1-7, the mask after the history."""
    items, positions = weight("items/table", ITEMS + 2, hidden), weight("positions", HISTORY + 1, hidden)
    biases = weight("biases", ITEMS + 1, 1)[:, 0]

    def scores(ids: torch.Tensor) -> torch.Tensor:
        masked = torch.cat([ids, torch.tensor([ITEMS + 1])])
        x = norm("norm", hidden)(items[masked] + positions[-len(masked) :])
        for i in range(layers):
            x = block(f"block{i}", x, hidden, heads, 4 * hidden, causal=False, pre=False, activation=F.gelu)
        return items[: ITEMS + 1] @ F.gelu(dense("head", hidden, hidden)(x[-1])) + biases

    return each(scores)


def caser(hidden: int, window: int, horizontal: int, vertical: int) -> torch.Tensor:
    """Eqs. 2-8 by torch's own convolutions; padding is the zero vector."""
    items = weight("items/table", ITEMS + 1, hidden)
    items[0] = 0
    across = weight("vertical", vertical, window)

    def scores(history: list[int]) -> torch.Tensor:
        image = items[torch.tensor(history[-window:])][None, None]  # [1, 1, window, hidden]
        parts = []
        for height in range(1, window + 1):
            filters = dense(f"horizontal{height}", height * hidden, horizontal)
            answers = F.relu(F.conv2d(image, filters.weight.view(horizontal, 1, height, hidden), filters.bias))
            parts.append(F.max_pool2d(answers, (window - height + 1, 1)).flatten())
        parts.append(F.conv2d(image, across.view(vertical, 1, window, 1)).flatten())
        z = torch.cat(parts)
        return biased(F.relu(dense("join", len(z), hidden)(z)), hidden)

    return torch.stack([scores(history) for history in HISTORIES])


def fmlp(hidden: int, layers: int, inner: int) -> torch.Tensor:
    """Eqs. 4-8 by torch's own Fourier transform; the padding is part of the sequence, as in the authors' code."""
    items, positions = weight("items/table", ITEMS + 1, hidden), weight("positions", HISTORY, hidden)
    x = norm("norm", hidden)(items[torch.tensor(HISTORIES)] + positions)
    for i in range(layers):
        name, frequencies = f"block{i}", HISTORY // 2 + 1
        real, imaginary = (weight(f"{name}/filter/{part}", frequencies, 1, hidden)[:, 0] for part in ("real", "imaginary"))
        spectrum = torch.fft.rfft(x, dim=1, norm="ortho") * torch.complex(real, imaginary)
        x = norm(f"{name}/filterNorm", hidden)(x + torch.fft.irfft(spectrum, n=HISTORY, dim=1, norm="ortho"))
        feed = [dense(f"{name}/feedForward/layer0", hidden, inner * hidden), dense(f"{name}/feedForward/layer1", inner * hidden, hidden)]
        x = norm(f"{name}/feedForwardNorm", hidden)(x + feed[1](F.gelu(feed[0](x))))
    return x[:, -1] @ items.T


def hstu(hidden: int, layers: int, heads: int, temperature: float) -> torch.Tensor:
    """Eqs. 1-3 with a bias for each distance."""
    items, positions = weight("items/table", ITEMS + 1, hidden), weight("positions", HISTORY, hidden)

    def scores(ids: torch.Tensor) -> torch.Tensor:
        length, d = len(ids), hidden // heads
        x = items[ids] * math.sqrt(hidden) + positions[-length:]
        for i in range(layers):
            name = f"unit{i}"
            u, v, q, k = F.silu(dense(f"{name}/project", hidden, 4 * hidden)(norm(f"{name}/norm", hidden)(x))).chunk(4, -1)
            distances = weight(f"{name}/distances", HISTORY)
            attended = []
            for h in range(heads):
                part = slice(h * d, (h + 1) * d)
                a = q[:, part] @ k[:, part].T
                a += torch.tensor([[distances[max(0, t - j)] for j in range(length)] for t in range(length)])
                attended.append((F.silu(a) / HISTORY).tril() @ v[:, part])
            x = x + dense(f"{name}/output", hidden, hidden)(norm(f"{name}/attendedNorm", hidden)(torch.cat(attended, -1)) * u)
        return F.normalize(items, dim=-1) @ F.normalize(x[-1], dim=-1) / temperature

    return each(scores)


def din(hidden: int, unit: int, mlp: list[int], normalise: bool) -> torch.Tensor:
    """Eq. 3, with the vectors [e; v; e - v; e * v] of each pair as they are."""
    items = weight("items/table", ITEMS + 1, hidden)
    parts = [weight(f"unit/{part}/weights", hidden, unit) for part in ("each", "candidate", "difference")]
    first = torch.cat([*parts, weight("unit/product", unit, hidden).T])  # [4 * hidden, unit]

    def scores(ids: torch.Tensor) -> torch.Tensor:
        e = items[ids]
        result = []
        for v in items:
            pairs = torch.cat([e, v.expand_as(e), e - v, e * v], -1)
            activated = F.prelu(pairs @ first + weight("unit/each/biases", unit), weight("unit/slope", unit))
            a = activated @ weight("unit/weights", unit) + weight("unit/bias", 1)
            interest = (F.softmax(a, 0) if normalise else a) @ e
            x = torch.cat([interest, v, interest * v])[None]
            for i, outputs in enumerate(mlp):
                x = F.prelu(dense(f"mlp{i}", x.shape[1], outputs)(x), weight(f"mlp{i}/slope", outputs))
            result.append(dense("output", mlp[-1], 1)(x)[0, 0])
        return torch.stack(result)

    return each(scores)


CASES = [
    ("mean", mean, {"hidden": 4, "agreement": 0.5}),
    ("gru4rec", gru4rec, {"embedding": 3, "hidden": 5, "layers": 2, "tied": True}),
    ("gru4rec", gru4rec, {"embedding": 3, "hidden": 4, "layers": 1, "tied": False}),
    ("narm", narm, {"embedding": 3, "hidden": 4}),
    ("sasrec", sasrec, {"hidden": 6, "layers": 2, "heads": 2, "scaled": True, "projected": True, "normalised": True}),
    ("sasrec", sasrec, {"hidden": 6, "layers": 2, "heads": 2, "scaled": False, "projected": False, "normalised": False}),
    ("bert4rec", bert4rec, {"hidden": 6, "layers": 2, "heads": 2}),
    ("caser", caser, {"hidden": 3, "window": 4, "horizontal": 2, "vertical": 3}),
    ("fmlp", fmlp, {"hidden": 4, "layers": 2, "inner": 2}),
    ("hstu", hstu, {"hidden": 6, "layers": 2, "heads": 2, "temperature": 0.5}),
    ("din", din, {"hidden": 4, "unit": 3, "mlp": [6, 3], "normalise": False}),
    ("din", din, {"hidden": 4, "unit": 3, "mlp": [5], "normalise": True}),
]

if __name__ == "__main__":
    cases = []
    for plugin, reference, options in CASES:
        with torch.no_grad():
            cases.append({"plugin": plugin, "options": options, "scores": rounded(reference(**options))})
    print(json.dumps({"items": ITEMS, "history": HISTORY, "histories": HISTORIES, "cases": cases}))
