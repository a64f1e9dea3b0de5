"""A Keras network as ONNX, by tf2onnx, with its gradient from TensorFlow in float64.

Run: python make_keras.py   (pip install tensorflow-cpu tf2onnx onnx)
"""

import json
import os
import pathlib
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from units import unit  # noqa: E402

BATCH, CLASSES = 3, 5


def main():
    tf.keras.backend.set_floatx("float64")
    layers = tf.keras.layers
    conv = lambda stride: layers.Conv2D(4, 3, strides=stride, padding="same", activation="relu")
    net = tf.keras.Sequential([layers.Input((8, 8, 3)), conv(1), layers.MaxPooling2D(2), conv(2), layers.Flatten(), layers.Dense(6, activation="tanh"), layers.Dense(CLASSES)])
    for i, v in enumerate(net.trainable_variables):
        v.assign((0.4 * unit(int(np.prod(v.shape)), 100 + i)).astype(np.float32).astype(np.float64).reshape(v.shape))
    x = unit(BATCH * 3 * 8 * 8, 1).reshape(BATCH, 3, 8, 8)
    labels = [(3 * b + 1) % CLASSES for b in range(BATCH)]
    with tf.GradientTape() as tape:
        logits = net(x.transpose(0, 2, 3, 1))
        loss = tf.reduce_mean(tf.keras.losses.sparse_categorical_crossentropy(tf.constant(labels), logits, from_logits=True))
    grads = tape.gradient(loss, net.trainable_variables)
    spec = (tf.TensorSpec((None, 8, 8, 3), tf.float64, name="x"),)
    program, _ = tf2onnx.convert.from_function(tf.function(lambda x: net(x), input_signature=spec), input_signature=spec, opset=17, inputs_as_nchw=["x"])
    onnx.save(program, HERE / "keras.onnx")
    # tf2onnx keeps kernels [O, I, H, W], where Keras has [H, W, I, O], and biases as they are.
    turned = [g.numpy().transpose(3, 2, 0, 1) if g.ndim == 4 else g.numpy() for g in map(tf.convert_to_tensor, grads)]
    record = {"tensorflow": tf.__version__, "batch": BATCH, "labels": labels, "logits": logits.numpy().ravel().tolist(), "loss": float(loss), "gradients": [{"shape": list(g.shape), "values": g.ravel().tolist()} for g in turned]}
    (HERE / "keras-gradient.txt").write_text(json.dumps(record) + "\n")
    print([(n.op_type, list(n.input)) for n in program.graph.node])
    print([(i.name, list(i.dims)) for i in program.graph.initializer], loss)


main()
