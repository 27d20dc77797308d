"""In PyTorch the fused attention takes a rate itself, and drops whatever mode the module is in."""

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, query, key, value):
        rate = self.rate if self.training else 0.0  # the function does not know the mode
        return F.scaled_dot_product_attention(query, key, value, dropout_p=rate)


if __name__ == "__main__":
    torch.manual_seed(0)
    x = torch.randn(2, 4, 128, 16)  # `(batch, heads, length, size)`
    module = Attention(0.1).eval()
    plain = F.scaled_dot_product_attention(x, x, x)

    print("told the mode, it drops nothing after eval:", torch.equal(module(x, x, x), plain))
    #> told the mode, it drops nothing after eval: True
    dropped = F.scaled_dot_product_attention(x, x, x, dropout_p=module.rate)
    print("the function alone still drops:", not torch.allclose(dropped, plain))
    #> the function alone still drops: True
