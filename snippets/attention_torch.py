"""PyTorch: `nn.MultiheadAttention` hands out the weights after its dropout, Keras before."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(100, 6, 16)
attention = nn.MultiheadAttention(16, 2, dropout=0.5, batch_first=True)  # in training mode

_, weights = attention(x, x, x, average_attn_weights=False)
print(f"training: weights at zero {(weights == 0).float().mean():.1f}", end=", ")
print("each token's sum to one:", bool(torch.allclose(weights.sum(-1), torch.ones(100, 2, 6))))
#> training: weights at zero 0.5, each token's sum to one: False
attention.eval()
_, weights = attention(x, x, x, average_attn_weights=False)
print(f"eval: weights at zero {(weights == 0).float().mean():.1f}", end=", ")
print("each token's sum to one:", bool(torch.allclose(weights.sum(-1), torch.ones(100, 2, 6))))
#> eval: weights at zero 0.0, each token's sum to one: True

# the function has no mode: it drops with what it is given, also in eval
query = torch.randn(1, 2, 6, 8)
attend = nn.functional.scaled_dot_product_attention
calls = [attend(query, query, query, dropout_p=0.5) for _ in range(2)]
print("scaled_dot_product_attention, two calls agree:", torch.equal(*calls))
#> scaled_dot_product_attention, two calls agree: False
