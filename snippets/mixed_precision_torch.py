"""PyTorch: Dropout keeps its rate and the dtype that it gets; in bfloat16 its scale is rounded."""

import torch
from torch import nn


class Float32Dropout(nn.Dropout):
    """Drops and scales in float32; under autocast the next Linear casts back by itself."""

    def forward(self, x):
        return super().forward(x.float())


def name(tensor):
    return str(tensor.dtype).removeprefix("torch.")


if __name__ == "__main__":
    torch.manual_seed(0)
    linear, plain, safe = nn.Linear(8, 8), nn.Dropout(0.01), Float32Dropout(0.01)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = torch.ones(4, 8)
        hidden = linear(x)
        for kind, drop in (("plain", plain), ("safe", safe)):
            names = [name(tensor) for tensor in (drop(x), drop(hidden), linear(drop(hidden)))]
            print(f"{kind:5} on {name(x)}: {names[0]}, on {name(hidden)}: {names[1]}", end="")
            print(f", and the next Linear: {names[2]}")
            #> plain on float32: float32, on bfloat16: bfloat16, and the next Linear: bfloat16
            #> safe  on float32: float32, on bfloat16: float32, and the next Linear: bfloat16

    ones = torch.ones(1000, 2000)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        for rate in (0.001, 0.01):
            y = nn.Dropout(rate)(ones.to(dtype))
            share, scale = (y == 0).float().mean(), y.max()
            print(f"{name(y):8} {rate:5} drops {share:.3f}, scales by {scale:.4f}")
            #> float32  0.001 drops 0.001, scales by 1.0010
            #> float32   0.01 drops 0.010, scales by 1.0101
            #> float16  0.001 drops 0.001, scales by 1.0010
            #> float16   0.01 drops 0.010, scales by 1.0098
            #> bfloat16 0.001 drops 0.001, scales by 1.0000
            #> bfloat16  0.01 drops 0.010, scales by 1.0078
    for kind, drop in (("plain", plain), ("safe", safe)):
        y = ones.bfloat16()
        for _ in range(12):
            y = drop(y)
        print(f"behind twelve {kind} ones in bfloat16 the mean of ones is {y.float().mean():.2f}")
        #> behind twelve plain ones in bfloat16 the mean of ones is 0.97
        #> behind twelve safe ones in bfloat16 the mean of ones is 1.00
