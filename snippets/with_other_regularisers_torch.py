"""PyTorch: the optimizer decays all it is given: dropped units, biases and norms; Adam's is L2."""

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW


def groups(model, decay):
    """Decay for matrices and kernels, and none for biases and norms, which have one dimension."""
    many, one = ([p for p in model.parameters() if (p.ndim > 1) == wide] for wide in (True, False))
    return [{"params": many, "weight_decay": decay}, {"params": one, "weight_decay": 0.0}]


def step(make):
    """Weights and biases that lead to dropped units: by what factor, and by how much they move."""
    hidden, drop, out = nn.Linear(20, 1000), nn.Dropout(0.5), nn.Linear(1000, 1)
    before = [p.detach().clone() for p in (hidden.weight, hidden.bias)]
    optimizer = make(nn.ModuleList([hidden, out]))
    kept = drop(hidden(torch.randn(1, 20)))
    out(kept).square().sum().backward()
    optimizer.step()
    gone = kept[0] == 0
    pairs = [(p[gone], b[gone]) for p, b in zip(hidden.parameters(), before, strict=True)]
    return [(p / b).median() for p, b in pairs], [(p - b).abs().median() for p, b in pairs]


if __name__ == "__main__":
    torch.manual_seed(0)
    for name, make in {
        "SGD": lambda model: SGD(model.parameters(), 0.1),
        "SGD, L2": lambda model: SGD(model.parameters(), 0.1, weight_decay=0.2),
        "AdamW": lambda model: AdamW(model.parameters(), 0.1, weight_decay=0.2),
        "AdamW, groups": lambda model: AdamW(groups(model, 0.2), 0.1),
    }.items():
        factors = " ".join(f"{factor:.3f}" for factor in step(make)[0])
        print(f"{name:13} weights and biases of dropped units: times {factors}")
        #> SGD           weights and biases of dropped units: times 1.000 1.000
        #> SGD, L2       weights and biases of dropped units: times 0.980 0.980
        #> AdamW         weights and biases of dropped units: times 0.980 0.980
        #> AdamW, groups weights and biases of dropped units: times 0.980 1.000
    for decay in (0.2, 0.02):  # Adam's own is L2, and its strength cancels out at first
        moves = step(lambda model, d=decay: Adam(model.parameters(), 0.01, weight_decay=d))[1]
        print(f"Adam(weight_decay={decay}): each moves by", *[f"{move:.3f}" for move in moves])
        #> Adam(weight_decay=0.2): each moves by 0.010 0.010
        #> Adam(weight_decay=0.02): each moves by 0.010 0.010

    model = nn.Sequential(nn.Linear(20, 8), nn.LayerNorm(8), nn.Dropout(0.5), nn.Linear(8, 1))
    for given in (model.parameters(), groups(model, 0.2)):
        optimizer = AdamW(given, 0.1, weight_decay=0.2)
        for p in model.parameters():
            p.data, p.grad = torch.ones_like(p), torch.zeros_like(p)  # decay alone can move it
        optimizer.step()
        print("decayed:", *[n for n, p in model.named_parameters() if p.mean() < 0.99])
        #> decayed: 0.weight 0.bias 1.weight 1.bias 3.weight 3.bias
        #> decayed: 0.weight 3.weight

    for module in (nn.Linear(20, 2), nn.Conv2d(2, 2, 3)):
        with torch.no_grad():  # max-norm: after each step of the optimizer
            module.weight[0], module.weight[1] = 0.1, 1.0
            module.weight.renorm_(p=2, dim=0, maxnorm=3.0)
        norms = module.weight.flatten(1).norm(dim=1)
        print(f"{type(module).__name__}, norms of two units:", *[f"{norm:.2f}" for norm in norms])
        #> Linear, norms of two units: 0.45 3.00
        #> Conv2d, norms of two units: 0.42 3.00
