"""PRM (Pei et al. 2019, arXiv 1904.06813) with KAR's hybrid-expert adaptor (Xi et al. 2023, arXiv 2306.10933) in PyTorch.

Usage: prm.py DATA.safetensors OPTIONS_JSON
Written as public implementations of KAR are: a module an expert, and for each candidate of a list the experts are asked again,
for the user's text as for the candidate's.
"""

import json
import math
import sys

import numpy as np
import torch
import torch.nn.functional as F
from serve import load, serve
from torch import nn


class Expert(nn.Sequential):
    def __init__(self, width: int, hidden: int, adapted: int, dropout: float):
        super().__init__(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, adapted))


class HybridExperts(nn.Module):
    """Shared and specific experts of two sides (user, item), each side mixed by a gate of its own."""

    def __init__(self, width: int, hidden: int, adapted: int, shared: int, specific: int, dropout: float):
        super().__init__()
        make = lambda count: nn.ModuleList(Expert(width, hidden, adapted, dropout) for _ in range(count))
        self.shared = make(shared)
        self.specific = nn.ModuleDict({side: make(specific) for side in ("user", "item")})
        self.gates = nn.ModuleDict({side: nn.Linear(width, shared + specific) for side in ("user", "item")})

    def forward(self, text: torch.Tensor, side: str) -> torch.Tensor:
        experts = torch.stack([expert(text) for expert in [*self.shared, *self.specific[side]]], dim=1)
        gates = self.gates[side](text).softmax(-1)
        return (gates.unsqueeze(-1) * experts).sum(1)


class Prm(nn.Module):
    def __init__(self, items: int, width: int, aspects: int, options: dict):
        super().__init__()
        o = options
        self.join = o["join"]
        self.items = nn.Embedding(items + 1, o["embedding"])
        self.adaptor = HybridExperts(width, o["expertHidden"], o["adapted"], o["shared"], o["specific"], o["expertDropout"])
        features = o["embedding"] + o["adapted"] * {"concat": 2, "aspects": aspects + 1}[self.join]
        self.input = nn.Linear(features, o["hidden"])
        self.block = nn.TransformerEncoderLayer(o["hidden"], o["heads"], o["inner"], o["dropout"], batch_first=True)
        layers, inputs = [], o["hidden"]
        for outputs in o["mlp"]:
            layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(o["dropout"])]
            inputs = outputs
        self.output = nn.Sequential(*layers, nn.Linear(inputs, 1))

    def features(self, user: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """@param user [batch, aspects, width]; @param item [batch, width], one candidate of each list"""
        adapted = self.adaptor(item, "item")
        if self.join == "concat":
            return torch.cat([adapted, self.adaptor(user.mean(1), "user")], -1)
        heard = [self.adaptor(aspect, "user") * adapted for aspect in user.unbind(1)]
        return torch.cat([adapted, *heard], -1)

    def forward(self, candidates: torch.Tensor, user: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """@param candidates [batch, list]; @param items [batch, list, width]"""
        knowledge = torch.stack([self.features(user, item) for item in items.unbind(1)], dim=1)
        return self.output(self.block(self.input(torch.cat([self.items(candidates), knowledge], -1)))).squeeze(-1)


class Rival:
    def __init__(self, data: dict[str, np.ndarray], options: dict):
        self.user = torch.from_numpy(data["listUser"].astype(np.int64))  # [lists]
        self.candidates = torch.from_numpy(data["candidates"].astype(np.int64))  # [lists, length]
        self.labels = torch.from_numpy(data["labels"].astype(np.float32))
        unit = lambda x: torch.from_numpy(x / np.sqrt(np.mean(x**2, -1, keepdims=True) + 1e-12))
        self.users, self.items = unit(data["users"]), unit(data["items"])  # [users, aspects, width], [items + 1, width]
        self.texts = unit(data["texts"])  # [texts, aspects, width]
        self.batch_size, self.score_batch = options["batchSize"], options["scoreBatch"]
        torch.manual_seed(options["seed"])
        _, aspects, width = self.users.shape
        self.model = Prm(len(self.items) - 1, width, aspects, options)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), options["learningRate"], weight_decay=options["weightDecay"])

    def epoch(self) -> dict:
        self.model.train()
        total, batches = 0.0, torch.randperm(len(self.user)).split(self.batch_size)
        for lists in batches:
            candidates, labels = self.candidates[lists], self.labels[lists]
            scores = self.model(candidates, self.users[self.user[lists]], self.items[candidates])
            relevant = labels.sum(1, keepdim=True)
            cross_entropy = -(labels / relevant.clamp(min=1) * F.log_softmax(scores, 1)).sum(1)
            loss = cross_entropy.sum() / (relevant > 0).sum().clamp(min=1)
            self.optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 5)
            self.optimiser.step()
            total += loss.item()
        return {"loss": total / len(batches), "lists": len(self.user)}

    @torch.no_grad()
    def score(self, share: float) -> dict:
        """Every list of a user in the light of each of the user's texts; of the first `share` of the texts a user."""
        self.model.eval()
        samples = len(self.texts) // len(self.users)
        scored = 0
        for sample in range(math.ceil(samples * share)):
            for lists in torch.arange(len(self.user)).split(self.score_batch):
                candidates = self.candidates[lists]
                self.model(candidates, self.texts[self.user[lists] * samples + sample], self.items[candidates])
                scored += len(lists)
        return {"lists": scored}


rival = Rival(load(sys.argv[1]), json.loads(sys.argv[2]))
serve({"epoch": rival.epoch, "score": rival.score})
