"""Dropout in PyTorch's Transformer block: on each branch before it is added, and on by default."""

import torch
from torch import nn


def block(width=64, heads=4, rate=0.1, pre_norm=True):
    kind = {"norm_first": pre_norm, "batch_first": True}
    return nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=rate, **kind)


class Encoder(nn.Module):
    def __init__(self, words=1000, length=64, width=64, blocks=6, rate=0.1):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(words, width), nn.Embedding(length, width)
        self.dropout = nn.Dropout(rate)  # on the sum, which nn.TransformerEncoder leaves to you
        layer, norm = block(width, rate=rate), nn.LayerNorm(width)
        self.blocks = nn.TransformerEncoder(layer, blocks, norm, enable_nested_tensor=False)

    def forward(self, tokens):
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        return self.blocks(self.dropout(self.tokens(tokens) + self.positions(positions)))


def dropouts(model):
    return [name for name, module in model.named_modules() if isinstance(module, nn.Dropout)]


def silence(model):
    """Sub-layers that put out zeros: what is left is the identity path."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" not in name:
                weight.zero_()
    return model


if __name__ == "__main__":
    torch.manual_seed(0)
    x = torch.randn(8, 64, 64)
    for pre_norm in (True, False):
        y = silence(block(pre_norm=pre_norm))(x)  # a model of PyTorch is built in training mode
        print(f"pre_norm={pre_norm}: zeros on the identity path: {(y == 0).sum().item()}")
        #> pre_norm=True: zeros on the identity path: 0
        #> pre_norm=False: zeros on the identity path: 0
    print("dropouts of a block:", ", ".join(dropouts(block())))
    #> dropouts of a block: dropout, dropout1, dropout2
    print("and on its attention weights:", block().self_attn.dropout)
    #> and on its attention weights: 0.1
    print("rate of a block that is not told one:", nn.TransformerEncoderLayer(64, 4).dropout.p)
    #> rate of a block that is not told one: 0.1
    encoder = Encoder()
    print("an encoder of 6 blocks:", len(dropouts(encoder)), "dropouts,", end=" ")
    print(tuple(encoder(torch.zeros(8, 64, dtype=int)).shape))
    #> an encoder of 6 blocks: 19 dropouts, (8, 64, 64)
