"""SASRec (Kang & McAuley 2018, arXiv 1808.09781) in PyTorch, trained on whole sequences with a softmax over all items.

Usage: sasrec.py DATA.safetensors OPTIONS_JSON
Data: items and offsets of every user's sequence in time order, two last items included: they are valid and test.
"""

import json
import sys

import numpy as np
import torch
import torch.nn.functional as F
from serve import load, mean_ndcg, serve
from torch import nn


class Block(nn.Module):
    def __init__(self, hidden: int, heads: int, dropout: float):
        super().__init__()
        self.heads, self.rate = heads, dropout
        self.attention_norm, self.feed_norm = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.qkv, self.output = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.feed = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, hidden))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        batch, length, hidden = x.shape
        q, k, v = (
            part.view(batch, length, self.heads, -1).transpose(1, 2) for part in self.qkv(self.attention_norm(x)).chunk(3, -1)
        )
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(x.shape)
        x = x + self.dropout(self.output(attended))
        return x + self.dropout(self.feed(self.feed_norm(x)))


class SasRec(nn.Module):
    def __init__(self, items: int, history: int, hidden: int, layers: int, heads: int, dropout: float):
        super().__init__()
        self.items = nn.Embedding(items + 1, hidden, padding_idx=0)
        nn.init.trunc_normal_(self.items.weight, std=0.02)
        self.positions = nn.Parameter(nn.init.trunc_normal_(torch.empty(history, hidden), std=0.02))
        self.blocks = nn.ModuleList(Block(hidden, heads, dropout) for _ in range(layers))
        self.norm, self.dropout = nn.LayerNorm(hidden), nn.Dropout(dropout)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        length = ids.shape[1]
        x = self.dropout(self.items(ids) * self.items.embedding_dim**0.5 + self.positions[-length:])
        causal = torch.ones(length, length, dtype=torch.bool).tril()
        visible = causal & (ids != 0)[:, None, None, :] | torch.eye(length, dtype=torch.bool)
        for block in self.blocks:
            x = block(x, visible)
        return self.norm(x)


class Rival:
    def __init__(self, data: dict[str, np.ndarray], options: dict):
        self.sequences = np.split(data["items"].astype(np.int64), data["offsets"][1:-1])
        self.catalogue = int(data["items"].max())
        self.history, self.batch_size = options["history"], options["batchSize"]
        self.patience, self.epochs = options["patience"], options["epochs"]
        shape = {name: options[name] for name in ("hidden", "layers", "heads", "dropout")}
        torch.manual_seed(options["seed"])
        self.rng = np.random.default_rng(options["seed"])
        self.model = SasRec(self.catalogue, self.history, **shape)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), options["learningRate"], weight_decay=options["weightDecay"])
        self.rows = [row for sequence in self.sequences for row in self.cut(sequence[:-2])]

    def cut(self, sequence: np.ndarray) -> list[np.ndarray]:
        """Rows of history + 1 items from the end, one shared by neighbours: every item but the first is a target once."""
        rows, until = [], len(sequence)
        while until > 1:
            rows.append(sequence[max(0, until - self.history - 1) : until])
            until = max(0, until - self.history)
        return rows

    def padded(self, rows: list[np.ndarray]) -> torch.Tensor:
        batch = np.zeros((len(rows), max(len(row) for row in rows)), dtype=np.int64)
        for i, row in enumerate(rows):
            batch[i, len(batch[i]) - len(row) :] = row
        return torch.from_numpy(batch)

    def batches(self) -> list[list[np.ndarray]]:
        """Rows of similar length together, as ours: nobody wins by the other's padding."""
        lengths = np.array([len(row) for row in self.rows]) * (1 + 0.1 * self.rng.random(len(self.rows)))
        order = np.argsort(lengths)
        starts = self.rng.permutation(np.arange(0, len(order), self.batch_size))
        return [[self.rows[i] for i in order[start : start + self.batch_size]] for start in starts]

    def epoch(self) -> dict:
        self.model.train()
        total, batches = 0.0, self.batches()
        for rows in batches:
            batch = self.padded(rows)
            inputs, targets = batch[:, :-1], batch[:, 1:]
            real = inputs != 0
            logits = self.model(inputs)[real] @ self.model.items.weight[1:].T
            loss = F.cross_entropy(logits, targets[real] - 1)
            self.optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 5)
            self.optimiser.step()
            total += loss.item()
        return {"loss": total / len(batches)}

    @torch.no_grad()
    def evaluate(self, part: str) -> dict:
        """NDCG@10 of the last item but one ("valid") or the last ("test") among all items that the user has not seen before."""
        self.model.eval()
        at, ranks = {"valid": -2, "test": -1}[part], []
        for start in range(0, len(self.sequences), 256):
            users = self.sequences[start : start + 256]
            scores = self.model(self.padded([user[:at][-self.history :] for user in users]))[:, -1] @ self.model.items.weight.T
            scores[:, 0] = -torch.inf
            for row, user in zip(scores, users):
                wanted = row[user[at]].item()
                row[torch.from_numpy(user[:at])] = -torch.inf
                ranks.append(int((row > wanted).sum()))
        return {"ndcg": mean_ndcg(np.array(ranks), 10)}

    def fit(self) -> dict:
        """Stopped by the valid items, the best epoch kept."""
        best, state, at = -1.0, None, 0
        for epoch in range(self.epochs):
            self.epoch()
            ndcg = self.evaluate("valid")["ndcg"]
            if ndcg > best:
                best, state, at = ndcg, {k: v.clone() for k, v in self.model.state_dict().items()}, epoch
            elif epoch - at >= self.patience:
                break
        self.model.load_state_dict(state)
        return {"epochs": epoch + 1, "valid": best, "test": self.evaluate("test")["ndcg"]}


rival = Rival(load(sys.argv[1]), json.loads(sys.argv[2]))
serve({"epoch": rival.epoch, "evaluate": rival.evaluate, "fit": rival.fit})
