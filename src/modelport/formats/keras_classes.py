"""The classes of Keras 3 and 2 that a configuration may name when Keras itself is to build it: all are data only.

Left out on purpose: Lambda (byte code), TFSMLayer, TorchModuleWrapper, JaxLayer and FlaxLayer (programs of other frameworks).
"""

from __future__ import annotations

import re

MODULES = re.compile(
    r"keras(\.(layers|models|initializers|regularizers|constraints|activations|dtype_policies|random))?"
    r"|keras\.src\.models\.(functional|sequential)"
    r"|keras(\.src)?\.(engine\.(functional|sequential|input_layer)|layers\.core\.tf_op_layer)"  # in Keras 2
    r"|keras\.src\.ops\.(numpy|nn|core|math|linalg|image)"
)

_LAYERS = """
Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AdditiveAttention AlphaDropout Attention Average
AveragePooling1D AveragePooling2D AveragePooling3D BatchNormalization Bidirectional CategoryEncoding CenterCrop Concatenate
Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Cropping1D Cropping2D
Cropping3D Dense DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout ELU EinsumDense Embedding Flatten GRU GRUCell
GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D
GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization GroupQueryAttention GroupedQueryAttention HashedCrossing Hashing
Identity InputLayer IntegerLookup LSTM LSTMCell LayerNormalization LeakyReLU LocallyConnected1D LocallyConnected2D Masking
MaxPooling1D MaxPooling2D MaxPooling3D Maximum Minimum MultiHeadAttention Multiply Normalization PReLU Permute RMSNormalization
RNN RandomBrightness RandomContrast RandomFlip RandomHeight RandomRotation RandomTranslation RandomWidth RandomZoom ReLU
RepeatVector Rescaling Reshape Resizing SeparableConv1D SeparableConv2D SimpleRNN SimpleRNNCell Softmax SpatialDropout1D
SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells StringLookup Subtract TextVectorization ThresholdedReLU
TimeDistributed UnitNormalization UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
"""
_OTHERS = """
Sequential Functional Model function DTypePolicy SeedGenerator __keras_tensor__ __numpy__ __tensor__ __tuple__ __slice__ __ellipsis__
Zeros Ones Constant RandomNormal RandomUniform TruncatedNormal VarianceScaling Orthogonal Identity IdentityInitializer
GlorotNormal GlorotUniform HeNormal HeUniform LecunNormal LecunUniform L1 L2 L1L2 OrthogonalRegularizer
MaxNorm MinMaxNorm NonNeg UnitNorm
"""
CLASSES = frozenset((_LAYERS + _OTHERS).split())

OPERATIONS = frozenset({"TFOpLambda", "SlicingOpLambda"})
"""How Keras 2 records a TensorFlow function between layers. It looks any public one up by its name, those that write files among them."""

_PASSIVE = """
__operators__.add __operators__.getitem cast clip_by_value concat convert_to_tensor expand_dims gather identity
linalg.l2_normalize linalg.matmul math.abs math.add math.add_n math.argmax math.divide math.divide_no_nan math.equal math.exp
math.greater math.greater_equal math.l2_normalize math.less math.less_equal math.log math.logical_and math.logical_not
math.logical_or math.maximum math.minimum math.multiply math.negative math.not_equal math.pow math.reduce_max math.reduce_mean
math.reduce_min math.reduce_sum math.rsqrt math.scalar_mul math.sigmoid math.softplus math.sqrt math.square math.subtract
math.tanh math.truediv nn.elu nn.gelu nn.l2_normalize nn.leaky_relu nn.log_softmax nn.relu nn.relu6 nn.selu nn.silu nn.softmax
one_hot ones_like pad repeat reshape split squeeze stack tile transpose unstack where zeros_like
"""
PASSIVE = frozenset(_PASSIVE.split())
"""The TensorFlow functions of which a model may be made: they compute, and touch nothing."""

_BY_VALUE = """
__operators__.add cast clip_by_value identity math.abs math.add math.divide math.divide_no_nan math.equal math.exp math.greater
math.greater_equal math.less math.less_equal math.log math.logical_and math.logical_not math.logical_or math.maximum math.minimum
math.multiply math.negative math.not_equal math.pow math.rsqrt math.sigmoid math.softplus math.sqrt math.square math.subtract math.tanh
math.truediv nn.elu nn.gelu nn.leaky_relu nn.relu nn.relu6 nn.selu nn.silu ones_like zeros_like
Absolute Add Cast Clip Divide Elu Equal Exp Gelu Greater GreaterEqual LeakyRelu Less LessEqual Log LogicalAnd LogicalNot LogicalOr
Maximum Minimum Multiply Negative NotEqual Power Relu Relu6 Rsqrt Selu Sigmoid Silu Softplus Sqrt Square Subtract Tanh TrueDivide
"""
BY_VALUE = frozenset(_BY_VALUE.split())
"""Functions and operations that look at one value of each operand at a time, so that rows have nothing to do with each other."""
