"""PyTorch: the `dropout` of a recurrent module acts between its layers, and on nothing else."""

import warnings

import torch
from torch import nn

torch.manual_seed(0)
sequences = torch.randn(100, 20, 8)

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    one = nn.LSTM(8, 16, num_layers=1, dropout=0.9, batch_first=True)  # in training mode
print("warning:", "num_layers greater than 1" in str(caught[-1].message))
#> warning: True
print("one layer, two training calls agree:", torch.equal(one(sequences)[0], one(sequences)[0]))
#> one layer, two training calls agree: True
two = nn.LSTM(8, 16, num_layers=2, dropout=0.5, batch_first=True)
print("two layers, two training calls agree:", torch.equal(two(sequences)[0], two(sequences)[0]))
#> two layers, two training calls agree: False

# two layers that pass their inputs on: what the second puts out is what dropout left for it
passing = nn.RNN(8, 8, num_layers=2, nonlinearity="relu", dropout=0.5, batch_first=True)
with torch.no_grad():
    for name, weight in passing.named_parameters():
        weight.copy_(torch.eye(8) if name.startswith("weight_ih") else torch.zeros_like(weight))
zero = passing(torch.ones(500, 20, 8))[0] == 0
print(f"share dropped between the layers: {zero.float().mean():.1f}")
#> share dropped between the layers: 0.5
print("same units at every step:", bool((zero == zero[:, :1]).all()))
#> same units at every step: False


class LockedDropout(nn.Module):
    """One mask for a whole sequence, `(batch, 1, features)`, as Keras' recurrent layers draw it."""

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, x):  # `(batch, steps, features)`
        shape = (x.shape[0], 1, x.shape[2])
        return x * nn.functional.dropout(x.new_ones(shape), self.rate, self.training)


zero = LockedDropout(0.5)(torch.ones(500, 20, 8)) == 0
print("locked, same units at every step:", bool((zero == zero[:, :1]).all()))
#> locked, same units at every step: True
