"""The mistake: one run of each model decides. The next two runs may say the opposite."""

import keras

from fair_comparison import dense, digits, evaluate


def network(rate):
    drop, hidden = keras.layers.Dropout, [dense(20, 128, "relu"), dense(20, 64, "relu")]
    return [hidden[0], drop(rate), hidden[1], drop(rate), dense(20, 10)]


if __name__ == "__main__":
    data = digits(n_train=200, replicas=20)
    without, _ = evaluate(lambda: network(0), data, epochs=40)
    dropped, _ = evaluate(lambda: network(0.2), data, epochs=40, seed=1)

    # each replica, alone, is somebody's single run
    print("some would report that dropout helps:", any(dropped > without))
    #> some would report that dropout helps: True
    print("some would report that dropout hurts:", any(dropped < without))
    #> some would report that dropout hurts: True
