"""PyTorch: set the rate, and the next call takes it, from 0 too; an export keeps the old one."""

import torch
from torch import nn


def set_rate(model, rate):
    """The rate of all that drops in a model, whatever it was before."""
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):  # Dropout, Dropout1d to 3d, Alpha
            module.p = rate
        elif isinstance(module, (nn.MultiheadAttention, nn.RNNBase)):  # a number of their own
            module.dropout = rate


def dropped(model, x):
    """The share of the outputs that are zero."""
    return f"{(model(x) == 0).float().mean():.1f}"


if __name__ == "__main__":
    torch.manual_seed(0)
    x = torch.randn(1000, 100)
    model = nn.Sequential(nn.Linear(100, 100), nn.Dropout(0.0))
    optimizer, shares = torch.optim.SGD(model.parameters(), 0.1), []
    for epoch in range(3):
        set_rate(model, 0.1 + 0.2 * epoch)
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
        shares.append(dropped(model, x))
    print("made with a rate of 0, dropped in each epoch:", *shares)
    #> made with a rate of 0, dropped in each epoch: 0.1 0.3 0.5

    words, lstm = x.view(100, 10, 100), nn.LSTM(100, 8, num_layers=2, batch_first=True)
    attention = nn.MultiheadAttention(100, 4, batch_first=True)
    for rate in (0.0, 0.5):
        set_rate(nn.ModuleList([lstm, attention]), rate)
        calls = [[lstm(words)[0], attention(words, words, words)[0]] for _ in range(2)]
        print(f"LSTM and attention at {rate}, two calls agree:", *map(torch.equal, *calls))
        #> LSTM and attention at 0.0, two calls agree: True True
        #> LSTM and attention at 0.5, two calls agree: False False

    graphs = []  # one for each compilation
    compiled = torch.compile(model, backend=lambda g, _: graphs.append(g) or g, dynamic=False)
    for rate in (0.1, 0.5, 0.1):
        set_rate(model, rate)
        share = dropped(compiled, x)
        print(f"compiled, at {rate}: dropped {share}, compilations: {len(graphs)}")
        #> compiled, at 0.1: dropped 0.1, compilations: 1
        #> compiled, at 0.5: dropped 0.5, compilations: 2
        #> compiled, at 0.1: dropped 0.1, compilations: 2
    exported = torch.export.export(model, (x,)).module()
    set_rate(model, 0.5)
    print("exported at 0.1, then set to 0.5: dropped", dropped(exported, x))
    #> exported at 0.1, then set to 0.5: dropped 0.1
    model[1] = nn.Identity()  # takes the Dropout out, and moves no key of the weights
    print("replaced: dropped", dropped(model, x))
    #> replaced: dropped 0.0
