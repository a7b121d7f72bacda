"""A small temporal fusion transformer in PyTorch, for the extra `tft`.

After Lim et al., "Temporal Fusion Transformers for Interpretable Multi-horizon Time Series Forecasting" (2021), with
what a single horizon and eight observed inputs leave of it: variable selection (a softmax weight for every input at
every step), an LSTM encoder with a gated skip, interpretable multi-head attention (heads of their own queries and keys
that share their values, so that their mean weights can be read), gated residual networks, one output. About 2,000
weights; fits 400 rows in a few seconds on one core. `selection` and `attention` of the last prediction are kept.
"""

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

from reference_impl._ai.features import WIDTH, Row, Table
from reference_impl._ai.model import UnavailableError

STEPS: Final = 12
"""Rows that one prediction looks back over."""
_HEADS: Final = 2
_ROUNDS: Final = 8
_BATCH: Final = 64
_RATE: Final = 0.01
_DECAY: Final = 0.01
_DROPOUT: Final = 0.1
_SEED: Final = 7


class _Gate(nn.Module):
    """Gated linear unit with a skip and a layer norm: lets a part of the network be left out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 2 * width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(_DROPOUT)

    def forward(self, value: Tensor, skip: Tensor) -> Tensor:
        return self.norm(skip + nn.functional.glu(self.linear(self.dropout(value)), dim=-1))


class _GatedResidual(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.skip = nn.Linear(inputs, width)
        self.deep = nn.Sequential(nn.Linear(inputs, width), nn.ELU(), nn.Linear(width, width))
        self.gate = _Gate(width)

    def forward(self, value: Tensor) -> Tensor:
        return self.gate(self.deep(value), self.skip(value))


class _Selection(nn.Module):
    """Weighs the inputs of each step against each other."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weigh = _GatedResidual(WIDTH, WIDTH)
        self.embed = nn.Parameter(torch.randn(WIDTH, width) / width**0.5)
        self.shift = nn.Parameter(torch.zeros(WIDTH, width))

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        weights = self.weigh(inputs).softmax(-1)
        embedded = inputs.unsqueeze(-1) * self.embed + self.shift
        return (weights.unsqueeze(-1) * embedded).sum(-2), weights


class _Attention(nn.Module):
    """What the last step makes of all steps. Nothing lies behind the last step, so no mask is needed."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.size = width // _HEADS
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, self.size)
        self.out = nn.Linear(self.size, width)

    def forward(self, steps: Tensor) -> tuple[Tensor, Tensor]:
        batch, length, _ = steps.shape
        query = self.query(steps[:, -1]).view(batch, _HEADS, 1, self.size)
        key = self.key(steps).view(batch, length, _HEADS, self.size).transpose(1, 2)
        weights = (query @ key.transpose(-1, -2) / self.size**0.5).softmax(-1).mean(1)
        return self.out(weights @ self.value(steps)).squeeze(1), weights.squeeze(1)


class _Network(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.selection = _Selection(width)
        self.encoder = nn.LSTM(width, width, batch_first=True)
        self.encoded = _Gate(width)
        self.attention = _Attention(width)
        self.attended = _Gate(width)
        self.enrich = _GatedResidual(width, width)
        self.finish = _Gate(width)
        self.out = nn.Linear(width, 1)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        chosen, selection = self.selection(inputs)
        steps = self.encoded(self.encoder(chosen)[0], chosen)
        attended, attention = self.attention(steps)
        last = self.attended(attended, steps[:, -1])
        return self.out(self.finish(self.enrich(last), steps[:, -1])).squeeze(-1), selection[:, -1], attention


class TemporalFusion:
    """The network as a model of the engine."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._network: _Network | None = None
        self.selection: tuple[float, ...] = ()
        """How the inputs of the last step were weighed in the last prediction."""
        self.attention: tuple[float, ...] = ()
        """How the steps were weighed in it, the newest last."""

    @property
    def version(self) -> str:
        """Its name, the library's version, the width."""
        return f"temporal-fusion-torch-{torch.__version__}/{self._width}"

    def fit(self, table: Table) -> None:
        """Train from scratch with AdamW; dice of its own, so other users of PyTorch are not disturbed."""
        count = len(table.rows) - STEPS + 1
        if count < _BATCH or len(set(table.labels)) < 2:  # noqa: PLR2004 - rises and falls
            raise UnavailableError("too_little_data")
        torch.set_num_threads(1)
        rows = torch.tensor(table.rows, dtype=torch.float32)
        inputs = rows.unfold(0, STEPS, 1).transpose(1, 2).contiguous()
        labels = torch.tensor(table.labels[STEPS - 1 :], dtype=torch.float32)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            network = _Network(self._width)
            optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_DECAY)
            for _ in range(_ROUNDS):
                for batch in torch.randperm(count).split(_BATCH):
                    optimizer.zero_grad()
                    scores, _, _ = network(inputs[batch])
                    loss = nn.functional.binary_cross_entropy_with_logits(scores, labels[batch])
                    loss.backward()
                    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                    optimizer.step()
        self._network = network.eval()

    def predict(self, rows: Sequence[Row]) -> float:
        """Return the probability after the last of these rows."""
        if self._network is None:
            raise UnavailableError("not_trained")
        if len(rows) < STEPS:
            raise UnavailableError("too_little_data")
        with torch.no_grad():
            inputs = torch.tensor([rows[-STEPS:]], dtype=torch.float32)
            score, selection, attention = self._network(inputs)
        self.selection, self.attention = _floats(selection), _floats(attention)
        return float(score.sigmoid()[0])


def _floats(weights: Tensor) -> tuple[float, ...]:
    values: Any = weights[0].tolist()
    return tuple(values)
