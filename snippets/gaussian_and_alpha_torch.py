"""PyTorch has AlphaDropout and no GaussianDropout, and its default weights do not suit SELU."""

import torch
from torch import nn


class GaussianDropout(nn.Module):  # a factor with the mean and the variance of Dropout's
    def __init__(self, p):
        super().__init__()
        self.deviation = (p / (1 - p)) ** 0.5

    def forward(self, x):
        return x * (1 + self.deviation * torch.randn_like(x)) if self.training else x


class GaussianNoise(nn.Module):
    def __init__(self, deviation):
        super().__init__()
        self.deviation = deviation

    def forward(self, x):
        return x + self.deviation * torch.randn_like(x) if self.training else x


def deep(drop, lecun=True, depth=8, width=256):
    """Layers of SELU units, each with a dropout behind it."""
    made = []
    for _ in range(depth):
        dense = nn.Linear(width, width)
        if lecun:
            nn.init.kaiming_normal_(dense.weight, nonlinearity="linear")  # variance 1 / width
            nn.init.zeros_(dense.bias)
        made += [dense, nn.SELU(), drop(0.1)]
    return nn.Sequential(*made)


KINDS = (nn.Dropout, GaussianDropout, GaussianNoise, nn.AlphaDropout, nn.FeatureAlphaDropout)

if __name__ == "__main__":
    torch.manual_seed(0)
    ones = torch.ones(200, 200, 20)  # `(batch, channels, steps)`
    print("on ones: mean, deviation, share of zeros, share below zero, whole channels")
    #> on ones: mean, deviation, share of zeros, share below zero, whole channels
    for kind in KINDS:
        out = kind(0.2)(ones)
        numbers = out.mean(), out.std(), (out == 0).float().mean(), (out < 0).float().mean()
        shown = "  ".join(f"{number:.1f}" for number in numbers)
        print(f"{kind.__name__ + '(0.2)':25}", shown, "", bool((out == out[..., :1]).all()))
        #> Dropout(0.2)              1.0  0.5  0.2  0.0  False
        #> GaussianDropout(0.2)      1.0  0.5  0.0  0.0  False
        #> GaussianNoise(0.2)        1.0  0.2  0.0  0.0  False
        #> AlphaDropout(0.2)         0.7  1.0  0.0  0.2  False
        #> FeatureAlphaDropout(0.2)  0.7  1.0  0.0  0.2  True
    at_inference = [torch.equal(kind(0.2).eval()(ones), ones) for kind in KINDS]
    print("all pass their input on at inference:", all(at_inference))
    #> all pass their input on at inference: True

    x = torch.randn(4000, 256)  # behind eight SELU layers, what is left of a deviation of 1?
    print(f"AlphaDropout(0.1), LeCun's weights: {deep(nn.AlphaDropout)(x).std():.1f}")
    #> AlphaDropout(0.1), LeCun's weights: 1.0
    print(f"Dropout(0.1), LeCun's weights: {deep(nn.Dropout)(x).std():.1f}")
    #> Dropout(0.1), LeCun's weights: 1.2
    print(f"AlphaDropout(0.1), default weights: {deep(nn.AlphaDropout, lecun=False)(x).std():.1f}")
    #> AlphaDropout(0.1), default weights: 0.6
