"""The mistake: strong dropout in a network that is small already."""

import numpy as np

from does_it_help import judge, network
from fair_comparison import digits

if __name__ == "__main__":
    data = digits(n_train=200, replicas=5)
    without = judge(lambda: network(5, 0, width=32), data, epochs=60)
    dropped = judge(lambda: network(5, 0.5, width=32), data, epochs=60)
    print(f"accuracy lower with dropout: {np.sum(dropped['accuracy'] < without['accuracy'])} of 5")
    #> accuracy lower with dropout: 5 of 5
    print(f"loss higher with dropout:    {np.sum(dropped['loss'] > without['loss'])} of 5")
    #> loss higher with dropout:    5 of 5
