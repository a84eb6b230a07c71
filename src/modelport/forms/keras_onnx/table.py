"""The table of layers: for each class, how it is built, which weights it has, what it does to a mask.

A new layer is a function and a row here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from modelport.forms.keras_onnx.adaptive import adaptive_pooling
from modelport.forms.keras_onnx.attention import attention, grouped_query_attention, multi_head_attention
from modelport.forms.keras_onnx.bidirectional import bidirectional
from modelport.forms.keras_onnx.categories import category_encoding, discretization
from modelport.forms.keras_onnx.conv_recurrent import conv_lstm
from modelport.forms.keras_onnx.core import (
    activation,
    dense,
    einsum_dense,
    elu,
    embedding,
    flatten,
    identity,
    leaky_relu,
    masking,
    permute,
    prelu,
    relu_layer,
    repeat_vector,
    rescaling,
    reshape,
    softmax,
)
from modelport.forms.keras_onnx.graph import Given, Graph, Tensor
from modelport.forms.keras_onnx.margins import cropping, up_sampling, zero_padding
from modelport.forms.keras_onnx.merge import concatenate, dot, elementwise
from modelport.forms.keras_onnx.network import Layer
from modelport.forms.keras_onnx.normalise import (
    batch_normalization,
    group_normalization,
    layer_normalization,
    normalization,
    rms_normalization,
    unit_normalization,
)
from modelport.forms.keras_onnx.prepared import hashing, integer_lookup, string_lookup, text_vectorization
from modelport.forms.keras_onnx.recurrent import recurrent_call
from modelport.forms.keras_onnx.stacked import stacked_cells
from modelport.forms.keras_onnx.transposed import locally_connected, thresholded, transposed
from modelport.forms.keras_onnx.windows import convolution, depthwise, global_pooling, pooling, separable

Build: TypeAlias = Callable[[Graph, Layer, Tensor], Tensor]
Merge: TypeAlias = Callable[[Graph, Layer, Sequence[Tensor]], Tensor]
Take: TypeAlias = Callable[[Graph, Layer, Given], list[Tensor]]
Masks: TypeAlias = Literal["pass", "stop", "own"]


@dataclass(frozen=True, slots=True)
class Slot:
    """One weight of a layer, in the file's order.

    ``flag``: the setting without which the layer has it not, with its default; ``absent``: a setting that replaces it.
    ``present``: a setting without which the layer has it not; ``value``: one with its value. ``names``: what files call it.
    """

    role: str
    flag: tuple[str, bool] | None = None
    absent: str = ""
    present: str = ""
    value: tuple[str, str] | None = None
    is_trainable: bool = True
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """One layer class. ``masks``: passes its input's mask on, stops it, or makes its own.

    ``build`` takes one tensor, ``merge`` several, ``take`` whatever the call gives it and may answer with several.
    ``is_raw``: takes numbers as they are, not as float32, or texts.
    """

    build: Build | None = None
    merge: Merge | None = None
    take: Take | None = None
    slots: tuple[Slot, ...] = ()
    masks: Masks = "stop"
    is_raw: bool = False


_BIAS = Slot("bias", ("use_bias", True))
_KERNEL = (Slot("kernel"), _BIAS)
_CELL = (Slot("kernel"), Slot("recurrent_kernel"), _BIAS)
_CUDNN = (Slot("kernel"), Slot("recurrent_kernel"), Slot("bias"))
_SCALE = (Slot("gamma", ("scale", True)), Slot("beta", ("center", True)))
_MOVING = (Slot("moving_mean", is_trainable=False), Slot("moving_variance", is_trainable=False))
_SEEN = tuple(Slot(role, absent="mean", is_trainable=False) for role in ("mean", "variance"))
_DEPTH = (Slot("kernel", names=("kernel", "depthwise_kernel")), _BIAS)
_SEPARABLE = (Slot("depthwise_kernel"), Slot("pointwise_kernel"), _BIAS)

_SAME = Kind(identity, masks="pass")
_TRAINING_ONLY = Kind(identity)
_RECURRENT = Kind(take=recurrent_call, slots=_CELL)
_CONVOLUTIONAL = Kind(take=conv_lstm, slots=_CELL)
_ELEMENTWISE = Kind(merge=elementwise, masks="own")
_CONVOLUTION = Kind(convolution, slots=_KERNEL)
_POOLING = Kind(pooling)
_GLOBAL = Kind(global_pooling)
_ADAPTIVE = Kind(adaptive_pooling)

LAYERS: dict[str, Kind] = {
    "InputLayer": _SAME,
    "Embedding": Kind(embedding, slots=(Slot("embeddings"),), masks="own", is_raw=True),
    "Dense": Kind(dense, slots=_KERNEL, masks="pass"),
    "Masking": Kind(masking, masks="own"),
    "Activation": Kind(activation, masks="pass"),
    "ReLU": Kind(relu_layer, masks="pass"),
    "LeakyReLU": Kind(leaky_relu, masks="pass"),
    "ELU": Kind(elu, masks="pass"),
    "ThresholdedReLU": Kind(thresholded, masks="pass"),
    "PReLU": Kind(prelu, slots=(Slot("alpha"),), masks="pass"),
    "Softmax": Kind(softmax, masks="pass"),
    "LSTM": _RECURRENT,
    "GRU": _RECURRENT,
    "SimpleRNN": _RECURRENT,
    "CuDNNLSTM": Kind(take=recurrent_call, slots=_CUDNN),
    "CuDNNGRU": Kind(take=recurrent_call, slots=_CUDNN),
    "RNN": Kind(take=stacked_cells),  # over one cell it is that cell's layer
    "LSTMCell": Kind(slots=_CELL),
    "GRUCell": Kind(slots=_CELL),
    "SimpleRNNCell": Kind(slots=_CELL),
    "ConvLSTM1D": _CONVOLUTIONAL,
    "ConvLSTM2D": _CONVOLUTIONAL,
    "ConvLSTM3D": _CONVOLUTIONAL,
    "Bidirectional": Kind(take=bidirectional),
    "TimeDistributed": Kind(masks="pass"),  # built in convert, as it may hold any layer
    "SpectralNormalization": Kind(),  # built in convert, too
    "Conv1D": _CONVOLUTION,
    "Conv2D": _CONVOLUTION,
    "Conv3D": _CONVOLUTION,
    "Convolution1D": _CONVOLUTION,
    "Convolution2D": _CONVOLUTION,
    "Conv1DTranspose": Kind(transposed, slots=_KERNEL),
    "Conv2DTranspose": Kind(transposed, slots=_KERNEL),
    "Conv3DTranspose": Kind(transposed, slots=_KERNEL),
    "LocallyConnected1D": Kind(locally_connected, slots=_KERNEL),
    "LocallyConnected2D": Kind(locally_connected, slots=_KERNEL),
    "DepthwiseConv1D": Kind(depthwise, slots=_DEPTH),
    "DepthwiseConv2D": Kind(depthwise, slots=_DEPTH),
    "SeparableConv1D": Kind(separable, slots=_SEPARABLE),
    "SeparableConv2D": Kind(separable, slots=_SEPARABLE),
    "MaxPooling1D": _POOLING,
    "MaxPooling2D": _POOLING,
    "MaxPooling3D": _POOLING,
    "AveragePooling1D": _POOLING,
    "AveragePooling2D": _POOLING,
    "AveragePooling3D": _POOLING,
    "GlobalMaxPooling1D": _GLOBAL,
    "GlobalMaxPooling2D": _GLOBAL,
    "GlobalMaxPooling3D": _GLOBAL,
    "GlobalAveragePooling1D": _GLOBAL,
    "GlobalAveragePooling2D": _GLOBAL,
    "GlobalAveragePooling3D": _GLOBAL,
    "AdaptiveMaxPooling1D": _ADAPTIVE,
    "AdaptiveMaxPooling2D": _ADAPTIVE,
    "AdaptiveMaxPooling3D": _ADAPTIVE,
    "AdaptiveAveragePooling1D": _ADAPTIVE,
    "AdaptiveAveragePooling2D": _ADAPTIVE,
    "AdaptiveAveragePooling3D": _ADAPTIVE,
    "ZeroPadding1D": Kind(zero_padding),
    "ZeroPadding2D": Kind(zero_padding),
    "ZeroPadding3D": Kind(zero_padding),
    "Cropping1D": Kind(cropping),
    "Cropping2D": Kind(cropping),
    "Cropping3D": Kind(cropping),
    "UpSampling1D": Kind(up_sampling),
    "UpSampling2D": Kind(up_sampling),
    "UpSampling3D": Kind(up_sampling),
    "Flatten": Kind(flatten),
    "Reshape": Kind(reshape),
    "Permute": Kind(permute),
    "RepeatVector": Kind(repeat_vector),
    "BatchNormalization": Kind(batch_normalization, slots=(*_SCALE, *_MOVING), masks="pass"),
    "LayerNormalization": Kind(layer_normalization, slots=_SCALE, masks="pass"),
    "GroupNormalization": Kind(group_normalization, slots=_SCALE, masks="pass"),
    "RMSNormalization": Kind(rms_normalization, slots=(Slot("scale"),), masks="pass"),
    "UnitNormalization": Kind(unit_normalization, masks="pass"),
    "Normalization": Kind(normalization, slots=_SEEN),
    "Rescaling": Kind(rescaling),
    "TextVectorization": Kind(take=text_vectorization, is_raw=True),
    "StringLookup": Kind(take=string_lookup, is_raw=True),
    "IntegerLookup": Kind(take=integer_lookup, is_raw=True),
    "Hashing": Kind(take=hashing, is_raw=True),
    "CategoryEncoding": Kind(take=category_encoding, is_raw=True),
    "Discretization": Kind(take=discretization, is_raw=True),
    "Add": _ELEMENTWISE,
    "Subtract": _ELEMENTWISE,
    "Multiply": _ELEMENTWISE,
    "Average": _ELEMENTWISE,
    "Maximum": _ELEMENTWISE,
    "Minimum": _ELEMENTWISE,
    "Attention": Kind(
        take=attention, slots=(Slot("scale", ("use_scale", False)), Slot("concat_score_weight", value=("score_mode", "concat")))
    ),
    "AdditiveAttention": Kind(take=attention, slots=(Slot("scale", ("use_scale", True)),)),
    "MultiHeadAttention": Kind(take=multi_head_attention),
    "GroupQueryAttention": Kind(take=grouped_query_attention),
    "GroupedQueryAttention": Kind(take=grouped_query_attention),
    "EinsumDense": Kind(einsum_dense, slots=(Slot("kernel"), Slot("bias", present="bias_axes"))),
    "Dot": Kind(merge=dot),
    "Concatenate": Kind(merge=concatenate, masks="own"),
    "Identity": _SAME,
    "Dropout": _SAME,
    "SpatialDropout1D": _SAME,
    "SpatialDropout2D": _SAME,
    "SpatialDropout3D": _SAME,
    "GaussianNoise": _SAME,
    "GaussianDropout": _SAME,
    "AlphaDropout": _SAME,
    "ActivityRegularization": _SAME,
    "RandomFlip": _TRAINING_ONLY,
    "RandomRotation": _TRAINING_ONLY,
    "RandomZoom": _TRAINING_ONLY,
    "RandomTranslation": _TRAINING_ONLY,
    "RandomContrast": _TRAINING_ONLY,
    "RandomBrightness": _TRAINING_ONLY,
}
